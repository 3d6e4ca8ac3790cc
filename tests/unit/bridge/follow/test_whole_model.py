# long: one model; what can happen, what a client does with it, and the book that knows what is owed
"""Sessions, their flow control and a shared group together, in whatever order things happen, in both versions.

Three clients and a book in the slowest way: lists of what each is owed, who has which event of the group, and what is
over. What the service is made of is real: the table of sessions, subscriptions, the feed of the log and its groups.
Only time, sockets and the moment at which anything is done are the model's.

``HEALTHSYNC_MODEL_EXAMPLES`` asks for more of them, ``HEALTHSYNC_MODEL_STEPS`` for longer ones.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.follow.canonical import CanonicalFeed
from bridge.ports import Chores, Commit
from bridge.stages.journal import Journal
from healthsync_mqtt.broker.embedded.dialect import THREE, Dialect5
from healthsync_mqtt.broker.embedded.sessions.port import KeepNothing
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.broker.embedded.subscription_requests import SubscriptionRequests
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.mqtt.codec import Decoder
from healthsync_mqtt.mqtt.codec.packets import Property, Publish, Pubrel, Suback, Subscribe, Unsuback, Unsubscribe
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.testing.log_items import item
from healthsync_mqtt.topics.access import AccessRules
from tests.support.consent import agreeing
from tests.unit.bridge.bench import REGISTRY

NAMES = ("a", "b", "c")
USERS = ("alice", "bob")
STATUS = "users/alice/devices/w/status"
GROUP = "$share/g/users/+/canonical/+"
CANONICAL = "/canonical/"
WINDOW = 4
LONGEST_S = 20.0
"""Seconds that a session is kept at most; sessions of 3.1.1 are kept so long."""
SMALL, LONG = 600, 1_000
"""Bytes of a packet that some clients take at most, and of a payload that is longer."""
WHICH = st.integers(0, 29)
"""Picks one of those that there are."""
RULES = AccessRules(REGISTRY)
EXAMPLES = int(os.environ.get("HEALTHSYNC_MODEL_EXAMPLES", "60"))
STEPS = int(os.environ.get("HEALTHSYNC_MODEL_STEPS", "50"))


class Running(KeepNothing):
    """Nothing is kept; time goes on when the model says so."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0

    def running(self) -> float:
        return self.now


class Unhurried(Sessions):
    """Sessions that send when the model says so."""

    def _soon(self, session: Session) -> None:
        pass


class AtOnce(Chores):
    """Chores that are durable at once, on a log without a thread."""

    def __init__(self, log: MemoryEventLog) -> None:
        super().__init__()
        self._log = log

    def add(self, write: Callable[[Journal], None], done: Callable[[], None] = lambda: None) -> None:
        write(cast("Journal", self))
        self._log.commit()
        done()

    def keep_cursors(self, cursors: dict[str, int | None]) -> None:
        for name, seq in cursors.items():
            if seq is None:
                self._log.drop_cursor(name)
            else:
                self._log.set_cursor(name, seq)


@dataclass
class Owed:
    """A message of another client that one session is owed."""

    number: int
    qos: int
    long: bool
    expires: float
    deliveries: int = 0
    over: bool = False
    #: it need not come any more
    excused: bool = False


@dataclass
class Line:
    """One connection, with the client that reads it."""

    world: "World"
    name: str
    version: int
    most: int
    small: bool
    decoder: Decoder
    session: Session | None = None
    aliases: dict[int, bytes] = field(default_factory=dict)
    #: packet id to what it is, of what was sent on this connection and is not over
    open: dict[int, "Owed | int"] = field(default_factory=dict)
    #: packet ids whose release has come
    released: set[int] = field(default_factory=set)

    def flush(self) -> None:
        """When the model says so."""

    def close(self, reason: str, *, will: bool) -> None:
        assert (reason, will) == ("taken_over", True)
        self.world.leave(self)


@dataclass
class Kept:
    """What the book knows of a session: it may outlast connections."""

    expiry_s: float
    left: float | None = None
    owed: list[Owed] = field(default_factory=list)
    #: QoS 2: packet ids of which the client has said that it has the message
    received: dict[int, Owed] = field(default_factory=dict)
    status: int | None = None
    member: int | None = None
    #: at which events may come: one that waits keeps the QoS of when it was handed out
    levels: set[int] = field(default_factory=set)
    #: events that it was sent and may finish, although others get them too
    loose: set[int] = field(default_factory=set)


class World(RuleBasedStateMachine):
    """What can happen."""

    def __init__(self) -> None:
        super().__init__()
        self.log = MemoryEventLog()
        self.keep = Running()
        limits = LimitSettings(send_window=WINDOW, session_queue=1_000, session_expiry_s=LONGEST_S)
        self.sessions = Unhurried(limits, RULES, self.keep)
        self.feed = CanonicalFeed(
            reader=self.log.reader(),
            head=0,
            registry=REGISTRY,
            chores=AtOnce(self.log),
            gate=agreeing(*USERS),
            sessions=self.sessions,
        )
        self.subscription_requests = SubscriptionRequests(
            rules=RULES,
            limits=limits,
            sessions=self.sessions,
            embedded=cast("Any", self),
            feeder=self.feed,
            counters=Counters(),
        )
        self.lines: dict[str, Line] = {}
        self.book: dict[str, Kept] = {}
        self.delivered = 0
        self.numbers = 0
        #: user by seq of the group's events: those from after its first member came
        self.events: dict[int, str] = {}
        self.head = 0
        self.began: int | None = None
        self.done: set[int] = set()
        #: acknowledged by who had left the group and is back: done, if it was to have it again anyway
        self.perhaps: set[int] = set()
        #: seq to the client that has it
        self.holder: dict[int, str] = {}

    @initialize(version=st.sampled_from((4, 5)))
    def first(self, version: int) -> None:
        self.connect("a", version, False, 10.0, 4, 0, False)
        self.connect("b", 5, True, 10.0, 2, 1, False)
        self.join("b", 1)
        self.hear("b", 1)

    # -- connections

    @rule(
        name=st.sampled_from(NAMES),
        version=st.sampled_from((4, 5)),
        clean=st.booleans(),
        expiry_s=st.sampled_from((0.0, 3.0, 10.0, 100.0)),
        most=st.integers(1, WINDOW + 2),
        aliases=st.integers(0, 2),
        small=st.booleans(),
    )
    def connect(  # noqa: PLR0917  # Hypothesis names them
        self, name: str, version: int, clean: bool, expiry_s: float, most: int, aliases: int, small: bool
    ) -> None:
        """As ``FrontDoor.enter``; a connection that there is, is taken over."""
        small, most = small and version == 5, most if version == 5 else WINDOW
        principal = Principal(role=Role.subscriber, client_id=name, users=None, types=None)
        line = Line(
            self, name, version, min(most, WINDOW), small, Decoder(1 << 20, server=False, versions=frozenset({version}))
        )
        about: dict[Property, Any] = {Property.RECEIVE_MAXIMUM: most, Property.TOPIC_ALIAS_MAXIMUM: aliases}
        if small:
            about[Property.MAXIMUM_PACKET_SIZE] = SMALL
        kept = self.book.get(name)
        older = self.lines.get(name)
        alive = kept is not None and (
            kept.expiry_s > 0 if older is not None else kept.left is not None and self.now <= kept.left + kept.expiry_s
        )
        if self.sessions.lapsed(name) or clean:
            self.feed.forget(name)
        line.session, present = self.sessions.open(
            line,
            principal,
            clean=clean,
            expiry_s=expiry_s if version == 5 else None,
            dialect=Dialect5(about) if version == 5 else THREE,
        )
        self.lines[name] = line
        assert present is (alive and not clean)
        if version == 4:
            expiry_s = 0.0 if clean else LONGEST_S
        if not present:
            kept = Kept(0.0)
        assert kept is not None
        self.book[name] = kept
        kept.expiry_s, kept.left = min(expiry_s, LONGEST_S), None
        if present:
            self.subscription_requests.resume(line.session)

    @precondition(lambda self: self.lines)
    @rule(which=WHICH)
    def cut(self, which: int) -> None:
        self.leave(self.some(which))

    @precondition(lambda self: any(line.version == 5 for line in self.lines.values()))
    @rule(which=WHICH, expiry_s=st.sampled_from((0.0, 5.0)))
    def disconnect(self, which: int, expiry_s: float) -> None:
        """DISCONNECT may say how long the session lasts, if it does at all."""
        line = self.some(which, lambda line: line.version == 5)
        assert line.session is not None
        if line.session.expiry_s:
            line.session.expiry_s = self.book[line.name].expiry_s = expiry_s
        self.leave(line)

    def leave(self, line: Line) -> None:
        """As ``FrontDoor.leave``."""
        session = line.session
        assert session is not None
        self.feed.detach(session)
        self.sessions.leave(line, session, self.now)
        if session.persistent and not self.sessions.has(session.client_id):
            self.feed.forget(session.client_id)
        del self.lines[line.name]
        self.gives_back(line.name)
        kept = self.book[line.name]
        if not kept.expiry_s:
            del self.book[line.name]
            return
        kept.left = self.now
        for owed in kept.owed:
            owed.excused = owed.excused or not owed.qos

    def gives_back(self, name: str) -> None:
        self.holder = {seq: who for seq, who in self.holder.items() if who != name}

    @rule(seconds=st.integers(1, 6), swept=st.booleans())
    def time_passes(self, seconds: int, swept: bool) -> None:
        self.keep.now += seconds
        if swept:  # as ``FrontDoor.expire_sessions``
            gone = self.sessions.expire(self.now)
            for name in gone:
                self.feed.forget(name)
            late = {
                name
                for name, kept in self.book.items()
                if kept.left is not None and kept.left + kept.expiry_s < self.now
            }
            assert set(gone) == late
            for name in late:
                del self.book[name]

    @property
    def now(self) -> float:
        return self.keep.now

    # -- subscriptions

    @precondition(lambda self: self.lines)
    @rule(which=WHICH, qos=st.integers(0, 2))
    def listen(self, which: int, qos: int) -> None:
        self.hear(self.some(which).name, qos)

    def hear(self, name: str, qos: int) -> None:
        self.ask(self.lines[name], Subscribe(1, ((STATUS, qos),)), (qos,))
        self.book[name].status = qos

    @precondition(lambda self: any(self.book[name].status is not None for name in self.lines))
    @rule(which=WHICH)
    def unlisten(self, which: int) -> None:
        line = self.some(which, lambda line: self.book[line.name].status is not None)
        self.ask(line, Unsubscribe(1, (STATUS,)), (0,))
        self.book[line.name].status = None

    @precondition(lambda self: any(line.version == 5 for line in self.lines.values()))
    @rule(which=WHICH, qos=st.integers(0, 2))
    def some_join(self, which: int, qos: int) -> None:
        self.join(self.some(which, lambda line: line.version == 5).name, qos)

    def join(self, name: str, qos: int) -> None:
        self.ask(self.lines[name], Subscribe(1, ((GROUP, qos),)), (qos,))
        self.book[name].member = qos
        self.book[name].levels.add(min(1, qos))
        if self.began is None:
            self.began = self.head

    @precondition(lambda self: any(self.book[name].member is not None for name in self.lines))
    @rule(which=WHICH)
    def some_part(self, which: int) -> None:
        """UNSUBSCRIBE: what it was sent it may finish, and others get it too."""
        line = self.some(which, lambda line: self.book[line.name].member is not None)
        self.ask(line, Unsubscribe(1, (GROUP,)), (0,))
        kept = self.book[line.name]
        kept.member = None
        kept.loose.update(what for what in line.open.values() if isinstance(what, int))
        self.gives_back(line.name)

    def ask(self, line: Line, asked: Subscribe | Unsubscribe, codes: tuple[int, ...]) -> None:
        answers: list[Suback | Unsuback] = []
        assert line.session is not None
        self.subscription_requests.listen(line.session, asked, answers.append)
        assert [answer.codes for answer in answers] == [codes]

    # -- what there is to send

    @rule(count=st.integers(1, WINDOW), qos=st.integers(0, 2), long=st.booleans(), lives=st.sampled_from([0, 0, 1, 10]))
    def publish(self, count: int, qos: int, long: bool, lives: int) -> None:
        """Messages of another client."""
        for _ in range(count):
            self.publish_one(qos, lives, long=long)

    def publish_one(self, qos: int, lives: int, *, long: bool) -> None:
        self.numbers += 1
        self.delivered += 1
        expires = self.now + lives if lives else 0.0
        payload = b"%d:" % self.numbers + bytes(LONG if long else 0)
        self.sessions.routed(Retained(STATUS, payload, qos, self.delivered, b"", expires, ""), False)
        for name, kept in self.book.items():
            if kept.status is not None:
                level = min(qos, kept.status)
                if name in self.lines or level:
                    kept.owed.append(Owed(self.numbers, level, long, expires))

    @rule(users=st.lists(st.sampled_from(USERS), min_size=1, max_size=3))
    def store(self, users: list[str]) -> None:
        """Events come into the log; each is named after its place there."""
        self.log.stage([item(f"e{self.head + 1 + n}", user) for n, user in enumerate(users)], [], 1)
        self.feed.committed(Commit(self.log.commit(), (), 1))
        for user in users:
            self.head += 1
            if self.began is not None:
                self.events[self.head] = user

    # -- steps

    @rule(steps=st.integers(1, 4))
    def feed_steps(self, steps: int) -> None:
        for _ in range(steps):
            self.feed._step()

    @rule()
    def places_are_kept(self) -> None:
        self.feed.keep()
        for name, seq in self.log.reader().cursors().items():
            if name.startswith("share:"):
                assert set(self.undone(through=seq)) <= self.perhaps, (
                    "behind the group's place is what nobody has acknowledged"
                )

    @precondition(lambda self: self.lines)
    @rule(which=WHICH, most=st.sampled_from([1, 200, 65_536]))
    def send(self, which: int, most: int) -> None:
        self.transmit(self.some(which), most)

    def transmit(self, line: Line, most: int = 65_536) -> bool:
        """As ``Connection.flush``; whether anything was sent."""
        session = line.session
        assert session is not None
        sent = session.transmit(most)
        for packet in line.decoder.feed(sent):
            if isinstance(packet, Publish):
                self.took(line, packet)
            else:
                assert isinstance(packet, Pubrel)
                assert packet.packet_id in self.book[line.name].received, "a release of what the client never had"
                line.released.add(packet.packet_id)
        self.excuse(line)
        if session.fed and session.room:
            self.feed.wanted(session)
        return bool(sent)

    def took(self, line: Line, packet: Publish) -> None:
        alias = packet.properties.get(Property.TOPIC_ALIAS)
        if alias is not None and packet.topic:
            line.aliases[alias] = packet.topic
        topic = (packet.topic or line.aliases[alias or 0]).decode()
        what = self.took_event(line, packet) if CANONICAL in topic else self.took_message(line, packet)
        if packet.qos:
            assert packet.packet_id not in line.open
            line.open[packet.packet_id] = what
            assert len(line.open) <= line.most, "more than the client takes"

    def took_event(self, line: Line, packet: Publish) -> int:
        event = json.loads(packet.payload)
        seq = int(event["id"].removeprefix("e"))
        user = self.events[seq]
        kept = self.book[line.name]
        if packet.dup:
            assert seq in kept.loose, "what a connection did not take, the next one is not sent"
            return seq
        assert kept.member is not None, "who is no member got an event"
        assert packet.qos in kept.levels, "at a QoS that was never granted"
        assert event["user_id"] == user
        assert seq not in self.done, "given again although it was acknowledged"
        assert seq not in self.holder, "two members have it"
        before = [
            each for each in self.undone(seq) if self.events[each] == user and each < seq and each not in self.perhaps
        ]
        assert all(self.holder.get(each) == line.name for each in before), "out of the user's order, or at two members"
        if packet.qos:
            self.holder[seq] = line.name
        else:
            self.done.add(seq)
        return seq

    def took_message(self, line: Line, packet: Publish) -> Owed:
        kept = self.book[line.name]
        number = int(packet.payload.split(b":")[0])
        owed = next(each for each in kept.owed if each.number == number)
        assert packet.qos == owed.qos
        assert not owed.over, "a message came again after it was over"
        assert owed.qos or not owed.excused, "QoS 0 over the end of a connection"
        assert not (owed.long and line.small)
        assert packet.dup is (owed.deliveries > 0)
        if owed.expires and line.version == 5:
            assert packet.properties[Property.MESSAGE_EXPIRY] >= 1
        if owed.expires:
            assert owed.expires > self.now or owed.deliveries, "an expired message was sent for the first time"
        earlier = [each for each in kept.owed if each.number < number and not each.deliveries and not each.excused]
        assert all(self.may_never_come(each, line) for each in earlier), "out of order"
        owed.deliveries += 1
        owed.over = not owed.qos
        return owed

    def may_never_come(self, owed: Owed, line: Line) -> bool:
        return (owed.long and line.small) or bool(owed.expires and owed.expires <= self.now)

    def excuse(self, line: Line) -> None:
        for owed in self.book[line.name].owed:
            if not owed.over and self.may_never_come(owed, line):
                owed.excused = True

    @precondition(lambda self: any(line.open or line.released for line in self.lines.values()))
    @rule(which=WHICH, refuses=st.booleans(), all_of_it=st.booleans())
    def answer(self, which: int, refuses: bool, all_of_it: bool) -> None:
        line = self.some(which, lambda line: bool(line.open or line.released))
        choices = sorted({*line.released, *(each for each in line.open if each not in self.book[line.name].received)})
        for packet_id in choices if all_of_it else choices[which % 5 :][:1]:
            self.answer_one(line, packet_id, refuses=refuses)

    def answer_one(self, line: Line, packet_id: int, *, refuses: bool = False) -> None:
        kept, session = self.book[line.name], line.session
        assert session is not None
        if packet_id in line.released:
            session.on_pubcomp(packet_id)
            line.released.discard(packet_id)
            line.open.pop(packet_id, None)
            del kept.received[packet_id]
            return
        what = line.open[packet_id]
        if isinstance(what, int):
            session.on_puback(packet_id)
            del line.open[packet_id]
            kept.loose.discard(what)
            if self.holder.get(what) == line.name:
                del self.holder[what]
                self.done.add(what)
            elif kept.member is not None:
                self.perhaps.add(what)
            return
        what.over = True
        if what.qos == 1:
            session.on_puback(packet_id)
            del line.open[packet_id]
        elif refuses and line.version == 5:
            session.on_refused(packet_id)
            del line.open[packet_id]
        else:
            session.on_pubrec(packet_id)
            kept.received[packet_id] = what
            line.released.add(packet_id)  # the release is in the answer

    # -- at rest

    @rule()
    def nobody_waits_in_vain(self) -> None:
        """Everything that can be done is done; then who has room has nothing to wait for."""
        self.settle()
        for name, line in self.lines.items():
            kept = self.book[name]
            unsent = [owed for owed in kept.owed if not (owed.deliveries or owed.over or owed.excused)]
            assert not unsent or len({*line.open, *kept.received}) >= line.most, f"{name} waits in vain"
        members = {name for name in self.lines if self.book[name].member is not None}
        for user in USERS:
            waits = set(self.undone()) - set(self.holder) - self.perhaps
            if any(self.events[seq] == user for seq in waits):
                keepers = {who for seq, who in self.holder.items() if self.events[seq] == user}
                room = {name for name in keepers or members if len(self.lines[name].open) < self.lines[name].most}
                assert not any(self.room(name) for name in room), f"events of {user} wait in vain"

    def room(self, name: str) -> bool:
        kept, line = self.book[name], self.lines[name]
        return len({*line.open, *kept.received}) < line.most

    def settle(self) -> None:
        busy = True
        while busy:
            busy = False
            for line in list(self.lines.values()):
                busy = self.transmit(line) or busy
            busy = self.feed._step() or busy  # also when somebody who has room has woken it

    def undone(self, through: int | None = None) -> list[int]:
        return [seq for seq in self.events if seq not in self.done and (through is None or seq <= through)]

    def some(self, which: int, wanted: Callable[[Line], bool] = lambda _: True) -> Line:
        names = sorted(name for name, line in self.lines.items() if wanted(line))
        return self.lines[names[which % len(names)]]

    @invariant()
    def bytes_balance(self) -> None:
        assert self.sessions.held_bytes == sum(each.held_bytes for each in self.sessions._sessions.values()) >= 0
        assert {each["client_id"] for each in self.sessions.snapshot()} == set(self.book)
        assert self.sessions.connected == len(self.lines)

    def teardown(self) -> None:
        """All come back, take what they get, and then nothing is left."""
        for name in NAMES:
            kept = self.book.get(name)
            if name not in self.lines and kept is not None:
                self.connect(name, 5, False, 10.0, WINDOW, 0, False)
        self.connect("c", 5, False, 10.0, WINDOW, 0, False)
        self.join("c", 1)
        while True:
            self.settle()
            waiting = [
                (line, packet_id)
                for line in self.lines.values()
                for packet_id in {*line.open, *self.book[line.name].received}
            ]
            if not waiting:
                break
            for line, packet_id in waiting:
                self.answer_one(line, packet_id)
        for name, kept in self.book.items():
            session = self.sessions._sessions[name]
            assert session.backlog == 0
            assert all(owed.over or owed.excused for owed in kept.owed), name
        assert self.sessions.held_bytes == 0
        assert set(self.undone()) <= self.perhaps
        self.feed.keep()
        assert [seq for _, seq, _ in self.feed.shared.groups()] == [self.head]


TestWorld: Any = World.TestCase
TestWorld.settings = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None)


def happen(world: World, rng: Random) -> None:
    """One thing, as often as it happens: mostly messages and answers, sometimes an end."""
    which = rng.randrange(30)
    connected, versions = bool(world.lines), {line.version for line in world.lines.values()}
    match rng.randrange(40):
        case 0 | 1 | 2:
            expiry_s = rng.choice((0.0, 3.0, 10.0, 100.0))
            version, clean, small = rng.choice((4, 5, 5)), rng.random() < 0.3, rng.random() < 0.2
            world.connect(
                rng.choice(NAMES), version, clean, expiry_s, rng.randint(1, WINDOW + 2), rng.randrange(3), small
            )
        case 3 if connected:
            world.cut(which)
        case 4 if 5 in versions:
            world.disconnect(which, rng.choice((0.0, 5.0)))
        case 5 | 6:
            world.time_passes(rng.randint(1, 6), rng.random() < 0.5)
        case 7 | 8 if connected:
            world.listen(which, rng.randrange(3))
        case 9 if any(world.book[name].status is not None for name in world.lines):
            world.unlisten(which)
        case 10 | 11 | 12 if 5 in versions:
            world.some_join(which, rng.choice((0, 1, 1, 1, 2)))
        case 13 if any(world.book[name].member is not None for name in world.lines):
            world.some_part(which)
        case 14 | 15 | 16 | 17:
            world.publish(rng.randint(1, WINDOW), rng.randrange(3), rng.random() < 0.2, rng.choice((0, 0, 1, 10)))
        case 18 | 19 | 20 | 21 | 22:
            world.store(rng.choices(USERS, k=rng.randint(1, 3)))
        case 23 | 24 | 25:
            world.feed_steps(rng.randint(1, 4))
        case 26:
            world.places_are_kept()
        case 27 | 28 | 29 | 30 if connected:
            world.send(which, rng.choice((1, 200, 65_536)))
        case 31 | 32:
            world.nobody_waits_in_vain()
        case _ if any(line.open or line.released for line in world.lines.values()):
            world.answer(which, rng.random() < 0.2, rng.random() < 0.3)


@pytest.mark.parametrize("seed", range(max(20, EXAMPLES // 5)))
def test_a_long_life(seed: int) -> None:
    """Rare orders want many steps, more than Hypothesis makes."""
    rng, world = Random(seed), World()
    world.first(rng.choice((4, 5)))
    for _ in range(400):
        happen(world, rng)
        world.bytes_balance()
    world.teardown()
    assert len(world.done) > 20
