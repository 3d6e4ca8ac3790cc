"""MQTT 3.1.1 packets to bytes. Whatever ``encode`` returns, ``Decoder`` reads back as an equal packet."""

import struct
from collections.abc import Callable, Iterable
from typing import Any, Final

from healthsync_mqtt.mqtt.codec.faults import EncodeError, MalformedPacket
from healthsync_mqtt.mqtt.codec.fields import check_topic, text
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
)

_MAX_REMAINING: Final = 268_435_455
_PUBACK_HEADER: Final = 0x4002_0000


def encode(packet: Packet) -> bytes:
    """The bytes of ``packet``; raises ``EncodeError`` when MQTT 3.1.1 has none for it."""
    kind = type(packet)
    encoder = _ENCODERS.get(kind)
    if encoder is None or any(getattr(packet, name, None) for name in _ONLY_5[kind]):
        raise EncodeError(f"this {kind.__name__.upper()} has no encoding in MQTT 3.1.1")
    return encoder(packet)


def encode_puback(identifier: int) -> bytes:
    """A PUBACK; ``identifier`` is 1..65535."""
    return b"\x40\x02" + packet_id(identifier)


def encode_pubacks(ids: Iterable[int]) -> bytes:
    """PUBACKs for all ``ids``, in order, as one block; each id is 1..65535."""
    ids = list(ids)
    if not ids:
        return b""
    if min(ids) < 1 or max(ids) > 0xFFFF:
        raise EncodeError("a packet identifier is outside 1..65535")
    return struct.pack(f">{len(ids)}I", *map(_PUBACK_HEADER.__or__, ids))


def encode_publish(  # noqa: PLR0917  # called by position on the hot path
    topic: bytes,
    payload: bytes,
    qos: int = 0,
    retain: bool = False,  # noqa: FBT001, FBT002
    dup: bool = False,  # noqa: FBT001, FBT002
    packet_id: int = 0,
) -> bytes:
    """A PUBLISH; ``packet_id`` is 1..65535, and 0 at QoS 0.

    The characters of ``topic`` are trusted: it comes from a ``Decoder`` or from the topic registry. ``encode`` checks
    them.
    """
    size = len(topic)
    if qos:
        if not 0 < qos < 3 or not 0 < packet_id <= 0xFFFF:
            raise EncodeError("PUBLISH with a QoS or packet identifier that does not exist")
        remaining = size + len(payload) + 4
        end = b"%c%c" % (packet_id >> 8, packet_id & 0xFF)
    else:
        if dup or packet_id:
            raise EncodeError("PUBLISH at QoS 0 with DUP or a packet identifier")
        remaining = size + len(payload) + 2
        end = b""
    if not 0 < size <= 0xFFFF:
        raise EncodeError("a topic name takes 1 to 65535 bytes")
    first = 0x30 | qos << 1 | (1 if retain else 0) | (8 if dup else 0)
    if 0x80 <= remaining < 0x4000:
        head = b"%c%c%c%c%c" % (first, remaining & 0x7F | 0x80, remaining >> 7, size >> 8, size & 0xFF)
    else:
        head = b"%c%b%c%c" % (first, length(remaining), size >> 8, size & 0xFF)
    return b"".join((head, topic, end, payload))


def _publish(packet: Publish) -> bytes:
    check_topic_name(packet.topic)
    return encode_publish(*packet[:6])


def _connect(packet: Connect) -> bytes:
    if packet.protocol_level not in (3, 4) or packet.protocol_name not in ("MQTT", "MQIsdp"):
        raise EncodeError("CONNECT of another protocol than MQTT 3.1 and 3.1.1")
    if packet.password is not None and packet.username is None:
        raise EncodeError("CONNECT with a password, but no user name")
    if not 0 <= packet.keep_alive <= 0xFFFF:
        raise EncodeError("a keep-alive is 0 to 65535 seconds")
    flags = 2 if packet.clean_session else 0
    fields = [string(packet.client_id)]
    if packet.will is not None:
        will = packet.will
        if will.properties:
            raise EncodeError("a will in MQTT 3.1.1 has no properties")
        topic = will.topic.encode(errors="surrogatepass")
        check_topic_name(topic)
        flags |= 0x04 | qos_level(will.qos) << 3 | (0x20 if will.retain else 0)
        fields += [field(topic), field(will.payload)]
    if packet.username is not None:
        flags |= 0x80
        fields.append(string(packet.username))
    if packet.password is not None:
        flags |= 0x40
        fields.append(field(packet.password))
    start = b"%b%c%c" % (string(packet.protocol_name), packet.protocol_level, flags)
    return framed(PacketType.CONNECT << 4, start, packet.keep_alive.to_bytes(2, "big"), *fields)


def _connack(packet: Connack) -> bytes:
    if not 0 <= packet.code <= ConnectCode.NOT_AUTHORIZED or (packet.session_present and packet.code):
        raise EncodeError("CONNACK with a reserved code, or a session beside a refusal")
    return bytes((PacketType.CONNACK << 4, 2, bool(packet.session_present), packet.code))


def _identified(first: int) -> Callable[[Any], bytes]:
    head = bytes((first, 2))

    def write(packet: Puback | Pubrec | Pubrel | Pubcomp | Unsuback) -> bytes:
        return head + packet_id(packet.packet_id)

    return write


def _subscribe(packet: Subscribe) -> bytes:
    if not packet.filters:
        raise EncodeError("SUBSCRIBE without filters")
    fields = [filter_field(topic_filter) + bytes((qos_level(qos),)) for topic_filter, qos in packet.filters]
    return framed(PacketType.SUBSCRIBE << 4 | 2, packet_id(packet.packet_id), *fields)


def _suback(packet: Suback) -> bytes:
    if not packet.codes or any(code not in (0, 1, 2, SUBSCRIBE_REFUSED) for code in packet.codes):
        raise EncodeError("SUBACK without codes, or with a reserved one")
    return framed(PacketType.SUBACK << 4, packet_id(packet.packet_id), bytes(packet.codes))


def _unsubscribe(packet: Unsubscribe) -> bytes:
    if not packet.filters:
        raise EncodeError("UNSUBSCRIBE without filters")
    fields = [filter_field(topic_filter) for topic_filter in packet.filters]
    return framed(PacketType.UNSUBSCRIBE << 4 | 2, packet_id(packet.packet_id), *fields)


def _empty(first: int) -> Callable[[Any], bytes]:
    encoded = bytes((first, 0))
    return lambda _packet: encoded


def framed(first: int, *fields: bytes) -> bytes:
    body = b"".join(fields)
    return b"%c%b%b" % (first, length(len(body)), body)


def length(value: int) -> bytes:
    """The remaining length of section 2.2.3: seven bits a byte, lowest first."""
    if value > _MAX_REMAINING:
        raise EncodeError("a packet takes at most 268435455 bytes after its header")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def packet_id(value: int) -> bytes:
    if not 0 < value <= 0xFFFF:
        raise EncodeError("a packet identifier is outside 1..65535")
    return value.to_bytes(2, "big")


def qos_level(value: int) -> int:
    if not 0 <= value <= 2:
        raise EncodeError("QoS is 0, 1 or 2")
    return value


def field(raw: bytes) -> bytes:
    if len(raw) > 0xFFFF:
        raise EncodeError("a field takes at most 65535 bytes")
    return len(raw).to_bytes(2, "big") + raw


def string(value: str) -> bytes:
    raw = value.encode(errors="surrogatepass")
    try:
        text(raw)
    except MalformedPacket as error:
        raise EncodeError(str(error)) from error
    return field(raw)


def filter_field(value: str) -> bytes:
    if not value:
        raise EncodeError("a topic filter is empty")
    return string(value)


def check_topic_name(topic: bytes) -> None:
    try:
        check_topic(topic)
    except MalformedPacket as error:
        raise EncodeError(str(error)) from error


_ENCODERS: Final[dict[type, Callable[[Any], bytes]]] = {
    Connect: _connect,
    Connack: _connack,
    Publish: _publish,
    Puback: _identified(PacketType.PUBACK << 4),
    Pubrec: _identified(PacketType.PUBREC << 4),
    Pubrel: _identified(PacketType.PUBREL << 4 | 2),
    Pubcomp: _identified(PacketType.PUBCOMP << 4),
    Subscribe: _subscribe,
    Suback: _suback,
    Unsubscribe: _unsubscribe,
    Unsuback: _identified(PacketType.UNSUBACK << 4),
    Pingreq: _empty(PacketType.PINGREQ << 4),
    Pingresp: _empty(PacketType.PINGRESP << 4),
    Disconnect: _empty(PacketType.DISCONNECT << 4),
}
#: Fields that 3.1.1 has no bytes for, by packet.
_ONLY_5: Final[dict[type, tuple[str, ...]]] = {
    kind: tuple(name for name in ("properties", "reason", "codes") if name != "codes" or kind is Unsuback)
    for kind in _ENCODERS
}
