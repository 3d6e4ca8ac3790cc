"""The publisher: each subscriber gets every event of its filters, in order, at its own pace, also after a restart."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import pytest

from bridge.follow.canonical import CanonicalFeed
from bridge.ports import Chores, Commit
from bridge.stages.journal import Journal
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.mqtt.codec import Decoder
from healthsync_mqtt.mqtt.codec.packets import Publish
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.testing.log_items import item
from healthsync_mqtt.topics.access import AccessRules
from tests.support.consent import agreeing
from tests.unit.bridge.bench import REGISTRY, until


class Line:
    """A client's connection: what it was sent, and whether it reads."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.reads = True
        self.closed: list[str] = []
        self.packets: list[Publish] = []
        self.wanted = lambda: None
        self._decoder = Decoder(1 << 28, 1 << 28, server=False)
        self._acknowledged = self._parsed = 0
        self._events: list[dict] = []

    def flush(self) -> None:
        assert self.session is not None
        if self.reads:
            data = self.session.transmit()
            while data:
                self.packets += [packet for packet in self._decoder.feed(data) if isinstance(packet, Publish)]
                data = self.session.transmit()

    def close(self, reason: str, *, will: bool) -> None:
        self.closed.append(reason)

    def acknowledge(self) -> None:
        assert self.session is not None
        for packet in self.packets[self._acknowledged :]:
            if packet.qos:
                self.session.on_puback(packet.packet_id)
        self._acknowledged = len(self.packets)
        self.flush()
        self.wanted()

    def events(self) -> list[dict]:
        for packet in self.packets[self._parsed :]:
            payload = json.loads(packet.payload)
            self._events += payload if isinstance(payload, list) else [payload]
        self._parsed = len(self.packets)
        return self._events

    def ids(self) -> list[str]:
        return [event["id"] for event in self.events()]


class AtOnce(Chores):
    """Chores that are durable at once."""

    def __init__(self, journal: Journal, log: MemoryEventLog) -> None:
        super().__init__()
        self._journal = journal
        self._log = log

    def add(self, write: Callable[[Journal], None], done: Callable[[], None] = lambda: None) -> None:
        write(self._journal)
        self._log.commit()
        done()


class Stand:
    """A log with a publisher and the door's sessions."""

    def __init__(self, log: MemoryEventLog, over: Iterable[str] = ()) -> None:
        self.log = log
        self.journal = Journal(log)
        self.sessions = Sessions(LimitSettings(), AccessRules(REGISTRY))
        self.publisher = CanonicalFeed(
            reader=log.reader(),
            head=self.journal.head(),
            registry=REGISTRY,
            chores=AtOnce(self.journal, log),
            gate=agreeing("alice", "bob"),
            sessions=self.sessions,
            over=over,
        )

    def store(self, *ids: str, user: str = "alice", event_type: str = "heart_rate") -> None:
        self.log.stage([item(name, user, event_type=event_type) for name in ids], [], 1)
        self.publisher.committed(Commit(self.log.commit(), (), 1))

    def connect(
        self,
        name: str = "app",
        topic_filter: str = "users/alice/canonical/+",
        qos: int = 1,
        *,
        clean: bool = True,
        batches: bool = False,
    ) -> Line:
        line = Line()
        principal = Principal(role=Role.subscriber, client_id=name, users=None, types=None, batches=batches)
        session, _ = self.sessions.open(line, principal, clean=clean)
        if clean:
            self.publisher.forget(name)
        line.session, line.wanted = session, lambda: self.publisher.wanted(session)
        self.sessions.index.add(session, topic_filter, qos)
        self.publisher.attach(session)
        return line

    def disconnect(self, line: Line) -> None:
        assert line.session is not None
        self.publisher.detach(line.session)
        self.sessions.leave(line, line.session, 0.0)


@asynccontextmanager
async def standing(log: MemoryEventLog) -> AsyncIterator[Stand]:
    stand = Stand(log)
    task = asyncio.create_task(stand.publisher.run())
    try:
        yield stand
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        stand.journal._requests.put(None)
        stand.journal._thread.join()


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    async with standing(MemoryEventLog()) as made:
        yield made


async def test_a_subscriber_gets_what_is_stored_from_now_on(stand: Stand) -> None:
    stand.store("before")
    line = stand.connect()
    stand.store("a", "b")
    await until(lambda: line.ids() == ["a", "b"])
    for packet in line.packets:
        assert (packet.topic, packet.qos, packet.retain) == (b"users/alice/canonical/heart_rate", 1, False)
    assert [event["seq"] for event in line.events()] == [2, 3]


async def test_each_event_is_a_message_of_its_own_live_and_catching_up(stand: Stand) -> None:
    line, late = stand.connect(), stand.connect("late", clean=False)
    stand.disconnect(late)
    stand.store("a", "b", "c")
    again = stand.connect("late", clean=False)
    await until(lambda: line.ids() == again.ids() == ["a", "b", "c"])
    for each in (line, again):
        assert [type(json.loads(packet.payload)) for packet in each.packets] == [dict] * 3


async def test_who_asked_for_arrays_gets_one_event_as_an_object_and_several_as_an_array(stand: Stand) -> None:
    line = stand.connect(batches=True)
    stand.store("a")
    await until(lambda: line.ids() == ["a"])
    stand.store("b", "c")
    await until(lambda: line.ids() == ["a", "b", "c"])
    assert [type(json.loads(packet.payload)) for packet in line.packets] == [dict, list]


async def test_only_what_the_filters_match(stand: Stand) -> None:
    line = stand.connect(topic_filter="users/alice/canonical/steps")
    everything = stand.connect("all", "users/+/canonical/+")
    stand.store("a")
    stand.store("b", user="bob", event_type="steps")
    stand.store("c", event_type="steps")
    await until(lambda: line.ids() == ["c"] and everything.ids() == ["a", "b", "c"])


async def test_the_granted_qos_is_kept(stand: Stand) -> None:
    quick, exact = stand.connect("quick", qos=0), stand.connect("exact", qos=2)
    stand.store("a")
    await until(lambda: bool(quick.packets and exact.packets))
    assert (quick.packets[0].qos, exact.packets[0].qos) == (0, 1)


async def test_who_does_not_read_is_behind_and_misses_nothing(stand: Stand) -> None:
    slow, quick = stand.connect("slow"), stand.connect("quick")
    slow.reads = False
    names = [f"e{number}" for number in range(5000)]
    for start in range(0, 5000, 10):
        stand.store(*names[start : start + 10])
        await until(lambda: not quick.session or quick.session.position == stand.log.head())
        quick.acknowledge()
    assert quick.ids() == names
    assert slow.session is not None
    assert slow.session.backlog < 1000
    assert stand.publisher.lag > 0
    slow.reads = True
    while len(slow.ids()) < 5000:
        before = len(slow.ids())
        slow.acknowledge()
        await until(lambda: len(slow.ids()) > before)  # noqa: B023
    assert slow.ids() == names


async def test_a_persistent_session_goes_on_where_it_was(stand: Stand) -> None:
    line = stand.connect(clean=False)
    stand.store("a")
    await until(lambda: line.ids() == ["a"])
    line.acknowledge()
    stand.disconnect(line)
    stand.store("b", "c")
    again = stand.connect(clean=False)
    await until(lambda: again.ids() == ["b", "c"])


async def test_after_a_restart_it_goes_on_where_its_acknowledgements_ended() -> None:
    log = MemoryEventLog()
    async with standing(log) as stand:
        line = stand.connect(clean=False)
        stand.store("a")
        await until(lambda: line.ids() == ["a"])
        line.acknowledge()
        stand.publisher.keep()
        stand.store("b")
        await until(lambda: line.ids() == ["a", "b"])  # sent, and never acknowledged
        stand.publisher.keep()
    async with standing(log) as stand:
        stand.store("c")
        again = stand.connect(clean=False)
        await until(lambda: again.ids() == ["b", "c"])


async def test_a_clean_session_forgets_the_position() -> None:
    log = MemoryEventLog()
    async with standing(log) as stand:
        line = stand.connect(clean=False)
        stand.store("a")
        await until(lambda: line.ids() == ["a"])
        stand.publisher.keep()
        assert log.reader().cursors() == {"subscriber:app": 0}
        stand.disconnect(line)
        fresh = stand.connect(clean=True)
        assert log.reader().cursors() == {}
        stand.store("b")
        await until(lambda: fresh.ids() == ["b"])


async def test_versions_and_tombstones_travel_too(stand: Stand) -> None:
    line = stand.connect()
    stand.log.stage([item("a"), item("a", version=1), item("a", version=1, op=1)], [], 1)
    stand.publisher.committed(Commit(stand.log.commit(), (), 1))
    await until(lambda: len(line.ids()) == 3)
    assert [(event["version"], event["op"]) for event in line.events()] == [(0, "upsert"), (1, "upsert"), (1, "delete")]


async def test_arrays_are_bounded_in_number_and_size(stand: Stand) -> None:
    line = stand.connect(batches=True)
    large = [
        Item(each.origin, each.event._replace(body=b'{"value":{"samples":[%s]}}' % (b"[0,72]," * 9000 + b"[0,72]")))
        for each in map(item, [f"big{number}" for number in range(9)])
    ]
    stand.log.stage(large + [item(f"e{number}") for number in range(250)], [], 1)
    stand.publisher.committed(Commit(stand.log.commit(), (), 1))
    await until(lambda: len(line.ids()) == 259)
    sizes = [(len(packet.payload), len(json.loads(packet.payload))) for packet in line.packets]
    assert max(size for size, _ in sizes) < 2 * 65_536
    assert max(number for size, number in sizes if size < 60_000) <= 100
    assert line.ids() == [f"big{number}" for number in range(9)] + [f"e{number}" for number in range(250)]


async def test_a_subscriber_behind_purged_rows_gets_what_comes_after_them_and_is_not_behind(stand: Stand) -> None:
    line = stand.connect()
    line.reads = False
    stand.store(*[f"e{n}" for n in range(5)])
    stand.log.purge("heart_rate", 1 << 62, [1, 2, 3, 4, 5])
    stand.log.commit()
    other = stand.connect("other")
    assert other.session is not None
    other.session.position = 0
    stand.publisher.detach(other.session)
    other.session.position = 0
    stand.publisher.attach(other.session)
    await until(lambda: stand.publisher.lag == 0)
    assert other.ids() == []
    stand.store("next")
    await until(lambda: other.ids() == ["next"])


async def test_of_a_session_that_did_not_outlast_the_run_no_place_is_left() -> None:
    log = MemoryEventLog()
    before = Stand(log)
    for name in ("app", "other"):
        before.disconnect(before.connect(name, clean=False))
    after = Stand(log, over=["app"])
    assert [place.name for place in after.publisher.places()] == ["other"]
    assert [place.name for place in Stand(log).publisher.places()] == ["other"]
