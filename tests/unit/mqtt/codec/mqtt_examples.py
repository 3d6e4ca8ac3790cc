"""Packets and their bytes, written by hand from the figures of OASIS MQTT 3.1.1, and Hypothesis strategies."""

from hypothesis import strategies as st

from healthsync_mqtt.mqtt.codec import Decoder
from healthsync_mqtt.mqtt.codec.packets import (
    NO_PROPERTIES,
    Connack,
    Connect,
    Disconnect,
    Packet,
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

CONNECT = bytes.fromhex("10 0d 0004 4d515454 04 02 003c 0001 64")

#: name (with the section of the standard), bytes, packet
EXAMPLES: list[tuple[str, bytes, Packet]] = [
    ("3.1 the least CONNECT", CONNECT, Connect("d", clean_session=True, keep_alive=60)),
    (
        # Figure 3.6's variable header (flags 0xCE, keep-alive 10), with a payload in the order of 3.1.3.
        "3.1.2 Figure 3.6: name, password, will at QoS 1, clean session",
        bytes.fromhex("10 1f 0004 4d515454 04 ce 000a 0002 6964 0003 772f74 0002 00ff 0002 756e 0002 7077"),
        Connect("id", True, 10, "un", b"pw", Will("w/t", b"\x00\xff", 1, False)),
    ),
    (
        "3.1.2.7 will retained at QoS 2, session kept, no name",
        bytes.fromhex("10 13 0004 4d515454 04 34 0000 0001 64 0001 74 0001 6d"),
        Connect("d", False, 0, None, None, Will("t", b"m", 2, True)),
    ),
    (
        "3.1.3.1 empty client id",
        bytes.fromhex("10 0c 0004 4d515454 04 02 0000 0000"),
        Connect(""),
    ),
    (
        "3.1.2.1 the older protocol name and level",
        bytes.fromhex("10 0f 0006 4d5149736470 03 02 003c 0001 64"),
        Connect("d", True, 60, protocol_level=3, protocol_name="MQIsdp"),
    ),
    ("3.2 CONNACK", bytes.fromhex("20 02 01 00"), Connack(True, 0)),
    ("3.2.2.3 CONNACK, not authorized", bytes.fromhex("20 02 00 05"), Connack(False, 5)),
    (
        # Figure 3.11: topic a/b, packet identifier 10.
        "3.3.2.3 Figure 3.11: PUBLISH at QoS 1",
        bytes.fromhex("32 09 0003 612f62 000a 6869"),
        Publish(b"a/b", b"hi", 1, False, False, 10),
    ),
    ("3.3.3 PUBLISH without payload", bytes.fromhex("30 05 0003 612f62"), Publish(b"a/b", b"")),
    ("3.3.1.3 PUBLISH retained", bytes.fromhex("31 06 0003 612f62 78"), Publish(b"a/b", b"x", 0, True)),
    (
        "3.3.1.1 PUBLISH again at QoS 2, retained",
        bytes.fromhex("3d 08 0003 612f62 ffff 78"),
        Publish(b"a/b", b"x", 2, True, True, 65535),
    ),
    (
        # Figure 1.2: "A" and U+2A6D4; 1.5.3-3: U+FEFF is kept.
        "1.5.3 Figure 1.2: a topic beyond the Basic Multilingual Plane",
        bytes.fromhex("30 0a 0008 efbbbf 41 f0aa9b94"),
        Publish("\ufeffA\U0002a6d4".encode(), b""),
    ),
    ("3.4 PUBACK", bytes.fromhex("40 02 000a"), Puback(10)),
    ("3.5 PUBREC", bytes.fromhex("50 02 0102"), Pubrec(258)),
    ("3.6 PUBREL", bytes.fromhex("62 02 0001"), Pubrel(1)),
    ("3.7 PUBCOMP", bytes.fromhex("70 02 ffff"), Pubcomp(65535)),
    (
        # Figure 3.23: a/b at QoS 1, c/d at QoS 2; identifier 10 as in Figure 3.21.
        "3.8.3 Figure 3.23: SUBSCRIBE",
        bytes.fromhex("82 0e 000a 0003 612f62 01 0003 632f64 02"),
        Subscribe(10, (("a/b", 1), ("c/d", 2))),
    ),
    (
        # Figure 3.26: QoS 0, QoS 2, failure.
        "3.9.3 Figure 3.26: SUBACK",
        bytes.fromhex("90 05 000a 00 02 80"),
        Suback(10, (0, 2, 0x80)),
    ),
    (
        # Figure 3.30: a/b and c/d.
        "3.10.3 Figure 3.30: UNSUBSCRIBE",
        bytes.fromhex("a2 0c 000a 0003 612f62 0003 632f64"),
        Unsubscribe(10, ("a/b", "c/d")),
    ),
    ("3.11 UNSUBACK", bytes.fromhex("b0 02 000a"), Unsuback(10)),
    ("3.12 PINGREQ", bytes.fromhex("c0 00"), Pingreq()),
    ("3.13 PINGRESP", bytes.fromhex("d0 00"), Pingresp()),
    ("3.14 DISCONNECT", bytes.fromhex("e0 00"), Disconnect()),
    (
        # 2.2.3 Table 2.4: lengths above 127 take a second byte; 321 = 193 + 128 * 2, the standard's own example.
        "2.2.3 a remaining length of two bytes",
        bytes.fromhex("30 c102 0001 74") + b"p" * 318,
        Publish(b"t", b"p" * 318),
    ),
    (
        "2.2.3 a remaining length of three bytes",
        bytes.fromhex("34 808001 0001 74 0007") + b"q" * (16_384 - 5),
        Publish(b"t", b"q" * (16_384 - 5), 2, False, False, 7),
    ),
]
NAMES = [name for name, _, _ in EXAMPLES]
SMALL = [(raw, packet) for _, raw, packet in EXAMPLES if len(raw) < 100]

packet_ids = st.integers(1, 65535)
# Category Cs is the surrogates, which have no UTF-8; U+0000 is forbidden in any string (1.5.3-2).
strings = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
filters = strings.filter(bool)
topics = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0+#"), min_size=1, max_size=40)
qos_levels = st.integers(0, 2)
# Said outright: a strategy would make up what only MQTT 5.0 has.
nothing = st.just(NO_PROPERTIES)
wills = st.builds(Will, topics, st.binary(max_size=50), qos_levels, st.booleans(), nothing)


@st.composite
def connects(draw: st.DrawFn) -> Connect:
    username = draw(st.none() | strings)
    password = None if username is None else draw(st.none() | st.binary(max_size=50))
    level, name = draw(st.sampled_from([(4, "MQTT"), (3, "MQIsdp")]))
    client_id, clean, keep_alive = draw(strings), draw(st.booleans()), draw(st.integers(0, 65535))
    return Connect(client_id, clean, keep_alive, username, password, draw(st.none() | wills), level, name)


@st.composite
def publishes(draw: st.DrawFn) -> Publish:
    qos = draw(qos_levels)
    dup = draw(st.booleans()) if qos else False
    packet_id = draw(packet_ids) if qos else 0
    topic, payload = draw(topics).encode(), draw(st.binary(max_size=300))
    return Publish(topic, payload, qos, draw(st.booleans()), dup, packet_id)


connacks = st.builds(Connack, st.booleans(), st.just(0), nothing) | st.builds(
    Connack, st.just(False), st.integers(1, 5), nothing
)
identified = st.one_of(*(packet_ids.map(kind) for kind in (Puback, Pubrec, Pubrel, Pubcomp, Unsuback)))
subscribes = st.builds(
    Subscribe, packet_ids, st.lists(st.tuples(filters, qos_levels), min_size=1, max_size=8).map(tuple), nothing
)
subacks = st.builds(
    Suback, packet_ids, st.lists(st.sampled_from([0, 1, 2, 0x80]), min_size=1, max_size=8).map(tuple), nothing
)
unsubscribes = st.builds(Unsubscribe, packet_ids, st.lists(filters, min_size=1, max_size=8).map(tuple), nothing)
empties = st.sampled_from([Pingreq(), Pingresp(), Disconnect()])
packets = st.one_of(connects(), publishes(), connacks, identified, subscribes, subacks, unsubscribes, empties)


def reader(max_packet: int = 1_048_576) -> Decoder:
    """A decoder that takes any packet first."""
    return Decoder(max_packet, first_limit=max_packet, server=False)


def typed(packets: list[Packet]) -> list[tuple[type, Packet]]:
    """With the classes: named tuples of different packets compare equal."""
    return [(type(packet), packet) for packet in packets]
