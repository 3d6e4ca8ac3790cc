"""The pure parts of the door: subscriptions, order of answers, guard of addresses, reading, lifecycle."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from healthsync_mqtt.broker.embedded.backpressure import Hold, Reading
from healthsync_mqtt.broker.embedded.lifecycle import TRANSITIONS, ConnectionState, entered
from healthsync_mqtt.broker.embedded.sessions.index import Subscriptions
from healthsync_mqtt.mqtt.ack_order import AckOrder
from healthsync_mqtt.mqtt.ack_order import answers as encoded
from healthsync_mqtt.mqtt.codec import Decoder
from healthsync_mqtt.mqtt.codec.packets import Puback, Pubrec
from healthsync_mqtt.mqtt.replies import token_of

LEVEL = st.sampled_from(("a", "b", "", "$x", "users"))
TOPIC = st.lists(LEVEL, min_size=1, max_size=4).map("/".join).filter(bool)
FILTER = st.builds(
    lambda levels, rest: "/".join([*levels, "#"] if rest else levels),
    st.lists(st.one_of(LEVEL, st.just("+")), min_size=1, max_size=4),
    st.booleans(),
).filter(bool)


@given(st.lists(st.tuples(st.integers(0, 2), FILTER, st.integers(0, 2), st.booleans()), max_size=20), TOPIC)
def test_subscriptions_match_as_paho_does(steps: list[tuple[int, str, int, bool]], topic: str) -> None:
    index: Subscriptions[int] = Subscriptions()
    model: dict[tuple[int, str], int] = {}
    for who, topic_filter, qos, add in steps:
        if add:
            index.add(who, topic_filter, qos)
            model[who, topic_filter] = qos
        else:
            index.remove(who, topic_filter)
            model.pop((who, topic_filter), None)
    wanted: dict[int, int] = {}
    for (who, topic_filter), qos in model.items():
        if topic_matches_sub(topic_filter, topic):
            wanted[who] = max(qos, wanted.get(who, 0))
    assert index.match(topic) == wanted
    for who in range(3):
        assert index.filters(who) == {f: q for (w, f), q in model.items() if w == who}
        index.drop(who)
    assert index.match(topic) == {}
    assert not index._exact
    assert not index._root.children


def answers(data: bytes) -> list[tuple[type, int]]:
    return [(type(p), p.packet_id) for p in Decoder(1 << 20, server=False).feed(data)]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=40), st.data())
def test_answers_leave_in_the_order_of_the_messages(messages: list[tuple[bool, int]], data: st.DataObject) -> None:
    """Events (True) are acknowledged in groups at any time, other messages are answered when they may."""
    order = AckOrder()
    sent = b""
    waiting: list[int] = []
    for number, (is_event, qos) in enumerate(messages, 1):
        token = token_of(number if qos else 0, qos)
        if is_event:
            order.delivered(1)
            waiting.append(token)
        else:
            sent += encoded((token,)) if order.answer(token) else b""
        if waiting and data.draw(st.booleans()):
            count = data.draw(st.integers(1, len(waiting)))
            sent += encoded(order.acknowledge(waiting[:count]))
            del waiting[:count]
    if waiting:
        sent += encoded(order.acknowledge(waiting))
    assert answers(sent) == [(Puback if qos == 1 else Pubrec, n) for n, (_, qos) in enumerate(messages, 1) if qos]
    assert order.waiting == 0


def test_answers_held_back_count_as_waiting() -> None:
    order = AckOrder()
    order.delivered(1)
    for n in range(2, 10):
        assert not order.answer(n)
    order.answer(0)
    assert order.waiting == 9


class FakeWire:
    def __init__(self) -> None:
        self.reads = True
        self.calls: list[str] = []

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")


def test_reading_goes_on_when_the_last_reason_is_gone() -> None:
    wire = FakeWire()
    reading = Reading(wire, lambda *, much: None)  # type: ignore[arg-type]
    reading.release(Hold.JOURNAL)
    reading.stop(Hold.WINDOW)
    reading.stop(Hold.JOURNAL)
    reading.stop(Hold.JOURNAL)
    reading.release(Hold.WINDOW)
    assert wire.calls == ["pause"]
    reading.release(Hold.JOURNAL)
    reading.release(Hold.JOURNAL)
    assert wire.calls == ["pause", "resume"]


def test_only_a_client_that_does_not_read_is_to_blame_for_its_silence() -> None:
    reading = Reading(FakeWire(), lambda *, much: None)  # type: ignore[arg-type]
    assert not reading.ours
    reading.stop(Hold.OUTBOX)
    assert not reading.ours
    reading.stop(Hold.JOURNAL)
    assert reading.ours


@pytest.mark.parametrize(("before", "after"), list(itertools.product(ConnectionState, ConnectionState)))
def test_a_connection_goes_one_way(before: ConnectionState, after: ConnectionState) -> None:
    if after in TRANSITIONS[before]:
        assert entered(before, after) is after
    else:
        with pytest.raises(RuntimeError, match=before.name):
            entered(before, after)
    assert ConnectionState.CLOSED not in TRANSITIONS[ConnectionState.CLOSED]
    assert ConnectionState.OPEN not in TRANSITIONS[ConnectionState.REFUSING]
