"""Shared groups on the embedded broker: ``$share/{group}/users/+/canonical/+``, fed from the log by one cursor each.

A group is its name, its filter and its members' grant: sessions that may read exactly the same. Who joins an existing
group begins where the group is. A group that has read everything is *live*: a new row is matched once for all of them;
others read the log from their own place until they are live again. What a member has not acknowledged when its
connection ends, the others get at once, and it does not get it again itself unless it comes back first.

The cursor is written down like those of subscribers, before the SUBACK of the first member. It outlasts the members;
after a kill of the service, what was acknowledged behind an event that was not is handed out again.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Final

from bridge.cursors import Cursors
from bridge.follow.canonical_events import CanonicalEvent, CanonicalEvents, canonical_message
from bridge.follow.front import Front
from bridge.follow.shared_group import GroupName, SharedGroup, grant_of
from bridge.ports import Chores
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.broker.embedded.ports import Unfed
from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos, Subscriptions
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.topics.grammar import is_id, matches
from healthsync_mqtt.topics.registry import TopicRegistry

PREFIX: Final = "share:"
"""What names of groups' cursors in the log begin with."""
MOST_MEMBERS: Final = 100
"""Members of one group."""
MOST_GROUPS: Final = 100
"""Groups that one client has opened and that there still are."""
_AT_ONCE: Final = 500
_TURN: Final = 50
"""Work of one step, and of one group in it: events that are handed out, their KiB, and looks into the log."""
_LOOK: Final = 10
_GROUPS: Final = 100
"""Groups that one step looks at."""
_RESTING: Final = 50
_RECENT: Final = 4_000
_RECENT_BYTES: Final = 8_388_608


class SharedFeed:
    """Fills the sessions of groups. ``step`` is called until it returns False, and again after ``woken`` was."""

    def __init__(
        self,
        *,
        cursors: Mapping[str, int],
        head: int,
        registry: TopicRegistry,
        events: CanonicalEvents,
        chores: Chores,
        gate: ConsentGate,
        sessions: Sessions,
        woken: Callable[[], None],
        clock_us: Callable[[], int],
    ) -> None:
        self._events = events
        self._user_level = user_level(registry)
        self._chores = chores
        self._cursors = Cursors(chores, PREFIX)
        self._gate = gate
        self._sessions = sessions
        self._woken = woken
        self._clock_us = clock_us
        #: how far the live groups have read
        self._front = Front(events, head)
        self._groups: dict[tuple[str, str], SharedGroup] = {}
        self._placed: set[SharedGroup] = set()
        self._index: Subscriptions[SharedGroup] = Subscriptions()
        self._live: set[SharedGroup] = set()
        #: not live, with room for more; the next one first
        self._behind: dict[SharedGroup, None] = {}
        #: may have something to hand out
        self._due: dict[SharedGroup, None] = {}
        self._joined: dict[Session, dict[str, SharedGroup]] = {}
        #: whose cursor may have moved since the last ``keep``
        self._moved: set[SharedGroup] = set()
        #: all groups; the longest not written down first
        self._resting: dict[SharedGroup, None] = {}
        self._recent: OrderedDict[int, CanonicalEvent] = OrderedDict()
        self._recent_bytes = 0
        for name, seq in cursors.items():
            if name.startswith(PREFIX):
                self._placed.add(self._open(GroupName.parse(name.removeprefix(PREFIX)), min(seq, head)))

    # -- the door's side

    def refusal(self, session: Session, topic_filter: str) -> Unfed | None:
        """Why the session cannot become a member of this group."""
        group = self._groups.get((topic_filter, grant_of(session.principal)))
        if group is not None:
            if session in group.members or len(group.members) < MOST_MEMBERS:
                return None
            return Unfed("group_full", f"a group has at most {MOST_MEMBERS} members")
        opened = sum(each.name.opened_by == session.client_id for each in self._groups.values())
        if opened < MOST_GROUPS:
            return None
        return Unfed("max_groups", f"a client may open {MOST_GROUPS} groups; one without members goes after a while")

    def prepare(self, session: Session, topic_filter: str, cursor: int | None, then: Callable[[], None]) -> None:
        """The session will be a member; ``then`` is called when the group's first place in the log is durable.

        ``cursor`` is where a new group begins, None: from now on.
        """
        grant = grant_of(session.principal)
        group = self._groups.get((topic_filter, grant))
        if group is None:
            name = GroupName(topic_filter, grant, session.client_id)
            group = self._open(name, self._front.head if cursor is None else min(cursor, self._front.head))
        if group in self._placed:
            then()
            return
        chosen, place = group, self._cursor(group)

        def kept() -> None:
            self._placed.add(chosen)
            then()

        self._chores.add(lambda journal: journal.keep_cursors({PREFIX + chosen.name.cursor: place}), kept)

    def join(self, session: Session, topic_filter: str, granted: GrantedQos) -> None:
        """The session is connected, and a member of the group of this filter."""
        grant = grant_of(session.principal)
        group = self._groups.get((topic_filter, grant))
        if group is None:  # its place was given up while the session was away
            group = self._open(GroupName(topic_filter, grant, session.client_id), self._front.head)
            self._moved.add(group)
        if not group.members:
            self._wake(group)
        group.members[session] = granted
        self._joined.setdefault(session, {})[topic_filter] = group
        session.member = True
        group.share.join(session)
        self._stir(group)

    def leave(self, session: Session, topic_filter: str) -> None:
        """The session is no member any more; what it was sent and has not acknowledged, others get."""
        joined = self._joined.get(session, {})
        group = joined.pop(topic_filter, None)
        if group is not None:
            self._part(session, group, sent=False)
            if not joined:
                del self._joined[session]
                session.member = False

    def detach(self, session: Session) -> None:
        """The session's connection is gone."""
        session.member = False
        for group in self._joined.pop(session, {}).values():
            self._part(session, group, sent=True)

    def wanted(self, session: Session) -> None:
        """The session has room, whatever it was full of before."""
        for group in self._joined.get(session, {}).values():
            if group.share.waits:
                group.share.roomy(session)
                self._stir(group)

    # -- the bridge's side

    def committed(self, head: int) -> None:
        """The log has grown."""
        self._front.head = head

    def keep(self) -> None:
        """Write down how far the groups are, where that changed."""
        for group in list(islice(self._resting, _RESTING)):
            del self._resting[group]
            self._resting[group] = None
            self._moved.add(group)
        for group in self._moved:
            cursor = self._cursor(group)
            if cursor != group.written:
                group.written = cursor
                self._cursors.move(group.name.cursor, cursor)
        self._moved.clear()
        self._cursors.keep()

    def purged(self) -> None:
        """Bodies in the log were purged: what was read before is read again."""
        self._recent.clear()
        self._recent_bytes = 0

    def drop_abandoned(self, abandoned: Callable[[int], bool]) -> None:
        """Forget the groups without members whose place is ``abandoned``."""
        for group in list(self._groups.values()):
            if not group.members and abandoned(self._cursor(group)):
                self._forget(group)

    def groups(self) -> Iterable[tuple[GroupName, int, list[str]]]:
        """Every group: its name, how far it has acknowledged, its members."""
        for group in self._groups.values():
            yield group.name, self._cursor(group), sorted(session.client_id for session in group.members)

    @property
    def lag(self) -> int:
        """Events that the slowest group with members has not been read for."""
        places = [group.share.front for group in self._groups.values() if group.members and group not in self._live]
        return self._front.head - min(places, default=self._front.place if self._live else self._front.head)

    def step(self) -> bool:
        """Read one page for those who are live and one for one of the others, and hand out; False: nothing to do."""
        advanced = self._advance()
        group = next(iter(self._behind), None)
        if group is not None:
            del self._behind[group]
            self._fill(group)
        given = self._hand_out()
        return given or advanced or group is not None or bool(self._behind)

    # -- inside

    def _open(self, name: GroupName, cursor: int) -> SharedGroup:
        group = SharedGroup(name, cursor, self._stir)
        self._groups[name.topic_filter, name.grant] = group
        self._resting[group] = None
        return group

    def _forget(self, group: SharedGroup) -> None:
        self._rest(group)
        del self._groups[group.name.topic_filter, group.name.grant]
        self._placed.discard(group)
        self._moved.discard(group)
        self._resting.pop(group, None)
        self._cursors.drop(group.name.cursor)
        self._cursors.keep()

    def _cursor(self, group: SharedGroup) -> int:
        if group.share.open or group not in self._live:
            return group.share.cursor
        return self._front.place

    def _part(self, session: Session, group: SharedGroup, *, sent: bool) -> None:
        if group.members.pop(session, None) is None:
            return
        group.share.leave(session)
        session.withdraw(group, sent=sent)
        if group.members:
            self._stir(group)
        else:
            self._rest(group)

    def _wake(self, group: SharedGroup) -> None:
        """Its first member is there: it reads on."""
        self._index.add(group, group.filter, GrantedQos(1))
        if group.share.front == self._front.place:
            self._live.add(group)
        else:
            self._behind[group] = None

    def _rest(self, group: SharedGroup) -> None:
        """Its last member is gone: it reads nothing, and keeps its place."""
        if group in self._live:
            group.share.skip(self._front.place)
            self._live.discard(group)
        self._behind.pop(group, None)
        self._due.pop(group, None)
        self._index.drop(group)
        self._moved.add(group)

    def _stir(self, group: SharedGroup) -> None:
        if group.members:
            self._moved.add(group)
            self._due[group] = None
            self._woken()

    def _advance(self) -> bool:
        page = self._front.next(live=bool(self._live))
        if page is None:
            return False
        now_us, shares = self._clock_us(), self._gate.shares
        followers: dict[str, tuple[SharedGroup, ...]] = {}
        for event in page.events:
            seq, topic = event.record.seq, event.topic
            found = followers.get(topic)
            if found is None:
                matching = self._index.match(topic)
                found = followers[topic] = tuple(group for group in matching if group.reads(event.record.type))
            if found and shares(event.record, now_us):
                for group in found:
                    if group in self._live:
                        self._offer(group, event)
            self._front.place = seq
        self._front.place = page.through
        return True

    def _offer(self, group: SharedGroup, event: CanonicalEvent) -> None:
        """A live group takes the event; one that is full falls behind."""
        seq = event.record.seq
        if group.share.room <= 0:
            group.share.skip(seq - 1)
            self._live.discard(group)
            return
        group.share.take(seq, event.record.user)
        self._remember(event)
        self._due[group] = None

    def _fill(self, group: SharedGroup) -> None:
        """A group that is behind reads its next rows; it is put back when there are more and it has room."""
        share = group.share
        if share.front >= self._front.place:
            if share.front == self._front.place:
                self._live.add(group)
            else:
                self._behind[group] = None  # the others will be there in a moment
            return
        now_us, shares = self._clock_us(), self._gate.shares
        user = self._one_user(group.filter)
        page = self._events.after(share.front, self._front.place, user)
        through = min(page.through, self._front.place)
        for event in page.events:
            seq = event.record.seq
            if seq > self._front.place:
                break
            if not matches(group.filter, event.topic) or not group.reads(event.record.type):
                continue
            if not shares(event.record, now_us):
                continue
            if share.room <= 0:
                through = seq - 1
                break
            share.take(seq, event.record.user)
            self._remember(event)
        share.skip(through)
        self._due[group] = None
        if share.room > 0:
            self._behind[group] = None

    def _hand_out(self) -> bool:
        """Give what waits to members with room, a step's work of it; due groups take turns. Whether more may be due."""
        spent = 0
        for group in list(islice(self._due, _GROUPS)):
            if spent >= _AT_ONCE:
                break
            del self._due[group]
            until = min(spent + _TURN, _AT_ONCE)
            while spent < until and (handed := group.share.next(_room)) is not None:
                spent += self._hand(group, handed.member, handed.seq)
            if spent >= until:
                self._due[group] = None
            if group.members and group not in self._live and group.share.room > 0:
                self._behind[group] = None
        return spent > 0 or bool(self._due)

    def _hand(self, group: SharedGroup, member: Session, seq: int) -> int:
        """Give an event to a member; what that cost."""
        cost = 1 if seq in self._recent else _LOOK
        event = self._event(seq)
        if event is None or not self._gate.shares(event.record, self._clock_us()):
            group.share.acknowledge(member, seq)  # it is nobody's any more
            return cost
        granted = group.members[member]
        self._sessions.give(member, canonical_message(event.topic, event.payload, granted, seq - 1, group, event.about))
        return cost + (len(event.payload) >> 10)

    def _one_user(self, topic_filter: str) -> str | None:
        """The user that a filter on canonical topics names, if it names one: its rows are found by index."""
        level = topic_filter.split("/")[self._user_level : self._user_level + 1]
        return level[0] if level and is_id(level[0]) else None

    def _remember(self, event: CanonicalEvent) -> None:
        if event.record.seq not in self._recent:
            self._recent[event.record.seq] = event
            self._recent_bytes += len(event.record.body)
            while len(self._recent) > _RECENT or self._recent_bytes > _RECENT_BYTES:
                _, old = self._recent.popitem(last=False)
                self._recent_bytes -= len(old.record.body)

    def _event(self, seq: int) -> CanonicalEvent | None:
        """A row that a group has taken; None when it was purged meanwhile."""
        event = self._recent.get(seq)
        if event is None:
            event = self._events.one(seq)
            if event is not None:
                self._remember(event)
        return event


def user_level(registry: TopicRegistry) -> int:
    """Where in canonical topics the user stands."""
    levels = registry["canonical"].template.levels
    return next(at for at, level in enumerate(levels) if level.variable and level.text == "user")


def _room(session: Session) -> int:
    return session.room if session.connected else 0
