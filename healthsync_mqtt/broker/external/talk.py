"""A small MQTT 3.1.1 conversation, byte by byte under our control: for probes, canaries and ``$CONTROL``.

Unlike a client for work it can break off without a goodbye, leave messages unacknowledged, and take a refusal of
every step as an answer.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeVar

from healthsync_mqtt.broker.external.port import BrokerLostError
from healthsync_mqtt.mqtt.codec import Decoder, encode, encode_puback, encode_publish
from healthsync_mqtt.mqtt.codec.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Will,
)

_MAX_PACKET = 16_777_216
_Kind = TypeVar("_Kind", Connack, Suback, Puback)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a broker listens; ``tls`` for a TLS listener."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    timeout: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a client says about itself."""

    client_id: str
    username: str
    password: str = field(repr=False)


@dataclass(slots=True)
class Talk:
    """One connection. Every step raises BrokerLostError when the broker has closed it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    timeout: float
    acknowledges: bool = True
    session_present: bool = False
    code: int = 0
    messages: list[Publish] = field(default_factory=list)
    _decoder: Decoder = field(default_factory=lambda: Decoder(_MAX_PACKET, server=False))
    _answers: list[Packet] = field(default_factory=list)
    _next_id: int = 0

    async def login(self, account: Account, *, clean: bool = True, will: Will | None = None) -> Self:
        """CONNECT; ``code`` is the CONNACK's, 0 when accepted."""
        packet = Connect(
            client_id=account.client_id,
            clean_session=clean,
            keep_alive=60,
            username=account.username,
            password=account.password.encode(),
            will=will,
        )
        self.writer.write(encode(packet))
        answer = await self._answer(Connack)
        self.code, self.session_present = answer.code, bool(answer.session_present)
        return self

    async def subscribe(self, *filters: str, qos: int = 1) -> list[int]:
        """SUBSCRIBE; the code of each filter, 128 when refused."""
        packet_id = self._id()
        self.writer.write(encode(Subscribe(packet_id=packet_id, filters=tuple((name, qos) for name in filters))))
        return list((await self._answer(Suback)).codes)

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """PUBLISH, and at QoS 1 the wait for its PUBACK (which a broker also sends for what it throws away)."""
        packet_id = self._id() if qos else 0
        self.writer.write(encode_publish(topic.encode(), payload, qos, retain, False, packet_id))
        if qos:
            await self._answer(Puback)

    async def publish_all(self, topic: str, payloads: Sequence[bytes]) -> None:
        """Many messages at QoS 1 without a pause between them."""
        for start in range(0, len(payloads), 50):
            some = payloads[start : start + 50]
            for payload in some:
                self.writer.write(encode_publish(topic.encode(), payload, 1, False, False, self._id()))
            for _ in some:
                await self._answer(Puback)

    async def hear(self, *, until: bytes | None = None, seconds: float) -> list[Publish]:
        """What has arrived after ``seconds``, or as soon as a message contains ``until``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while until is None or not any(until in message.payload for message in self.messages):
                    await self._read()
        return self.messages

    def heard(self, marker: bytes) -> bool:
        """Whether a message with ``marker`` in it has arrived."""
        return any(marker in message.payload for message in self.messages)

    async def goodbye(self) -> None:
        """DISCONNECT: no will is sent."""
        self.writer.write(encode(Disconnect()))
        with contextlib.suppress(OSError):
            await self.writer.drain()

    def abort(self) -> None:
        """Cut the connection: the broker sends the will."""
        self.writer.transport.abort()

    def _id(self) -> int:
        self._next_id = self._next_id % 60_000 + 1
        return self._next_id

    async def _answer(self, kind: type[_Kind]) -> _Kind:
        """The next packet of this kind; others that came before it are not of interest."""
        try:
            async with asyncio.timeout(self.timeout):
                while True:
                    for place, packet in enumerate(self._answers):
                        if isinstance(packet, kind):
                            del self._answers[: place + 1]
                            return packet
                    await self._read()
        except TimeoutError:
            raise BrokerLostError(f"the broker does not answer ({kind.__name__} expected)") from None

    async def _read(self) -> None:
        try:
            data = await self.reader.read(262_144)
        except (OSError, ssl.SSLError) as error:
            raise BrokerLostError(f"the broker closed the connection: {error.__class__.__name__}") from None
        if not data:
            raise BrokerLostError("the broker closed the connection")
        for packet in self._decoder.feed(data):
            if not isinstance(packet, Publish):
                self._answers.append(packet)
                continue
            self.messages.append(packet)
            if packet.qos and self.acknowledges:
                self.writer.write(encode_puback(packet.packet_id))


@contextlib.asynccontextmanager
async def talk(address: Address, *, acknowledges: bool = True) -> AsyncIterator[Talk]:
    """A connection that has not logged in yet; it is cut at the end. Raises BrokerLostError."""
    try:
        async with asyncio.timeout(address.timeout):
            reader, writer = await asyncio.open_connection(
                address.host, address.port, ssl=address.tls, server_hostname=address.host if address.tls else None
            )
    except (OSError, ssl.SSLError, TimeoutError) as error:
        where = f"{address.host}:{address.port}"
        raise BrokerLostError(f"cannot connect to {where}: {error or 'no answer'}", hint="is it running?") from None
    try:
        yield Talk(reader, writer, address.timeout, acknowledges)
    finally:
        writer.transport.abort()
