# long: all of a client of the standard in one place, so that it can be read against the standard
"""An MQTT 5 client written from the OASIS standard alone: nothing of the project's codec is in it, so that a mistake
which encoder and decoder have in common is seen. Over TCP, TLS, and WebSocket over TLS (RFC 6455).
"""

import asyncio
import contextlib
import os
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Self

from tests.support.patience import PATIENCE_S

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(8, 16)

Bag = dict[str, Any]
"""Properties by their name in the standard; what may be there more than once is a list."""

#: name, identifier, kind: standard, table 2-4
_TABLE: Final = (
    ("payload_format_indicator", 0x01, "byte"), ("message_expiry_interval", 0x02, "four"),
    ("content_type", 0x03, "text"), ("response_topic", 0x08, "text"), ("correlation_data", 0x09, "data"),
    ("subscription_identifier", 0x0B, "variable"),
    ("session_expiry_interval", 0x11, "four"), ("assigned_client_identifier", 0x12, "text"),
    ("server_keep_alive", 0x13, "two"), ("authentication_method", 0x15, "text"), ("authentication_data", 0x16, "data"),
    ("request_problem_information", 0x17, "byte"), ("will_delay_interval", 0x18, "four"),
    ("request_response_information", 0x19, "byte"), ("response_information", 0x1A, "text"),
    ("server_reference", 0x1C, "text"), ("reason_string", 0x1F, "text"), ("receive_maximum", 0x21, "two"),
    ("topic_alias_maximum", 0x22, "two"), ("topic_alias", 0x23, "two"), ("maximum_qos", 0x24, "byte"),
    ("retain_available", 0x25, "byte"), ("user_property", 0x26, "pair"), ("maximum_packet_size", 0x27, "four"),
    ("wildcard_subscription_available", 0x28, "byte"), ("subscription_identifier_available", 0x29, "byte"),
    ("shared_subscription_available", 0x2A, "byte"),
)  # fmt: skip
_BY_NAME: Final = {name: (number, kind) for name, number, kind in _TABLE}
_BY_NUMBER: Final = {number: (name, kind) for name, number, kind in _TABLE}
_LISTS: Final = {"user_property", "subscription_identifier"}


def text(value: str) -> bytes:
    """1.5.4: a UTF-8 encoded string."""
    return data(value.encode())


def data(value: bytes) -> bytes:
    """1.5.6: binary data."""
    return struct.pack(">H", len(value)) + value


def variable(value: int) -> bytes:
    """1.5.5: a variable byte integer, by the algorithm of the standard."""
    out = bytearray()
    while True:
        value, byte = divmod(value, 128)
        out.append(byte | 0x80 if value else byte)
        if not value:
            return bytes(out)


_WRITE: Final[dict[str, Callable[[Any], bytes]]] = {
    "byte": lambda value: struct.pack(">B", value), "two": lambda value: struct.pack(">H", value),
    "four": lambda value: struct.pack(">I", value), "variable": variable, "text": text, "data": data,
    "pair": lambda value: text(value[0]) + text(value[1]),
}  # fmt: skip


def properties(bag: Bag) -> bytes:
    """2.2.2: length and properties."""
    out = b""
    for name, value in bag.items():
        number, kind = _BY_NAME[name]
        for each in value if name in _LISTS else (value,):
            out += bytes((number,)) + _WRITE[kind](each)
    return variable(len(out)) + out


class Bytes:
    """What is read front to back; everything has to be used up."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.at = 0

    @property
    def left(self) -> int:
        return len(self._content) - self.at

    def take(self, size: int) -> bytes:
        assert size <= self.left, "the packet is shorter than what it says"
        self.at += size
        return self._content[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def variable(self) -> int:
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                assert byte or not shift, "not the shortest form"
                return value
            shift += 7
            assert shift < 28

    def data(self) -> bytes:
        return self.take(self.number(2))

    def text(self) -> str:
        return self.data().decode("utf-8", "strict")

    def properties(self) -> Bag:
        """What is there, and nothing twice that may be there once."""
        part = Bytes(self.take(self.variable()))
        bag: Bag = {}
        read: dict[str, Callable[[], Any]] = {
            "byte": lambda: part.number(1), "two": lambda: part.number(2), "four": lambda: part.number(4),
            "variable": part.variable, "text": part.text, "data": part.data,
            "pair": lambda: (part.text(), part.text()),
        }  # fmt: skip
        while part.left:
            name, kind = _BY_NUMBER[part.variable()]
            value = read[kind]()
            if name in _LISTS:
                bag.setdefault(name, []).append(value)
            else:
                assert name not in bag, f"{name} twice"
                bag[name] = value
        return bag


@dataclass(frozen=True, slots=True)
class Packet:
    """Any packet of the server."""

    kind: int
    #: the lower four bits of the first byte
    flags: int = 0
    packet_id: int = 0
    reason: int = 0
    about: Bag = field(default_factory=dict)
    topic: str = ""
    payload: bytes = b""
    codes: tuple[int, ...] = ()
    session_present: bool = False
    #: bytes of all of it
    size: int = 0

    @property
    def qos(self) -> int:
        return self.flags >> 1 & 3

    @property
    def retain(self) -> bool:
        return bool(self.flags & 1)

    @property
    def dup(self) -> bool:
        return bool(self.flags & 8)

    @property
    def told(self) -> dict[str, str]:
        """The user properties, the first of each name."""
        return dict(reversed(self.about.get("user_property", ())))


#: the properties that each packet of a server may have: standard, table 2-4
_PLACES: Final = {
    CONNACK: {"session_expiry_interval", "receive_maximum", "maximum_qos", "retain_available", "maximum_packet_size",
              "assigned_client_identifier", "topic_alias_maximum", "reason_string", "user_property",
              "wildcard_subscription_available", "subscription_identifier_available", "shared_subscription_available",
              "server_keep_alive", "response_information", "server_reference", "authentication_method",
              "authentication_data"},
    PUBLISH: {"payload_format_indicator", "message_expiry_interval", "topic_alias", "response_topic",
              "correlation_data", "user_property", "subscription_identifier", "content_type"},
    DISCONNECT: {"reason_string", "user_property", "server_reference"},
    AUTH: {"authentication_method", "authentication_data", "reason_string", "user_property"},
    **{kind: {"reason_string", "user_property"} for kind in (PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK)},
}  # fmt: skip


def parsed(first: int, body: bytes, size: int) -> Packet:
    """The packet of these bytes; an assertion fails where the standard does not allow them from a server."""
    kind, flags, rest = first >> 4, first & 15, Bytes(body)
    more: Bag = {}
    match kind:
        case 2:
            more = {"session_present": bool(rest.number(1)), "reason": rest.number(1), "about": rest.properties()}
        case 3:
            assert (flags >> 1) & 3 < 3
            topic = rest.text()
            packet_id = rest.number(2) if flags & 6 else 0
            assert packet_id or not flags & 6
            about = rest.properties()
            assert topic or "topic_alias" in about
            more = {"topic": topic, "packet_id": packet_id, "about": about, "payload": rest.take(rest.left)}
        case 4 | 5 | 6 | 7:
            more = {"packet_id": rest.number(2)}
            more["reason"] = rest.number(1) if rest.left else 0
            more["about"] = rest.properties() if rest.left else {}
            assert more["packet_id"]
        case 9 | 11:
            more = {"packet_id": rest.number(2), "about": rest.properties(), "codes": tuple(rest.take(rest.left))}
        case 13:
            pass
        case 14 | 15:
            more = {"reason": rest.number(1) if rest.left else 0}
            more["about"] = rest.properties() if rest.left else {}
        case _:
            raise AssertionError(f"no packet of a server: {kind}")
    assert not rest.left, "bytes behind the packet"
    assert flags == {PUBREL: 2}.get(kind, 0) or kind == PUBLISH, "reserved flags"
    assert set(more.get("about", {})) <= _PLACES.get(kind, set()), more["about"]
    return Packet(kind, flags, size=size, **more)


class Listener(Enum):
    """Where the service listens: the names are those of its ready line."""

    PLAIN = "mqtt"
    TLS = "mqtts"
    WEBSOCKET = "wss"


class Outsider:
    """One connection. It sends what it is told, and acknowledges nothing by itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, framed: bool) -> None:
        self._reader = reader
        self._writer = writer
        self._framed = framed
        self._unframed = bytearray()
        self._last_id = 0

    @classmethod
    async def open(cls, address: str, listener: Listener, tls: ssl.SSLContext) -> Self:
        """A connection on which nothing was said yet (a WebSocket is one already)."""
        host, _, port = address.rpartition(":")
        secure = {} if listener is Listener.PLAIN else {"ssl": tls, "server_hostname": "localhost"}
        reader, writer = await asyncio.open_connection(host, int(port), **secure)
        if listener is Listener.WEBSOCKET:
            writer.write(
                b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
            )
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            assert head.startswith("http/1.1 101"), head
            assert "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in head  # the example of RFC 6455, 1.3
            assert "sec-websocket-protocol: mqtt" in head
        return cls(reader, writer, framed=listener is Listener.WEBSOCKET)

    # -- bytes

    def raw(self, content: bytes) -> None:
        """Bytes as they are, in one binary frame where there are frames. ConnectionResetError once it is closed."""
        if self._writer.transport.is_closing():  # a TLS transport of asyncio fails in words of its own
            raise ConnectionResetError
        if not self._framed:
            self._writer.write(content)
            return
        mask, size = os.urandom(4), len(content)
        head = bytes((0x82,))
        if size < 126:
            head += bytes((0x80 | size,))
        elif size < 65_536:
            head += b"\xfe" + struct.pack(">H", size)
        else:
            head += b"\xff" + struct.pack(">Q", size)
        repeated = (mask * (size // 4 + 1))[:size]
        masked = (int.from_bytes(content, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")
        self._writer.write(head + mask + masked)

    def packet(self, first: int, body: bytes) -> None:
        """A packet with its fixed header."""
        self.raw(bytes((first,)) + variable(len(body)) + body)

    async def _bytes(self, size: int) -> bytes:
        if not self._framed:
            return await self._reader.readexactly(size)
        while len(self._unframed) < size:
            first, second = await self._reader.readexactly(2)
            assert not second & 0x80, "a server does not mask"
            length = second
            if second == 126:
                (length,) = struct.unpack(">H", await self._reader.readexactly(2))
            elif second == 127:
                (length,) = struct.unpack(">Q", await self._reader.readexactly(8))
            content = await self._reader.readexactly(length)
            if first & 15 == 8:
                raise asyncio.IncompleteReadError(b"", size)
            assert first in {0x82, 0x80, 0x02}, f"a frame that is not binary: {first:#x}"
            self._unframed += content
        out = bytes(self._unframed[:size])
        del self._unframed[:size]
        return out

    async def next(self) -> Packet:
        """The next packet; asyncio.IncompleteReadError at the end."""
        async with asyncio.timeout(PATIENCE_S):
            first = (await self._bytes(1))[0]
            length = b""
            while not length or length[-1] & 0x80:
                length += await self._bytes(1)
            size = Bytes(length).variable()
            return parsed(first, await self._bytes(size), 1 + len(length) + size)

    async def expect(self, kind: int) -> Packet:
        """The next packet, which is of this kind."""
        packet = await self.next()
        assert packet.kind == kind, packet
        return packet

    async def over(self) -> list[Packet]:
        """What comes until the server closes the connection."""
        found: list[Packet] = []
        while True:
            try:
                found.append(await self.next())
            except (asyncio.IncompleteReadError, ConnectionError):
                return found

    async def settled(self) -> list[Packet]:
        """What had been sent by the time the server answers a PINGREQ."""
        self.packet(0xC0, b"")
        found = []
        while (packet := await self.next()).kind != PINGRESP:
            found.append(packet)
        return found

    def finish(self) -> None:
        """Nothing more is said, and what comes is still read; not over TLS."""
        self._writer.write_eof()

    async def cut(self) -> None:
        """End the connection without a word."""
        self._writer.transport.abort()
        await self.leave()

    async def leave(self) -> None:
        """Close the socket."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    # -- packets of a client

    def new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    async def connect(
        self,
        client_id: str,
        secret: str | None,
        *,
        username: str | None = "",
        clean: bool = True,
        keep_alive: int = 60,
        will: tuple[str, bytes, int, bool, Bag] | None = None,
        **about: Any,
    ) -> Packet:
        """3.1; ``username``: "" is the client id, None is none. The CONNACK, or whatever comes first."""
        name = client_id if username == "" else username
        flags = (2 if clean else 0) | (0x40 if secret is not None else 0) | (0x80 if name is not None else 0)
        body = b""
        if will is not None:
            topic, payload, qos, retain, said = will
            flags |= 4 | qos << 3 | (0x20 if retain else 0)
            body = properties(said) + text(topic) + data(payload)
        body = text(client_id) + body
        body += b"" if name is None else text(name)
        body += b"" if secret is None else data(secret.encode())
        self.packet(0x10, text("MQTT") + struct.pack(">BBH", 5, flags, keep_alive) + properties(about) + body)
        return await self.next()

    def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int = 1,
        *,
        retain: bool = False,
        packet_id: int | None = None,
        **about: Any,
    ) -> int:
        """3.3; the packet id."""
        number = (self.new_id() if packet_id is None else packet_id) if qos else 0
        first = 0x30 | qos << 1 | retain
        self.packet(first, text(topic) + (struct.pack(">H", number) if qos else b"") + properties(about) + payload)
        return number

    async def put(self, topic: str, payload: bytes, qos: int = 1, **more: Any) -> Packet:
        """Publish; the PUBACK, or the PUBREC and after it the whole exchange where it was a success."""
        number = self.publish(topic, payload, qos, **more)
        answer = await self.expect(PUBACK if qos == 1 else PUBREC)
        assert answer.packet_id == number
        if qos == 2 and answer.reason < 0x80:
            self.packet(0x62, struct.pack(">H", number))
            done = await self.expect(PUBCOMP)
            assert (done.packet_id, done.reason) == (number, 0)
        return answer

    def ask(self, *filters: tuple[str, int], **about: Any) -> int:
        """3.8; filters with their options byte. The packet id."""
        number = self.new_id()
        asked = b"".join(text(name) + bytes((options,)) for name, options in filters)
        self.packet(0x82, struct.pack(">H", number) + properties(about) + asked)
        return number

    async def subscribe(self, *filters: tuple[str, int], **about: Any) -> Packet:
        """``ask``, and the SUBACK. What is retained comes after it here."""
        number = self.ask(*filters, **about)
        answer = await self.expect(SUBACK)
        assert answer.packet_id == number
        assert len(answer.codes) == len(filters)
        return answer

    async def unsubscribe(self, *filters: str) -> Packet:
        """3.10."""
        number = self.new_id()
        self.packet(0xA2, struct.pack(">H", number) + properties({}) + b"".join(map(text, filters)))
        answer = await self.expect(UNSUBACK)
        assert answer.packet_id == number
        return answer

    def acknowledge(self, packet: Packet, reason: int = 0) -> None:
        """3.4: what a QoS 1 message is answered with."""
        self.packet(0x40, struct.pack(">H", packet.packet_id) + (bytes((reason, 0)) if reason else b""))

    async def message(self, *, acknowledged: bool = True) -> Packet:
        """The next message; one of QoS 1 is acknowledged unless that is the test's to do."""
        packet = await self.expect(PUBLISH)
        if packet.qos == 1 and acknowledged:
            self.acknowledge(packet)
        return packet

    def authenticate(self, token: str, method: str = "healthsync-token") -> None:
        """3.15: re-authenticate."""
        said = properties({"authentication_method": method, "authentication_data": token.encode()})
        self.packet(0xF0, b"\x19" + said)

    def disconnect(self, reason: int = 0, **about: Any) -> None:
        """3.14."""
        self.packet(0xE0, bytes((reason,)) + properties(about))
