"""A session and its client in MQTT 5, step by step in any order, against a client that keeps book in the slowest way.

The client never gets more than it takes, nothing twice at QoS 2, nothing that has expired; and in the end everything
that it was owed.
"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from healthsync_mqtt.broker.embedded.dialect import Dialect5
from healthsync_mqtt.broker.embedded.limits.budget import ByteBudget
from healthsync_mqtt.broker.embedded.sessions.retained_messages import RetainedMessages
from healthsync_mqtt.broker.embedded.sessions.session import Message, Session
from healthsync_mqtt.mqtt.codec import Decoder
from healthsync_mqtt.mqtt.codec.packets import Property, Publish, Pubrel
from tests.unit.broker.embedded.sessions.test_session import ALICE

WINDOW = 5
LONG = 150
"""Bytes of a message that a small client does not take."""


@dataclass
class Sent:
    """What the reference knows of a message."""

    number: int
    qos: int
    long: bool
    expires: float
    deliveries: int = 0
    #: the client said that it has it, or does not want it
    over: bool = False
    #: it will never come: too long for the client, expired, or QoS 0 over the end of a connection
    excused: bool = False


@dataclass
class Client:
    """One connection of the reference client."""

    most: int
    small: bool
    decoder: Decoder = field(default_factory=lambda: Decoder(1 << 20, server=False, versions=frozenset({5})))
    aliases: dict[int, bytes] = field(default_factory=dict)
    #: packet id to number, of messages that are not over on this connection
    open: dict[int, int] = field(default_factory=dict)


class Flow(RuleBasedStateMachine):
    """Steps of the world."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        budget = ByteBudget(1 << 30, 1 << 24)
        self.session = Session(
            ALICE, persistent=True, window=WINDOW, queue_limit=1_000, budget=budget,
            retained=RetainedMessages(ByteBudget(1 << 20, 1 << 20), owner=str), now=lambda: self.now,
        )  # fmt: skip
        self.budget = budget
        self.known: dict[int, Sent] = {}
        self.received: dict[int, int] = {}
        self.client: Client | None = None

    @initialize()
    def first(self) -> None:
        self.connect(WINDOW, False, 2)

    @rule(qos=st.integers(0, 2), long=st.booleans(), lives=st.sampled_from([0, 1, 10]))
    def publish(self, qos: int, long: bool, lives: int) -> None:
        number = len(self.known)
        expires = self.now + lives if lives else 0.0
        payload = b"%d:" % number + bytes(LONG if long else 0)
        took = self.session.offer(Message(b"t/%d" % (number % 3), payload, qos, expires=expires))
        assert took is (qos > 0 or self.client is not None)
        self.known[number] = Sent(number, qos, long, expires, excused=not took)

    @rule(seconds=st.integers(1, 5))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @precondition(lambda self: self.client is not None)
    @rule(most=st.sampled_from([1, 60, 65_536]))
    def send(self, most: int) -> None:
        client = self.client
        assert client is not None
        for packet in client.decoder.feed(self.session.transmit(most)):
            if isinstance(packet, Publish):
                self.took(client, packet)
            else:
                assert isinstance(packet, Pubrel)
                assert packet.packet_id in self.received, "a release of what the client never had"
        self.excuse()

    def took(self, client: Client, packet: Publish) -> None:
        alias = packet.properties.get(Property.TOPIC_ALIAS)
        if alias is not None and packet.topic:
            client.aliases[alias] = packet.topic
        number = int(packet.payload.split(b":")[0])
        sent = self.known[number]
        assert (packet.topic or client.aliases[alias]) == b"t/%d" % (number % 3)
        assert not sent.over, "a message came again after it was over"
        assert not (sent.long and client.small)
        assert packet.dup is (sent.deliveries > 0)
        if sent.expires:
            assert packet.properties[Property.MESSAGE_EXPIRY] >= 1
            assert sent.expires > self.now or sent.deliveries, "an expired message was sent for the first time"
        if packet.qos:
            assert self.received.get(packet.packet_id) != number, "QoS 2 came again after its receipt"
            client.open[packet.packet_id] = number
            assert len(client.open) <= client.most, "more than the client takes"
        else:
            sent.over = True
        earlier = [s for s in self.known.values() if s.number < number and not s.deliveries and not s.excused]
        assert all(self.may_never_come(s, client) for s in earlier), "out of order"
        sent.deliveries += 1

    def may_never_come(self, sent: Sent, client: Client) -> bool:
        return (sent.long and client.small) or bool(sent.expires and sent.expires <= self.now)

    def excuse(self) -> None:
        client = self.client
        assert client is not None
        for sent in self.known.values():
            if not sent.over and self.may_never_come(sent, client):
                sent.excused = True

    @precondition(lambda self: self.client is not None and self.client.open)
    @rule(data=st.data(), refuses=st.booleans())
    def answer(self, data: st.DataObject, refuses: bool) -> None:
        client = self.client
        assert client is not None
        packet_id = data.draw(st.sampled_from(sorted(client.open)))
        sent = self.known[client.open[packet_id]]
        if sent.qos == 1:
            self.session.on_puback(packet_id)
        elif packet_id not in self.received and refuses:
            self.session.on_refused(packet_id)
        elif packet_id not in self.received:
            self.session.on_pubrec(packet_id)
            self.received[packet_id] = sent.number
            sent.over = True
            return
        else:
            self.session.on_pubcomp(packet_id)
            del self.received[packet_id]
        sent.over = True
        del client.open[packet_id]

    @precondition(lambda self: self.client is not None)
    @rule()
    def cut(self) -> None:
        self.session.disconnect()
        self.client = None
        for sent in self.known.values():
            if not sent.qos:
                sent.excused = True

    @precondition(lambda self: self.client is None)
    @rule(most=st.integers(1, WINDOW + 2), small=st.booleans(), aliases=st.integers(0, 3))
    def connect(self, most: int, small: bool, aliases: int) -> None:
        about: dict[Property, Any] = {Property.RECEIVE_MAXIMUM: most, Property.TOPIC_ALIAS_MAXIMUM: aliases}
        if small:
            about[Property.MAXIMUM_PACKET_SIZE] = LONG
        self.client = Client(most, small)
        self.session.resume(Dialect5(about))
        # What the client has a receipt of is released first, and is over then.
        for packet_id in list(self.received):
            self.session.on_pubcomp(packet_id)
            del self.received[packet_id]

    @invariant()
    def bytes_balance(self) -> None:
        assert self.budget.used == self.session.held_bytes >= 0

    def teardown(self) -> None:
        if self.client is not None:
            self.cut()
        self.connect(WINDOW, False, 0)
        client = self.client
        assert client is not None
        for _ in range(10 * len(self.known) + 10):
            self.send(65_536)
            for packet_id in list(client.open):
                sent = self.known[client.open.pop(packet_id)]
                sent.over = True
                if sent.qos == 1:
                    self.session.on_puback(packet_id)
                else:
                    self.session.on_pubrec(packet_id)
                    self.session.on_pubcomp(packet_id)
        assert self.session.backlog == 0
        assert self.budget.used == 0
        assert all(sent.deliveries or sent.excused for sent in self.known.values())
        assert all(sent.over or sent.excused for sent in self.known.values())


TestFlow = Flow.TestCase
TestFlow.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
