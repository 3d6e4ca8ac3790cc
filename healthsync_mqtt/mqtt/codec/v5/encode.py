"""MQTT 5.0 packets to bytes. Whatever ``encode`` returns, a ``Decoder`` of version 5 reads back as an equal packet."""

from collections.abc import Callable
from typing import Any, Final

from healthsync_mqtt.mqtt.codec.faults import EncodeError
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
)
from healthsync_mqtt.mqtt.codec.v3.encode import check_topic_name, field, framed, length, packet_id, qos_level, string
from healthsync_mqtt.mqtt.codec.v3.encode import filter_field as _filter
from healthsync_mqtt.mqtt.codec.v5.bodies import OPENING
from healthsync_mqtt.mqtt.codec.v5.properties import PropertyPlace, write
from healthsync_mqtt.mqtt.codec.v5.reasons import ALLOWED


def encode(packet: Packet) -> bytes:
    """The bytes of ``packet``; raises ``EncodeError`` when MQTT 5.0 has none for it."""
    return _ENCODERS[type(packet)](packet)


def encode_puback(identifier: int, reason: int = 0, properties: Properties = NO_PROPERTIES) -> bytes:
    """A PUBACK, as short as it can be: a success without properties takes four bytes."""
    if not reason and not properties:
        return b"\x40\x02" + packet_id(identifier)
    return _acknowledgement(PacketType.PUBACK, 0)(Puback(identifier, reason, properties))


def encode_publish(  # noqa: PLR0917  # called by position on the hot path
    topic: bytes,
    payload: bytes,
    qos: int = 0,
    retain: bool = False,  # noqa: FBT001, FBT002
    dup: bool = False,  # noqa: FBT001, FBT002
    identifier: int = 0,
    properties: Properties = NO_PROPERTIES,
) -> bytes:
    """A PUBLISH; the characters of ``topic`` are trusted, as in ``v3.encode.encode_publish``."""
    if qos:
        if not 0 < qos < 3 or not 0 < identifier <= 0xFFFF:
            raise EncodeError("PUBLISH with a QoS or packet identifier that does not exist")
        end = identifier.to_bytes(2, "big")
    else:
        if dup or identifier:
            raise EncodeError("PUBLISH at QoS 0 with DUP or a packet identifier")
        end = b""
    size = len(topic)
    if size > 0xFFFF or (not size and Property.TOPIC_ALIAS not in properties):
        raise EncodeError("a topic name takes 1 to 65535 bytes, or a topic alias stands for it")
    about = write(properties, PropertyPlace.PUBLISH) if properties else b"\0"
    first = 0x30 | qos << 1 | (1 if retain else 0) | (8 if dup else 0)
    remaining = 2 + size + len(end) + len(about) + len(payload)
    return b"".join((bytes((first,)), length(remaining), size.to_bytes(2, "big"), topic, end, about, payload))


def _publish(packet: Publish) -> bytes:
    if packet.topic:
        check_topic_name(packet.topic)
    response = packet.properties.get(Property.RESPONSE_TOPIC)
    if response is not None:
        check_topic_name(response.encode(errors="surrogatepass"))
    return encode_publish(*packet)


def _connect(packet: Connect) -> bytes:
    if packet.protocol_level != 5 or packet.protocol_name != "MQTT":
        raise EncodeError("CONNECT of another protocol than MQTT 5.0")
    if not 0 <= packet.keep_alive <= 0xFFFF:
        raise EncodeError("a keep-alive is 0 to 65535 seconds")
    _check_authentication(packet.properties)
    flags = 2 if packet.clean_session else 0
    fields = [write(packet.properties, PropertyPlace.CONNECT), string(packet.client_id)]
    if packet.will is not None:
        will = packet.will
        topic = will.topic.encode(errors="surrogatepass")
        check_topic_name(topic)
        flags |= 0x04 | qos_level(will.qos) << 3 | (0x20 if will.retain else 0)
        fields += [write(will.properties, PropertyPlace.WILL), field(topic), field(will.payload)]
    if packet.username is not None:
        flags |= 0x80
        fields.append(string(packet.username))
    if packet.password is not None:
        flags |= 0x40
        fields.append(field(packet.password))
    start = OPENING + bytes((flags,)) + packet.keep_alive.to_bytes(2, "big")
    return framed(PacketType.CONNECT << 4, start, *fields)


def _connack(packet: Connack) -> bytes:
    _check_reason(PacketType.CONNACK, packet.code)
    _check_authentication(packet.properties)
    if packet.session_present and packet.code:
        raise EncodeError("CONNACK with a session beside a refusal")
    start = bytes((bool(packet.session_present), packet.code))
    return framed(PacketType.CONNACK << 4, start, write(packet.properties, PropertyPlace.CONNACK))


def _acknowledgement(kind: PacketType, flags: int) -> Callable[[Any], bytes]:
    first = kind << 4 | flags

    def put(packet: Puback | Pubrec | Pubrel | Pubcomp) -> bytes:
        _check_reason(kind, packet.reason)
        parts = [packet_id(packet.packet_id)]
        if packet.reason or packet.properties:
            parts.append(bytes((packet.reason,)))
        if packet.properties:
            parts.append(write(packet.properties, PropertyPlace(kind)))
        return framed(first, *parts)

    return put


def _subscribe(packet: Subscribe) -> bytes:
    if not packet.filters:
        raise EncodeError("SUBSCRIBE without filters")
    parts = [packet_id(packet.packet_id), write(packet.properties, PropertyPlace.SUBSCRIBE)]
    for topic_filter, options in packet.filters:
        if not 0 <= options < 0x40 or options & 3 == 3 or options >> 4 == 3:
            raise EncodeError("SUBSCRIBE with subscription options that do not exist")
        if options & 4 and topic_filter.startswith("$share/"):
            raise EncodeError("SUBSCRIBE with No Local on a shared subscription")
        parts += (_filter(topic_filter), bytes((options,)))
    return framed(PacketType.SUBSCRIBE << 4 | 2, *parts)


def _suback(packet: Suback) -> bytes:
    return _coded(PacketType.SUBACK, packet)


def _unsuback(packet: Unsuback) -> bytes:
    return _coded(PacketType.UNSUBACK, packet)


def _coded(kind: PacketType, packet: Suback | Unsuback) -> bytes:
    if not packet.codes or not ALLOWED[kind].issuperset(packet.codes):
        raise EncodeError(f"{kind.name} without codes, or with one that it cannot have")
    about = write(packet.properties, PropertyPlace(kind))
    return framed(kind << 4, packet_id(packet.packet_id), about, bytes(packet.codes))


def _unsubscribe(packet: Unsubscribe) -> bytes:
    if not packet.filters:
        raise EncodeError("UNSUBSCRIBE without filters")
    about = write(packet.properties, PropertyPlace.UNSUBSCRIBE)
    return framed(PacketType.UNSUBSCRIBE << 4 | 2, packet_id(packet.packet_id), about, *map(_filter, packet.filters))


def _closing(kind: PacketType) -> Callable[[Any], bytes]:
    def put(packet: Disconnect | Auth) -> bytes:
        _check_reason(kind, packet.reason)
        nameless = Property.AUTHENTICATION_METHOD not in packet.properties
        if kind is PacketType.AUTH and nameless and (packet.reason or packet.properties):
            raise EncodeError("AUTH without an authentication method")
        parts = []
        if packet.reason or packet.properties:
            parts.append(bytes((packet.reason,)))
        if packet.properties:
            parts.append(write(packet.properties, PropertyPlace(kind)))
        return framed(kind << 4, *parts)

    return put


def _empty(first: int) -> Callable[[Any], bytes]:
    encoded = bytes((first, 0))
    return lambda _packet: encoded


def _check_reason(kind: PacketType, reason: int) -> None:
    if reason not in ALLOWED[kind]:
        raise EncodeError(f"{kind.name} cannot have the reason code {reason}")


def _check_authentication(properties: Properties) -> None:
    if Property.AUTHENTICATION_DATA in properties and Property.AUTHENTICATION_METHOD not in properties:
        raise EncodeError("authentication data without an authentication method")


_ENCODERS: Final[dict[type, Callable[[Any], bytes]]] = {
    Connect: _connect,
    Connack: _connack,
    Publish: _publish,
    Puback: _acknowledgement(PacketType.PUBACK, 0),
    Pubrec: _acknowledgement(PacketType.PUBREC, 0),
    Pubrel: _acknowledgement(PacketType.PUBREL, 2),
    Pubcomp: _acknowledgement(PacketType.PUBCOMP, 0),
    Subscribe: _subscribe,
    Suback: _suback,
    Unsubscribe: _unsubscribe,
    Unsuback: _unsuback,
    Pingreq: _empty(PacketType.PINGREQ << 4),
    Pingresp: _empty(PacketType.PINGRESP << 4),
    Disconnect: _closing(PacketType.DISCONNECT),
    Auth: _closing(PacketType.AUTH),
}
