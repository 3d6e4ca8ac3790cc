"""What MQTT 5 adds to the protocol of a connection: a table of packets and states, codes, aliases, flow control."""

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
    Flush,
    Judge,
    Listen,
    Refuse,
    Relay,
    Renew,
    Send,
)
from healthsync_mqtt.broker.embedded.admission import Refusal
from healthsync_mqtt.broker.embedded.lifecycle import ConnectionState
from healthsync_mqtt.broker.embedded.protocol import DEAF, MOST_ALIASES, UNEXPECTED, Protocol
from healthsync_mqtt.broker.embedded.sessions.session import Message
from healthsync_mqtt.model.delivery import DeliveryVerdict
from healthsync_mqtt.mqtt.codec.packets import (
    NO_PROPERTIES,
    Auth,
    Connack,
    Connect,
    ConnectCode,
    Disconnect,
    Packet,
    Properties,
    Property,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Skipped,
)
from healthsync_mqtt.mqtt.codec.v5 import ReasonCode
from healthsync_mqtt.mqtt.replies import Reply, Said, of_verdict
from tests.unit.broker.embedded.states import (
    EVENTS,
    EXPECTED,
    PACKETS,
    STATUS,
    Told,
    handle,
    kinds,
    reached,
    route,
)
from tests.unit.broker.embedded.test_protocol import FOREIGN

METHOD = {Property.AUTHENTICATION_METHOD: "healthsync-token"}
CONNECT = Connect("alice-watch", protocol_level=5, properties=METHOD)
STORED = DeliveryVerdict("e", 1, 1, 0)
AUTH = Auth(ReasonCode.RE_AUTHENTICATE, METHOD | {Property.AUTHENTICATION_DATA: b"token"})


def made(
    state: ConnectionState = ConnectionState.OPEN,
    *,
    asked: Connect = CONNECT,
    most: int = 10,
    refused: int = 3,
    present: bool = False,
) -> Protocol:
    """A protocol in this state, that speaks MQTT 5; ``present``: the session was there before."""
    protocol = Protocol(Told(), max_unreleased=100, max_refused=refused, receive_maximum=most)
    return reached(protocol, state, asked, present=present)


def answers(actions: Sequence[Any]) -> list[tuple[int, int]]:
    """Packet id and reason code of what was answered."""
    replies = [reply for action in actions if isinstance(action, Acknowledge) for reply in action.tokens if reply]
    return [(reply.token & 0xFFFF, reply.said.reason) for reply in replies if isinstance(reply, Reply)]


@pytest.mark.parametrize(("state", "packet"), list(product(ConnectionState, (*PACKETS, CONNECT, AUTH))))
def test_every_packet_in_every_state(state: ConnectionState, packet: Packet) -> None:
    protocol = made(state)
    actions = handle(protocol, packet)
    if state in DEAF or state is ConnectionState.JUDGING:
        assert actions == []
    elif state is ConnectionState.AWAITING_CONNECT and isinstance(packet, Connect):
        assert actions == [Judge(packet)]
    elif state is ConnectionState.OPEN and isinstance(packet, Publish):
        assert kinds(actions) == ([Events] if packet.topic == EVENTS else [Relay])
    elif state is ConnectionState.OPEN and isinstance(packet, Auth):
        assert actions == [Renew(b"token")]
    elif state is ConnectionState.OPEN and type(packet) in EXPECTED:
        assert kinds(actions) == EXPECTED[type(packet)]
    else:
        assert actions == [EndConnection(UNEXPECTED[state], violation=True)]
        assert protocol.state is ConnectionState.CLOSED


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (STORED, 0),
        (DeliveryVerdict("e", 1, 0, 1), 0),
        (DeliveryVerdict("e", 1, 1, 0, 5, "out_of_range", "value.bpm"), 0),
        (DeliveryVerdict("e", 1, 0, 1, 5, "out_of_range", "value.bpm"), 0),
        (DeliveryVerdict("e", 1, 0, 0, 1, "malformed"), 0x99),
        (DeliveryVerdict("e", 1, 0, 0, 2, "future_time", "start_time", held=1), 0x83),
        (DeliveryVerdict("e", 1, 1, 0, 1, "future_time", "start_time", held=1), 0),
        (DeliveryVerdict("e", 1, 1, 0, ignored="retain"), 0),
    ],
)
def test_a_verdict_is_a_code_and_user_properties(verdict: DeliveryVerdict, code: int) -> None:
    said = of_verdict(verdict)
    assert said.reason == code
    told = verdict._asdict()
    assert told.pop("rejections") == ()
    assert bool(said.string) == (code == 0x83)
    optional = ("reason", "field", "ignored", "held")
    assert dict(said.about) == {k: str(v) for k, v in told.items() if k not in optional or v}


def test_events_are_answered_with_their_verdicts_and_qos_0_with_nothing() -> None:
    protocol = made()
    refused = DeliveryVerdict("e", 1, 0, 0, 1, "malformed")
    (events,) = handle(
        protocol,
        Publish(EVENTS, b"0"),
        Publish(EVENTS, b"1", 1, packet_id=1),
        Publish(EVENTS, b"2", 2, packet_id=2),
    )
    assert all(delivery.told for delivery in events.deliveries)
    tokens = [delivery.token for delivery in events.deliveries]
    actions = protocol.acknowledged(tokens, [STORED, STORED, refused])
    assert answers(actions) == [(1, 0), (2, 0x99)]
    assert actions[0].tokens[0] == 0


def test_refusals_have_their_codes_and_words() -> None:
    protocol = made(refused=10)
    actions = handle(
        protocol,
        Publish(FOREIGN, b"{}", 1, packet_id=1),
        Publish(b"users/alice/devices/watch/token/request", b"", 1, retain=True, packet_id=2),
        Skipped(EVENTS, 2_000_000, 1, 3),
        Skipped(EVENTS, 2_000_000, 2, 4),
        Publish(FOREIGN, b"{}"),
    )
    assert kinds(actions) == [
        Refuse,
        Acknowledge,
        Refuse,
        Acknowledge,
        Refuse,
        Acknowledge,
        Refuse,
        Acknowledge,
        Refuse,
    ]
    assert answers(actions) == [(1, 0x87), (2, 0x83), (3, 0x97), (4, 0x97)]
    assert all(a.tokens[0].said.string for a in actions if isinstance(a, Acknowledge))


def test_a_refused_connect_is_answered_in_its_version() -> None:
    refusal = Refusal(ConnectCode.NOT_AUTHORIZED, "a bad token", held=True, advice="get another")
    assert made(ConnectionState.REFUSING).told(refusal)[0] == Send(
        Connack(False, ReasonCode.BAD_CREDENTIALS, {Property.REASON_STRING: "get another"})
    )
    old = made(ConnectionState.REFUSING, asked=Connect("alice-watch"))
    assert old.told(refusal)[0] == Send(Connack(False, ConnectCode.NOT_AUTHORIZED))
    newer = made(ConnectionState.REFUSING, asked=Connect("", protocol_level=6))
    unknown = Refusal(ConnectCode.BAD_PROTOCOL_VERSION, "bad_version")
    assert newer.told(unknown)[0] == Send(Connack(False, ReasonCode.UNSUPPORTED_PROTOCOL_VERSION))
    for level in (0x83, 0x84):  # bridges of MQTT 3.1 and 3.1.1 go on without the bit once they hear this
        bridge = made(ConnectionState.REFUSING, asked=Connect("", protocol_level=level))
        assert bridge.told(unknown)[0] == Send(Connack(False, ConnectCode.BAD_PROTOCOL_VERSION))


def aliased(topic: bytes, alias: int, payload: bytes = b"{}") -> Publish:
    return Publish(topic, payload, properties={Property.TOPIC_ALIAS: alias})


def test_an_alias_stands_for_the_topic_it_was_given_last() -> None:
    protocol = made()
    assert kinds(handle(protocol, aliased(EVENTS, 1), aliased(STATUS, 2))) == [Events, Relay]
    events, relay = handle(protocol, aliased(b"", 1, b"a"), aliased(b"", 2, b"b"))
    assert [each.payload for each in events.deliveries] == [b"a"]
    assert (relay.message.topic, relay.message.payload) == (STATUS, b"b")
    handle(protocol, aliased(STATUS, 1))
    assert kinds(handle(protocol, aliased(b"", 1))) == [Relay]


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (aliased(EVENTS, MOST_ALIASES + 1), "topic_alias_invalid"),
        (aliased(b"", 3), "unknown_topic_alias"),
        (Auth(ReasonCode.RE_AUTHENTICATE, {Property.AUTHENTICATION_METHOD: "other"}), "unexpected_auth"),
        (Auth(ReasonCode.CONTINUE_AUTHENTICATION, METHOD), "unexpected_auth"),
        (Auth(), "unexpected_auth"),
    ],
)
def test_what_ends_the_connection(packet: Packet, reason: str) -> None:
    assert handle(made(), packet) == [EndConnection(reason, violation=True)]


def test_auth_is_for_those_who_named_a_method() -> None:
    plain = made(asked=Connect("alice-watch", protocol_level=5))
    assert handle(plain, AUTH) == [EndConnection("unexpected_auth", violation=True)]


def test_new_credentials_are_answered_and_decide_from_then_on() -> None:
    protocol = made()
    handle(protocol, Publish(EVENTS, b"{}"), AUTH)
    asked: list[str] = []

    def other(topic: str, retain: bool) -> Any:
        asked.append(topic)
        return route(topic, retain)

    assert protocol.renewed(other) == [Send(Auth(0, METHOD))]
    handle(protocol, Publish(EVENTS, b"{}"))
    assert asked == [EVENTS.decode()]


def test_long_names_of_aliases_are_not_kept() -> None:
    protocol = made(refused=100)
    name = b"users/" + b"x" * 60_000
    assert kinds(handle(protocol, aliased(name, 1))) == [Refuse]
    assert kinds(handle(protocol, aliased(b"", 1))) == [Refuse]
    assert sum(map(len, protocol._aliases.values())) < 1_000


def test_unreleased_messages_are_counted_of_all_topics_and_a_refused_one_is_over() -> None:
    protocol = made(most=3, refused=100)
    for number in range(50):
        handle(protocol, Publish(FOREIGN, b"", 2, packet_id=number + 1))
    handle(protocol, Publish(EVENTS, b"", 2, packet_id=60), Publish(STATUS, b"", 2, packet_id=61))
    handle(protocol, Publish(EVENTS, b"", 2, packet_id=62), Publish(EVENTS, b"", 2, packet_id=62))
    assert protocol.state is ConnectionState.OPEN
    assert handle(protocol, Pubrel(60)) == [Send(Pubcomp(60))]
    handle(protocol, Publish(EVENTS, b"", 2, packet_id=63))
    assert protocol.state is ConnectionState.OPEN
    actions = handle(protocol, Publish(EVENTS, b"", 2, packet_id=64))
    assert actions == [EndConnection("receive_maximum_exceeded", violation=True)]


def test_an_id_that_is_not_known_is_answered_so() -> None:
    protocol = made()
    assert protocol.session is not None
    handle(protocol, Publish(EVENTS, b"{}", 2, packet_id=7), Publish(STATUS, b"x", 2, packet_id=8))
    for number in (7, 8):
        assert handle(protocol, Pubrel(number)) == [Send(Pubcomp(number))]
        assert handle(protocol, Pubrel(number)) == [Send(Pubcomp(number, 0x92))], "it is over"
    assert handle(protocol, Pubrec(1)) == [Send(Pubrel(1, 0x92))]
    protocol.session.offer(Message(b"t", b"x", 2))
    protocol.session.transmit()
    assert handle(protocol, Pubrec(1)) == [Send(Pubrel(1))]
    assert handle(protocol, Pubrec(1)) == [Send(Pubrel(1))], "its end is still to come"
    handle(protocol, Pubcomp(1))
    assert handle(protocol, Pubrec(1)) == [Send(Pubrel(1, 0x92))]


def test_in_a_session_that_goes_on_an_id_may_be_of_an_earlier_connection() -> None:
    protocol = made(present=True)
    assert handle(protocol, Pubrel(7)) == [Send(Pubcomp(7))]
    assert handle(protocol, Pubrec(1)) == [Send(Pubrel(1, 0x92))], "what was sent is kept with the session"


def test_a_client_may_refuse_what_it_is_sent() -> None:
    protocol = made()
    assert protocol.session is not None
    protocol.session.offer(Message(b"t", b"x", 2))
    protocol.session.transmit()
    assert kinds(handle(protocol, Pubrec(1, ReasonCode.QUOTA_EXCEEDED))) == [Flush]
    assert protocol.session.backlog == 0


@pytest.mark.parametrize(("reason", "left"), [(0, False), (ReasonCode.DISCONNECT_WITH_WILL, True)])
def test_a_disconnect_may_ask_for_the_will(reason: int, left: bool) -> None:
    will = PACKETS[0].will  # type: ignore[union-attr]
    protocol = made(asked=CONNECT._replace(will=will))
    assert handle(protocol, Disconnect(reason)) == [EndConnection()]
    assert (protocol.closed() == will) is left


def test_a_disconnect_may_shorten_the_session_and_not_raise_it_from_nothing() -> None:
    protocol = made()
    assert protocol.session is not None
    protocol.session.expiry_s = 100
    handle(protocol, Disconnect(0, {Property.SESSION_EXPIRY: 0xFFFF_FFFF}))
    assert protocol.session.expiry_s == protocol.session.most_expiry_s
    protocol = made()
    assert protocol.session is not None
    protocol.session.expiry_s = 0
    raised = handle(protocol, Disconnect(0, {Property.SESSION_EXPIRY: 1}))
    assert raised == [EndConnection("session_expiry_raised", violation=True)]


def cost(*packets: Packet) -> int:
    protocol = made(refused=100)
    handle(protocol, Publish(EVENTS, b""))
    handle(protocol, *packets)
    return protocol.spent


def with_properties(about: Properties) -> int:
    return cost(Publish(EVENTS, b"", properties=about))


def test_what_mqtt_5_adds_is_charged() -> None:
    few, many = ({Property.USER_PROPERTY: (("a", "b"),) * count} for count in (1, 64))
    assert with_properties(NO_PROPERTIES) < with_properties(few) < with_properties(many)
    assert with_properties(many) > 10 * with_properties(NO_PROPERTIES)
    assert cost(AUTH) >= 100


@given(st.lists(st.tuples(st.sampled_from([EVENTS, STATUS, FOREIGN]), st.integers(0, 2)), max_size=30), st.data())
def test_answers_leave_in_the_order_of_the_messages(messages: list[tuple[bytes, int]], data: st.DataObject) -> None:
    protocol = made(most=100, refused=100)
    answered: list[tuple[int, int]] = []
    pending: list[int] = []
    relayed: list[Any] = []

    def note(actions: Sequence[Any]) -> None:
        answered.extend(answers(actions))
        for action in actions:
            if isinstance(action, Events):
                pending.extend(delivery.token for delivery in action.deliveries)
            elif isinstance(action, Relay) and action.held is not None:
                relayed.append(action.held)

    for number, (topic, qos) in enumerate(messages, 1):
        note(handle(protocol, Publish(topic, b"{}", qos, packet_id=number if qos else 0)))
        if pending and data.draw(st.booleans()):
            tokens = [pending.pop(0) for _ in range(data.draw(st.integers(1, len(pending))))]
            note(protocol.acknowledged(tokens, [STORED] * len(tokens)))
        while relayed and data.draw(st.booleans()):
            note(protocol.relayed(relayed.pop()))
    if pending:
        note(protocol.acknowledged(pending, [STORED] * len(pending)))
    for held in relayed:
        note(protocol.relayed(held))
    assert answered == [
        (number, 0x87 if topic == FOREIGN else 0) for number, (topic, qos) in enumerate(messages, 1) if qos
    ]
    assert protocol.waiting == 0


def test_listening_waits_for_no_version() -> None:
    (listen,) = handle(made(), PACKETS[9])
    assert isinstance(listen, Listen)
    assert Said() == Said(0, "", ())
