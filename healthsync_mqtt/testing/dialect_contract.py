"""What every wire form promises (``broker.embedded.dialect.Dialect``), as tests that any of them runs through.

Subclass ``DialectContract`` in a test module and give it a ``speaker`` fixture: the dialect, and the client's ear.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple, Protocol

from healthsync_mqtt.broker.embedded.dialect import Dialect
from healthsync_mqtt.broker.embedded.farewells import CODES
from healthsync_mqtt.mqtt.ack_order import Answered
from healthsync_mqtt.mqtt.codec import Decoder
from healthsync_mqtt.mqtt.codec.packets import (
    SUBSCRIBE_REFUSED,
    Disconnect,
    Packet,
    Pingresp,
    Property,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Unsuback,
)

_TOPIC = b"users/alice/canonical/heart_rate"
_OTHER = b"users/alice/canonical/steps"


class Speaker(Protocol):
    """A dialect, and who hears it."""

    @property
    def dialect(self) -> Dialect:
        """What is tried."""

    @property
    def most(self) -> int:
        """The longest packet, in bytes with its header, that the client takes; 0: whatever the standard allows."""

    def answered(self, packet_id: int, qos: int) -> Answered:
        """The answer to a message in this version, that it worked."""

    def hear(self, data: bytes) -> list[Packet]:
        """What a client of this version understands; raises for what it may not be sent."""


class ClientEar:
    """What a client of one version understands: it remembers the topics that it was given aliases for."""

    def __init__(self, level: int) -> None:
        self._decoder = Decoder(1 << 28, 1 << 28, server=False, versions=frozenset({level}))
        self._topics: dict[int, bytes] = {}

    def hear(self, data: bytes) -> list[Packet]:
        """The packets, each message with its topic. Raises ProtocolError, and KeyError for an alias of nothing."""
        return [self._named(each) if isinstance(each, Publish) else each for each in self._decoder.feed(data)]

    def _named(self, message: Publish) -> Publish:
        alias = message.properties.get(Property.TOPIC_ALIAS)
        if alias is None:
            return message
        if message.topic:
            self._topics[alias] = message.topic
        return message._replace(topic=self._topics[alias])


class ToldMessage(NamedTuple):
    """A message as a session has it."""

    topic: bytes
    payload: bytes
    qos: int = 1
    retain: bool = False
    about: bytes = b""
    identifiers: tuple[int, ...] = ()


class DialectContract:
    """The tests."""

    def test_a_message_arrives_as_it_is(self, speaker: Speaker) -> None:
        """Payload, QoS, RETAIN and DUP; without a packet id where there is none."""
        kinds = [each for each in product((0, 1, 2), (False, True), (False, True)) if each[0] or not each[2]]
        for n, (qos, retain, dup) in enumerate(kinds, 1):
            message, packet_id = ToldMessage(_TOPIC, b"%d" % n, qos, retain=retain), n if qos else 0
            (packet,) = _messages(speaker, speaker.dialect.publish(message, packet_id, dup=dup, left=0))
            assert (packet.topic, packet.payload) == (_TOPIC, message.payload)
            assert (packet.qos, packet.retain, packet.dup, packet.packet_id) == (qos, retain, dup, packet_id)

    def test_topics_are_told_apart_however_often_they_come(self, speaker: Speaker) -> None:
        """In whatever short form: a client that remembers what it was told knows which topic is meant."""
        names = [_TOPIC, _OTHER, _TOPIC, *(b"users/alice/canonical/t%d" % n for n in range(100)), _OTHER, _TOPIC]
        for topic in names:
            first = [speaker.dialect.publish(ToldMessage(topic, b"x"), 1, dup=False, left=0) for _ in "12"]
            heard = [packet for data in first for packet in _messages(speaker, data)]
            assert [packet.topic for packet in heard] == [topic, topic]

    def test_time_left_changes_nothing_of_the_message(self, speaker: Speaker) -> None:
        """It is said beside it, or not at all."""
        for left in (0, 1, 4_294_967_295):
            (packet,) = _messages(speaker, speaker.dialect.publish(ToldMessage(_TOPIC, b"x"), 7, dup=False, left=left))
            assert (packet.topic, packet.payload, packet.packet_id) == (_TOPIC, b"x", 7)

    def test_what_is_too_long_is_not_sent_and_spoils_nothing(self, speaker: Speaker) -> None:
        """What comes next is understood all the same."""
        size = speaker.most or 100_000
        topic = b"users/alice/canonical/long"
        data = speaker.dialect.publish(ToldMessage(topic, b"x" * size), 1, dup=False, left=0)
        assert (not data) is bool(speaker.most)
        if data:
            speaker.hear(data)
        (packet,) = _messages(speaker, speaker.dialect.publish(ToldMessage(topic, b"y"), 2, dup=False, left=0))
        assert (packet.topic, packet.payload) == (topic, b"y")

    def test_messages_are_answered_in_their_order_and_by_their_quality(self, speaker: Speaker) -> None:
        """PUBACK for QoS 1, PUBREC for 2, nothing for 0."""
        asked = [(n, 1 + n % 3 // 2) for n in range(1, 60)]
        tokens: list[Answered] = []
        for packet_id, qos in asked:
            tokens += [speaker.answered(packet_id, qos), 0]
        heard = speaker.hear(speaker.dialect.answers(tokens))
        assert [(type(each), each.packet_id) for each in heard] == [  # type: ignore[union-attr]
            (Pubrec if qos == 2 else Puback, packet_id) for packet_id, qos in asked
        ]

    def test_to_answer_nothing_is_to_send_nothing(self, speaker: Speaker) -> None:
        assert speaker.dialect.answers([0, 0]) == b""

    def test_other_packets_arrive_with_their_ids(self, speaker: Speaker) -> None:
        for packet in (Puback(3), Pubrec(4), Pubrel(5), Pubcomp(6)):
            (heard,) = speaker.hear(speaker.dialect.packet(packet))
            assert type(heard) is type(packet)
            assert heard.packet_id == packet.packet_id
        assert [type(each) for each in speaker.hear(speaker.dialect.packet(Pingresp()))] == [Pingresp]

    def test_each_filter_has_its_code_and_no_refusal_is_a_grant(self, speaker: Speaker) -> None:
        """A version may know fewer reasons; none of its codes turns a no into a yes."""
        codes = (0, 1, 2, 0x80, 0x87, 0x8F, 0x97, 0x9E)
        (heard,) = speaker.hear(speaker.dialect.packet(Suback(9, codes)))
        assert isinstance(heard, Suback)
        assert heard.packet_id == 9
        assert heard.codes[:3] == codes[:3]
        assert len(heard.codes) == len(codes)
        assert all(code >= SUBSCRIBE_REFUSED for code in heard.codes[3:])
        (gone,) = speaker.hear(speaker.dialect.packet(Unsuback(10, (0, 0x11))))
        assert isinstance(gone, Unsuback)
        assert gone.packet_id == 10

    def test_a_farewell_is_one_disconnect_or_nothing(self, speaker: Speaker) -> None:
        """Whatever the reason, one that no version has a word for too."""
        for reason in (*CODES, "a reason of our own"):
            for rule, to in (("", ""), ("the rule in words", ""), ("", "other.example:8883")):
                heard = speaker.hear(speaker.dialect.farewell(reason, rule, to))
                assert [type(each) for each in heard] in ([], [Disconnect])

    def test_the_window_is_one_that_a_client_can_have(self, speaker: Speaker) -> None:
        assert 1 <= speaker.dialect.window <= 65_535


def _messages(speaker: Speaker, data: bytes) -> Sequence[Publish]:
    heard = speaker.hear(data)
    assert all(isinstance(each, Publish) for each in heard)
    return heard  # type: ignore[return-value]  # just looked at
