"""MQTT clients of the tests: each says exactly what the test wants on the wire, and nothing by itself."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from healthsync_mqtt.model.receipt import Receipt, parse_receipt
from healthsync_mqtt.mqtt.codec import Decoder, encode
from healthsync_mqtt.mqtt.codec.packets import (
    NO_PROPERTIES,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from tests.support.patience import PATIENCE_S

P = TypeVar("P")
_MOST = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What CONNECT says, and where a device publishes."""

    client_id: str
    token: str
    user: str = ""
    device: str = ""

    @property
    def events(self) -> str:
        return f"users/{self.user}/devices/{self.device}/events"

    @property
    def receipts(self) -> str:
        return f"users/{self.user}/devices/{self.device}/receipts"

    @property
    def status(self) -> str:
        return f"users/{self.user}/devices/{self.device}/status"

    @property
    def commands(self) -> str:
        return f"users/{self.user}/devices/{self.device}/commands"


def event(event_id: str, bpm: float = 60, **more: Any) -> bytes:
    """A heart rate."""
    return json.dumps(
        {"id": event_id, "type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": bpm}, **more}
    ).encode()


class Peer:
    """One MQTT connection over a stream; nothing is sent or acknowledged unless the test says so."""

    #: the protocol level that CONNECT says, and how packets of it are written
    level = 4
    encoded = staticmethod(encode)

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._decoder = Decoder(_MOST, _MOST, server=False, versions=frozenset({self.level}))
        self._packets: list[Packet] = []
        self._last_id = 0

    @classmethod
    async def open(cls, address: str, *, tls: ssl.SSLContext | None = None, **options: Any) -> Self:
        host, _, port = address.rpartition(":")
        name = "localhost" if tls else None
        return cls(*await asyncio.open_connection(host, int(port), ssl=tls, server_hostname=name, **options))

    # -- sending

    def send(self, *packets: Packet | bytes) -> None:
        self.writer.write(b"".join(p if isinstance(p, bytes) else self.encoded(p) for p in packets))

    def new_id(self) -> int:
        self._last_id = self._last_id % 65_535 + 1
        return self._last_id

    async def connect(
        self,
        identity: Identity,
        *,
        clean: bool = True,
        keep_alive: int = 60,
        will: Will | None = None,
        about: Properties = NO_PROPERTIES,
        **changes: Any,
    ) -> Connack:
        name = identity.client_id
        asked = Connect(name, clean, keep_alive, name, identity.token.encode(), will, self.level, "MQTT", about)
        self.send(asked._replace(**changes))
        return await self.expect(Connack)

    async def publish(self, topic: str, payload: bytes, qos: int = 1, *, retain: bool = False) -> None:
        """Publish and wait for the end of the exchange."""
        packet_id = self.new_id() if qos else 0
        self.send(Publish(topic.encode(), payload, qos, retain, False, packet_id))
        if qos == 1:
            assert await self.expect(Puback) == Puback(packet_id)
        elif qos == 2:
            assert await self.expect(Pubrec) == Pubrec(packet_id)
            self.send(Pubrel(packet_id))
            assert await self.expect(Pubcomp) == Pubcomp(packet_id)

    async def ask(self, *filters: tuple[str, int], about: Properties = NO_PROPERTIES) -> Suback:
        """Subscribe; the SUBACK."""
        packet_id = self.new_id()
        self.send(Subscribe(packet_id, filters, about))
        answer = await self.expect(Suback)
        assert answer.packet_id == packet_id
        return answer

    async def subscribe(self, *filters: tuple[str, int]) -> tuple[int, ...]:
        """Subscribe; the codes of the SUBACK."""
        return (await self.ask(*filters)).codes

    async def unsubscribe(self, *filters: str) -> Unsuback:
        """Unsubscribe; the UNSUBACK."""
        packet_id = self.new_id()
        self.send(Unsubscribe(packet_id, filters))
        answer = await self.expect(Unsuback)
        assert answer.packet_id == packet_id
        return answer

    async def disconnect(self) -> None:
        self.send(Disconnect())
        await self.closed()

    # -- receiving

    async def next(self) -> Packet:
        """The next packet; ConnectionError at the end of the stream."""
        while not self._packets:
            async with asyncio.timeout(PATIENCE_S):
                data = await self.reader.read(65_536)
            if not data:
                raise ConnectionResetError("the service closed the connection")
            self._packets += self._decoder.feed(data)
        return self._packets.pop(0)

    async def expect(self, kind: type[P]) -> P:
        """The next packet of this kind; those before it, of other kinds, stay where they are."""
        passed: list[Packet] = []
        try:
            while True:
                packet = await self.next()
                if type(packet) is kind:
                    return packet
                passed.append(packet)
        finally:
            self._packets = passed + self._packets

    async def message(self, *, acknowledge: bool = True) -> Publish:
        """The next message; with ``acknowledge`` its QoS exchange is finished."""
        message = await self.expect(Publish)
        if acknowledge and message.qos == 1:
            self.send(Puback(message.packet_id))
        elif acknowledge and message.qos == 2:
            self.send(Pubrec(message.packet_id))
            assert await self.expect(Pubrel) == Pubrel(message.packet_id)
            self.send(Pubcomp(message.packet_id))
        return message

    async def receipt(self) -> Receipt:
        return parse_receipt((await self.message()).payload)

    async def settle(self) -> list[Packet]:
        """A round trip: everything that the service sent before its answer to a PINGREQ, which is taken."""
        self.send(Pingreq())
        await self.expect(Pingresp)
        came, self._packets = self._packets, []
        return came

    async def closed(self) -> list[Packet]:
        """Wait until the service has closed the connection; what it sent before."""
        with contextlib.suppress(ConnectionError):
            while True:
                async with asyncio.timeout(PATIENCE_S):
                    data = await self.reader.read(65_536)
                if not data:
                    break
                self._packets += self._decoder.feed(data)
        await self.leave()
        came, self._packets = self._packets, []
        return came

    async def ended(self) -> bytes:
        """Wait until the service has closed the connection; what it sent, for a peer that speaks no MQTT."""
        data = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            async with asyncio.timeout(PATIENCE_S):
                data = await self.reader.read()
        await self.leave()
        return data

    async def leave(self) -> None:
        """Cut the connection without a word."""
        self.writer.transport.abort()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


def chunks(data: bytes, size: int) -> Iterable[bytes]:
    """``data`` in pieces."""
    return (data[start : start + size] for start in range(0, len(data), size))
