# long: one machine, a table and a few lines for each packet; what it asks for is in actions.py
"""The protocol of one connection: what each packet does in which state. Pure: packets and verdicts in, actions out.

No socket, no loop, no clock, no encoding: the connection performs the actions in their order and says what came of
them. What a packet may do in a state is a table; what is not in it ends the connection. Packets wait here until there
is a turn for them (``run``), and behind a CONNECT until it is judged.

One machine for MQTT 3.1, 3.1.1 and 5: what 5 adds has no bytes in the others.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final

from healthsync_mqtt.broker.embedded.actions import (
    Acknowledge,
    Action,
    EndConnection,
    Events,
    Flush,
    Judge,
    Listen,
    Refuse,
    Relay,
    Renew,
    Route,
    Send,
)
from healthsync_mqtt.broker.embedded.admission import Refusal
from healthsync_mqtt.broker.embedded.lifecycle import ConnectionState, entered
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.model.delivery import OWN_FORM, Delivery, DeliveryVerdict, Source
from healthsync_mqtt.mqtt.ack_order import AckOrder, Answered, OtherAnswer
from healthsync_mqtt.mqtt.codec.packets import (
    NO_PROPERTIES,
    Auth,
    Connack,
    Connect,
    ConnectCode,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Properties,
    Property,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Skipped,
    Subscribe,
    Unsubscribe,
    Will,
    is_modern,
)
from healthsync_mqtt.mqtt.codec.v5 import ReasonCode
from healthsync_mqtt.mqtt.replies import DONE, QOS2, Reply, Said, of_refusal, of_verdicts, token_of
from healthsync_mqtt.telemetry.spans import LONGEST as LONGEST_TRACEPARENT
from healthsync_mqtt.telemetry.spans import PROPERTY as TRACEPARENT
from healthsync_mqtt.topics.access import AccessDecision
from healthsync_mqtt.topics.grammar import FILTER_MAX

if TYPE_CHECKING:
    from healthsync_mqtt.model.origin import Origin

# What a packet costs of a turn: about the microseconds that it takes here, for comparison with each other only.
_CONTROL: Final = 6
_EVENT: Final = 7  # with its share of a commit; one of 200 bytes takes 12 in all
_BYTES: Final = 5  # a payload costs its length >> this
_GZIP: Final = b"\x1f\x8b"
_TIMES: Final = 100
"""So many times its length a gzip payload may say that it unfolds to; what says more is refused for less."""
_MESSAGE: Final = 100
_RELAYED: Final = 200  # with the router's part, which it takes in rounds of its own
_FILTER: Final = 80
_LOGIN: Final = 700  # with the connection's beginning and end

_PROPERTY: Final = 3  # a property that may repeat, and what else a packet says beside its message

MOST_ALIASES: Final = 16
"""Topic aliases that a client may have."""
_LONGEST_ALIASED: Final = 512
_TOO_LONG: Final = b"a topic name that no topic of ours has"

_MISPLACED: Final = re.compile(r"[^/][+#]|\+[^/]|#.", re.DOTALL)
"""A wildcard that is not alone in its level, or a ``#`` that is not the last one [MQTT-4.7.1-2, 4.7.1-3]."""

_ANSWERS: Final = frozenset({Puback, Pubrec, Pubrel, Pubcomp})
"""What clients send because we sent something: not counted as messages, but charged like everything."""


class Protocol:
    """The machine. ``source`` is who is told about the commit of its events."""

    def __init__(self, source: Source, *, max_unreleased: int, max_refused: int, receive_maximum: int = 65_535) -> None:
        """``receive_maximum`` is what an MQTT 5 client is told that it may have unanswered."""
        self.state = ConnectionState.AWAITING_CONNECT
        #: what is published when the connection ends without a DISCONNECT
        self.will: Will | None = None
        #: what the last ``run`` cost, and how many messages it took; acknowledgements are none
        self.spent = self.counted = 0
        #: None once the connection is over: each would hold the other until the collector comes by
        self._source: Source | None = source
        self._max_unreleased = max_unreleased
        self._max_refused = max_refused
        self._receive_maximum = receive_maximum
        #: what the client's CONNECT says: protocol level, whether that is MQTT 5, how it authenticates if it said so
        self.level = 0
        self.five = False
        self.method: str | None = None
        self._aliases: dict[int, bytes] = {}
        #: MQTT 5: packet ids of QoS 2 messages of this connection that are not finished
        self._unfinished: set[int] = set()
        #: whether the session was there before this connection
        self._resumed = False
        #: messages in a row that were refused
        self._refused = 0
        self._order = AckOrder()
        self._packets: deque[Packet] = deque()
        self._events: list[Delivery] = []
        self._actions: list[Action] = []
        self._progress = False
        self._session: Session | None = None
        self._route: Route | None = None
        #: events topics that this client has been found to own
        self._own: dict[bytes, Origin] = {}

    # -- what the connection asks

    @property
    def session(self) -> Session | None:
        """The client's session; None before its CONNECT is accepted."""
        return self._session

    @property
    def ready(self) -> bool:
        """Whether packets wait for a turn."""
        return bool(self._packets) and self.state in self.STEPS

    @property
    def waiting(self) -> int:
        """Messages of the client that are not answered yet."""
        return self._order.waiting

    # -- what it says

    def received(self, packets: Iterable[Packet]) -> None:
        """Packets came in; they wait for ``run``."""
        if self.state not in DEAF:
            self._packets += packets

    def run(self, work: int) -> list[Action]:
        """Handle packets for about so much work, at least one."""
        packets, own, events, source = self._packets, self._own, self._events, self._source
        pop, append, five, make = packets.popleft, events.append, self.five, tuple.__new__
        spent = taken = folded = 0
        while packets and spent + folded < work:
            packet = packets[0]
            if type(packet) is Publish:
                topic, payload, qos, retain, _, packet_id, properties = packet
                if payload.startswith(_GZIP):  # what it is charged is known when it is unfolded, behind this run
                    folded += min(int.from_bytes(payload[-4:], "little"), _TIMES * len(payload)) >> _BYTES
                origin = own.get(topic)
                if origin is not None and not retain and (not five or (qos < 2 and properties is NO_PROPERTIES)):
                    pop()
                    taken += 1
                    spent += _EVENT + (len(payload) >> _BYTES)
                    token = packet_id if qos < 2 else packet_id | QOS2
                    # Half the price of Delivery(...), once for each message.
                    append(make(Delivery, (source, token, origin, payload, False, five, OWN_FORM, "", False)))
                    continue
            steps = self.STEPS.get(self.state)
            if steps is None:
                break
            pop()
            taken += type(packet) not in _ANSWERS
            step = steps.get(type(packet))
            if step is None:
                spent += _CONTROL
                self._end(UNEXPECTED[self.state], violation=True)
            else:
                spent += step(self, packet)
        self.spent, self.counted = spent, taken
        return self._taken()

    def admitted(
        self, session: Session, *, present: bool, route: Route, about: Properties = NO_PROPERTIES
    ) -> list[Action]:
        """The CONNECT is accepted; ``present``: the session was there before; ``about``: what MQTT 5 is told."""
        self.state = entered(self.state, ConnectionState.OPEN)
        self._session, self._route, self._resumed = session, route, present
        present = present and self.level != 3  # MQTT 3.1 has no such flag
        self._actions.append(Send(Connack(present, ConnectCode.ACCEPTED, about)))
        return self._taken()

    def refused(self) -> None:
        """The CONNECT is not accepted: nothing more is heard, the answer is yet to be sent."""
        self.state = entered(self.state, ConnectionState.REFUSING)
        self.will = None
        self._packets.clear()

    def told(self, refusal: Refusal) -> list[Action]:
        """The time has come to send the refusal."""
        if self.state is ConnectionState.REFUSING:
            five = self.five
            said = ((Property.REASON_STRING, refusal.advice), (Property.SERVER_REFERENCE, refusal.to))
            about = {name: text for name, text in said if five and text}
            code: int = refusal.answer if five else refusal.code
            self._actions.append(Send(Connack(session_present=False, code=code, properties=about)))
            self._end()
        return self._taken()

    def renewed(self, route: Route) -> list[Action]:
        """The new credentials are good."""
        if self.state is ConnectionState.OPEN:
            self._route = route
            self._own.clear()
            self._actions.append(Send(Auth(0, {Property.AUTHENTICATION_METHOD: self.method})))
        return self._taken()

    def acknowledged(self, tokens: Sequence[int], verdicts: Sequence[DeliveryVerdict] = ()) -> list[Action]:
        """These events are durable; MQTT 5 is told what became of them."""
        return self._answered(self._order.acknowledge(of_verdicts(tokens, verdicts) if self.five else tokens))

    def relayed(self, held: OtherAnswer, said: Said = DONE) -> list[Action]:
        """What is owed of this message outlasts a crash; or nothing will come of it, as MQTT 5 is ``said``."""
        if said is not DONE and isinstance(held.token, Reply):
            held.token = held.token._replace(said=said)
            if self._session is not None:
                self._session.unreleased.discard(held.token.ends)
        return self._answered(self._order.release(held))

    def _answered(self, answers: Sequence[Answered]) -> list[Action]:
        if not answers or self.state is not ConnectionState.OPEN:
            return []
        if self._unfinished:
            self._unfinished.difference_update(each.ends for each in answers if isinstance(each, Reply))
        return [Acknowledge(answers)]

    def violated(self, reason: str) -> list[Action]:
        """The client broke the protocol on a level below packets, or in time."""
        if self.state is not ConnectionState.CLOSED:
            self._end(reason, violation=True)
        return self._taken()

    def closed(self, *, will: bool = True) -> Will | None:
        """The connection is over, for whatever reason; the will that is to be published."""
        if self.state is not ConnectionState.CLOSED:
            self.state = entered(self.state, ConnectionState.CLOSED)
        self._packets.clear()
        self._own.clear()
        self._source = None
        left, self.will = self.will, None
        return left if will else None

    # -- one packet each: its cost

    def _connect(self, packet: Connect) -> int:
        self.state = entered(self.state, ConnectionState.JUDGING)
        self.will = packet.will
        self.level = packet.protocol_level
        self.five = is_modern(self.level)
        self.method = packet.properties.get(Property.AUTHENTICATION_METHOD)
        self._actions.append(Judge(packet))
        return (
            _LOGIN if packet.will is None else _LOGIN + _RELAYED
        )  # it is published at the end, when nobody is charged

    def _publish(self, packet: Publish) -> int:
        assert self._source is not None
        assert self._route is not None
        assert self._session is not None
        cost, traceparent = len(packet.payload) >> _BYTES, ""
        if packet.properties:
            named = self._named(packet)
            if named is None:
                return _CONTROL
            cost += _PROPERTY * sum(len(v) if type(v) is tuple else 1 for v in packet.properties.values())
            packet = named
            traceparent = _traceparent(packet.properties)
        if self.five and packet.qos == 2 and not self._begun(packet.packet_id):
            return _CONTROL
        token = token_of(packet.packet_id, packet.qos)
        origin = None if packet.retain else self._own.get(packet.topic)
        if origin is not None:
            self._events.append(
                Delivery(self._source, token, origin, packet.payload, told=self.five, traceparent=traceparent)
            )
            return _EVENT + cost
        decision, origin, form = self._route(packet.topic.decode(), packet.retain)
        if not decision.allowed:
            return self._refuse("not_allowed", packet, decision.rule, decision) + cost
        self._refused = 0
        if origin is not None:
            if form == OWN_FORM:
                self._own[packet.topic] = origin
            # Apps set RETAIN on what they measured just now, and nobody reads what they would be told about it.
            retained = packet.retain and form == OWN_FORM
            self._events.append(
                Delivery(self._source, token, origin, packet.payload, retained, self.five, form, traceparent)
            )
            return _MESSAGE + cost
        unreleased = self._session.unreleased
        if packet.qos < 2 or packet.packet_id not in unreleased:
            if packet.qos == 2:
                if len(unreleased) >= self._max_unreleased:
                    self._end("too_many_unreleased", violation=True)
                    return _MESSAGE
                unreleased.add(packet.packet_id)
            held = self._order.hold(self._answer(token, DONE), len(self._events)) if token else None
            self._actions.append(Relay(decision.channel, packet, held))
            return _RELAYED + cost
        self._reply(token, DONE)
        return _MESSAGE + cost

    def _named(self, packet: Publish) -> Publish | None:
        """The message with the topic that its alias stands for; None: its properties end the connection."""
        if Property.SUBSCRIPTION_ID in packet.properties:
            self._end("subscription_identifier_of_client", violation=True)  # [MQTT-3.3.4-6 of 5]
            return None
        alias = packet.properties.get(Property.TOPIC_ALIAS)
        if alias is None:
            return packet
        if alias > MOST_ALIASES:
            self._end("topic_alias_invalid", violation=True)
        elif packet.topic:
            fits = len(packet.topic) <= _LONGEST_ALIASED
            self._aliases[alias] = packet.topic if fits else _TOO_LONG
            return packet
        elif alias in self._aliases:
            return packet._replace(topic=self._aliases[alias])
        else:
            self._end("unknown_topic_alias", violation=True)
        return None

    def _begun(self, packet_id: int) -> bool:
        """Count a QoS 2 message of MQTT 5; False: more than it was told it may have, and the connection is over."""
        self._unfinished.add(packet_id)
        if len(self._unfinished) > self._receive_maximum:
            self._end("receive_maximum_exceeded", violation=True)
            return False
        return True

    def _skipped(self, packet: Skipped) -> int:
        if self.five and packet.qos == 2 and not self._begun(packet.packet_id):
            return _CONTROL
        return self._refuse("packet_too_large", packet, f"a packet of {packet.size} bytes", None)

    def _refuse(self, reason: str, packet: Publish | Skipped, rule: str, decision: AccessDecision | None) -> int:
        """Acknowledge a message that goes nowhere.

        MQTT 3.1.1 has no negative PUBACK. A client that is cut off sends the same message first for ever, and nothing
        behind it arrives; so it is told by receipt, and only one that sends nothing else is cut off.
        """
        self._actions.append(Refuse(reason, packet.topic, rule))
        self._reply(token_of(packet.packet_id, packet.qos), of_refusal(reason, decision, rule))
        self._refused += 1
        if self._refused > self._max_refused:
            self._end(reason, violation=True, rule=rule)
        return _MESSAGE

    def _answer(self, token: int, said: Said) -> Answered:
        """What is answered for a message of QoS 1 or 2."""
        return Reply(token, said) if self.five else token

    def _reply(self, token: int, said: Said) -> None:
        """Answer a message in its turn."""
        answer = self._answer(token, said) if token else 0
        if answer and self._order.answer(answer, len(self._events)):
            self._actions += self._answered((answer,))

    def _fits(self, packet: Puback | Pubrec | Pubcomp) -> bool:
        """Whether the acknowledgement is of the kind that the message needs [MQTT-4.3.2, 4.3.3]; else it is over."""
        assert self._session is not None
        fits = self._session.fits(type(packet), packet.packet_id)
        if not fits:
            self._end("wrong_acknowledgement", violation=True)
        return fits

    def _puback(self, packet: Puback) -> int:
        assert self._session is not None
        if not self._fits(packet):
            return _CONTROL
        self._session.on_puback(packet.packet_id)
        self._progress = True
        return _CONTROL

    def _pubrec(self, packet: Pubrec) -> int:
        assert self._session is not None
        if not self._fits(packet):
            return _CONTROL
        if packet.reason >= ReasonCode.UNSPECIFIED:  # the client does not take it: that is its end [MQTT-4.3.3-4 of 5]
            self._session.on_refused(packet.packet_id)
            self._progress = True
            return _CONTROL
        known = self._session.has_in_flight(packet.packet_id)
        self._session.on_pubrec(packet.packet_id)
        # Also for an id we no longer know [MQTT-4.3.3-1]; that is said to whom it can be said.
        self._actions.append(Send(Pubrel(packet.packet_id, self._found(known=known))))
        return _CONTROL

    def _pubcomp(self, packet: Pubcomp) -> int:
        assert self._session is not None
        if not self._fits(packet):
            return _CONTROL
        self._session.on_pubcomp(packet.packet_id)
        self._progress = True
        return _CONTROL

    def _pubrel(self, packet: Pubrel) -> int:
        assert self._session is not None
        # In a session that goes on it may be of an earlier connection, and not every id of those is kept.
        known = self._resumed or packet.packet_id in self._unfinished or packet.packet_id in self._session.unreleased
        self._session.unreleased.discard(packet.packet_id)
        self._unfinished.discard(packet.packet_id)
        self._actions.append(Send(Pubcomp(packet.packet_id, self._found(known=known))))
        return _CONTROL

    def _found(self, *, known: bool) -> ReasonCode:
        """What is said with the answer to a packet id: MQTT 3.1.1 has no word for one that is not known."""
        return ReasonCode.SUCCESS if known or not self.five else ReasonCode.PACKET_IDENTIFIER_NOT_FOUND

    def _listen(self, packet: Subscribe | Unsubscribe) -> int:
        names = packet.filters if isinstance(packet, Unsubscribe) else [each for each, _ in packet.filters]
        # What is longer is refused, or was never granted: how it goes on is looked at by nobody.
        if any(_MISPLACED.search(each, 0, FILTER_MAX) for each in names):
            self._end("misplaced_wildcard", violation=True)
        else:
            self._actions.append(Listen(packet))
        return _CONTROL + sum(_FILTER + (len(each) >> _BYTES) for each in names)

    def _ping(self, _packet: Pingreq) -> int:
        self._actions.append(Send(Pingresp()))
        return _CONTROL

    def _disconnect(self, packet: Disconnect) -> int:
        assert self._session is not None
        expiry = packet.properties.get(Property.SESSION_EXPIRY)
        if expiry and not self._session.expiry_s:
            self._end("session_expiry_raised", violation=True)  # [MQTT-3.14.2-2 of 5]
            return _CONTROL
        if expiry is not None:
            self._session.expiry_s = min(expiry, self._session.most_expiry_s)
        if packet.reason != ReasonCode.DISCONNECT_WITH_WILL:
            self.will = None
        self._end()
        return _CONTROL

    def _auth(self, packet: Auth) -> int:
        method = packet.properties.get(Property.AUTHENTICATION_METHOD)
        if packet.reason != ReasonCode.RE_AUTHENTICATE or self.method is None or method != self.method:
            self._end("unexpected_auth", violation=True)
        else:
            self._actions.append(Renew(packet.properties.get(Property.AUTHENTICATION_DATA, b"")))
        return _LOGIN

    # -- inside

    def _end(self, reason: str = "", *, violation: bool = False, rule: str = "") -> None:
        self.state = entered(self.state, ConnectionState.CLOSED)
        self._packets.clear()
        self._actions.append(EndConnection(reason, violation, rule))

    def _taken(self) -> list[Action]:
        """The actions gathered. Events come first: what came before the end of a connection counts."""
        actions, self._actions = self._actions, []
        if self._events:
            self._refused = 0
            self._order.delivered(len(self._events))
            actions.insert(0, Events(self._events))
            self._events = []
        if self._progress:
            self._progress = False
            actions.append(Flush())
        return actions

    STEPS: ClassVar[Mapping[ConnectionState, Mapping[type, Callable[[Any, Any], int]]]] = MappingProxyType(
        {
            ConnectionState.AWAITING_CONNECT: {Connect: _connect},
            ConnectionState.OPEN: {
                Publish: _publish,
                Skipped: _skipped,
                Puback: _puback,
                Pubrec: _pubrec,
                Pubcomp: _pubcomp,
                Pubrel: _pubrel,
                Subscribe: _listen,
                Unsubscribe: _listen,
                Pingreq: _ping,
                Disconnect: _disconnect,
                Auth: _auth,
            },
        }
    )
    """What each packet does in each state. A state that is not here handles none: they wait, or are not heard."""


UNEXPECTED: Final[Mapping[ConnectionState, str]] = MappingProxyType(
    {
        ConnectionState.AWAITING_CONNECT: "not_connect",
        ConnectionState.OPEN: "unexpected_packet",
    }
)
"""Why the connection ends at a packet that the state has no step for."""

DEAF: Final = frozenset({ConnectionState.REFUSING, ConnectionState.CLOSED})
"""Nothing that comes in counts any more."""


def _traceparent(properties: Properties) -> str:
    """The trace that a message belongs to; "" where it names none, or several."""
    said = [value for name, value in properties.get(Property.USER_PROPERTY, ()) if name == TRACEPARENT]
    return said[0] if len(said) == 1 and len(said[0]) <= LONGEST_TRACEPARENT else ""
