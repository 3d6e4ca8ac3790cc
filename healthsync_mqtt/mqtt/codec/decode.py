"""Bytes of one MQTT connection to packets.

Work is linear in the bytes fed: a feed is parsed in place, and only the beginning of an unfinished packet is kept.
While a packet's end has not arrived, more bytes are appended and nothing is parsed again. Lengths are judged from the
fixed header, so at most one packet of allowed size and one feed are ever held.
"""

import sys
from itertools import repeat
from typing import TYPE_CHECKING, Final

from healthsync_mqtt.mqtt.codec import v3, v5
from healthsync_mqtt.mqtt.codec.faults import Fault, MalformedPacket, PacketTooLarge, ProtocolError
from healthsync_mqtt.mqtt.codec.fields import check_topic
from healthsync_mqtt.mqtt.codec.packets import (
    NO_PROPERTIES,
    Connect,
    Packet,
    PacketType,
    Properties,
    Puback,
    Publish,
    Skipped,
    Subscribe,
    Unsubscribe,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# Topic names already found valid, per connection: a device uses few. Bounded in number and size (4 KiB a connection).
_KNOWN_TOPICS: Final = 16
_KNOWN_TOPIC_SIZE: Final = 256

#: (qos, retain, dup) for the legal first bytes of PUBLISH.
_PUBLISH_FLAGS: Final = {
    0x30 | dup << 3 | qos << 1 | retain: (qos, bool(retain), bool(dup))
    for qos in (0, 1, 2)
    for retain in (0, 1)
    for dup in ((0, 1) if qos else (0,))
}
_CONNECT: Final = PacketType.CONNECT << 4
_PUBACK: Final = PacketType.PUBACK << 4
#: Work of a property, and of each of those that repeat; a filter is one.
_PROPERTY: Final = 3
# Half the price of calling a named tuple, whose __new__ is Python code.
_new = tuple.__new__


class Decoder:
    """The packets of one connection, in order.

    ``max_packet`` bounds the length that a packet's fixed header declares (the bytes after the header), ``first_limit``
    that of the first packet. With ``server`` the first packet must be CONNECT; a second one is the caller's matter.
    Every packet type is decoded on both sides.

    ``versions`` are the protocol levels that are spoken. A server's decoder learns the connection's version from its
    CONNECT; a client's speaks the only one it is given.

    A PUBLISH longer than ``max_packet`` and not longer than ``skip`` goes by without being kept, and is ``Skipped``;
    unless ``keeps``, which is asked once by what it begins with, says that it is to be taken as it is.
    """

    __slots__ = (
        "_at", "_buffer", "_data", "_failure", "_first", "_five", "_known", "_limit", "_max_packet", "_need",
        "_parsers", "_passing", "_publish", "_server", "_takes_five", "dear", "keeping", "keeps", "skip",
    )  # fmt: skip

    def __init__(
        self,
        max_packet: int,
        first_limit: int = 8192,
        server: bool = True,  # noqa: FBT001, FBT002
        *,
        versions: frozenset[int] = frozenset({3, 4}),
        skip: int = 0,
    ) -> None:
        self.skip = skip
        self.keeps: Callable[[Skipped], bool] = _never
        #: whether a packet that is longer than ``max_packet`` is coming in
        self.keeping = False
        #: bytes that are still to go by, of which packet
        self._passing: tuple[int, Skipped] | None = None
        self._max_packet = max_packet
        self._limit = min(first_limit, max_packet)
        self._server = server
        self._first = True
        self._buffer = bytearray()
        self._data = b""
        self._at = 0
        self._need = 0
        self._known: dict[bytes, bytes] = {}
        self._failure: ProtocolError | None = None
        #: what the last ``feed`` read that takes long, in microseconds of this program, about: entries of lists
        self.dear = 0
        self._takes_five = 5 in versions
        self._speak(five=not server and versions == {5})

    @property
    def pending(self) -> int:
        """Bytes kept of a packet that is not complete."""
        return len(self._buffer)

    @property
    def five(self) -> bool:
        """Whether the peer speaks 5.0; of a CONNECT that is broken as far as its beginning says so."""
        return self._five

    @property
    def more(self) -> bool:
        """Whether bytes are left that ``most`` packets did not take: feed nothing, to go on with them."""
        return bool(self._data)

    def feed(
        self, data: bytes | bytearray | memoryview, most: int = sys.maxsize, work: int = sys.maxsize
    ) -> list[Packet]:
        """The packets that ``data`` completes: the first ``most`` of them, or so much ``work`` of them (``dear``).

        Raises ``MalformedPacket`` or ``PacketTooLarge``, whose ``packets`` came before the fault in this feed; from
        then on every feed raises the same fault.
        """
        self.dear = 0
        if self._failure is not None:
            raise _again(self._failure)
        buffer, start = self._buffer, 0
        if buffer:
            buffer += data
            if len(buffer) < self._need:
                return []
            data = bytes(buffer)
            self._buffer = bytearray()
        elif self._data:
            data, start = (self._data + data, self._at) if data else (self._data, self._at)
            self._data = b""
        elif type(data) is not bytes:
            data = bytes(data)
        packets: list[Packet] = []
        try:
            pos = self._parse(data, start, packets, most, work)
        except ProtocolError as error:
            self._failure = _again(error)
            self._known.clear()
            error.packets = packets
            raise
        if pos < len(data):
            if len(packets) >= most or self.dear >= work:
                self._data, self._at = data, pos
            else:
                self._buffer += memoryview(data)[pos:]
        return packets

    def _speak(self, *, five: bool) -> None:
        self._five = five
        self._parsers = v5.PARSERS if five else v3.PARSERS
        self._publish = v5.publish if five else v3.publish

    def _parse(self, data: bytes, pos: int, packets: list[Packet], most: int, work: int) -> int:
        """Append up to ``most`` whole packets of ``data`` from ``pos`` on; the place where the next one begins."""
        end, limit = len(data), self._limit
        if self._passing is not None:
            pos = self._pass(pos, end, packets)
        if self._first and end:
            if self._server and data[pos] != _CONNECT:
                raise MalformedPacket(Fault.NOT_CONNECT, "the first packet is not CONNECT")
            self._check_first(data[pos])
        five, parsers, publish = self._five, self._parsers, self._publish
        max_packet, known, flags_of = self._max_packet, self._known, _PUBLISH_FLAGS
        append = packets.append
        need = 2
        for _ in repeat(None, most):
            if pos + 1 >= end:
                break
            first = data[pos]
            size = data[pos + 1]
            body = pos + 2
            if size > 0x7F:
                if body < end and (more := data[body]) < 0x80:
                    size += (more - 1) << 7
                    body += 1
                else:
                    size, body = _long_length(data, pos + 1, end)
                    if not body:
                        break
            if size > limit:
                if self.keeping:
                    pass
                elif limit < size <= self.skip and (packets or not self._first) and first in flags_of:
                    head = self._head(first, data, body, end)
                    if head is None:
                        need = body + 2 - pos if body + 2 > end else body + 4 + (data[body] << 8) + data[body + 1] - pos
                        break
                    head = head._replace(size=size)
                    if not self.keeps(head):
                        self._passing = (size, head)
                        pos = self._pass(body, end, packets)
                        continue
                    self.keeping = True
                else:
                    raise self._too_large(first, size, limit, opens_five=data.startswith(v5.OPENING, body))
            stop = body + size
            if stop > end:
                need = stop - pos
                break
            if size > max_packet:
                self.keeping = False
            flags = flags_of.get(first)
            slow: Packet | None = None
            if flags is not None:
                start = body + 2
                if size > 2 and start < (at := start + (data[body] << 8) + data[body + 1]) <= stop:
                    raw = data[start:at]
                    topic = known.get(raw) or self._learn(raw)
                    qos, retain, dup = flags
                    packet_id = 0
                    if qos:
                        if at + 2 <= stop:
                            packet_id = data[at] << 8 | data[at + 1]
                        at += 2
                    if five:
                        # Most messages have no properties: one byte says so.
                        if at < stop and not data[at] and (packet_id or not qos):
                            payload = data[at + 1 : stop]
                            append(_new(Publish, (topic, payload, qos, retain, dup, packet_id, NO_PROPERTIES)))
                        else:
                            slow = publish(first, data, body, stop)
                    elif packet_id or not qos:
                        append(_new(Publish, (topic, data[at:stop], qos, retain, dup, packet_id, NO_PROPERTIES)))
                    else:
                        slow = publish(first, data, body, stop)
                else:
                    slow = publish(first, data, body, stop)
            elif first == _PUBACK and size == 2 and (packet_id := data[body] << 8 | data[body + 1]):
                append(_new(Puback, (packet_id, 0, NO_PROPERTIES)))
            elif first == _CONNECT:
                five = self._takes_five and data.startswith(v5.OPENING, body, stop)
                self._speak(five=five)
                slow = (v5.connect if five else v3.connect)(data, body, stop)
                parsers, publish = self._parsers, self._publish
            elif (parser := parsers.get(first)) is not None:
                slow = parser(data, body, stop)
            else:
                self._check_first(first)
            pos = stop
            limit = max_packet
            if slow is not None:
                append(slow)
                self.dear += _dear(slow)
                if self.dear >= work:
                    break
        if packets:
            self._first, self._limit = False, limit
        if pos < end and len(packets) < most:
            self._check_first(data[pos])
        self._need = need
        return pos

    def _too_large(self, first: int, size: int, limit: int, *, opens_five: bool) -> ProtocolError:
        """The fault of a packet that is neither taken nor passed by; what it is not allowed to be comes first."""
        self._check_first(first)
        if first == _CONNECT:
            self._speak(five=self._takes_five and opens_five)
        return PacketTooLarge(
            Fault.TOO_LARGE,
            f"a packet declares {size} bytes, the limit is {limit}",
            hint="send smaller packets, or raise the limit of the receiver",
        )

    def _check_first(self, first: int) -> None:
        """Raise when ``first`` cannot begin a packet; PUBLISH flags included."""
        kind, flags = first >> 4, first & 15
        if kind == 0 or (kind == PacketType.AUTH and not self._five):
            raise MalformedPacket(Fault.BAD_TYPE, f"packet type {kind} is reserved")
        if kind == PacketType.PUBLISH:
            if flags >> 1 & 3 == 3:
                raise MalformedPacket(Fault.BAD_QOS, "PUBLISH with QoS 3")
            if flags & 8 and not flags >> 1 & 3:
                raise MalformedPacket(Fault.BAD_FLAGS, "PUBLISH with DUP at QoS 0")
        elif first != _CONNECT and first not in self._parsers:
            raise MalformedPacket(Fault.BAD_FLAGS, f"{PacketType(kind).name} with reserved flag bits")

    def _head(self, first: int, data: bytes, body: int, end: int) -> Skipped | None:
        """What begins a PUBLISH that is not going to be read; None when it is not all there."""
        if body + 2 > end:
            return None
        qos = _PUBLISH_FLAGS[first][0]
        at = body + 2 + (data[body] << 8) + data[body + 1]
        if at + 2 > end:
            return None
        topic = data[body + 2 : at]
        check_topic(topic)
        packet_id = data[at] << 8 | data[at + 1] if qos else 0
        if qos and not packet_id:
            raise MalformedPacket(Fault.BAD_PACKET_ID, "packet identifier 0")
        return Skipped(topic, 0, qos, packet_id)

    def _pass(self, pos: int, end: int, packets: list[Packet]) -> int:
        """Let bytes of a skipped packet go by; the place behind them."""
        assert self._passing is not None
        left, packet = self._passing
        gone = min(left, end - pos)
        if gone < left:
            self._passing = (left - gone, packet)
        else:
            self._passing = None
            packets.append(packet)
        return pos + gone

    def _learn(self, topic: bytes) -> bytes:
        """Check a topic name and keep it, so that the next PUBLISH to it costs a look-up."""
        check_topic(topic)
        if len(topic) <= _KNOWN_TOPIC_SIZE:
            if len(self._known) >= _KNOWN_TOPICS:
                self._known.clear()
            self._known[topic] = topic
        return topic


def _never(_head: Skipped) -> bool:
    return False


def _dear(packet: Packet) -> int:
    """What reading a packet took beside its bytes."""
    entries = _entries(getattr(packet, "properties", NO_PROPERTIES))
    if type(packet) is Connect and packet.will is not None:
        entries += _entries(packet.will.properties)
    filters = len(packet.filters) if type(packet) is Subscribe or type(packet) is Unsubscribe else 0
    return _PROPERTY * entries + filters


def _entries(about: Properties) -> int:
    return sum(len(value) if type(value) is tuple else 1 for value in about.values())


def _again(error: ProtocolError) -> ProtocolError:
    """The same fault without packets and traceback: the first one belongs to whoever caught it."""
    return type(error)(error.reason, str(error), hint=error.hint)


def _long_length(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """A remaining length of two to four bytes and the place after it; ``(0, 0)`` when it is not complete."""
    value = shift = 0
    for place in range(pos, min(pos + 4, end)):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place + 1
        shift += 7
    if end - pos >= 4:
        raise MalformedPacket(Fault.BAD_LENGTH, "the remaining length takes more than four bytes")
    return 0, 0
