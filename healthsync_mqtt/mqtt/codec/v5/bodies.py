"""One parser for each packet body of MQTT 5.0. See ``v3.bodies`` for the contract of a parser."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

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
    NO_PROPERTIES,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    Pingreq,
    Pingresp,
    Properties,
    Property,
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
from healthsync_mqtt.mqtt.codec.v5.properties import PropertyPlace, read
from healthsync_mqtt.mqtt.codec.v5.reasons import ALLOWED

Parser = Callable[[bytes, int, int], Packet]
Acknowledgement = TypeVar("Acknowledgement", Puback, Pubrec, Pubrel, Pubcomp)

#: What a CONNECT of MQTT 5.0 begins with: its protocol name and level.
OPENING: Final = b"\x00\x04MQTT\x05"


def publish(first: int, data: bytes, pos: int, stop: int) -> Publish:
    """A PUBLISH whose first byte is ``first``; the hot path in ``decode`` accepts the same bytes."""
    qos, dup = first >> 1 & 3, bool(first & 8)
    if qos == 3:
        raise MalformedPacket(Fault.BAD_QOS, "PUBLISH with QoS 3")
    if dup and not qos:
        raise MalformedPacket(Fault.BAD_FLAGS, "PUBLISH with DUP at QoS 0")
    topic, pos = field(data, pos, stop)
    if topic:
        check_topic(topic)
    identifier = 0
    if qos:
        identifier, pos = packet_id(data, pos, stop)
    properties, pos = _properties(data, pos, stop, PropertyPlace.PUBLISH)
    if not topic and Property.TOPIC_ALIAS not in properties:
        raise MalformedPacket(Fault.NO_TOPIC, "PUBLISH with neither a topic name nor a topic alias")
    _check_answer(properties)
    return Publish(topic, data[pos:stop], qos, bool(first & 1), dup, identifier, properties)


def connect(data: bytes, pos: int, stop: int) -> Connect:
    """A CONNECT that begins with ``OPENING``."""
    pos += len(OPENING)
    flags, pos = byte(data, pos, stop)
    check_connect_flags(flags, password_alone=True)
    keep_alive, pos = number(data, pos, stop)
    properties, pos = _properties(data, pos, stop, PropertyPlace.CONNECT)
    _check_authentication(properties)
    raw, pos = field(data, pos, stop)
    client_id = text(raw)
    will = username = password = None
    if flags & WILL:
        about, pos = _properties(data, pos, stop, PropertyPlace.WILL)
        _check_answer(about)
        topic, pos = field(data, pos, stop)
        check_topic(topic)
        payload, pos = field(data, pos, stop)
        will = Will(topic.decode(), payload, flags >> 3 & 3, bool(flags & WILL_RETAIN), about)
    if flags & USERNAME:
        raw, pos = field(data, pos, stop)
        username = text(raw)
    if flags & PASSWORD:
        password, pos = field(data, pos, stop)
    ended(pos, stop)
    return Connect(client_id, bool(flags & 2), keep_alive, username, password, will, 5, "MQTT", properties)


def _connack(data: bytes, pos: int, stop: int) -> Connack:
    flags, pos = byte(data, pos, stop)
    code, pos = _reason(data, pos, stop, PacketType.CONNACK)
    if flags > 1 or (flags and code):
        raise MalformedPacket(Fault.BAD_CONNECT_FLAGS, "CONNACK with a flag that its reason code does not allow")
    properties, pos = _properties(data, pos, stop, PropertyPlace.CONNACK)
    _check_authentication(properties)
    ended(pos, stop)
    return Connack(bool(flags), code, properties)


def _acknowledgement(packet: type[Acknowledgement], kind: PacketType) -> Callable[[bytes, int, int], Acknowledgement]:
    place = PropertyPlace(kind)

    def parse(data: bytes, pos: int, stop: int) -> Acknowledgement:
        identifier, pos = packet_id(data, pos, stop)
        reason, properties = 0, NO_PROPERTIES
        if pos < stop:
            reason, pos = _reason(data, pos, stop, kind)
        if pos < stop:
            properties, pos = _properties(data, pos, stop, place)
        ended(pos, stop)
        return packet(identifier, reason, properties)

    return parse


def _subscribe(data: bytes, pos: int, stop: int) -> Subscribe:
    identifier, pos = packet_id(data, pos, stop)
    properties, pos = _properties(data, pos, stop, PropertyPlace.SUBSCRIBE)
    filters: list[tuple[str, int]] = []
    while pos < stop:
        topic_filter, pos = topic_filter_field(data, pos, stop, len(filters))
        options, pos = byte(data, pos, stop)
        if options & 0xC0:
            raise MalformedPacket(Fault.BAD_QOS, "SUBSCRIBE with subscription options that do not exist")
        if options & 3 == 3 or options >> 4 & 3 == 3:  # protocol errors, says the standard, as No Local is below
            raise MalformedPacket(Fault.BAD_VALUE, "SUBSCRIBE with a QoS or a retain handling that does not exist")
        if options & 4 and topic_filter.startswith("$share/"):
            raise MalformedPacket(Fault.BAD_VALUE, "SUBSCRIBE with No Local on a shared subscription")
        filters.append((topic_filter, options))
    check_some(len(filters))
    return Subscribe(identifier, tuple(filters), properties)


def _suback(data: bytes, pos: int, stop: int) -> Suback:
    identifier, properties, codes = _coded(data, pos, stop, PacketType.SUBACK)
    return Suback(identifier, codes, properties)


def _unsuback(data: bytes, pos: int, stop: int) -> Unsuback:
    identifier, properties, codes = _coded(data, pos, stop, PacketType.UNSUBACK)
    return Unsuback(identifier, codes, properties)


def _coded(data: bytes, pos: int, stop: int, kind: PacketType) -> tuple[int, Properties, tuple[int, ...]]:
    identifier, pos = packet_id(data, pos, stop)
    properties, pos = _properties(data, pos, stop, PropertyPlace(kind))
    codes = tuple(data[pos:stop])
    check_some(len(codes))
    if not ALLOWED[kind].issuperset(codes):
        raise MalformedPacket(Fault.BAD_CODE, f"{kind.name} with a reason code that it cannot have")
    return identifier, properties, codes


def _unsubscribe(data: bytes, pos: int, stop: int) -> Unsubscribe:
    identifier, pos = packet_id(data, pos, stop)
    properties, pos = _properties(data, pos, stop, PropertyPlace.UNSUBSCRIBE)
    filters: list[str] = []
    while pos < stop:
        topic_filter, pos = topic_filter_field(data, pos, stop, len(filters))
        filters.append(topic_filter)
    check_some(len(filters))
    return Unsubscribe(identifier, tuple(filters), properties)


def _disconnect(data: bytes, pos: int, stop: int) -> Disconnect:
    return Disconnect(*_closing(data, pos, stop, PacketType.DISCONNECT))


def _auth(data: bytes, pos: int, stop: int) -> Auth:
    reason, properties = _closing(data, pos, stop, PacketType.AUTH)
    if pos < stop and Property.AUTHENTICATION_METHOD not in properties:
        raise MalformedPacket(Fault.BAD_VALUE, "AUTH without an authentication method")
    return Auth(reason, properties)


def _closing(data: bytes, pos: int, stop: int, kind: PacketType) -> tuple[int, Properties]:
    """Reason and properties, both of which may be left out."""
    reason, properties = 0, NO_PROPERTIES
    if pos < stop:
        reason, pos = _reason(data, pos, stop, kind)
    if pos < stop:
        properties, pos = _properties(data, pos, stop, PropertyPlace(kind))
    ended(pos, stop)
    return reason, properties


def _ping(packet: Packet) -> Parser:
    def parse(_data: bytes, pos: int, stop: int) -> Packet:
        ended(pos, stop)
        return packet

    return parse


def _reason(data: bytes, pos: int, stop: int, kind: PacketType) -> tuple[int, int]:
    reason, pos = byte(data, pos, stop)
    if reason not in ALLOWED[kind]:
        raise MalformedPacket(Fault.BAD_CODE, f"{kind.name} with a reason code that it cannot have")
    return reason, pos


def _properties(data: bytes, pos: int, stop: int, place: PropertyPlace) -> tuple[Properties, int]:
    if pos < stop and not data[pos]:
        return NO_PROPERTIES, pos + 1
    found: dict[Property, Any]
    found, pos = read(data, pos, stop, place)
    return found, pos


def _check_answer(properties: Properties) -> None:
    response = properties.get(Property.RESPONSE_TOPIC)
    if response is not None:
        check_topic(response.encode())


def _check_authentication(properties: Properties) -> None:
    if Property.AUTHENTICATION_DATA in properties and Property.AUTHENTICATION_METHOD not in properties:
        raise MalformedPacket(Fault.BAD_VALUE, "authentication data without an authentication method")


#: The parser for each legal first byte except those of PUBLISH and CONNECT.
PARSERS: Final[Mapping[int, Parser]] = MappingProxyType(
    {
        PacketType.CONNACK << 4: _connack,
        PacketType.PUBACK << 4: _acknowledgement(Puback, PacketType.PUBACK),
        PacketType.PUBREC << 4: _acknowledgement(Pubrec, PacketType.PUBREC),
        PacketType.PUBREL << 4 | 2: _acknowledgement(Pubrel, PacketType.PUBREL),
        PacketType.PUBCOMP << 4: _acknowledgement(Pubcomp, PacketType.PUBCOMP),
        PacketType.SUBSCRIBE << 4 | 2: _subscribe,
        PacketType.SUBACK << 4: _suback,
        PacketType.UNSUBSCRIBE << 4 | 2: _unsubscribe,
        PacketType.UNSUBACK << 4: _unsuback,
        PacketType.PINGREQ << 4: _ping(Pingreq()),
        PacketType.PINGRESP << 4: _ping(Pingresp()),
        PacketType.DISCONNECT << 4: _disconnect,
        PacketType.AUTH << 4: _auth,
    }
)
