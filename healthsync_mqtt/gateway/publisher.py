"""The gateway's own connection to the broker: what a request brings is published, and answered when it is durable.

A message that is on its way when the connection ends may be stored or not: its sender is told to ask again, and an
event that is stored already is a duplicate then.
"""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from healthsync_mqtt.client.backoff import Clock, SystemClock
from healthsync_mqtt.errors import HealthSyncError, UnavailableError
from healthsync_mqtt.identity.login.gateway import GATEWAY
from healthsync_mqtt.mqtt.codec.packets import Property, Puback
from healthsync_mqtt.mqtt.links.greeting import login_refused
from healthsync_mqtt.mqtt.links.link import Link, dial
from healthsync_mqtt.mqtt.links.manners import METHOD
from healthsync_mqtt.mqtt.links.port import Address, Answer, ClientLogin, ConnectionLostError, Target, TooLargeError
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("gateway")

_AGAIN_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
_RENEW_S: Final = 12 * 3_600.0
"""A login with a credential lasts a day."""


class Broker(Enum):
    """Where the connection is."""

    AWAY = auto()
    CONNECTED = auto()


class NotTakenError(UnavailableError):
    """The message was not taken, or nobody knows whether it was: it may be sent again after ``retry_after_s``."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message, hint="send the same again after Retry-After; what is stored already is a duplicate")
        self.retry_after_s = retry_after_s


class SenderGoneError(UnavailableError):
    """Nothing was sent: its sender's right to send ended while the broker was waited for."""


class Publisher:
    """One connection, made anew whenever it ends. ``run`` is a task of the process."""

    def __init__(
        self,
        address: Address,
        password: Callable[[], str],
        *,
        most: int,
        answer_s: float,
        connect_s: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        """``most`` messages are on their way at once; an answer is waited for ``answer_s``."""
        self._address = address
        self._password = password
        self._most = most
        self._answer_s = answer_s
        self._connect_s = connect_s
        self._clock = clock or SystemClock()
        self._link: Link | None = None
        self._arrived = asyncio.Event()
        #: how often it was connected
        self.connections = 0
        #: messages that wait for their answer
        self.waiting = 0

    @property
    def state(self) -> Broker:
        """Whether there is a connection now."""
        return Broker.AWAY if self._link is None else Broker.CONNECTED

    async def run(self) -> None:
        """Connect, and again whenever the connection ends, for ever."""
        failures = 0
        while True:
            before = self.connections
            try:
                await self._connected()
            except HealthSyncError as error:
                if failures == 0 or self.connections > before:
                    log.warning("gateway.broker_away", error=error)
            failures = 0 if self.connections > before else failures + 1
            await self._clock.sleep(_AGAIN_S[min(failures, len(_AGAIN_S) - 1)])

    async def publish(self, topic: str, payload: bytes, sender: Callable[[], bool] = lambda: True) -> Answer:
        """What the service says of the message once it is durable. NotTakenError, TooLargeError.

        ``sender`` says whether who sent it may send, as it is about to go: a broker may be waited for before that.
        SenderGoneError when not.
        """
        if self.waiting >= self._most:
            raise NotTakenError("too many messages wait for their commit")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._answer_s):
                return await self._publish(topic, payload, sender)
        except TimeoutError:
            raise NotTakenError("the service did not say in time that it is stored", retry_after_s=5.0) from None
        except TooLargeError:
            raise
        except ConnectionLostError as error:
            raise NotTakenError(f"the connection to the broker ended: {error}") from None
        finally:
            self.waiting -= 1

    async def _publish(self, topic: str, payload: bytes, sender: Callable[[], bool]) -> Answer:
        if self._link is None:
            try:
                async with asyncio.timeout(self._connect_s):
                    await self._arrived.wait()
            except TimeoutError:
                raise NotTakenError("the broker cannot be reached", retry_after_s=5.0) from None
        link = self._link
        if link is None:
            raise NotTakenError("the broker cannot be reached")
        if not sender():
            raise SenderGoneError("who sent it may not send any more")
        answer = await link.publish(topic, payload)
        assert isinstance(answer, Puback)
        about = answer.properties
        return Answer(answer.reason, about.get(Property.USER_PROPERTY, ()), about.get(Property.REASON_STRING, ""))

    async def _connected(self) -> None:
        """One connection until it ends. HealthSyncError."""
        password = self._password()
        account = ClientLogin(client_id=GATEWAY.client_id, username=GATEWAY.client_id, password=password)
        async with dial(self._address) as link:
            code = await link.login(
                Target(address=self._address, account=account, clean=True, in_flight=self._most, method=METHOD)
            )
            if code:
                said = "refused the gateway's credential" if login_refused(code) else "is not ready"
                raise UnavailableError(f"the broker {said}", hint="see: healthsync doctor")
            if link.agreed.method != METHOD:
                raise UnavailableError(
                    "the broker does not say what became of a message", hint="the gateway works on healthsync up"
                )
            self._link = link
            self.connections += 1
            self._arrived.set()
            log.info("gateway.broker_connected", address=f"{self._address.host}:{self._address.port}")
            renewing = asyncio.create_task(self._renew(link), name="gateway.renew")
            try:
                await link.ended()
            finally:
                self._link = None
                self._arrived.clear()
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self, link: Link) -> None:
        while True:
            await self._clock.sleep(_RENEW_S)
            await link.renew(self._password().encode())
