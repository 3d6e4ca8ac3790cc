"""The contract of the versions' wire forms, run by each and failed by each planted fault."""

import inspect
from collections.abc import Sequence

import pytest

from healthsync_mqtt.broker.embedded.dialect import THREE, Dialect, Dialect5, Sendable
from healthsync_mqtt.mqtt.ack_order import Answered
from healthsync_mqtt.mqtt.codec.packets import Packet, Property, Puback, Suback
from healthsync_mqtt.mqtt.replies import DONE, Reply, Said, token_of
from healthsync_mqtt.testing.dialect_contract import ClientEar, DialectContract, Speaker


class Old(ClientEar):
    """A client of 3.1.1."""

    most = 0

    def __init__(self, dialect: Dialect = THREE) -> None:
        super().__init__(4)
        self.dialect = dialect

    def answered(self, packet_id: int, qos: int) -> Answered:
        return token_of(packet_id, qos)


class New(ClientEar):
    """A client of 5, as its CONNECT asks."""

    def __init__(self, dialect: Dialect | None = None, **asked: int) -> None:
        super().__init__(5)
        said = {Property[name]: value for name, value in asked.items()}
        self.dialect = dialect or Dialect5(said)
        self.most = said.get(Property.MAXIMUM_PACKET_SIZE, 0)

    def answered(self, packet_id: int, qos: int) -> Answered:
        return Reply(
            token_of(packet_id, qos), DONE if packet_id % 4 else Said(0, "", (("stored", str(packet_id % 3)),))
        )


SPEAKERS = {
    "3.1.1": Old,
    "5": New,
    "5 with aliases": lambda: New(TOPIC_ALIAS_MAXIMUM=65_535),
    "5 with few aliases": lambda: New(TOPIC_ALIAS_MAXIMUM=2, RECEIVE_MAXIMUM=1),
    "5 that takes little": lambda: New(TOPIC_ALIAS_MAXIMUM=10, MAXIMUM_PACKET_SIZE=80),
    "5 that wants no words": lambda: New(REQUEST_PROBLEM_INFORMATION=0),
}


class TestDialects(DialectContract):
    @pytest.fixture(params=SPEAKERS)
    def speaker(self, request: pytest.FixtureRequest) -> Speaker:
        made: Speaker = SPEAKERS[request.param]()  # type: ignore[operator]
        return made


class Marred(Dialect5):
    """A dialect with one fault."""

    def __init__(self) -> None:
        super().__init__({Property.TOPIC_ALIAS_MAXIMUM: 2, Property.MAXIMUM_PACKET_SIZE: 80})


class ForgetsDup(Marred):
    def publish(self, message: Sendable, packet_id: int, *, dup: bool, left: int) -> bytes:
        return super().publish(message, packet_id, dup=False, left=left)


class OneAliasForAll(Marred):
    def publish(self, message: Sendable, packet_id: int, *, dup: bool, left: int) -> bytes:
        data = super().publish(message, packet_id, dup=dup, left=left)
        self._aliases = dict.fromkeys(self._aliases, b"\x23\0\1")
        return data


class TimeIsAnId(Marred):
    def publish(self, message: Sendable, packet_id: int, *, dup: bool, left: int) -> bytes:
        return super().publish(message, left & 0xFFFF or packet_id, dup=dup, left=left)


class AliasOfWhatWasNotSent(Marred):
    def publish(self, message: Sendable, packet_id: int, *, dup: bool, left: int) -> bytes:
        data = super().publish(message, packet_id, dup=dup, left=left)
        if not data:
            self._aliases[message.topic] = b"\x23\0\2"
        return data


class Unordered(Marred):
    def answers(self, tokens: Sequence[Answered]) -> bytes:
        return super().answers(sorted(tokens, key=str))


class AnswersNothing(Marred):
    def answers(self, tokens: Sequence[Answered]) -> bytes:
        return super().answers([each or Reply(1, DONE) for each in tokens if each] or [Reply(1, DONE)])


class OtherIds(Marred):
    def packet(self, packet: Packet) -> bytes:
        return super().packet(packet._replace(packet_id=1) if isinstance(packet, Puback) else packet)


class SaysYes(Marred):
    def packet(self, packet: Packet) -> bytes:
        if isinstance(packet, Suback):
            packet = packet._replace(codes=tuple(code & 0x7F if code == 0x80 else code for code in packet.codes))
        return super().packet(packet)


class Twice(Marred):
    def farewell(self, reason: str, rule: str, to: str = "") -> bytes:
        return super().farewell(reason, rule, to) * 2 or self.packet(Puback(1))


class NoWindow(Marred):
    def __init__(self) -> None:
        super().__init__()
        self.window = 0


FAULTS: dict[type[Marred], str] = {
    ForgetsDup: "test_a_message_arrives_as_it_is",
    OneAliasForAll: "test_topics_are_told_apart_however_often_they_come",
    TimeIsAnId: "test_time_left_changes_nothing_of_the_message",
    AliasOfWhatWasNotSent: "test_what_is_too_long_is_not_sent_and_spoils_nothing",
    Unordered: "test_messages_are_answered_in_their_order_and_by_their_quality",
    AnswersNothing: "test_to_answer_nothing_is_to_send_nothing",
    OtherIds: "test_other_packets_arrive_with_their_ids",
    SaysYes: "test_each_filter_has_its_code_and_no_refusal_is_a_grant",
    Twice: "test_a_farewell_is_one_disconnect_or_nothing",
    NoWindow: "test_the_window_is_one_that_a_client_can_have",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_each_clause_finds_its_fault(fault: type[Marred]) -> None:
    clause = getattr(DialectContract(), FAULTS[fault])
    clause(New(Dialect5({Property.TOPIC_ALIAS_MAXIMUM: 2, Property.MAXIMUM_PACKET_SIZE: 80}), MAXIMUM_PACKET_SIZE=80))
    with pytest.raises((AssertionError, KeyError, ValueError)):
        clause(New(fault(), MAXIMUM_PACKET_SIZE=80))


def test_no_clause_is_without_a_fault() -> None:
    clauses = {name for name, _ in inspect.getmembers(DialectContract, inspect.isfunction) if name.startswith("test_")}
    assert clauses == set(FAULTS.values())
