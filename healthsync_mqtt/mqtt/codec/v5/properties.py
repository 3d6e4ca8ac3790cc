"""Properties (MQTT 5.0, section 2.2.2): which there are, in which packet, of which form, and their bytes.

In memory they are a mapping from ``Property`` to an int, a str, bytes, or, for the two that may repeat, a tuple.
"""

from collections.abc import Mapping
from enum import Enum, IntEnum, auto
from typing import Any, Final, NamedTuple

from healthsync_mqtt.mqtt.codec.faults import EncodeError, Fault, MalformedPacket, PacketTooLarge
from healthsync_mqtt.mqtt.codec.fields import field, number, text
from healthsync_mqtt.mqtt.codec.packets import PacketType, Properties, Property

#: User properties and subscription identifiers in one packet: without a bound, 1 MiB of them grows tenfold in memory.
MAX_REPEATED: Final = 64

_LARGEST_VARIABLE: Final = 268_435_455


class _Form(Enum):
    """How a value stands in the packet (sections 1.5 and 2.2.2.2)."""

    BYTE = auto()
    TWO_BYTES = auto()
    FOUR_BYTES = auto()
    VARIABLE = auto()
    TEXT = auto()
    BINARY = auto()
    PAIR = auto()


class PropertyPlace(IntEnum):
    """Where properties stand: a packet, or the will in a CONNECT."""

    CONNECT = PacketType.CONNECT
    CONNACK = PacketType.CONNACK
    PUBLISH = PacketType.PUBLISH
    PUBACK = PacketType.PUBACK
    PUBREC = PacketType.PUBREC
    PUBREL = PacketType.PUBREL
    PUBCOMP = PacketType.PUBCOMP
    SUBSCRIBE = PacketType.SUBSCRIBE
    SUBACK = PacketType.SUBACK
    UNSUBSCRIBE = PacketType.UNSUBSCRIBE
    UNSUBACK = PacketType.UNSUBACK
    DISCONNECT = PacketType.DISCONNECT
    AUTH = PacketType.AUTH
    WILL = 0


class _Rule(NamedTuple):
    """Form of a property's value, where it may stand, and the integers it may be."""

    form: _Form
    places: frozenset[PropertyPlace]
    low: int = 0
    high: int = 0xFFFF_FFFF


def _in(*places: PropertyPlace) -> frozenset[PropertyPlace]:
    return frozenset(places)


_MESSAGE = _in(PropertyPlace.PUBLISH, PropertyPlace.WILL)
_EVERYWHERE = frozenset(PropertyPlace)
_ANSWERS = _in(
    PropertyPlace.CONNACK, PropertyPlace.PUBACK, PropertyPlace.PUBREC, PropertyPlace.PUBREL,
    PropertyPlace.PUBCOMP, PropertyPlace.SUBACK, PropertyPlace.UNSUBACK, PropertyPlace.DISCONNECT, PropertyPlace.AUTH,
)  # fmt: skip
_LOGIN = _in(PropertyPlace.CONNECT, PropertyPlace.CONNACK)
_AUTHENTICATION = _in(PropertyPlace.CONNECT, PropertyPlace.CONNACK, PropertyPlace.AUTH)
_CONNACK = _in(PropertyPlace.CONNACK)

RULES: Final[Mapping[int, _Rule]] = {
    Property.PAYLOAD_FORMAT: _Rule(_Form.BYTE, _MESSAGE, 0, 1),
    Property.MESSAGE_EXPIRY: _Rule(_Form.FOUR_BYTES, _MESSAGE),
    Property.CONTENT_TYPE: _Rule(_Form.TEXT, _MESSAGE),
    Property.RESPONSE_TOPIC: _Rule(_Form.TEXT, _MESSAGE),
    Property.CORRELATION_DATA: _Rule(_Form.BINARY, _MESSAGE),
    Property.SUBSCRIPTION_ID: _Rule(
        _Form.VARIABLE, _in(PropertyPlace.PUBLISH, PropertyPlace.SUBSCRIBE), 1, _LARGEST_VARIABLE
    ),
    Property.SESSION_EXPIRY: _Rule(_Form.FOUR_BYTES, _LOGIN | {PropertyPlace.DISCONNECT}),
    Property.ASSIGNED_CLIENT_ID: _Rule(_Form.TEXT, _CONNACK),
    Property.SERVER_KEEP_ALIVE: _Rule(_Form.TWO_BYTES, _CONNACK),
    Property.AUTHENTICATION_METHOD: _Rule(_Form.TEXT, _AUTHENTICATION),
    Property.AUTHENTICATION_DATA: _Rule(_Form.BINARY, _AUTHENTICATION),
    Property.REQUEST_PROBLEM_INFORMATION: _Rule(_Form.BYTE, _in(PropertyPlace.CONNECT), 0, 1),
    Property.WILL_DELAY: _Rule(_Form.FOUR_BYTES, _in(PropertyPlace.WILL)),
    Property.REQUEST_RESPONSE_INFORMATION: _Rule(_Form.BYTE, _in(PropertyPlace.CONNECT), 0, 1),
    Property.RESPONSE_INFORMATION: _Rule(_Form.TEXT, _CONNACK),
    Property.SERVER_REFERENCE: _Rule(_Form.TEXT, _CONNACK | {PropertyPlace.DISCONNECT}),
    Property.REASON_STRING: _Rule(_Form.TEXT, _ANSWERS),
    Property.RECEIVE_MAXIMUM: _Rule(_Form.TWO_BYTES, _LOGIN, 1),
    Property.TOPIC_ALIAS_MAXIMUM: _Rule(_Form.TWO_BYTES, _LOGIN),
    Property.TOPIC_ALIAS: _Rule(_Form.TWO_BYTES, _in(PropertyPlace.PUBLISH), 1),
    Property.MAXIMUM_QOS: _Rule(_Form.BYTE, _CONNACK, 0, 1),
    Property.RETAIN_AVAILABLE: _Rule(_Form.BYTE, _CONNACK, 0, 1),
    Property.USER_PROPERTY: _Rule(_Form.PAIR, _EVERYWHERE),
    Property.MAXIMUM_PACKET_SIZE: _Rule(_Form.FOUR_BYTES, _LOGIN, 1),
    Property.WILDCARD_SUBSCRIPTION_AVAILABLE: _Rule(_Form.BYTE, _CONNACK, 0, 1),
    Property.SUBSCRIPTION_IDS_AVAILABLE: _Rule(_Form.BYTE, _CONNACK, 0, 1),
    Property.SHARED_SUBSCRIPTION_AVAILABLE: _Rule(_Form.BYTE, _CONNACK, 0, 1),
}


def variable(data: bytes, pos: int, stop: int) -> tuple[int, int]:
    """A variable byte integer of at most four bytes (section 1.5.5) and the place after it."""
    value = shift = 0
    for place in range(pos, pos + 4):
        if place >= stop:
            raise MalformedPacket(Fault.TRUNCATED, "a field reaches past the end of its packet")
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if not byte and place > pos:
                raise MalformedPacket(Fault.BAD_LENGTH, "a variable byte integer is longer than it needs to be")
            return value, place + 1
        shift += 7
    raise MalformedPacket(Fault.BAD_LENGTH, "a variable byte integer takes more than four bytes")


def read(data: bytes, pos: int, stop: int, place: PropertyPlace) -> tuple[dict[Property, Any], int]:
    """The properties that begin at ``pos`` with their length, and the place after them."""
    size, pos = variable(data, pos, stop)
    end = pos + size
    if end > stop:
        raise MalformedPacket(Fault.TRUNCATED, "a field reaches past the end of its packet")
    found: dict[Property, Any] = {}
    repeated = 0
    while pos < end:
        number_of, pos = variable(data, pos, end)
        rule = RULES.get(number_of)
        if rule is None:
            raise MalformedPacket(Fault.BAD_PROPERTY, f"there is no property 0x{number_of:02x}")
        name = Property(number_of)
        if place not in rule.places:
            raise MalformedPacket(Fault.BAD_PROPERTY, f"{name.name} has no place in {place.name}")
        value, pos = _read_value(data, pos, end, rule, name)
        if name is Property.USER_PROPERTY or (name is Property.SUBSCRIPTION_ID and place is PropertyPlace.PUBLISH):
            repeated += 1
            if repeated > MAX_REPEATED:
                raise PacketTooLarge(
                    Fault.TOO_MANY_PROPERTIES,
                    f"more than {MAX_REPEATED} repeated properties in one packet",
                    hint="send fewer user properties",
                )
            found[name] = (*found.get(name, ()), value)
        elif name in found:
            raise MalformedPacket(Fault.REPEATED_PROPERTY, f"{name.name} stands twice in {place.name}")
        else:
            found[name] = (value,) if name is Property.SUBSCRIPTION_ID else value
    return found, end


def write(properties: Properties, place: PropertyPlace) -> bytes:
    """The properties with their length in front. EncodeError for one that this place does not have."""
    if not properties:
        return b"\0"
    written = body(properties, place)
    return write_variable(len(written)) + written


def body(properties: Properties, place: PropertyPlace) -> bytes:
    """The properties without their length, so that others can be put behind them. EncodeError as in ``write``."""
    parts: list[bytes] = []
    for name, value in properties.items():
        rule = RULES[name]
        if place not in rule.places:
            raise EncodeError(f"{name.name} has no place in {place.name}")
        values = value if name in (Property.USER_PROPERTY, Property.SUBSCRIPTION_ID) else (value,)
        if name is Property.SUBSCRIPTION_ID and place is PropertyPlace.SUBSCRIBE and len(values) != 1:
            raise EncodeError("SUBSCRIBE has one subscription identifier at most")
        if not values or len(values) > MAX_REPEATED:
            raise EncodeError(f"{name.name} stands 1 to {MAX_REPEATED} times")
        for each in values:
            parts += (bytes((name,)), _write_value(each, rule, name))
    return b"".join(parts)


def write_variable(value: int) -> bytes:
    """A variable byte integer (section 1.5.5)."""
    if not 0 <= value <= _LARGEST_VARIABLE:
        raise EncodeError("a variable byte integer is 0 to 268435455")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_value(data: bytes, pos: int, end: int, rule: _Rule, name: Property) -> tuple[Any, int]:
    form = rule.form
    if form is _Form.TEXT:
        raw, pos = field(data, pos, end)
        return text(raw), pos
    if form is _Form.PAIR:
        key, pos = field(data, pos, end)
        value, pos = field(data, pos, end)
        return (text(key), text(value)), pos
    if form is _Form.BINARY:
        return field(data, pos, end)
    if form is _Form.VARIABLE:
        amount, pos = variable(data, pos, end)
    else:
        width = {_Form.BYTE: 1, _Form.TWO_BYTES: 2, _Form.FOUR_BYTES: 4}[form]
        amount, pos = number(data, pos, end, width)
    if not rule.low <= amount <= rule.high:
        raise MalformedPacket(Fault.BAD_VALUE, f"{name.name} has a value that it cannot have")
    return amount, pos


def _write_value(value: Any, rule: _Rule, name: Property) -> bytes:
    form = rule.form
    if form is _Form.TEXT:
        return _write_text(value)
    if form is _Form.PAIR:
        key, content = value
        return _write_text(key) + _write_text(content)
    if form is _Form.BINARY:
        return _write_field(value)
    width = {_Form.BYTE: 1, _Form.TWO_BYTES: 2, _Form.FOUR_BYTES: 4}.get(form)
    high = min(rule.high, (1 << 8 * width) - 1) if width else rule.high
    if not rule.low <= value <= high:
        raise EncodeError(f"{name.name} cannot be {value}")
    return int(value).to_bytes(width, "big") if width else write_variable(value)


def _write_text(value: str) -> bytes:
    raw = value.encode(errors="surrogatepass")
    try:
        text(raw)
    except MalformedPacket as error:
        raise EncodeError(str(error)) from error
    return _write_field(raw)


def _write_field(raw: bytes) -> bytes:
    if len(raw) > 0xFFFF:
        raise EncodeError("a field takes at most 65535 bytes")
    return len(raw).to_bytes(2, "big") + raw
