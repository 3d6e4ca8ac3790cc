"""How packets look to one client: read back by a decoder of its version, and never longer than it takes."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.broker.embedded.dialect import JSON, MOST_ALIASES, THREE, Dialect5, dialect_of, forwarded
from healthsync_mqtt.broker.embedded.farewells import CODES
from healthsync_mqtt.broker.embedded.sessions.session import Message
from healthsync_mqtt.mqtt.codec import Decoder, Fault, encode, encode_publish
from healthsync_mqtt.mqtt.codec.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    Property,
    Puback,
    Publish,
    Pubrec,
    Suback,
    Unsuback,
)
from healthsync_mqtt.mqtt.codec.v5.reasons import ALLOWED
from healthsync_mqtt.mqtt.replies import DONE, LISTED, QOS2, Reply, Said


def read(data: bytes) -> list[Packet]:
    return Decoder(1 << 28, server=False, versions=frozenset({5})).feed(data)


def test_the_version_of_a_connect_decides() -> None:
    assert dialect_of(Connect("a")) is THREE
    assert dialect_of(Connect("a", protocol_level=3, protocol_name="MQIsdp")) is THREE
    assert isinstance(dialect_of(Connect("a", protocol_level=5)), Dialect5)
    assert isinstance(dialect_of(Connect("", protocol_level=6)), Dialect5)


def test_3_1_1_has_no_words_for_what_5_adds() -> None:
    message = Message(b"t", b"x", 1, about=JSON, identifiers=(1,))
    assert THREE.publish(message, 3, dup=False, left=9) == encode_publish(b"t", b"x", 1, False, False, 3)
    refused = Suback(1, (0, 2, 0x87, 0x97), {Property.REASON_STRING: "no"})
    assert THREE.packet(refused) == encode(Suback(1, (0, 2, 0x80, 0x80)))
    assert THREE.packet(Unsuback(1, (0x11,))) == encode(Unsuback(1))
    assert THREE.farewell("shutdown", "") == b""


def test_every_reason_that_ends_a_connection_has_a_code_that_disconnect_may_have() -> None:
    for reason, code in CODES.items():
        assert code in ALLOWED[PacketType.DISCONNECT], reason
        (packet,) = read(Dialect5({}).farewell(reason, ""))
        assert isinstance(packet, Disconnect)
        assert packet.reason == code
        assert packet.properties[Property.REASON_STRING]
    assert set(Fault) <= CODES.keys()
    assert Dialect5({}).farewell("a reason of our own", "") == b""
    for fault in Fault:
        assert CODES[fault] in ALLOWED[PacketType.CONNACK], "a CONNECT that cannot be read is answered with it"


def test_acknowledgements_say_what_they_are_told_to() -> None:
    said = Said(0x99, "why", (("stored", "0"), ("reason", "malformed")))
    replies = [Reply(1, DONE), 0, Reply(2 | QOS2, said), Reply(3, said), Reply(4, DONE)]
    first, second, third, fourth = read(Dialect5({}).answers(replies))
    about = {Property.REASON_STRING: "why", Property.USER_PROPERTY: said.about}
    assert (first, fourth) == (Puback(1), Puback(4))
    assert (second, third) == (Pubrec(2, 0x99, about), Puback(3, 0x99, about))
    assert type(second) is Pubrec
    for quiet in (Dialect5({Property.REQUEST_PROBLEM_INFORMATION: 0}), Dialect5({Property.MAXIMUM_PACKET_SIZE: 30})):
        assert read(quiet.answers(replies))[1] == Pubrec(2, 0x99)


SAID = (DONE, Said(0, "", (("stored", "1"), ("seq", "%b%c"))), Said(0x99, "why", (("stored", "0"),) * 20))


@given(st.lists(st.tuples(st.integers(1, 65_535), st.booleans(), st.integers(0, 2)), max_size=40))
def test_acknowledgements_in_a_row_are_those_that_each_would_be_alone(
    messages: list[tuple[int, bool, int]],
) -> None:
    replies = [Reply(number | QOS2 if twice else number, SAID[which]) for number, twice, which in messages]
    dialect = Dialect5({})
    together = dialect.answers(replies)
    assert together == dialect.answers(replies) == b"".join(Dialect5({}).answers([each]) for each in replies)
    assert [(type(packet), packet) for packet in read(together)] == [
        (kind, kind(number, said.reason, about))
        for (number, twice, which) in messages
        for said in (SAID[which],)
        for kind in (Pubrec if twice else Puback,)
        for about in (_about(said),)
    ]


def _about(said: Said) -> dict[Property, Any]:
    words: dict[Property, Any] = {Property.REASON_STRING: said.string} if said.string else {}
    return words | ({Property.USER_PROPERTY: said.about} if said.about else {})


def test_what_was_refused_is_counted_where_there_is_no_room_to_list_it() -> None:
    counts = (("stored", "0"), ("rejected", "9"))
    said = Said(0, "", (*counts, *((LISTED, "x" * 50),) * 9))
    (answer,) = read(Dialect5({Property.MAXIMUM_PACKET_SIZE: 100}).answers([Reply(1, said)]))
    assert answer == Puback(1, 0, {Property.USER_PROPERTY: counts})


def test_problem_information_is_left_out_where_nobody_wants_it_but_in_connack_and_disconnect() -> None:
    quiet = Dialect5({Property.REQUEST_PROBLEM_INFORMATION: 0})
    words = {Property.REASON_STRING: "no"}
    assert read(quiet.packet(Suback(1, (0x87,), words))) == [Suback(1, (0x87,))]
    assert read(quiet.packet(Connack(False, 0x87, words))) == [Connack(False, 0x87, words)]
    (farewell,) = read(quiet.farewell("revoked", "why"))
    assert farewell == Disconnect(0x98, {Property.REASON_STRING: "why"})


def test_a_packet_longer_than_the_client_takes_is_shortened_or_not_sent() -> None:
    small = Dialect5({Property.MAXIMUM_PACKET_SIZE: 12})
    assert read(small.packet(Suback(1, (0x87,), {Property.REASON_STRING: "x" * 50}))) == [Suback(1, (0x87,))]
    assert small.packet(Suback(1, (0,) * 30)) == b""
    assert small.publish(Message(b"topic", b"0123456789", 0), 0, dup=False, left=0) == b""


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
ABOUT = st.fixed_dictionaries(
    {},
    optional={
        Property.PAYLOAD_FORMAT: st.integers(0, 1),
        Property.CONTENT_TYPE: TEXTS,
        Property.RESPONSE_TOPIC: st.just("a/b"),
        Property.CORRELATION_DATA: st.binary(max_size=20),
        Property.USER_PROPERTY: st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5).map(tuple),
    },
)
NUMBER = st.integers(1, 268_435_455)


@st.composite
def messages(draw: st.DrawFn) -> tuple[Message, dict[Property, Any], int]:
    about = draw(ABOUT)
    topic = draw(st.sampled_from([b"a", b"b/c", b"d/e/f"]))
    message = Message(
        topic, draw(st.binary(max_size=200)), draw(st.integers(0, 2)), draw(st.booleans()), about=forwarded(about),
        identifiers=tuple(draw(st.lists(NUMBER, max_size=3))),
    )  # fmt: skip
    return message, about, draw(st.integers(0, 0xFFFF_FFFF))


@given(st.lists(messages(), max_size=12), st.integers(0, 3), st.integers(8, 400))
def test_what_is_sent_is_what_was_said_by_name_or_alias_and_never_too_long(
    given_: list[tuple[Message, dict[Property, Any], int]], aliases: int, most: int
) -> None:
    client = Dialect5({Property.TOPIC_ALIAS_MAXIMUM: aliases, Property.MAXIMUM_PACKET_SIZE: most})
    known: dict[int, bytes] = {}
    for number, (message, about, left) in enumerate(given_, 1):
        data = client.publish(message, number if message.qos else 0, dup=False, left=left)
        assert len(data) <= most
        if not data:
            continue
        (packet,) = read(data)
        assert isinstance(packet, Publish)
        expected: dict[Property, Any] = dict(about)
        if message.identifiers:
            expected[Property.SUBSCRIPTION_ID] = message.identifiers
        if left:
            expected[Property.MESSAGE_EXPIRY] = left
        found = dict(packet.properties)
        alias = found.pop(Property.TOPIC_ALIAS, None)
        if alias is not None:
            assert 1 <= alias <= min(aliases, MOST_ALIASES)
            if packet.topic:
                known[alias] = packet.topic
        assert (packet.topic or known[alias or 0]) == message.topic
        assert found == expected
        assert (packet.payload, packet.qos, packet.retain) == (message.payload, message.qos, message.retain)
