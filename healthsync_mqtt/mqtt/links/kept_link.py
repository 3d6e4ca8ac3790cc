"""The connection of a process of the service's own: made anew whenever it ends, its login renewed while it lasts.

Such a process logs in under a name of its own with a credential that a file holds, by the service's method, so that
the answer to a message says what became of it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.mqtt.codec.packets import Property, Puback
from healthsync_mqtt.mqtt.links.greeting import login_refused
from healthsync_mqtt.mqtt.links.lasting_link import LastingLink
from healthsync_mqtt.mqtt.links.link import Link, dial
from healthsync_mqtt.mqtt.links.manners import METHOD
from healthsync_mqtt.mqtt.links.port import Address, Answer, ClientLogin, ConnectionLostError, Target

_RENEW_S: Final = 12 * 3_600.0
"""A login with a credential lasts a day."""


class KeptLink(LastingLink):
    """One connection of ``client_id``."""

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
        super().__init__(logger, sleep)
        self._address = address
        self._client_id = client_id
        self._password = password
        self._in_flight = in_flight

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

    async def _connect(self) -> None:
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
            self._log.info(f"{self._logger}.broker_connected", address=f"{self._address.host}:{self._address.port}")
            renewing = asyncio.create_task(self._renew(link), name=f"{self._logger}.renew")
            try:
                with self._lasting(link):
                    await link.ended()
            finally:
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self, link: Link) -> None:
        while True:
            await self._sleep(_RENEW_S)
            await link.renew(self._password().encode())
