# long: one session, whose queue, window and exchanges are one state
"""A client's MQTT session: what it still has to get, in which state. Pure; the connection does the sending.

The session outlives its connections when the client asked for that (clean session 0). Messages of QoS 1 and 2 stay in
``inflight`` until the client has acknowledged them, however long that takes, and are sent again with DUP on the next
connection [MQTT-4.4.0-1]. Nothing here has a time-out that drops a message.

What a session keeps is bounded in number and in bytes. Payloads are shared with whoever else waits for them; they count
in full for each.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum, auto
from math import ceil
from typing import NamedTuple, Protocol

from healthsync_mqtt.broker.embedded.dialect import THREE, Dialect
from healthsync_mqtt.broker.embedded.limits.budget import ByteBudget
from healthsync_mqtt.broker.embedded.limits.heaviest import Heaviest
from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos
from healthsync_mqtt.broker.embedded.sessions.port import Keep, KeepNothing, KeptSession, OwedMessage, subscribed
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.mqtt.codec import encode
from healthsync_mqtt.mqtt.codec.packets import Puback, Pubrec, Pubrel


class Taker(Protocol):
    """Who wants to know that a message is over: a shared group, whose events may be given to others."""

    def over(self, session: "Session", seq: int) -> None:
        """The session is done with this event: acknowledged, sent at QoS 0, or dropped."""


class Message(NamedTuple):
    """One message for the client. ``after`` is the log position before it for a canonical message, else -1.

    ``share`` is the group that a canonical message was given by; the session's own position does not count it.
    ``about`` are its properties in MQTT 5 (see ``dialect``), ``expires`` is when it need not be sent any more, seconds
    of running time (0: never), ``identifiers`` are those of the subscriptions that it comes for.
    """

    topic: bytes
    payload: bytes
    qos: int
    retain: bool = False
    after: int = -1
    share: Taker | None = None
    about: bytes = b""
    expires: float = 0.0
    identifiers: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that it is counted with."""
        return len(self.topic) + len(self.payload) + len(self.about)


class InFlightStep(Enum):
    """What the client owes us for a message in flight."""

    #: a PUBACK, or the PUBREC of QoS 2
    RECEIPT = auto()
    #: the PUBCOMP of QoS 2, after our PUBREL
    COMPLETION = auto()


class QueuedMessage(NamedTuple):
    """A message in the queue; ``no`` orders what is kept over a restart, 0: that is not kept."""

    message: Message
    no: int


class Outgoing(NamedTuple):
    """A message in flight."""

    message: Message
    step: InFlightStep
    no: int


class _Unreleased(set[int]):
    """Packet ids, told to what keeps them."""

    def __init__(self, store: Keep, session: int, ids: Iterable[int]) -> None:
        super().__init__(ids)
        self._store = store  # and not the session, which has this: a cycle would wait for the collector
        self._session = session

    def add(self, packet_id: int, /) -> None:
        if packet_id not in self:
            super().add(packet_id)
            self._store.unreleased(self._session, packet_id, waits=True)

    def discard(self, packet_id: object, /) -> None:
        if isinstance(packet_id, int) and packet_id in self:
            super().discard(packet_id)
            self._store.unreleased(self._session, packet_id, waits=False)


class Recall(Protocol):
    """Where retained messages are looked up when their turn comes."""

    def get(self, topic: str) -> Retained | None:
        """The message that is retained on this topic now."""


class _Replay(NamedTuple):
    """Retained messages that are to be sent: a list of topics, not of messages. ``newest``: later ones come anyway."""

    topics: Iterator[str]
    granted: GrantedQos
    newest: int


class Session:
    """Outgoing queue, in-flight window and the QoS 2 packet ids that the client has not released."""

    def __init__(
        self,
        principal: Principal,
        *,
        persistent: bool,
        window: int,
        queue_limit: int,
        budget: ByteBudget,
        retained: Recall,
        keep: Keep | None = None,
        kept: KeptSession | None = None,
        most_expiry_s: float = 604_800.0,
        now: Callable[[], float] = lambda: 0.0,
        heaviest: "Heaviest[Session] | None" = None,
    ) -> None:
        """``keep`` is told what has to outlast the process; ``kept`` is what an earlier one left of this session.

        ``heaviest`` is told how much it holds, beside the others of the ``budget``.

        ``now`` is the running time by which messages expire.
        """
        #: seconds that it is kept when its client is away, and the most that there are
        self.expiry_s = most_expiry_s if persistent else 0.0
        self.most_expiry_s = most_expiry_s
        self._dialect: Dialect = THREE
        self._now = now
        self.principal = principal
        self.client_id = principal.client_id
        self.persistent = persistent
        self.connected = False
        #: log position through which canonical events were handed to this session; None = it has no such subscription
        self.position: int | None = None
        #: filters that bring no canonical event up to this place in the log, although ``position`` is before it
        self.floors: dict[str, int] = {}
        #: whether shared groups give it events
        self.member = False
        self.dropped = 0
        self._window = self._most_window = window
        self._queue_limit = queue_limit
        self._budget = budget
        self._heaviest = Heaviest(budget.each) if heaviest is None else heaviest
        self._retained = retained
        self._replays: dict[str, _Replay] = {}
        self._queue: deque[QueuedMessage] = deque()
        self._inflight: dict[int, Outgoing] = {}
        #: packet ids in flight that this connection has not been sent yet, and those that it has
        self._again: deque[int] = deque()
        self._sent: set[int] = set()
        self._last_id = 0
        #: bytes queued or in flight
        self.held_bytes = 0
        # A session that ends with its connection is nothing to keep.
        #: filters whose replay an earlier process did not finish
        self.interrupted = () if kept is None else tuple(name for name, each in kept.filters.items() if each.replaying)
        self._store = keep if persistent and keep is not None else KeepNothing()
        self._last_no = 0
        self.no = self._store.opened(principal) if kept is None else kept.no
        #: packet ids of QoS 2 messages from the client that wait for their PUBREL
        self.unreleased: set[int] = _Unreleased(self._store, self.no, () if kept is None else kept.unreleased)
        if kept is not None:
            self._restore(kept)

    @property
    def modern(self) -> bool:
        """Whether its connection speaks MQTT 5."""
        return self._dialect is not THREE

    @property
    def fed(self) -> bool:
        """Whether events of the log come to it as it has room: its own, or those of groups."""
        return self.member or self.position is not None

    @property
    def room(self) -> int:
        """How many canonical messages the session takes now."""
        if self.held_bytes > self._budget.each // 2:
            return 0
        return max(0, self._window - len(self._queue) - len(self._inflight))

    @property
    def backlog(self) -> int:
        """Messages queued or in flight."""
        return len(self._queue) + len(self._inflight)

    @property
    def full(self) -> bool:
        """No further message is taken before some are sent."""
        return len(self._queue) >= self._queue_limit

    def offer(self, message: Message) -> bool:
        """Queue a message. False: refused, because the client is away (QoS 0) or too far behind.

        A canonical message is never refused for its number or size: it was fed because there was ``room``, and the
        position in the log has moved on.
        """
        if not self.takes(message) or (message.after < 0 and not self._budget.room(message.size)):
            self.dropped += 1
            return False
        self._enqueue(message)
        return True

    def takes(self, message: Message) -> bool:
        """Whether it would be queued if all sessions together had room for it."""
        if message.qos == 0 and not self.connected:
            return False
        return message.after >= 0 or not (self.full or self.held_bytes + message.size > self._budget.each)

    def replay(self, topic_filter: str, topics: Sequence[str], granted: GrantedQos, newest: int) -> None:
        """Send what is retained on these topics once there is room, one replay a filter at a time.

        ``newest`` is the number of the last message that was routed: what is newer comes to this session as it is.
        """
        self._replays.pop(topic_filter, None)
        self._replays[topic_filter] = _Replay(iter(topics), granted, newest)
        self._store.filter(self.no, topic_filter, subscribed(granted, replaying=True))

    def give_up_replay(self, topic_filter: str) -> None:
        """The client does not want this filter any more."""
        self._replays.pop(topic_filter, None)

    def transmit(self, most: int = 65_536) -> bytes:
        """Packets that may be sent now, about ``most`` bytes; empty when the window is full or nothing waits."""
        out: list[bytes] = []
        size = 0
        queue, again = self._queue, self._again
        while again and size < most:
            flight = self._inflight.get(again[0])
            if flight is not None and flight.step is InFlightStep.RECEIPT and len(self._sent) >= self._window:
                break
            packet_id = again.popleft()
            if flight is not None:
                out.append(self._once_more(packet_id, flight))
                size += len(out[-1])
        while size < most and (queue or self._recall()):
            message, no = queue[0]
            left = 0
            if message.expires and not (left := self._left(message)):
                queue.popleft()
                self._give_back(message, no)
                continue
            packet_id = 0
            if message.qos:
                if len(self._inflight) >= self._window:
                    break
                packet_id = self._next_id()
                self._sent.add(packet_id)
                self._move(packet_id, Outgoing(message, InFlightStep.RECEIPT, no))
            queue.popleft()
            data = self._dialect.publish(message, packet_id, dup=False, left=left)
            if not packet_id:
                self._give_back(message, no)
            elif not data:
                self._done(packet_id)
            self.dropped += not data
            out.append(data)
            size += len(data)
        return b"".join(out)

    def _left(self, message: Message) -> int:
        """Whole seconds until the message expires; 0: it has."""
        return max(0, ceil(message.expires - self._now()))

    def _once_more(self, packet_id: int, flight: Outgoing) -> bytes:
        """What is in flight, on a new connection; what its client does not take any more is done."""
        self._sent.add(packet_id)
        if flight.step is InFlightStep.COMPLETION:
            return encode(Pubrel(packet_id))
        message = flight.message
        left = max(1, self._left(message)) if message.expires else 0
        data = self._dialect.publish(message, packet_id, dup=True, left=left)
        if not data:
            self._done(packet_id)
            self.dropped += 1
        return data

    def resume(self, dialect: Dialect = THREE) -> None:
        """A new connection: it is first sent everything in flight, in its first order, marked DUP."""
        self.connected = True
        self._sent.clear()
        self._dialect = dialect
        self._window = min(self._most_window, dialect.window)
        self._again = deque(self._inflight)

    def fits(self, answer: type, packet_id: int) -> bool:
        """Whether this acknowledgement may come for what is in flight under the id; for an unknown id any may."""
        flight = self._inflight.get(packet_id)
        if flight is None:
            return True
        if flight.message.qos == 1:
            return answer is Puback
        return answer is Pubrec if flight.step is InFlightStep.RECEIPT else answer is not Puback

    def has_in_flight(self, packet_id: int) -> bool:
        """Whether something that was sent under this id is not over."""
        return packet_id in self._inflight

    def on_puback(self, packet_id: int) -> None:
        """QoS 1 is done. An unknown id (a repeated or foreign PUBACK) changes nothing."""
        flight = self._inflight.get(packet_id)
        if flight is not None and flight.message.qos == 1:
            self._done(packet_id)

    def on_pubrec(self, packet_id: int) -> bytes:
        """QoS 2, second step: the PUBREL to send, also for an id we no longer know [MQTT-4.3.3-1]."""
        flight = self._inflight.get(packet_id)
        if flight is not None and flight.message.qos == 2:
            self._move(packet_id, flight._replace(step=InFlightStep.COMPLETION))
        return encode(Pubrel(packet_id))

    def on_refused(self, packet_id: int) -> None:
        """The client does not take a QoS 2 message: that is its end."""
        flight = self._inflight.get(packet_id)
        if flight is not None and flight.message.qos == 2:
            self._done(packet_id)

    def on_pubcomp(self, packet_id: int) -> None:
        """QoS 2 is done."""
        flight = self._inflight.get(packet_id)
        if flight is not None and flight.step is InFlightStep.COMPLETION:
            self._done(packet_id)

    def acknowledged_position(self) -> int | None:
        """Log position through which the client has acknowledged every canonical event; None without a feed."""
        if self.position is None:
            return None
        waiting = [flight.message for flight in self._inflight.values()]
        waiting += [message for message, _ in self._queue]
        own = (message.after for message in waiting if _own(message))
        return min(own, default=self.position)

    def disconnect(self) -> None:
        """The connection is gone: QoS 0 messages that were not sent are given up, as the protocol has it."""
        self.connected = False
        self._again.clear()
        self._keep(lambda message: message.qos > 0)
        for topic_filter in [name for name, replay in self._replays.items() if not replay.granted]:
            del self._replays[topic_filter]

    def withhold(self, withheld: Callable[[str], bool], *, takes_back: bool = True) -> None:
        """Drop the messages of topics that the client may not get any more; late acknowledgements change nothing.

        ``takes_back``: one without payload stays, which takes back what was retained. Not where the topic itself is
        nothing for the client any more.
        """

        def stays(message: Message) -> bool:
            return (takes_back and not message.payload) or not withheld(message.topic.decode())

        self._keep(stays)
        for packet_id, flight in tuple(self._inflight.items()):
            if not stays(flight.message):
                self._done(packet_id)

    def rewind(self, position: int) -> None:
        """Feed the log from this place on. What waits of its own events goes; what was sent counts for nothing more."""
        self._keep(lambda message: not _own(message))
        for packet_id, flight in self._inflight.items():
            if _own(flight.message):
                self._inflight[packet_id] = flight._replace(message=flight.message._replace(after=-1))
        self.floors.clear()
        self.position = position

    def withdraw(self, share: Taker, *, sent: bool) -> None:
        """Drop what this group gave; what was sent and is not acknowledged too, if ``sent``."""
        self._keep(lambda message: message.share is not share)
        if sent:
            for packet_id, flight in tuple(self._inflight.items()):
                if flight.message.share is share:
                    self._done(packet_id)

    def shed(self) -> None:
        """Give up half of what is kept, the oldest first: others need the room more. Canonical messages stay."""
        goal = self.held_bytes // 2
        before = self.backlog
        self._keep(lambda message: message.after >= 0 or self.held_bytes <= goal)
        for packet_id, flight in list(self._inflight.items()):
            if flight.message.after < 0 and self.held_bytes > goal:
                self._done(packet_id)
        self.dropped += before - self.backlog

    def forget(self) -> None:
        """Drop everything that is queued or in flight (a clean session, a revoked identity)."""
        self._holds(-self.held_bytes)
        self._queue.clear()
        self._inflight.clear()
        self._again.clear()
        self._sent.clear()
        self._replays.clear()
        self.unreleased.clear()

    def _recall(self) -> bool:
        """Queue the next retained message of a replay, when the window has room for it."""
        if len(self._inflight) >= self._window or self.held_bytes >= self._budget.each:
            return False
        while self._replays:
            topic_filter, replay = next(iter(self._replays.items()))
            for topic in replay.topics:
                found = self._retained.get(topic)
                if found is not None and found.number <= replay.newest:
                    qos, identifiers = min(found.qos, int(replay.granted)), replay.granted.identifiers
                    self._enqueue(
                        Message(
                            topic.encode(), found.payload, qos, True, -1, None, found.about, found.expires, identifiers
                        )
                    )
                    return True
            del self._replays[topic_filter]
            self._store.filter(self.no, topic_filter, subscribed(replay.granted))
        return False

    def _restore(self, kept: KeptSession) -> None:
        """As it was: what was sent is in flight under its packet id, the rest waits in its order."""
        for no, owed in kept.owed.items():
            message = Message(
                owed.topic, owed.payload, owed.qos, owed.retain, -1, None, owed.about, owed.expires, owed.identifiers
            )
            if owed.packet_id:
                step = InFlightStep.COMPLETION if owed.completing else InFlightStep.RECEIPT
                self._inflight[owed.packet_id] = Outgoing(message, step, no)
            else:
                self._queue.append(QueuedMessage(message, no))
            self._holds(message.size)
            self._last_no = max(self._last_no, no)
        self._last_id = max(self._inflight, default=0)

    def _enqueue(self, message: Message) -> None:
        no = 0
        if self.persistent and message.qos and message.after < 0:
            no = self._last_no = self._last_no + 1
            self._store.owed(self.no, no, _owed(message))
        self._queue.append(QueuedMessage(message, no))
        self._holds(message.size)

    def _holds(self, more: int) -> None:
        """So many bytes more, or fewer, wait."""
        before = self.held_bytes
        self.held_bytes = now = before + more
        self._budget.take(more)
        self._heaviest.moved(self, before, now)

    def _move(self, packet_id: int, flight: Outgoing) -> None:
        """The message is in flight, at this step."""
        self._inflight[packet_id] = flight
        if flight.no:
            self._store.owed(self.no, flight.no, _owed(flight.message, packet_id, flight.step))

    def _keep(self, wanted: Callable[[Message], bool]) -> None:
        kept: deque[QueuedMessage] = deque()
        for waiting in self._queue:
            if wanted(waiting.message):
                kept.append(waiting)
            else:
                self._give_back(*waiting)
        self._queue = kept

    def _done(self, packet_id: int) -> None:
        flight = self._inflight.pop(packet_id)
        self._sent.discard(packet_id)
        self._give_back(flight.message, flight.no)

    def _give_back(self, message: Message, no: int) -> None:
        self._holds(-message.size)
        if no:
            self._store.owed(self.no, no, None)
        if message.share is not None:
            message.share.over(self, message.after + 1)

    def _next_id(self) -> int:
        candidate = self._last_id
        while True:
            candidate = candidate % 65_535 + 1
            if candidate not in self._inflight:
                self._last_id = candidate
                return candidate


def _own(message: Message) -> bool:
    """Whether it is an event of the session's own filters, and not of a group's."""
    return message.after >= 0 and message.share is None


def _owed(message: Message, packet_id: int = 0, step: InFlightStep = InFlightStep.RECEIPT) -> OwedMessage:
    topic, payload, qos, retain, _, _, about, expires, identifiers = message
    completing = step is InFlightStep.COMPLETION
    return OwedMessage(topic, payload, qos, retain, packet_id, completing, about, expires, identifiers)
