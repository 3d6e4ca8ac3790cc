"""MQTT connections of a device: MQTT 3.1.1, a session that lasts, a token as password.

One connection object per connection; what it did not get acknowledged, the caller's own outbox sends again.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_address

from healthsync_mqtt.errors import ConfigError, DeniedError
from healthsync_mqtt.mqtt.codec import encode_puback
from healthsync_mqtt.mqtt.codec.packets import Publish, Will
from healthsync_mqtt.mqtt.links.greeting import login_refused
from healthsync_mqtt.mqtt.links.link import Link, dial
from healthsync_mqtt.mqtt.links.port import Account, Address, ConnectionLostError, LastWill, Target
from healthsync_mqtt.mqtt.links.tls import tls_context

__all__ = ["ConnectionLostError", "LastWill", "MqttConnection", "MqttTransport", "tls_context"]

_IN_FLIGHT = 65_535
_REFUSED = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttTransport:
    """How one client connects: MQTT 3.1.1 with a persistent session, over TLS unless the host is loopback."""

    host: str
    port: int
    client_id: str
    username: str
    tls: ssl.SSLContext | None
    will: LastWill | None = None
    keep_alive: int = 30
    timeout: float = 10.0

    def __post_init__(self) -> None:
        if self.tls is None and not _is_loopback(self.host):
            raise ConfigError(
                f"refusing to send a token to {self.host} without TLS",
                hint="use the mqtts port and the service's ca_file; plain MQTT is for this machine only",
            )

    @contextlib.asynccontextmanager
    async def connect(self, token: str) -> AsyncIterator["MqttConnection"]:
        """Connect and log in with ``token``. Raises DeniedError when refused, ConnectionLostError otherwise."""
        address = Address(host=self.host, port=self.port, tls=self.tls, timeout=self.timeout)
        target = Target(
            address=address,
            account=Account(client_id=self.client_id, username=self.username, password=token),
            version=4,
            will=Will(self.will.topic, self.will.payload, 1, retain=True) if self.will else None,
            keep_alive=self.keep_alive,
            in_flight=_IN_FLIGHT,  # the caller bounds it
        )
        inbox: asyncio.Queue[Publish] = asyncio.Queue()
        async with dial(address, lambda messages: _keep(inbox, messages)) as link:
            code = await link.login(target)
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


class MqttConnection:
    """One live connection; see ``client.transport.Connection`` for the contract."""

    def __init__(self, link: Link, inbox: asyncio.Queue[Publish]) -> None:
        self._link = link
        self._inbox = inbox

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send at QoS 1 and wait for the PUBACK, however long the server holds it back."""
        await self._link.publish(topic, payload, retain=retain)

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
