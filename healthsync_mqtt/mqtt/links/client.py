"""MQTT connections of a device: of MQTT 5 where the server speaks it, else 3.1.1, with a session that lasts.

One connection object per connection; what it did not get acknowledged, the caller's own outbox sends again.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address

from healthsync_mqtt.errors import ConfigError, DeniedError
from healthsync_mqtt.mqtt.codec import encode_puback
from healthsync_mqtt.mqtt.codec.packets import Property, Publish, Will
from healthsync_mqtt.mqtt.links.farewell import MovedError
from healthsync_mqtt.mqtt.links.greeting import login_refused
from healthsync_mqtt.mqtt.links.link import Link, dial
from healthsync_mqtt.mqtt.links.manners import METHOD, Manner, Manners
from healthsync_mqtt.mqtt.links.port import (
    Address,
    Answer,
    ClientLogin,
    ConnectionLostError,
    LastWill,
    NoAnswerError,
    Target,
)
from healthsync_mqtt.mqtt.links.tls import tls_context

__all__ = ["ConnectionLostError", "LastWill", "MqttConnection", "MqttTransport", "tls_context"]

_IN_FLIGHT = 65_535
_REFUSED = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttTransport:
    """How one client connects: with a persistent session, over TLS unless the host is loopback."""

    host: str
    port: int
    client_id: str
    username: str
    tls: ssl.SSLContext | None
    will: LastWill | None = None
    keep_alive: int = 30
    timeout: float = 10.0
    manners: Manners = field(default_factory=Manners, compare=False)
    """How the server is greeted; what it took is remembered here."""

    def __post_init__(self) -> None:
        if self.tls is None and not _is_loopback(self.host):
            raise ConfigError(
                f"refusing to send a token to {self.host} without TLS",
                hint="use the mqtts port and the service's ca_file; plain MQTT is for this machine only",
            )

    @contextlib.asynccontextmanager
    async def connect(self, token: str) -> AsyncIterator["MqttConnection"]:
        """Connect and log in with ``token``. Raises DeniedError when refused, ConnectionLostError otherwise.

        MovedError, one of these, says where the service is now.
        """
        async with contextlib.AsyncExitStack() as opened:
            link, inbox, code = await self._greeted(opened, token)
            if login_refused(code):
                raise DeniedError(
                    "the service refused the login", hint="issue a new token: healthsync device token USER DEVICE"
                )
            if code:
                raise ConnectionLostError(
                    "the service is not ready to accept connections", hint="see: healthsync status"
                )
            try:
                yield MqttConnection(link, inbox)
            finally:
                await link.close()

    async def _greeted(self, opened: contextlib.AsyncExitStack, token: str) -> tuple[Link, asyncio.Queue[Publish], int]:
        """A connection and the code of its CONNACK, in the best manner that the server takes."""
        address = Address(host=self.host, port=self.port, tls=self.tls, timeout=self.timeout)
        manner = self.manners.next(asyncio.get_running_loop().time())
        while True:
            inbox: asyncio.Queue[Publish] = asyncio.Queue()
            async with contextlib.AsyncExitStack() as trial:
                link = await trial.enter_async_context(dial(address, partial(_keep, inbox)))
                try:
                    code = await link.login(self._target(address, token, manner))
                except (NoAnswerError, MovedError):
                    raise
                except ConnectionLostError:
                    lower = self.manners.closed(manner)
                    if lower is None:
                        raise
                else:
                    lower = self.manners.refused(manner, code)
                    if lower is None:
                        self.manners.worked(manner, asyncio.get_running_loop().time())
                        opened.push_async_exit(trial.pop_all())
                        return link, inbox, code
            manner = lower

    def _target(self, address: Address, token: str, manner: Manner) -> Target:
        return Target(
            address=address,
            account=ClientLogin(client_id=self.client_id, username=self.username, password=token),
            version=manner.version,
            method=METHOD if manner.method else "",
            will=Will(self.will.topic, self.will.payload, 1, retain=True) if self.will else None,
            keep_alive=self.keep_alive,
            in_flight=_IN_FLIGHT,  # the caller bounds it
        )


class MqttConnection:
    """One live connection; see ``client.transport.DeviceConnection`` for the contract."""

    def __init__(self, link: Link, inbox: asyncio.Queue[Publish]) -> None:
        self._link = link
        self._inbox = inbox

    @property
    def tells(self) -> bool:
        """Whether the other side is a HealthSync service that speaks MQTT 5: its PUBACKs say what became of events."""
        return self._link.agreed.method == METHOD

    @property
    def renews(self) -> bool:
        """Whether it takes another token on this connection."""
        return self._link.agreed.method == METHOD

    async def renew(self, token: str) -> None:
        """Log in with another token on this connection."""
        await self._link.renew(token.encode())

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> Answer | None:
        """Send at QoS 1 and wait for the PUBACK, however long the server holds it back."""
        answer = await self._link.publish(topic, payload, retain=retain)
        if answer is None or self._link.agreed.version < 5:
            return None
        about = answer.properties
        return Answer(answer.reason, about.get(Property.USER_PROPERTY, ()), about.get(Property.REASON_STRING, ""))

    async def subscribe(self, topic: str) -> None:
        """Subscribe at QoS 1. Raises DeniedError when the server refuses the topic."""
        if any(code >= _REFUSED for code in await self._link.subscribe((topic,))):
            raise DeniedError(
                f"the service refused the subscription to {topic}", hint="see: healthsync topic list (roles)"
            )

    async def messages(self) -> AsyncIterator[tuple[str, bytes]]:
        """(topic, payload) as they arrive. Raises ConnectionLostError at the end of the connection."""
        over = asyncio.ensure_future(self._link.ended())
        try:
            while True:
                message = await self._arrival(over) if self._inbox.empty() else self._inbox.get_nowait()
                # Its owner has it from here on, and nobody else would: a receipt that is lost is asked for again.
                if message.qos:
                    self._link.acknowledge(encode_puback(message.packet_id))
                yield message.topic.decode(), message.payload
        finally:
            over.cancel()
            await asyncio.gather(over, return_exceptions=True)

    async def _arrival(self, over: "asyncio.Future[None]") -> Publish:
        """The next message."""
        first = asyncio.ensure_future(self._inbox.get())
        try:
            await asyncio.wait((first, over), return_when=asyncio.FIRST_COMPLETED)
            if not first.done():
                await over
            return first.result()
        finally:
            first.cancel()


def _keep(inbox: asyncio.Queue[Publish], messages: list[Publish]) -> None:
    for message in messages:
        inbox.put_nowait(message)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
