"""The connection of a process of the service's own: made anew whenever it ends, its login renewed while it lasts.

Such a process logs in under a name of its own with a credential that a file holds, by the service's method, so that
the answer to a message says what became of it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from healthsync_mqtt.errors import HealthSyncError, UnavailableError
from healthsync_mqtt.mqtt.codec.packets import Property, Puback
from healthsync_mqtt.mqtt.links.greeting import login_refused
from healthsync_mqtt.mqtt.links.link import Link, dial
from healthsync_mqtt.mqtt.links.manners import METHOD
from healthsync_mqtt.mqtt.links.port import Address, Answer, ClientLogin, ConnectionLostError, Target
from healthsync_mqtt.telemetry.log import get_logger

_AGAIN_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
_RENEW_S: Final = 12 * 3_600.0
"""A login with a credential lasts a day."""


class KeptLink:
    """One connection of ``client_id``. ``run`` is a task of the process; ``logger`` names who speaks in the log."""

    def __init__(
        self,
        address: Address,
        *,
        client_id: str,
        password: Callable[[], str],
        in_flight: int,
        logger: str,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``password`` is asked at each login; ``in_flight`` messages are on their way at once at most."""
        self._address = address
        self._client_id = client_id
        self._password = password
        self._in_flight = in_flight
        self._logger = logger
        self._log = get_logger(logger)
        self._sleep = sleep
        self._link: Link | None = None
        self._arrived = asyncio.Event()
        #: how often it was connected
        self.connections = 0

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link is not None

    async def run(self) -> None:
        """Connect, and again whenever the connection ends, for ever."""
        failures = 0
        while True:
            before = self.connections
            try:
                await self._connected()
            except HealthSyncError as error:
                if failures == 0 or self.connections > before:
                    self._log.warning(f"{self._logger}.broker_away", error=error)
            failures = 0 if self.connections > before else failures + 1
            await self._sleep(_AGAIN_S[min(failures, len(_AGAIN_S) - 1)])

    async def arrived(self) -> None:
        """Return when there is a connection. It may be gone again by then."""
        await self._arrived.wait()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False, traceparent: str = "") -> Answer:
        """What the service says of the message once it is durable; ``traceparent`` is the trace it belongs to.

        ConnectionLostError: nothing was sent, or nobody knows. TooLargeError when no packet holds it.
        """
        link = self._link
        if link is None:
            raise ConnectionLostError("the broker cannot be reached")
        answer = await link.publish(topic, payload, retain=retain, traceparent=traceparent)
        assert isinstance(answer, Puback)
        about = answer.properties
        return Answer(answer.reason, about.get(Property.USER_PROPERTY, ()), about.get(Property.REASON_STRING, ""))

    async def _connected(self) -> None:
        """One connection until it ends. HealthSyncError."""
        account = ClientLogin(client_id=self._client_id, username=self._client_id, password=self._password())
        async with dial(self._address) as link:
            code = await link.login(
                Target(address=self._address, account=account, clean=True, in_flight=self._in_flight, method=METHOD)
            )
            if code:
                said = f"refused the credential of {self._client_id}" if login_refused(code) else "is not ready"
                raise UnavailableError(f"the broker {said}", hint="see: healthsync doctor")
            if link.agreed.method != METHOD:
                raise UnavailableError(
                    "the broker does not say what became of a message", hint="this works on healthsync up"
                )
            link.gather()
            self._link = link
            self.connections += 1
            self._arrived.set()
            self._log.info(f"{self._logger}.broker_connected", address=f"{self._address.host}:{self._address.port}")
            renewing = asyncio.create_task(self._renew(link), name=f"{self._logger}.renew")
            try:
                await link.ended()
            finally:
                self._link = None
                self._arrived.clear()
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self, link: Link) -> None:
        while True:
            await self._sleep(_RENEW_S)
            await link.renew(self._password().encode())
