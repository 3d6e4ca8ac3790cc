"""The protocol of a connection without sockets: every packet in every state, and what must come in which order."""

import gzip
import json
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.broker.embedded.actions import (
    Acknowledge,
    EndConnection,
    Events,
    Judge,
    Listen,
    Refuse,
    Relay,
    Send,
)
from healthsync_mqtt.broker.embedded.admission import Refusal
from healthsync_mqtt.broker.embedded.lifecycle import ConnectionState
from healthsync_mqtt.broker.embedded.protocol import DEAF, UNEXPECTED, Protocol
from healthsync_mqtt.broker.embedded.sessions.session import Message
from healthsync_mqtt.broker.embedded.turns import TURN
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.mqtt.codec.packets import (
    Connack,
    Connect,
    ConnectCode,
    Disconnect,
    Packet,
    Pingreq,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Skipped,
    Suback,
    Subscribe,
    Unsubscribe,
)
from healthsync_mqtt.topics.access import AccessDecision
from tests.unit.broker.embedded.sessions.test_session import session
from tests.unit.broker.embedded.states import (
    EVENTS,
    EXPECTED,
    MUCH,
    PACKETS,
    STATUS,
    WATCH,
    WILL,
    Told,
    handle,
    kinds,
    reached,
    route,
)


def made(state: ConnectionState, *, max_unreleased: int = 10, max_refused: int = 3) -> Protocol:
    """A protocol in this state."""
    protocol = Protocol(Told(), max_unreleased=max_unreleased, max_refused=max_refused)
    return reached(protocol, state, Connect("alice-watch", will=WILL))


@pytest.mark.parametrize(("state", "packet"), list(product(ConnectionState, PACKETS)))
def test_every_packet_in_every_state(state: ConnectionState, packet: Packet) -> None:
    protocol = made(state)
    actions = handle(protocol, packet)
    if state in DEAF or state is ConnectionState.JUDGING:
        assert actions == []
        assert protocol.state is state
        assert not protocol.ready
    elif state is ConnectionState.AWAITING_CONNECT and isinstance(packet, Connect):
        assert actions == [Judge(packet)]
        assert protocol.state is ConnectionState.JUDGING
    elif state is ConnectionState.OPEN and isinstance(packet, Publish):
        assert kinds(actions) == ([Events] if packet.topic == EVENTS else [Relay])
    elif state is ConnectionState.OPEN and type(packet) in EXPECTED:
        assert kinds(actions) == EXPECTED[type(packet)]
    else:
        assert actions == [EndConnection(UNEXPECTED[state], violation=True)]
        assert protocol.state is ConnectionState.CLOSED


@pytest.mark.parametrize("state", [ConnectionState.AWAITING_CONNECT, ConnectionState.JUDGING, ConnectionState.OPEN])
def test_whoever_breaks_the_protocol_is_cut_once(state: ConnectionState) -> None:
    protocol = made(state)
    assert protocol.violated("too_large") == [EndConnection("too_large", violation=True)]
    assert protocol.violated("too_large") == []
    assert handle(protocol, *PACKETS) == []


def test_packets_behind_a_connect_wait_for_its_verdict() -> None:
    protocol = made(ConnectionState.AWAITING_CONNECT)
    assert handle(protocol, Connect("alice-watch"), Pingreq(), Publish(EVENTS, b"{}")) == [
        Judge(Connect("alice-watch"))
    ]
    assert protocol.run(MUCH) == []
    kept = session(10, 10, WATCH)
    assert protocol.admitted(kept, present=True, route=route) == [Send(Connack(True, ConnectCode.ACCEPTED))]
    assert protocol.ready
    assert kinds(protocol.run(MUCH)) == [Events, Send]


def test_packets_behind_a_refused_connect_are_never_handled() -> None:
    protocol = made(ConnectionState.AWAITING_CONNECT)
    handle(protocol, Connect("alice-watch", will=WILL), Publish(EVENTS, b"{}"))
    protocol.refused()
    assert protocol.run(MUCH) == []
    refusal = Refusal(ConnectCode.NOT_AUTHORIZED, "a bad token")
    assert protocol.told(refusal) == [Send(Connack(False, ConnectCode.NOT_AUTHORIZED)), EndConnection()]
    assert protocol.told(refusal) == []
    assert protocol.closed() is None


def test_the_will_is_left_by_who_does_not_say_goodbye() -> None:
    assert made(ConnectionState.OPEN).closed() == WILL
    assert made(ConnectionState.OPEN).closed(will=False) is None
    assert made(ConnectionState.REFUSING).closed() is None
    left = made(ConnectionState.OPEN)
    handle(left, Disconnect())
    assert left.closed() is None
    cut = made(ConnectionState.OPEN)
    handle(cut, Connect("again"))
    assert cut.closed() == WILL
    assert cut.closed() is None


def test_events_before_the_end_count_and_those_behind_it_do_not() -> None:
    for end in (Disconnect(), Suback(1, (0,))):
        protocol = made(ConnectionState.OPEN)
        actions = handle(protocol, Publish(EVENTS, b"1"), end, Publish(EVENTS, b"2"))
        assert kinds(actions) == [Events, EndConnection]
        assert [delivery.payload for delivery in actions[0].deliveries] == [b"1"]


def test_unreleased_ids_are_capped_and_repeated_ones_are_not_relayed_again() -> None:
    protocol = made(ConnectionState.OPEN, max_unreleased=2)
    first, second, third = (Publish(STATUS, b"x", 2, packet_id=number) for number in (1, 2, 3))
    relays = handle(protocol, first, second, first)
    assert kinds(relays) == [Relay, Relay]
    ids = [[token & 0xFFFF for token in done.tokens] for each in relays for done in protocol.relayed(each.held)]
    assert ids == [[1], [2, 1]]
    assert handle(protocol, Pubrel(1)) == [Send(Pubcomp(1))]
    assert kinds(handle(protocol, first)) == [Relay]
    assert handle(protocol, third) == [EndConnection("too_many_unreleased", violation=True)]


def test_a_turn_handles_at_least_one_packet_and_stops_when_its_work_is_done() -> None:
    protocol = made(ConnectionState.OPEN)
    protocol.received([Pingreq()] * 10)
    assert kinds(protocol.run(0)) == []
    assert kinds(protocol.run(1)) == [Send]
    spent = protocol.spent
    assert kinds(protocol.run(4 * spent)) == [Send] * 4
    assert protocol.ready
    assert kinds(protocol.run(MUCH)) == [Send] * 5
    assert not protocol.ready


def cost(*packets: Packet) -> int:
    protocol = made(ConnectionState.OPEN)
    handle(protocol, Publish(EVENTS, b""))
    handle(protocol, *packets)
    return protocol.spent


def test_what_costs_more_is_charged_more() -> None:
    assert 0 < cost(Pingreq()) == cost(Puback(9)) < cost(Publish(EVENTS, b"")) < cost(Publish(EVENTS, bytes(10_000)))
    assert cost(Publish(STATUS, b"")) > cost(Publish(EVENTS, b""))
    one, many = cost(Subscribe(1, (("a", 0),))), cost(Subscribe(1, (("a", 0),) * 32))
    assert many > 20 * one
    assert cost(Publish(EVENTS, bytes(1 << 20))) > 100 * cost(Publish(EVENTS, bytes(1 << 10)))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=30), st.data())
def test_answers_leave_in_the_order_of_the_messages_whatever_the_turns(
    messages: list[tuple[bool, int]], data: st.DataObject
) -> None:
    protocol = made(ConnectionState.OPEN, max_unreleased=100)
    handle(protocol, Publish(EVENTS, b"first"))
    protocol.acknowledged((0,))
    answered: list[int] = []
    pending: list[int] = []
    relayed: list[Any] = []

    def note(actions: Sequence[Any]) -> None:
        for action in actions:
            if isinstance(action, Events):
                pending.extend(delivery.token for delivery in action.deliveries)
            elif isinstance(action, Acknowledge):
                answered.extend(token & 0xFFFF for token in action.tokens if token)
            elif isinstance(action, Relay) and action.held is not None:
                relayed.append(action.held)

    for number, (is_event, qos) in enumerate(messages, 1):
        topic = EVENTS if is_event else STATUS
        protocol.received([Publish(topic, b"{}", qos, packet_id=number if qos else 0)])
        while protocol.ready and data.draw(st.booleans()):
            note(protocol.run(data.draw(st.integers(1, 300))))
        if pending and data.draw(st.booleans()):
            count = data.draw(st.integers(1, len(pending)))
            tokens = [pending.pop(0) for _ in range(count)]
            note(protocol.acknowledged(tokens))
        while relayed and data.draw(st.booleans()):
            note(protocol.relayed(relayed.pop(data.draw(st.integers(0, len(relayed) - 1)))))
    while protocol.ready:
        note(protocol.run(MUCH))
    if pending:
        note(protocol.acknowledged(pending))
    for held in relayed:
        note(protocol.relayed(held))
    assert answered == [number for number, (_, qos) in enumerate(messages, 1) if qos]
    assert protocol.waiting == 0


def test_after_the_end_a_commit_is_answered_to_nobody() -> None:
    protocol = made(ConnectionState.OPEN)
    handle(protocol, Publish(EVENTS, b"{}", 1, packet_id=1))
    protocol.closed()
    assert protocol.acknowledged((1,)) == []


def test_a_relayed_message_is_answered_when_what_is_owed_of_it_is_durable_and_events_wait_behind_it() -> None:
    protocol = made(ConnectionState.OPEN)
    status, event = Publish(STATUS, b"on", 1, packet_id=1), Publish(EVENTS, b"{}", 1, packet_id=2)
    events, relay = handle(protocol, status, event)
    assert (type(events), type(relay)) == (Events, Relay)
    assert protocol.acknowledged((2,)) == []
    assert protocol.waiting == 2
    assert protocol.relayed(relay.held) == [Acknowledge([1, 2])]
    assert protocol.waiting == 0
    (quiet,) = handle(protocol, Publish(STATUS, b"on"))
    assert quiet.held is None


FOREIGN = b"users/bob/events"


def test_a_message_that_is_not_allowed_is_acknowledged_in_its_place_and_goes_nowhere() -> None:
    protocol = made(ConnectionState.OPEN)
    event, foreign = Publish(EVENTS, b"{}", 1, packet_id=1), Publish(FOREIGN, b"{}", 1, packet_id=2)
    actions = handle(protocol, event, foreign)
    assert kinds(actions) == [Events, Refuse]
    assert actions[1][:2] == ("not_allowed", FOREIGN)
    assert protocol.acknowledged((1,)) == [Acknowledge([1, 2])]
    assert protocol.state is ConnectionState.OPEN


@pytest.mark.parametrize("poison", [Publish(FOREIGN, b"{}", 1, packet_id=9), Skipped(EVENTS, 2_000_000, 1, 9)])
def test_only_who_sends_nothing_else_is_cut_off(poison: Packet) -> None:
    protocol = made(ConnectionState.OPEN, max_refused=3)
    for _ in range(5):
        assert kinds(handle(protocol, poison, poison, poison)) == [Refuse, Acknowledge] * 3
        assert kinds(handle(protocol, Publish(EVENTS, b"{}"))) == [Events]
        protocol.acknowledged((0,))
    assert kinds(handle(protocol, poison, poison, poison)) == [Refuse, Acknowledge] * 3
    assert kinds(handle(protocol, poison)) == [Refuse, Acknowledge, EndConnection]
    assert protocol.state is ConnectionState.CLOSED


def test_retain_is_remembered_of_an_event() -> None:
    def lenient(topic: str, retain: bool) -> tuple[AccessDecision, Origin | None, str]:
        assert isinstance(retain, bool)
        return route(topic, False)

    protocol = made(ConnectionState.JUDGING)
    protocol.admitted(session(10, 10, WATCH), present=False, route=lenient)
    (events,) = handle(protocol, Publish(EVENTS, b"1"), Publish(EVENTS, b"2", retain=True), Publish(EVENTS, b"3"))
    assert [delivery.retained for delivery in events.deliveries] == [False, True, False]


WRONG = [
    (1, (), Pubrec(1)),
    (1, (), Pubcomp(1)),
    (2, (), Puback(1)),
    (2, (), Pubcomp(1)),
    (2, (Pubrec(1),), Puback(1)),
]


@pytest.mark.parametrize(("qos", "before", "wrong"), WRONG)
def test_an_acknowledgement_of_the_wrong_kind_ends_the_connection(
    qos: int, before: tuple[Packet, ...], wrong: Packet
) -> None:
    protocol = made(ConnectionState.OPEN)
    assert protocol.session is not None
    protocol.session.offer(Message(b"t", b"x", qos))
    protocol.session.transmit()
    for packet in before:
        assert EndConnection not in kinds(handle(protocol, packet))
    assert handle(protocol, wrong) == [EndConnection("wrong_acknowledgement", violation=True)]


@pytest.mark.parametrize("again", [Pubrec(1), Pubcomp(1)])
def test_a_repeated_receipt_and_a_completion_are_right(again: Packet) -> None:
    protocol = made(ConnectionState.OPEN)
    assert protocol.session is not None
    protocol.session.offer(Message(b"t", b"x", 2))
    protocol.session.transmit()
    handle(protocol, Pubrec(1))
    assert EndConnection not in kinds(handle(protocol, again))


@pytest.mark.parametrize("topic_filter", ["ab/+e", "+a", "a+", "a#", "#/b", "a/#/b", "##", "++", "a/#\n", "é+"])
def test_a_wildcard_that_is_not_alone_in_its_level_ends_the_connection(topic_filter: str) -> None:
    for packet in (Subscribe(1, (("a", 0), (topic_filter, 1))), Unsubscribe(1, ("a", topic_filter))):
        assert handle(made(ConnectionState.OPEN), packet) == [EndConnection("misplaced_wildcard", violation=True)]


def test_filters_longer_than_any_that_reaches_a_topic_are_charged_by_their_bytes_and_not_read_to_the_end() -> None:
    """Fifteen of them fill a packet: looking for wildcards in all of it was 17 ms, charged as two."""
    longest = "a/" * 32_767
    for packet in (Subscribe(1, ((f"{longest}+x", 1),) * 15), Unsubscribe(1, (f"{longest}#/",) * 15)):
        protocol = made(ConnectionState.OPEN)
        assert handle(protocol, packet) == [Listen(packet)]
        assert protocol.spent >= 15 * len(longest) // 32
    within = "a/" * 160
    assert kinds(handle(made(ConnectionState.OPEN), Subscribe(1, ((f"{within}+x", 1),)))) == [EndConnection]


@pytest.mark.parametrize("topic_filter", ["+", "#", "a/+", "a/+/b", "+/+/#", "/+", "/#", "+/", "$share/g/#"])
def test_wildcards_in_their_places_are_listened_to(topic_filter: str) -> None:
    packet = Subscribe(1, ((topic_filter, 1),))
    assert handle(made(ConnectionState.OPEN), packet) == [Listen(packet)]


def test_what_others_do_for_a_packet_later_is_charged_with_it() -> None:
    """The router has a part in each message that it passes on, and so has a will, at an end that nobody is charged."""
    routing = cost(Publish(STATUS, b"x")) - cost(Publish(b"users/other/events", b"x"))
    assert routing >= cost(Publish(b"users/other/events", b"x"))
    logins = []
    for will in (None, WILL):
        protocol = made(ConnectionState.AWAITING_CONNECT)
        protocol.received([Connect("alice-watch", will=will)])
        protocol.run(1)
        logins.append(protocol.spent)
    assert logins[1] - logins[0] >= routing


@pytest.mark.parametrize("qos", [1, 2])
def test_a_turn_takes_no_more_packed_batches_than_plain_ones(qos: int) -> None:
    """Fourteen packed batches of five hundred events were decoded in one turn: six times what a turn is for."""
    plain = json.dumps([{"id": f"e{n}", "type": "heart_rate", "value": {"bpm": 60}} for n in range(500)]).encode()
    taken = {}
    for name, payload in (("plain", plain), ("packed", gzip.compress(plain))):
        protocol = made(ConnectionState.OPEN, max_unreleased=100)
        protocol.received([Publish(EVENTS, payload, qos, False, False, n) for n in range(1, 30)])
        protocol.run(TURN)
        taken[name] = protocol.counted
    assert taken["packed"] <= taken["plain"] == 1
    lying = gzip.compress(b"{}")[:-4] + b"\xff\xff\xff\xff"
    protocol = made(ConnectionState.OPEN, max_unreleased=100)
    protocol.received([Publish(EVENTS, lying, qos, False, False, n) for n in range(1, 30)])
    protocol.run(TURN)
    assert protocol.counted > 5, "what a payload says costs its sender no more than it can unfold to"
