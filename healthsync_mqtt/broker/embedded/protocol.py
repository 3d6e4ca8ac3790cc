"""The protocol of one connection: what each packet does in which state. Pure: packets and verdicts in, actions out.

No socket, no loop, no clock, no encoding: the connection performs the actions in their order and says what came of
them. What a packet may do in a state is a table; what is not in it ends the connection. Packets wait here until there
is a turn for them (``run``), and behind a CONNECT until it is judged.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias

from healthsync_mqtt.broker.embedded.ackorder import AckOrder, Other, token_of
from healthsync_mqtt.broker.embedded.lifecycle import State, entered
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.model.delivery import Delivery, Source
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.mqtt.codec.packets import (
    Connack,
    Connect,
    ConnectCode,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Skipped,
    Subscribe,
    Unsubscribe,
    Will,
)
from healthsync_mqtt.topics.access import Decision
from healthsync_mqtt.topics.registry import Channel

Route: TypeAlias = Callable[[str, bool], tuple[Decision, Origin | None]]
"""``(topic, retain)`` to the decision about a PUBLISH, and whose events they are on an events topic. Pure."""


class Judge(NamedTuple):
    """Decide this CONNECT and call ``admitted`` or ``refused``."""

    asked: Connect


class Events(NamedTuple):
    """Messages for the journal, in their order."""

    deliveries: list[Delivery]


class Relay(NamedTuple):
    """An allowed message that is no event; acknowledged once ``relayed`` is told of ``held`` (none at QoS 0)."""

    channel: Channel | None
    message: Publish
    held: Other | None


class Refuse(NamedTuple):
    """A message that is acknowledged and goes nowhere. ``reason``: not_allowed, packet_too_large."""

    reason: str
    topic: bytes
    rule: str


class Listen(NamedTuple):
    """Add or take away filters; the answer is the next thing to send."""

    asked: Subscribe | Unsubscribe


class Send(NamedTuple):
    """Send a packet."""

    packet: Packet


class Answer(NamedTuple):
    """Acknowledge these messages of the client, in this order (tokens of ``AckOrder``)."""

    tokens: Sequence[int]


class Flush(NamedTuple):
    """The client has acknowledged something: send what its session has."""


class End(NamedTuple):
    """The connection is over. ``violation``: cut it; else what was written goes out first. An empty reason: it left."""

    reason: str = ""
    violation: bool = False
    rule: str = ""


Action: TypeAlias = Judge | Events | Relay | Refuse | Listen | Send | Answer | Flush | End


# What a packet costs of a turn: about the microseconds that it takes here, for comparison with each other only.
_CONTROL: Final = 6
_EVENT: Final = 10
_BYTES: Final = 5  # a payload costs its length >> this
_MESSAGE: Final = 100
_FILTER: Final = 80
_LOGIN: Final = 300

_MISPLACED: Final = re.compile(r"[^/][+#]|\+[^/]|#.", re.DOTALL)
"""A wildcard that is not alone in its level, or a ``#`` that is not the last one [MQTT-4.7.1-2, 4.7.1-3]."""

_ANSWERS: Final = frozenset({Puback, Pubrec, Pubrel, Pubcomp})
"""What clients send because we sent something: not counted as messages, but charged like everything."""


class Protocol:
    """The machine. ``source`` is who is told about the commit of its events."""

    def __init__(self, source: Source, *, max_unreleased: int, max_refused: int) -> None:
        self.state = State.AWAITING_CONNECT
        #: what is published when the connection ends without a DISCONNECT
        self.will: Will | None = None
        #: what the last ``run`` cost, and how many messages it took; acknowledgements are none
        self.spent = self.counted = 0
        self._source = source
        self._max_unreleased = max_unreleased
        self._max_refused = max_refused
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
        pop, append = packets.popleft, events.append
        spent = taken = 0
        while packets and spent < work:
            packet = packets[0]
            if type(packet) is Publish and not packet.retain:
                origin = own.get(packet.topic)
                if origin is not None:
                    pop()
                    payload = packet.payload
                    taken += 1
                    spent += _EVENT + (len(payload) >> _BYTES)
                    append(Delivery(source, token_of(packet.packet_id, packet.qos), origin, payload))
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

    def admitted(self, session: Session, *, present: bool, route: Route) -> list[Action]:
        """The CONNECT is accepted; ``present``: the session was there before."""
        self.state = entered(self.state, State.OPEN)
        self._session, self._route = session, route
        self._actions.append(Send(Connack(present, ConnectCode.ACCEPTED)))
        return self._taken()

    def refused(self) -> None:
        """The CONNECT is not accepted: nothing more is heard, the answer is yet to be sent."""
        self.state = entered(self.state, State.REFUSING)
        self.will = None
        self._packets.clear()

    def told(self, code: ConnectCode) -> list[Action]:
        """The time has come to send the refusal."""
        if self.state is State.REFUSING:
            self._actions.append(Send(Connack(session_present=False, code=code)))
            self._end()
        return self._taken()

    def acknowledged(self, tokens: Sequence[int]) -> list[Action]:
        """These events are durable."""
        answers = self._order.acknowledge(tokens)
        return [Answer(answers)] if answers and self.state is State.OPEN else []

    def relayed(self, held: Other) -> list[Action]:
        """What is owed of this message outlasts a crash."""
        answers = self._order.release(held)
        return [Answer(answers)] if answers and self.state is State.OPEN else []

    def violated(self, reason: str) -> list[Action]:
        """The client broke the protocol on a level below packets, or in time."""
        if self.state is not State.CLOSED:
            self._end(reason, violation=True)
        return self._taken()

    def closed(self, *, will: bool = True) -> Will | None:
        """The connection is over, for whatever reason; the will that is to be published."""
        if self.state is not State.CLOSED:
            self.state = entered(self.state, State.CLOSED)
        self._packets.clear()
        self._own.clear()
        left, self.will = self.will, None
        return left if will else None

    # -- one packet each: its cost

    def _connect(self, packet: Connect) -> int:
        self.state = entered(self.state, State.JUDGING)
        self.will = packet.will
        self._actions.append(Judge(packet))
        return _LOGIN

    def _publish(self, packet: Publish) -> int:
        assert self._route is not None
        assert self._session is not None
        decision, origin = self._route(packet.topic.decode(), packet.retain)
        if not decision.allowed:
            return self._refuse("not_allowed", packet, decision.rule)
        self._refused = 0
        token = token_of(packet.packet_id, packet.qos)
        if origin is not None:
            self._own[packet.topic] = origin
            self._events.append(Delivery(self._source, token, origin, packet.payload, packet.retain))
            return _MESSAGE + (len(packet.payload) >> _BYTES)
        unreleased = self._session.unreleased
        if packet.qos < 2 or packet.packet_id not in unreleased:
            if packet.qos == 2:
                if len(unreleased) >= self._max_unreleased:
                    self._end("too_many_unreleased", violation=True)
                    return _MESSAGE
                unreleased.add(packet.packet_id)
            held = self._order.hold(token, len(self._events)) if token else None
            self._actions.append(Relay(decision.channel, packet, held))
        elif self._order.answer(token, len(self._events)) and token:
            self._actions.append(Answer((token,)))
        return _MESSAGE + (len(packet.payload) >> _BYTES)

    def _skipped(self, packet: Skipped) -> int:
        return self._refuse("packet_too_large", packet, f"a packet of {packet.size} bytes")

    def _refuse(self, reason: str, packet: Publish | Skipped, rule: str) -> int:
        """Acknowledge a message that goes nowhere.

        MQTT 3.1.1 has no negative PUBACK. A client that is cut off sends the same message first for ever, and nothing
        behind it arrives; so it is told by receipt, and only one that sends nothing else is cut off.
        """
        self._actions.append(Refuse(reason, packet.topic, rule))
        token = token_of(packet.packet_id, packet.qos)
        if self._order.answer(token, len(self._events)) and token:
            self._actions.append(Answer((token,)))
        self._refused += 1
        if self._refused > self._max_refused:
            self._end(reason, violation=True, rule=rule)
        return _MESSAGE

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
        self._session.on_pubrec(packet.packet_id)
        self._actions.append(Send(Pubrel(packet.packet_id)))  # also for an id we no longer know [MQTT-4.3.3-1]
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
        self._session.unreleased.discard(packet.packet_id)
        self._actions.append(Send(Pubcomp(packet.packet_id)))
        return _CONTROL

    def _listen(self, packet: Subscribe | Unsubscribe) -> int:
        filters = packet.filters if isinstance(packet, Unsubscribe) else (each for each, _ in packet.filters)
        if any(map(_MISPLACED.search, filters)):
            self._end("misplaced_wildcard", violation=True)
        else:
            self._actions.append(Listen(packet))
        return _CONTROL + _FILTER * len(packet.filters)

    def _ping(self, _packet: Pingreq) -> int:
        self._actions.append(Send(Pingresp()))
        return _CONTROL

    def _disconnect(self, _packet: Disconnect) -> int:
        self.will = None
        self._end()
        return _CONTROL

    # -- inside

    def _end(self, reason: str = "", *, violation: bool = False, rule: str = "") -> None:
        self.state = entered(self.state, State.CLOSED)
        self._packets.clear()
        self._actions.append(End(reason, violation, rule))

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

    STEPS: ClassVar[Mapping[State, Mapping[type, Callable[[Any, Any], int]]]] = MappingProxyType(
        {
            State.AWAITING_CONNECT: {Connect: _connect},
            State.OPEN: {
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
            },
        }
    )
    """What each packet does in each state. A state that is not here handles none: they wait, or are not heard."""


UNEXPECTED: Final[Mapping[State, str]] = MappingProxyType(
    {
        State.AWAITING_CONNECT: "not_connect",
        State.OPEN: "unexpected_packet",
    }
)
"""Why the connection ends at a packet that the state has no step for."""

DEAF: Final = frozenset({State.REFUSING, State.CLOSED})
"""Nothing that comes in counts any more."""
