"""One parser for each packet body of MQTT 3.1.1.

A parser takes ``data`` and the bounds ``[pos, stop)`` of a body that is wholly inside ``data``; it returns the packet
or raises. PUBLISH and PUBACK have a fast path in ``decode``; their parsers here decide, and name the fault.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from healthsync_mqtt.mqtt.codec.faults import Fault, MalformedPacket
from healthsync_mqtt.mqtt.codec.fields import (
    PASSWORD,
    USERNAME,
    WILL,
    WILL_RETAIN,
    byte,
    check_connect_flags,
    check_some,
    check_topic,
    ended,
    field,
    number,
    packet_id,
    text,
    topic_filter_field,
)
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

Parser = Callable[[bytes, int, int], Packet]
Identified = TypeVar("Identified", Puback, Pubrec, Pubrel, Pubcomp, Unsuback)

_PROTOCOL_NAMES: Final = {b"MQTT": "MQTT", b"MQIsdp": "MQIsdp"}


def publish(first: int, data: bytes, pos: int, stop: int) -> Publish:
    """A PUBLISH whose first byte is ``first``; the hot path in ``decode`` accepts the same bytes."""
    qos, dup = first >> 1 & 3, bool(first & 8)
    if qos == 3:
        raise MalformedPacket(Fault.BAD_QOS, "PUBLISH with QoS 3")
    if dup and not qos:
        raise MalformedPacket(Fault.BAD_FLAGS, "PUBLISH with DUP at QoS 0")
    topic, pos = field(data, pos, stop)
    check_topic(topic)
    identifier = 0
    if qos:
        identifier, pos = packet_id(data, pos, stop)
    return Publish(topic, data[pos:stop], qos, bool(first & 1), dup, identifier)


def connect(data: bytes, pos: int, stop: int) -> Connect:
    """A CONNECT; of a version that is not spoken, its name and level alone."""
    raw, pos = field(data, pos, stop)
    name = _PROTOCOL_NAMES.get(raw)
    if name is None:
        raise MalformedPacket(Fault.BAD_PROTOCOL, "CONNECT with an unknown protocol name")
    level, pos = byte(data, pos, stop)
    if level not in (3, 4):
        return Connect("", protocol_level=level, protocol_name=name)
    flags, pos = byte(data, pos, stop)
    check_connect_flags(flags)
    keep_alive, pos = number(data, pos, stop)
    raw, pos = field(data, pos, stop)
    client_id = text(raw)
    will = username = password = None
    if flags & WILL:
        topic, pos = field(data, pos, stop)
        check_topic(topic)
        payload, pos = field(data, pos, stop)
        will = Will(topic.decode(), payload, flags >> 3 & 3, bool(flags & WILL_RETAIN))
    if flags & USERNAME:
        raw, pos = field(data, pos, stop)
        username = text(raw)
    if flags & PASSWORD:
        password, pos = field(data, pos, stop)
    ended(pos, stop)
    return Connect(client_id, bool(flags & 2), keep_alive, username, password, will, level, name)


def _connack(data: bytes, pos: int, stop: int) -> Connack:
    flags, pos = byte(data, pos, stop)
    code, pos = byte(data, pos, stop)
    ended(pos, stop)
    if code > ConnectCode.NOT_AUTHORIZED:
        raise MalformedPacket(Fault.BAD_CODE, "CONNACK with a reserved return code")
    if flags > 1 or (flags and code):
        raise MalformedPacket(Fault.BAD_CONNECT_FLAGS, "CONNACK with a flag that its return code does not allow")
    return Connack(bool(flags), code)


def _identified(packet: type[Identified]) -> Callable[[bytes, int, int], Identified]:
    def parse(data: bytes, pos: int, stop: int) -> Identified:
        identifier, pos = packet_id(data, pos, stop)
        ended(pos, stop)
        return packet(identifier)

    return parse


def _subscribe(data: bytes, pos: int, stop: int) -> Subscribe:
    identifier, pos = packet_id(data, pos, stop)
    filters: list[tuple[str, int]] = []
    while pos < stop:
        topic_filter, pos = topic_filter_field(data, pos, stop, len(filters))
        qos, pos = byte(data, pos, stop)
        if qos > 2:
            raise MalformedPacket(Fault.BAD_QOS, "SUBSCRIBE with a requested QoS above 2")
        filters.append((topic_filter, qos))
    check_some(len(filters))
    return Subscribe(identifier, tuple(filters))


def _suback(data: bytes, pos: int, stop: int) -> Suback:
    identifier, pos = packet_id(data, pos, stop)
    codes = tuple(data[pos:stop])
    check_some(len(codes))
    if any(code > 2 and code != SUBSCRIBE_REFUSED for code in codes):
        raise MalformedPacket(Fault.BAD_CODE, "SUBACK with a reserved return code")
    return Suback(identifier, codes)


def _unsubscribe(data: bytes, pos: int, stop: int) -> Unsubscribe:
    identifier, pos = packet_id(data, pos, stop)
    filters: list[str] = []
    while pos < stop:
        topic_filter, pos = topic_filter_field(data, pos, stop, len(filters))
        filters.append(topic_filter)
    check_some(len(filters))
    return Unsubscribe(identifier, tuple(filters))


def _empty(packet: Packet) -> Parser:
    def parse(_data: bytes, pos: int, stop: int) -> Packet:
        ended(pos, stop)
        return packet

    return parse


#: The parser for each legal first byte except those of PUBLISH and CONNECT (the flags are fixed by
#: section 2.2.2).
PARSERS: Final[Mapping[int, Parser]] = MappingProxyType(
    {
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
