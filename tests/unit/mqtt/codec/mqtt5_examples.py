"""MQTT 5.0 packets and their bytes, written by hand from the figures of the standard, and Hypothesis strategies."""

from typing import Any

from hypothesis import strategies as st

from healthsync_mqtt.mqtt.codec import Decoder
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
from healthsync_mqtt.mqtt.codec.v5.properties import RULES, PropertyPlace
from healthsync_mqtt.mqtt.codec.v5.reasons import ALLOWED
from tests.unit.mqtt.codec.mqtt_examples import filters, packet_ids, qos_levels, strings, topics

CONNECT = bytes.fromhex("10 0e 0004 4d515454 05 02 003c 00 0001 64")
P = Property

#: name (with the section of the standard), bytes, packet
EXAMPLES: list[tuple[str, bytes, Packet]] = [
    ("3.1 the least CONNECT", CONNECT, Connect("d", True, 60, protocol_level=5)),
    (
        # Figure 3-6: flags 0xCE, keep-alive 10, properties: session expiry 10.
        "3.1.2.12 Figure 3-6: the variable header of a CONNECT",
        bytes.fromhex(
            "10 26 0004 4d515454 05 ce 000a 05 11 0000000a 0002 6964 00 0003 772f74 0002 00ff 0002 756e 0002 7077"
        ),
        Connect("id", True, 10, "un", b"pw", Will("w/t", b"\x00\xff", 1, False), 5, "MQTT", {P.SESSION_EXPIRY: 10}),
    ),
    (
        "3.1.2.9 a password without a user name, 3.1.3.2.2 a will delay",
        bytes.fromhex("10 22 0004 4d515454 05 46 0000 00 0001 64 07 18 00000005 0101 0003 742f77 0001 6d 0002 7077"),
        Connect(
            "d", True, 0, None, b"pw", Will("t/w", b"m", 0, False, {P.WILL_DELAY: 5, P.PAYLOAD_FORMAT: 1}), 5, "MQTT"
        ),
    ),
    ("3.2 CONNACK", bytes.fromhex("20 03 01 00 00"), Connack(True, 0)),
    (
        "3.2.2.3 CONNACK with what the server can do",
        bytes.fromhex("20 0d 00 00 0a 21 0014 27 00100000 2a 00"),
        Connack(
            False, 0, {P.RECEIVE_MAXIMUM: 20, P.MAXIMUM_PACKET_SIZE: 1_048_576, P.SHARED_SUBSCRIPTION_AVAILABLE: 0}
        ),
    ),
    (
        "3.2.2.2 CONNACK, not authorized, with a reason string",
        bytes.fromhex("20 09 00 87 06 1f 0003 6f6666"),
        Connack(False, 0x87, {P.REASON_STRING: "off"}),
    ),
    (
        # Figure 3-9: topic a/b, packet identifier 10, no properties.
        "3.3.2 Figure 3-9: PUBLISH at QoS 1",
        bytes.fromhex("32 0a 0003 612f62 000a 00 6869"),
        Publish(b"a/b", b"hi", 1, False, False, 10),
    ),
    ("3.3.3 PUBLISH without payload", bytes.fromhex("30 06 0003 612f62 00"), Publish(b"a/b", b"")),
    (
        "3.3.2.3.4 PUBLISH by its topic alias alone",
        bytes.fromhex("30 07 0000 03 23 0001 78"),
        Publish(b"", b"x", 0, False, False, 0, {P.TOPIC_ALIAS: 1}),
    ),
    (
        "3.3.2.3 PUBLISH as a request, with two user properties of one name",
        bytes.fromhex("34 20 0001 74 0007 19 08 0003 722f74 09 0002 0102 26 0001 6b 0001 31 26 0001 6b 0001 32 78"),
        Publish(
            b"t",
            b"x",
            2,
            False,
            False,
            7,
            {P.RESPONSE_TOPIC: "r/t", P.CORRELATION_DATA: b"\1\2", P.USER_PROPERTY: (("k", "1"), ("k", "2"))},
        ),
    ),
    (
        "3.3.2.3.8 PUBLISH that two subscriptions asked for",
        bytes.fromhex("30 0a 0001 74 05 0b 01 0b 8001 78"),
        Publish(b"t", b"x", 0, False, False, 0, {P.SUBSCRIPTION_ID: (1, 128)}),
    ),
    ("3.4.2.1 PUBACK, its success left out", bytes.fromhex("40 02 000a"), Puback(10)),
    ("3.4.2.2 PUBACK without properties", bytes.fromhex("40 03 000a 99"), Puback(10, 0x99)),
    (
        "3.4.2.2.3 PUBACK with a user property",
        bytes.fromhex("40 0f 000a 00 0b 26 0006 73746f726564 0000"),
        Puback(10, 0, {P.USER_PROPERTY: (("stored", ""),)}),
    ),
    ("3.5 PUBREC, quota exceeded", bytes.fromhex("50 03 0102 97"), Pubrec(258, 0x97)),
    ("3.6 PUBREL", bytes.fromhex("62 02 0001"), Pubrel(1)),
    ("3.6.2.1 PUBREL, identifier not found", bytes.fromhex("62 03 0001 92"), Pubrel(1, 0x92)),
    ("3.7 PUBCOMP", bytes.fromhex("70 02 ffff"), Pubcomp(65535)),
    (
        # Figure 3-21: a/b with options 1, c/d with options 2.
        "3.8.3 Figure 3-21: SUBSCRIBE",
        bytes.fromhex("82 0f 000a 00 0003 612f62 01 0003 632f64 02"),
        Subscribe(10, (("a/b", 1), ("c/d", 2))),
    ),
    (
        "3.8.2.1.2 SUBSCRIBE with an identifier, no local, retain as published, retain handling 2",
        bytes.fromhex("82 0b 000a 03 0b 8101 0002 612f 2d"),
        Subscribe(10, (("a/", 0x2D),), {P.SUBSCRIPTION_ID: (129,)}),
    ),
    ("3.9 SUBACK", bytes.fromhex("90 07 000a 00 00 02 87 9e"), Suback(10, (0, 2, 0x87, 0x9E))),
    (
        "3.10.3 UNSUBSCRIBE",
        bytes.fromhex("a2 0d 000a 00 0003 612f62 0003 632f64"),
        Unsubscribe(10, ("a/b", "c/d")),
    ),
    ("3.11 UNSUBACK", bytes.fromhex("b0 05 000a 00 00 11"), Unsuback(10, (0, 0x11))),
    ("3.12 PINGREQ", bytes.fromhex("c0 00"), Pingreq()),
    ("3.13 PINGRESP", bytes.fromhex("d0 00"), Pingresp()),
    ("3.14.2.1 DISCONNECT, normal", bytes.fromhex("e0 00"), Disconnect()),
    ("3.14 DISCONNECT with will", bytes.fromhex("e0 01 04"), Disconnect(4)),
    (
        "3.14.2.2 DISCONNECT, server moved",
        bytes.fromhex("e0 06 9d 04 1c 0001 78"),
        Disconnect(0x9D, {P.SERVER_REFERENCE: "x"}),
    ),
    (
        "3.15 AUTH, re-authenticate",
        bytes.fromhex("f0 0b 19 09 15 0001 6d 16 0002 0001"),
        Auth(0x19, {P.AUTHENTICATION_METHOD: "m", P.AUTHENTICATION_DATA: b"\0\1"}),
    ),
    ("3.15.2.1 AUTH, its success left out", bytes.fromhex("f0 00"), Auth()),
]
NAMES = [name for name, _, _ in EXAMPLES]


def reader(max_packet: int = 1_048_576) -> Decoder:
    """A client's decoder: takes any packet of MQTT 5.0 first."""
    return Decoder(max_packet, first_limit=max_packet, server=False, versions=frozenset({5}))


def _value(name: Property) -> st.SearchStrategy[Any]:
    form, _, low, high = RULES[name]
    match form.name:
        case "TEXT":
            return topics if name is P.RESPONSE_TOPIC else strings
        case "BINARY":
            return st.binary(max_size=20)
        case "PAIR":
            return st.lists(st.tuples(strings, strings), min_size=1, max_size=3).map(tuple)
        case kind:
            width = {"BYTE": 0xFF, "TWO_BYTES": 0xFFFF}.get(kind, high)
            return st.integers(low, min(high, width))


@st.composite
def properties(draw: st.DrawFn, place: PropertyPlace, *, without: tuple[Property, ...] = ()) -> Any:
    """Any properties that may stand in ``place``."""
    allowed = [Property(name) for name, rule in RULES.items() if place in rule.places and name not in without]
    chosen = draw(st.lists(st.sampled_from(allowed), unique=True, max_size=4))
    found: dict[Property, Any] = {}
    for name in chosen:
        value = draw(_value(name))
        if name is P.SUBSCRIPTION_ID:
            more = draw(st.lists(_value(name), max_size=2)) if place is PropertyPlace.PUBLISH else []
            value = (value, *more)
        found[name] = value
    if P.AUTHENTICATION_DATA in found and P.AUTHENTICATION_METHOD not in found:
        found[P.AUTHENTICATION_METHOD] = draw(strings)
    return found or NO_PROPERTIES


@st.composite
def connects(draw: st.DrawFn) -> Connect:
    will = None
    if draw(st.booleans()):
        about = draw(properties(PropertyPlace.WILL))
        will = Will(draw(topics), draw(st.binary(max_size=50)), draw(qos_levels), draw(st.booleans()), about)
    username, password = draw(st.none() | strings), draw(st.none() | st.binary(max_size=50))
    about = draw(properties(PropertyPlace.CONNECT))
    keep_alive = draw(st.integers(0, 65535))
    return Connect(draw(strings), draw(st.booleans()), keep_alive, username, password, will, 5, "MQTT", about)


@st.composite
def publishes(draw: st.DrawFn) -> Publish:
    qos = draw(qos_levels)
    dup = draw(st.booleans()) if qos else False
    packet_id = draw(packet_ids) if qos else 0
    about = draw(properties(PropertyPlace.PUBLISH))
    topic = draw(topics).encode() if P.TOPIC_ALIAS not in about or draw(st.booleans()) else b""
    return Publish(topic, draw(st.binary(max_size=300)), qos, draw(st.booleans()), dup, packet_id, about)


def _reason(kind: PacketType) -> st.SearchStrategy[int]:
    return st.sampled_from(sorted(ALLOWED[kind]))


def _acknowledgement(packet: Any, kind: PacketType) -> st.SearchStrategy[Packet]:
    return st.builds(packet, packet_ids, _reason(kind), properties(PropertyPlace(kind)))


def _coded(packet: Any, kind: PacketType) -> st.SearchStrategy[Packet]:
    codes = st.lists(_reason(kind), min_size=1, max_size=8).map(tuple)
    return st.builds(packet, packet_ids, codes, properties(PropertyPlace(kind)))


options = st.builds(lambda qos, more, handling: qos | more | handling << 4, qos_levels, st.sampled_from([0, 4, 8, 12]),
                    st.integers(0, 2))  # fmt: skip
subscriptions = st.tuples(filters.filter(lambda name: not name.startswith("$share/")), options)
auths = st.builds(
    lambda reason, method, about: Auth(reason, {**about, P.AUTHENTICATION_METHOD: method}),
    _reason(PacketType.AUTH), strings, properties(PropertyPlace.AUTH),
)  # fmt: skip
packets = st.one_of(
    connects(),
    st.builds(Connack, st.booleans(), st.just(0), properties(PropertyPlace.CONNACK)),
    st.builds(Connack, st.just(False), _reason(PacketType.CONNACK), properties(PropertyPlace.CONNACK)),
    publishes(),
    _acknowledgement(Puback, PacketType.PUBACK),
    _acknowledgement(Pubrec, PacketType.PUBREC),
    _acknowledgement(Pubrel, PacketType.PUBREL),
    _acknowledgement(Pubcomp, PacketType.PUBCOMP),
    st.builds(
        Subscribe,
        packet_ids,
        st.lists(subscriptions, min_size=1, max_size=8).map(tuple),
        properties(PropertyPlace.SUBSCRIBE),
    ),
    _coded(Suback, PacketType.SUBACK),
    st.builds(
        Unsubscribe,
        packet_ids,
        st.lists(filters, min_size=1, max_size=8).map(tuple),
        properties(PropertyPlace.UNSUBSCRIBE),
    ),
    _coded(Unsuback, PacketType.UNSUBACK),
    st.sampled_from([Pingreq(), Pingresp(), Auth()]),
    st.builds(Disconnect, _reason(PacketType.DISCONNECT), properties(PropertyPlace.DISCONNECT)),
    auths,
)
