"""One parser for each packet body of MQTT 3.1.1, and the checks on strings and topic names.

A parser takes ``data`` and the bounds ``[pos, stop)`` of a body that is wholly inside ``data``; it returns the packet
or raises. PUBLISH and PUBACK have a fast path in ``decode``; their parsers here decide, and name the fault.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from healthsync_mqtt.mqtt.codec.faults import Fault, MalformedPacket, PacketTooLarge
from healthsync_mqtt.mqtt.codec.packets import (
    SUBSCRIBE_REFUSED,
    Connack,
    Connect,
    ConnectCode,
    Disconnect,
    Packet,
    PacketType,
    Pingreq,
    Pingresp,
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

#: Filters in one SUBSCRIBE or UNSUBSCRIBE: without a bound, 1 MiB of them grows thirtyfold in memory.
MAX_FILTERS: Final = 1024

Parser = Callable[[bytes, int, int], Packet]
Identified = TypeVar("Identified", Puback, Pubrec, Pubrel, Pubcomp, Unsuback)

_PROTOCOL_NAMES: Final = {b"MQTT": "MQTT", b"MQIsdp": "MQIsdp"}
_WILL, _WILL_RETAIN, _PASSWORD, _USERNAME = 0x04, 0x20, 0x40, 0x80


def check_topic(topic: bytes) -> None:
    """A topic name: not empty, UTF-8, no NUL, no wildcard (sections 3.3.2.1 and 4.7)."""
    if not topic:
        raise MalformedPacket(Fault.EMPTY_TOPIC, "the topic name is empty")
    text(topic)
    if b"+" in topic or b"#" in topic:
        raise MalformedPacket(Fault.WILDCARD_TOPIC, "the topic name holds a wildcard")


def text(raw: bytes) -> str:
    """A UTF-8 string of section 1.5.3. A byte order mark is kept."""
    try:
        value = raw.decode()
    except UnicodeDecodeError:
        # The cause would carry the packet's bytes.
        raise MalformedPacket(Fault.BAD_UTF8, "a string is not valid UTF-8") from None
    if "\0" in value:
        raise MalformedPacket(Fault.NUL_CHARACTER, "a string holds U+0000")
    return value


def publish(first: int, data: bytes, pos: int, stop: int) -> Publish:
    """A PUBLISH whose first byte is ``first``; the hot path in ``decode`` accepts the same bytes."""
    qos, dup = first >> 1 & 3, bool(first & 8)
    if qos == 3:
        raise MalformedPacket(Fault.BAD_QOS, "PUBLISH with QoS 3")
    if dup and not qos:
        raise MalformedPacket(Fault.BAD_FLAGS, "PUBLISH with DUP at QoS 0")
    topic, pos = _field(data, pos, stop)
    check_topic(topic)
    packet_id = 0
    if qos:
        packet_id, pos = _packet_id(data, pos, stop)
    return Publish(topic, data[pos:stop], qos, bool(first & 1), dup, packet_id)


def _connect(data: bytes, pos: int, stop: int) -> Connect:
    raw, pos = _field(data, pos, stop)
    name = _PROTOCOL_NAMES.get(raw)
    if name is None:
        raise MalformedPacket(Fault.BAD_PROTOCOL, "CONNECT with an unknown protocol name")
    level, pos = _byte(data, pos, stop)
    if level not in (3, 4):
        return Connect("", protocol_level=level, protocol_name=name)
    flags, pos = _byte(data, pos, stop)
    _check_connect_flags(flags)
    keep_alive, pos = _number(data, pos, stop)
    raw, pos = _field(data, pos, stop)
    client_id = text(raw)
    will = username = password = None
    if flags & _WILL:
        topic, pos = _field(data, pos, stop)
        check_topic(topic)
        payload, pos = _field(data, pos, stop)
        will = Will(topic.decode(), payload, flags >> 3 & 3, bool(flags & _WILL_RETAIN))
    if flags & _USERNAME:
        raw, pos = _field(data, pos, stop)
        username = text(raw)
    if flags & _PASSWORD:
        password, pos = _field(data, pos, stop)
    _end(pos, stop)
    return Connect(client_id, bool(flags & 2), keep_alive, username, password, will, level, name)


def _check_connect_flags(flags: int) -> None:
    if flags & 1:
        raise MalformedPacket(Fault.BAD_CONNECT_FLAGS, "CONNECT with its reserved flag set")
    if not flags & _WILL and flags & 0x38:
        raise MalformedPacket(Fault.BAD_CONNECT_FLAGS, "CONNECT with will QoS or will retain, but no will")
    if flags >> 3 & 3 == 3:
        raise MalformedPacket(Fault.BAD_QOS, "CONNECT with will QoS 3")
    if flags & _PASSWORD and not flags & _USERNAME:
        raise MalformedPacket(Fault.BAD_CONNECT_FLAGS, "CONNECT with a password, but no user name")


def _connack(data: bytes, pos: int, stop: int) -> Connack:
    flags, pos = _byte(data, pos, stop)
    code, pos = _byte(data, pos, stop)
    _end(pos, stop)
    if code > ConnectCode.NOT_AUTHORIZED:
        raise MalformedPacket(Fault.BAD_CODE, "CONNACK with a reserved return code")
    if flags > 1 or (flags and code):
        raise MalformedPacket(Fault.BAD_CONNECT_FLAGS, "CONNACK with a flag that its return code does not allow")
    return Connack(bool(flags), code)


def _identified(packet: type[Identified]) -> Callable[[bytes, int, int], Identified]:
    def parse(data: bytes, pos: int, stop: int) -> Identified:
        packet_id, pos = _packet_id(data, pos, stop)
        _end(pos, stop)
        return packet(packet_id)

    return parse


def _subscribe(data: bytes, pos: int, stop: int) -> Subscribe:
    packet_id, pos = _packet_id(data, pos, stop)
    filters: list[tuple[str, int]] = []
    while pos < stop:
        topic_filter, pos = _filter(data, pos, stop, len(filters))
        qos, pos = _byte(data, pos, stop)
        if qos > 2:
            raise MalformedPacket(Fault.BAD_QOS, "SUBSCRIBE with a requested QoS above 2")
        filters.append((topic_filter, qos))
    _check_some(len(filters))
    return Subscribe(packet_id, tuple(filters))


def _suback(data: bytes, pos: int, stop: int) -> Suback:
    packet_id, pos = _packet_id(data, pos, stop)
    codes = tuple(data[pos:stop])
    _check_some(len(codes))
    if any(code > 2 and code != SUBSCRIBE_REFUSED for code in codes):
        raise MalformedPacket(Fault.BAD_CODE, "SUBACK with a reserved return code")
    return Suback(packet_id, codes)


def _unsubscribe(data: bytes, pos: int, stop: int) -> Unsubscribe:
    packet_id, pos = _packet_id(data, pos, stop)
    filters: list[str] = []
    while pos < stop:
        topic_filter, pos = _filter(data, pos, stop, len(filters))
        filters.append(topic_filter)
    _check_some(len(filters))
    return Unsubscribe(packet_id, tuple(filters))


def _empty(packet: Packet) -> Parser:
    def parse(_data: bytes, pos: int, stop: int) -> Packet:
        _end(pos, stop)
        return packet

    return parse


def _filter(data: bytes, pos: int, stop: int, already: int) -> tuple[str, int]:
    if already == MAX_FILTERS:
        raise PacketTooLarge(
            Fault.TOO_MANY_FILTERS, f"more than {MAX_FILTERS} filters in one packet", hint="use several packets"
        )
    raw, pos = _field(data, pos, stop)
    if not raw:
        raise MalformedPacket(Fault.EMPTY_TOPIC, "a topic filter is empty")
    return text(raw), pos


def _check_some(count: int) -> None:
    if not count:
        raise MalformedPacket(Fault.NO_FILTERS, "a packet that must list at least one filter or code lists none")


def _packet_id(data: bytes, pos: int, stop: int) -> tuple[int, int]:
    value, pos = _number(data, pos, stop)
    if not value:
        raise MalformedPacket(Fault.BAD_PACKET_ID, "packet identifier 0")
    return value, pos


def _byte(data: bytes, pos: int, stop: int) -> tuple[int, int]:
    return data[pos : _within(pos + 1, stop)][0], pos + 1


def _number(data: bytes, pos: int, stop: int) -> tuple[int, int]:
    return int.from_bytes(data[pos : _within(pos + 2, stop)], "big"), pos + 2


def _field(data: bytes, pos: int, stop: int) -> tuple[bytes, int]:
    """Two bytes of length, then that many bytes: the form of every string and of password and will payload."""
    size, pos = _number(data, pos, stop)
    end = _within(pos + size, stop)
    return data[pos:end], end


def _within(end: int, stop: int) -> int:
    if end > stop:
        raise MalformedPacket(Fault.TRUNCATED, "a field reaches past the end of its packet")
    return end


def _end(pos: int, stop: int) -> None:
    if pos < stop:
        raise MalformedPacket(Fault.TRAILING_BYTES, "bytes are left after the last field of a packet")


#: The parser for each legal first byte except those of PUBLISH (types 1 to 14; the flags are fixed by section 2.2.2).
PARSERS: Final[Mapping[int, Parser]] = MappingProxyType(
    {
        PacketType.CONNECT << 4: _connect,
        PacketType.CONNACK << 4: _connack,
        PacketType.PUBACK << 4: _identified(Puback),
        PacketType.PUBREC << 4: _identified(Pubrec),
        PacketType.PUBREL << 4 | 2: _identified(Pubrel),
        PacketType.PUBCOMP << 4: _identified(Pubcomp),
        PacketType.SUBSCRIBE << 4 | 2: _subscribe,
        PacketType.SUBACK << 4: _suback,
        PacketType.UNSUBSCRIBE << 4 | 2: _unsubscribe,
        PacketType.UNSUBACK << 4: _identified(Unsuback),
        PacketType.PINGREQ << 4: _empty(Pingreq()),
        PacketType.PINGRESP << 4: _empty(Pingresp()),
        PacketType.DISCONNECT << 4: _empty(Disconnect()),
    }
)


def check_first_byte(first: int) -> None:
    """Raise when ``first`` cannot begin a packet; PUBLISH flags included."""
    kind, flags = first >> 4, first & 15
    if kind in (0, 15):
        raise MalformedPacket(Fault.BAD_TYPE, f"packet type {kind} is reserved")
    if kind != PacketType.PUBLISH:
        if first not in PARSERS:
            raise MalformedPacket(Fault.BAD_FLAGS, f"{PacketType(kind).name} with reserved flag bits")
    elif flags >> 1 & 3 == 3:
        raise MalformedPacket(Fault.BAD_QOS, "PUBLISH with QoS 3")
    elif flags & 8 and not flags >> 1 & 3:
        raise MalformedPacket(Fault.BAD_FLAGS, "PUBLISH with DUP at QoS 0")
