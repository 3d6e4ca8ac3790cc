# long: one session goes through all of these states, and what moves it between them stands together
"""Canonical events to subscribers of the embedded broker. Each has a position in the log and is fed at its own pace.

Who has everything is *live*: new rows are matched once and given to the sessions that follow them, so that a commit
costs what is given and nothing for everybody else. Who is not (a slow reader, one that was away) is *behind* and reads
the log from its own position until it is live again. No event is dropped for a slow one, nothing is buffered for it.
The position of a persistent session is kept in the log, so that it goes on after a crash of either side where its
acknowledgements ended.

A SUBSCRIBE may ask for the past (``from``): the session goes back to there, and its other filters have a *floor*, up
to which they bring nothing again. Filters of shared groups are fed by ``shared``.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from bridge.cursors import Cursors
from bridge.follow.abandoned_cursors import CURSOR, abandoned, positions, received_after
from bridge.follow.canonical_events import CanonicalEvent, CanonicalEvents, arrays, canonical_message
from bridge.follow.front import Front
from bridge.follow.loop import CursorLoop
from bridge.follow.shared_groups import SharedFeed, user_level
from bridge.ports import Chores, Commit
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.broker.embedded.ports import Unfed, Wish
from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos, beside
from healthsync_mqtt.broker.embedded.sessions.session import Message, Session
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.errors import InputError
from healthsync_mqtt.model.catalogue import GUARDED
from healthsync_mqtt.model.start_position import PROPERTY, FromPosition, Since, parse_since
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.storage.subscriber_start import place
from healthsync_mqtt.topics.access import may_read
from healthsync_mqtt.topics.grammar import is_id, matches, shared_filter
from healthsync_mqtt.topics.registry import TopicRegistry

_MOST_GIVEN: Final = 2_000
"""Messages of one step; then others on the loop have their turn."""
_SHARED: Final = frozenset({"canonical", "latest"})
"""Channels of what users agreed to share."""
_BYTES_AT_ONCE: Final = 262_144
_RESTING: Final = 50
"""Live sessions whose position is written down at each ``keep`` although nothing came for them."""


class ReaderPlace(NamedTuple):
    """How far a subscriber, or a group and its members, has acknowledged. Of a group, ``name`` is its shared filter."""

    name: str
    seq: int
    members: tuple[str, ...]
    filters: tuple[str, ...]
    group: bool = False


class CanonicalFeed:
    """Fills sessions with canonical events (the door's ``Feeder``)."""

    def __init__(
        self,
        *,
        reader: LogReader,
        head: int,
        registry: TopicRegistry,
        chores: Chores,
        gate: ConsentGate,
        sessions: Sessions,
        over: Iterable[str] = (),
        traced: Callable[[int], str] | None = None,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        """``over``: clients whose session did not outlast the last run; their next one begins anew.

        ``traced`` is asked for the trace of each event as it is given.
        """
        self._gate = gate
        self._clock_us = clock_us
        self._registry = registry
        self._reader = reader
        self._sessions = sessions
        self._events = CanonicalEvents(reader, registry, traced)
        self._chores = chores
        self._cursors = Cursors(chores, CURSOR)
        self._positions = positions(reader.cursors())
        #: clients whose first place is in the log
        self._placed = set(self._positions)
        self._looked_at: deque[str] = deque(self._positions)
        #: clients without a session whose place was set for when they come
        self._awaited: set[str] = set()
        #: how far the live sessions are
        self._front = Front(self._events, head)
        self._live: set[Session] = set()
        #: behind, with room as far as is known; the next one first
        self._behind: dict[Session, None] = {}
        #: behind, and without room until ``wanted``
        self._stalled: set[Session] = set()
        #: persistent sessions that are fed; the longest not written down first
        self._resting: dict[Session, None] = {}
        #: were given something, or acknowledged something, since the last ``keep``
        self._moved: set[Session] = set()
        self._user_level = user_level(registry)
        self._loop = CursorLoop(self._step)
        self.run = self._loop.run
        self.shared = SharedFeed(
            cursors=reader.cursors(),
            head=head,
            registry=registry,
            events=self._events,
            chores=chores,
            gate=gate,
            sessions=sessions,
            woken=self._loop.wake,
            clock_us=clock_us,
        )
        for client_id in over:
            self.forget(client_id)

    # -- the door's side

    def attach(self, session: Session) -> None:
        """Feed this session from its position: where its last acknowledgement was, or from now on."""
        if session in self._live:
            return
        self._awaited.discard(session.client_id)
        if session.position is None:
            session.position = min(self._positions.get(session.client_id, self._front.head), self._front.head)
        if session.persistent:
            self._resting[session] = None
            self._moved.add(session)
        self._stalled.discard(session)
        if session.position == self._front.place and not session.floors:
            self._live.add(session)
        else:
            self._behind[session] = None
            self._loop.wake()
        if session.persistent and session.client_id not in self._positions:
            self._note(session)  # its first place is written down at once: a kill soon after must not lose it
            self._cursors.keep()

    def join(self, session: Session, topic_filter: str, granted: GrantedQos) -> None:
        """The session is connected, and a member of the group of this shared filter."""
        self.shared.join(session, topic_filter, granted)

    def leave(self, session: Session, topic_filter: str) -> None:
        """The session does not want this filter any more."""
        session.floors.pop(topic_filter, None)
        self.shared.leave(session, topic_filter)

    def refusal(self, session: Session, wish: Wish) -> Unfed | None:
        """Why a filter that may be had cannot be fed as it is asked for; None when it can."""
        try:
            since = _since(wish)
        except InputError as error:
            return Unfed("bad_from", f"{error}; {error.hint}")
        if isinstance(since, FromPosition) and self._user_of(wish.topic_filter) is None:
            return Unfed("bad_from", "a seq counts the events of one user, and the filter does not name one")
        if shared_filter(wish.topic_filter) is None:
            return None
        return self.shared.refusal(session, wish.topic_filter)

    def prepare(self, session: Session, wishes: Sequence[Wish], then: Callable[[], None]) -> None:
        """The session will be fed; ``then`` is called when its first place in the log is durable.

        Without that, a crash between the SUBACK and the next writing of places would lose what came in between.
        """
        own = []
        for wish in wishes:
            start = self._start(wish)
            if shared_filter(wish.topic_filter) is None:
                own.append((wish.topic_filter, start))
            else:
                then = partial(self.shared.prepare, session, wish.topic_filter, start, then)
        if not own:
            then()
            return
        client_id = session.client_id
        if session.position is None:
            session.position = min(self._positions.get(client_id, self._front.head), self._front.head)
        for topic_filter, start in own:
            self._begin(session, topic_filter, start)
        if not session.persistent or client_id in self._placed:
            then()
            return
        position = session.acknowledged_position()
        assert position is not None
        if client_id not in self._positions:
            self._looked_at.append(client_id)
        self._positions[client_id] = position

        def kept() -> None:
            self._placed.add(client_id)
            then()

        self._chores.add(lambda journal: journal.keep_cursors({CURSOR + client_id: position}), kept)

    def _start(self, wish: Wish) -> int | None:
        """The place in the log from which this filter is wanted; None: from now on."""
        since = _since(wish)
        return None if since is None else place(since, self._reader, self._front.head, self._user_of(wish.topic_filter))

    def _begin(self, session: Session, topic_filter: str, start: int | None) -> None:
        """The filter brings what comes after ``start``; the other filters bring nothing again."""
        reached = self._front.place if session in self._live else session.position
        assert reached is not None
        if start is None:
            if session.floors:  # a new one begins now; one that the session has goes on, however often it is asked for
                session.floors.setdefault(topic_filter, self._front.head)
            return
        for name in self._sessions.index.filters(session):
            if name != topic_filter:
                session.floors[name] = max(session.floors.get(name, 0), reached)
        session.floors[topic_filter] = start
        self._live.discard(session)  # who is live has no floors
        session.position = min(start, reached)
        if start < reached:
            self._placed.discard(session.client_id)

    def _user_of(self, topic_filter: str) -> str | None:
        """The user that a filter on canonical topics names, if it names one."""
        shared = shared_filter(topic_filter)
        level = (shared.filter if shared else topic_filter).split("/")[self._user_level :]
        return level[0] if level and is_id(level[0]) else None

    def detach(self, session: Session) -> None:
        """Stop feeding; a persistent session goes on at what it has not acknowledged."""
        self.shared.detach(session)
        if session.persistent:
            self._note(session)
        if session in self._live:
            session.position = self._front.place
            self._live.discard(session)
        self._behind.pop(session, None)
        self._stalled.discard(session)
        self._resting.pop(session, None)
        self._moved.discard(session)
        self._cursors.keep()

    def forget(self, client_id: str) -> None:
        """No position is kept for this client."""
        self._placed.discard(client_id)
        self._awaited.discard(client_id)
        if self._positions.pop(client_id, None) is not None:
            self._cursors.drop(client_id)
            self._cursors.keep()

    def wanted(self, session: Session) -> None:
        """The session has taken something, and has room."""
        self.shared.wanted(session)
        if session.persistent:
            self._moved.add(session)
        if session in self._stalled:
            self._stalled.discard(session)
            self._behind[session] = None
            self._loop.wake()

    # -- the bridge's side

    def committed(self, commit: Commit) -> None:
        """The log has grown."""
        self._front.head = commit.head
        self.shared.committed(commit.head)
        self._loop.wake()

    def purged(self) -> None:
        """Bodies in the log were purged: nothing that was read before is handed out."""
        self._events.forget()
        self.shared.purged()

    def narrowed(self, users: frozenset[str]) -> None:
        """The consent of these users to share has changed: what waits and may not go out any more is dropped."""
        if users:
            now_us = self._clock_us()
            parse, shares = self._registry.parse, self._gate.permits

            def withheld(topic: str) -> bool:
                parsed = parse(topic)
                return parsed is not None and parsed[0].key in _SHARED and not shares(**parsed[1], now_us=now_us)

            self._sessions.forget(withheld)

    @property
    def lag(self) -> int:
        """Events that the slowest connected subscriber, or group with members, has not been handed yet."""
        return max(0, self._front.head - self._slowest())

    @property
    def lag_s(self) -> float:
        """For how many seconds the oldest of them has waited."""
        place = self._slowest()
        received_us = self._received_after(place) if place < self._front.head else None
        return 0.0 if received_us is None else max(0.0, (self._clock_us() - received_us) / 1e6)

    def _slowest(self) -> int:
        slow = [session.position or 0 for session in (*self._behind, *self._stalled)]
        own = min(slow, default=self._front.place if self._live else self._front.head)
        return min(own, self._front.head - self.shared.lag)

    def places(self) -> list[ReaderPlace]:
        """How far each subscriber and each group has acknowledged, connected or not."""
        found = dict(self._positions)
        for session in (*self._live, *self._behind, *self._stalled):
            if session in self._live:
                session.position = self._front.place
            found[session.client_id] = session.acknowledged_position() or 0
        own = [ReaderPlace(client_id, seq, (), self._sessions.filters(client_id)) for client_id, seq in found.items()]
        groups = [
            ReaderPlace(name.topic_filter, seq, tuple(members), (name.topic_filter,), group=True)
            for name, seq, members in self.shared.groups()
        ]
        return sorted(own) + sorted(groups)

    async def rewind(self, client_id: str, seq: int | None) -> int:
        """The client's own filters bring what follows this place; ``seq`` None: what is stored from now on.

        The place, when it is durable as far as it outlasts the connection. Who has no session is waited for.
        """
        session = self._sessions.session(client_id)
        place = self._front.head if seq is None else min(seq, self._front.head)
        if session is not None and session.position is not None:
            attached = session in self._live or session in self._behind or session in self._stalled
            session.rewind(place)
            self._live.discard(session)
            self._stalled.discard(session)
            if attached:
                self._behind[session] = None
                self._loop.wake()
            if not session.persistent:
                return place
        if client_id not in self._positions:
            self._looked_at.append(client_id)
        if session is None:
            self._awaited.add(client_id)
        self._positions[client_id] = place
        self._cursors.move(client_id, place)  # else an older one that waits would be written after it
        await self._chores.durable(lambda journal: journal.keep_cursors({CURSOR + client_id: place}))
        return place

    def keep(self) -> None:
        """Write down how far persistent sessions have acknowledged, where that changed."""
        moved, self._moved = self._moved, set()
        for session in moved:
            self._note(session)
        for session in list(islice(self._resting, _RESTING)):
            del self._resting[session]
            self._resting[session] = None
            self._note(session)
        self._cursors.keep()
        self.shared.keep()

    def drop_abandoned(self, registered: Callable[[str], bool], since_us: int, most: int = 100) -> None:
        """Forget the places of clients that may not or will not come back; looks at ``most`` of them, then goes on.

        ``since_us``: who did not take what came in before this time is given up.
        """
        self.shared.drop_abandoned(
            lambda seq: abandoned(seq, registered=True, received_after=self._received_after, since_us=since_us)
        )
        for _ in range(min(most, len(self._looked_at))):
            client_id = self._looked_at.popleft()
            seq = self._positions.get(client_id)
            if seq is None:
                continue
            may = registered(client_id)
            if not (may and (client_id in self._awaited or self._sessions.has(client_id))) and abandoned(
                seq, registered=may, received_after=self._received_after, since_us=since_us
            ):
                self.forget(client_id)
            else:
                self._looked_at.append(client_id)

    def _received_after(self, seq: int) -> int | None:
        return received_after(self._reader, seq)

    def _note(self, session: Session) -> None:
        if session in self._live:
            session.position = self._front.place
        position = session.acknowledged_position()
        known = self._positions.get(session.client_id)
        if position is not None and known != position:
            if known is None:
                self._looked_at.append(session.client_id)
            self._positions[session.client_id] = position
            self._cursors.move(session.client_id, position)

    # -- steps

    def _step(self) -> bool:
        """One page to those who are live, and one to one of those who are behind; False when nobody took any."""
        advanced = self.shared.step()
        advanced = self._advance() or advanced
        session = next(iter(self._behind), None)
        if session is None:
            return advanced
        del self._behind[session]
        self._fill(session)
        return True

    def _advance(self) -> bool:
        """Give the next rows to the live sessions that follow them."""
        page = self._front.next(live=bool(self._live))
        if page is None:
            return False
        started, now_us, shares = self._front.place, self._clock_us(), self._gate.shares
        followers: dict[str, dict[Session, GrantedQos]] = {}
        runs: dict[Session, dict[str, list[CanonicalEvent]]] = {}
        served: set[Session] = set()
        given = 0
        for event in page.events:
            seq, topic = event.record.seq, event.topic
            found = followers.get(topic)
            if found is None:
                found = followers[topic] = self._followers(event)
            if found and shares(event.record, now_us):
                messages: dict[tuple[int, tuple[int, ...]], Message] = {}
                for session, granted in found.items():
                    if session not in self._live:
                        continue
                    if not session.room:
                        self._fall_behind(session, started if session in runs else seq - 1)
                        runs.pop(session, None)
                        continue
                    given += 1
                    served.add(session)
                    if session.principal.batches:
                        runs.setdefault(session, {}).setdefault(topic, []).append(event)
                        continue
                    same = (granted, granted.identifiers)
                    message = messages.get(same)
                    if message is None:
                        message = messages[same] = canonical_message(
                            topic, event.payload, granted, seq - 1, about=event.about
                        )
                    self._hand(session, message)
            self._front.place = seq
            if given >= _MOST_GIVEN:
                break
        else:
            self._front.place = page.through
        for session, by_topic in runs.items():
            self._hand_arrays(session, by_topic, {topic: followers[topic][session] for topic in by_topic}, started)
        for session in served & self._live:
            session.position = self._front.place
        return True

    def _followers(self, event: CanonicalEvent) -> dict[Session, GrantedQos]:
        """Who follows the topic of an event, and may read events of its type."""
        found = self._sessions.index.match(event.topic)
        type_name = event.record.type
        if type_name not in GUARDED:
            return found
        return {session: granted for session, granted in found.items() if may_read(session.principal, type_name)}

    def _fall_behind(self, session: Session, position: int) -> None:
        session.position = position
        self._live.discard(session)
        self._stalled.add(session)

    def _fill(self, session: Session) -> None:
        """Give a session that is behind its next rows; then it is live, behind, or stalled."""
        after = session.position
        assert after is not None
        floors = session.floors
        if floors and after >= max(floors.values()):
            floors.clear()
        if after == self._front.place and not floors:
            self._live.add(session)
            return
        if not session.room or not session.connected:
            self._stalled.add(session)
            return
        self._behind[session] = None
        if after >= self._front.place:
            return  # it is new and stands at the head, where those who are live will be in a moment
        granted: dict[str, GrantedQos | None] = {}
        runs: dict[str, list[CanonicalEvent]] = {}
        now_us, shares, match = self._clock_us(), self._gate.shares, self._sessions.index.match
        room, size, batches = session.room, 0, session.principal.batches
        filters = self._sessions.index.filters(session) if floors else {}
        page = self._events.after(after, self._front.place, _only_user(session))
        position = page.through
        for event in page.events:
            seq, topic = event.record.seq, event.topic
            if seq > self._front.place:
                break
            if event.record.type in GUARDED and not may_read(session.principal, event.record.type):
                continue
            if floors:
                granted[topic] = beside(
                    each for name, each in filters.items() if seq > floors.get(name, 0) and matches(name, topic)
                )
            elif topic not in granted:
                granted[topic] = match(topic).get(session)
            grant = granted[topic]
            if grant is None or not shares(event.record, now_us):
                continue
            if not room or size > _BYTES_AT_ONCE:
                position = seq - 1
                break
            size += len(event.payload)
            if batches:
                runs.setdefault(topic, []).append(event)
                continue
            room -= 1
            self._hand(session, canonical_message(topic, event.payload, grant, seq - 1, about=event.about))
        self._hand_arrays(session, runs, granted, after)
        session.position = min(position, self._front.place)

    def _hand(self, session: Session, message: Message) -> None:
        self._sessions.give(session, message)
        if session.persistent:
            self._moved.add(session)

    def _hand_arrays(
        self,
        session: Session,
        runs: dict[str, list[CanonicalEvent]],
        granted: Mapping[str, GrantedQos | None],
        after: int,
    ) -> None:
        for topic, run in runs.items():
            grant = granted[topic]
            assert grant is not None
            for payload in arrays(run):
                self._hand(session, canonical_message(topic, payload, grant, after))


def _since(wish: Wish) -> Since | None:
    """What the user property ``from`` of the SUBSCRIBE says; InputError for two, and for nothing that is known."""
    said = [value for name, value in wish.properties if name == PROPERTY]
    if len(said) > 1:
        raise InputError("there are two properties from", hint="a filter begins at one place: say from once")
    return parse_since(said[0]) if said else None


def _only_user(session: Session) -> str | None:
    """The one user that a session may read, if it is one: its rows are found by index."""
    principal = session.principal
    if principal.user is not None:
        return principal.user
    users = principal.users
    return next(iter(users)) if users is not None and len(users) == 1 else None
