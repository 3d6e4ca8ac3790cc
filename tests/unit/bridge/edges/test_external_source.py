"""Deliveries of a connection to an external broker, and canonical events out through it, against a link in memory."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from bridge.edges.external import LinkOutlet, LinkShelf, LinkSource, LongAllowance, Origins
from bridge.folds import Folds
from bridge.follow.canonical_external import CanonicalPublisher
from bridge.pipeline import Pipeline
from bridge.ports import Chores, Commit
from bridge.stages.journal import Journal
from healthsync_mqtt.broker.external.access import subscriptions
from healthsync_mqtt.broker.external.canary_world import COMMON, CanaryWorld, world_of
from healthsync_mqtt.config.sections import ExternalSettings
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.mqtt.codec import encode_pubacks
from healthsync_mqtt.mqtt.codec.packets import Publish
from healthsync_mqtt.mqtt.links.port import MAX_PACKET
from healthsync_mqtt.mqtt.message_room import MessageRoom
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.telemetry.metrics import METRICS
from healthsync_mqtt.testing.memory_link import MemoryBroker, MemoryLink
from healthsync_mqtt.topics.registry import TopicRegistry
from tests.support.consent import agreeing
from tests.support.patience import until

TOPICS = TopicRegistry.load()
USERS = ("alice", *(f"u{number}" for number in range(20)))


class FakeLink(MemoryLink):
    """A link whose broker answers when the test says so."""

    def __init__(self) -> None:
        self._far = MemoryBroker(max_packet=MAX_PACKET)
        self._far.answers = False
        super().__init__(self._far)
        self.take = self.answer
        #: all that it was told to send, also when it is over
        self.acknowledged = b""

    def acknowledge(self, data: bytes) -> None:
        self.acknowledged += data
        super().acknowledge(data)

    @property
    def sent(self) -> list[tuple[str, bytes]]:
        return [(topic, payload) for topic, payload, _ in self._far.taken]

    @property
    def owed(self) -> list[object]:
        return list(self._owed)


class Bench:
    """A pipeline on a log in memory."""

    def __init__(self) -> None:
        self.log = MemoryEventLog()
        self.journal = Journal(self.log)
        self.counters = Counters()
        self.gate = agreeing(*USERS)
        self.outlet = LinkOutlet()
        self.chores = Chores()
        self.canonical = CanonicalPublisher(
            bridge_id="main",
            reader=self.log.reader(),
            head=self.journal.head(),
            registry=TOPICS,
            chores=self.chores,
            gate=self.gate,
            counters=self.counters,
            places={},
        )
        self.pipeline = Pipeline(
            journal=self.journal,
            registry=TOPICS,
            counters=self.counters,
            bridge_id="main",
            gate=self.gate,
            chores=self.chores,
            outlet=self.outlet,
            observers=(self.canonical,),
            failed=lambda error: None,
            folds=Folds(self.log.reader(), TOPICS, agreeing("alice")),
        )

    def source(self, shard: str = "") -> LinkSource:
        long = LongAllowance(MessageRoom(1_048_576, 1_048_576), lambda *_: 1_048_576)
        return LinkSource(self.pipeline, Origins(TOPICS, Shard.parse(shard)), long)


def message(packet_id: int, topic: str = "users/alice/devices/watch/events", name: str = "") -> Publish:
    body = {"id": name or f"e{packet_id}", "type": "heart_rate", "start_time": "2025-11-23T06:00:00Z"}
    return Publish(topic.encode(), json.dumps(body | {"value": {"bpm": 70}}).encode(), 1, packet_id=packet_id)


async def test_acknowledgements_come_after_the_commit_in_the_order_of_arrival(bench: Bench) -> None:
    link, source = FakeLink(), bench.source()
    source.release(link)
    odd = Publish(b"users/no id/events", b"x", 1, packet_id=3)
    source.received([message(1), message(2), odd, message(4)])
    assert link.acknowledged == b""
    await bench.pipeline.drain()
    assert link.acknowledged == encode_pubacks([1, 2, 3, 4])
    assert bench.log.head() == 3


async def test_what_needs_no_commit_waits_for_nothing_behind_it(bench: Bench) -> None:
    link, source = FakeLink(), bench.source()
    source.release(link)
    source.received([Publish(b"other/topic", b"", 1, packet_id=9), message(1)])
    assert link.acknowledged == encode_pubacks([9])


async def test_an_acknowledgement_never_crosses_a_reconnect(bench: Bench) -> None:
    old, new = FakeLink(), FakeLink()
    first, second = bench.source(), bench.source()
    first.release(old)
    first.received([message(7, name="same")])
    old.drop()
    second.release(new)
    second.received([message(1, name="same")])
    await bench.pipeline.drain()
    assert (old.acknowledged, new.acknowledged) == (encode_pubacks([7]), encode_pubacks([1]))
    assert (bench.counters.stored, bench.counters.duplicate) == (1, 1)


@pytest.mark.parametrize("world", [COMMON, world_of("main"), world_of("another")], ids=["common", "own", "another's"])
async def test_nothing_is_stored_before_the_canary_has_passed(bench: Bench, world: CanaryWorld) -> None:
    link, source = FakeLink(), bench.source()
    canary = Publish(f"users/{world.intruder.user}/events".encode(), b"marker", 1, packet_id=2)
    source.received([message(1), canary])
    await bench.pipeline.drain()
    assert (bench.log.head(), source.waiting) == (0, 2)
    source.release(link)
    await bench.pipeline.drain()
    assert bench.log.head() == 1
    assert link.acknowledged == encode_pubacks([1, 2])


async def test_a_shard_stores_its_users_and_acknowledges_the_others(bench: Bench) -> None:
    link, source = FakeLink(), bench.source("1/2")
    source.release(link)
    users = [f"u{number}" for number in range(20)]
    source.received([message(n + 1, f"users/{user}/events", f"{user}-e") for n, user in enumerate(users)])
    await bench.pipeline.drain()
    own = sum(Shard(1, 2).owns(user) for user in users)
    assert 0 < own < 20
    assert bench.log.head() == own
    assert link.acknowledged == encode_pubacks(range(1, 21))


async def test_receipts_go_out_through_the_connection_that_stands(bench: Bench) -> None:
    link, source = FakeLink(), bench.source()
    source.release(link)
    bench.outlet.connected(link)
    source.received([message(1)])
    await bench.pipeline.drain()
    ((topic, receipt),) = link.sent
    assert topic == "users/alice/devices/watch/receipts"
    assert json.loads(receipt)["stored"] == ["e1"]
    bench.outlet.connected(None)
    source.received([message(2)])
    await bench.pipeline.drain()
    assert len(link.sent) == 1


@contextlib.asynccontextmanager
async def publishing(bench: Bench) -> AsyncIterator[CanonicalPublisher]:
    made = bench.canonical
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def store(bench: Bench, *numbers: int) -> None:
    source = bench.source()
    source.release(FakeLink())
    source.received([message(number) for number in numbers])
    await bench.pipeline.drain()


async def test_the_cursor_moves_when_the_broker_has_acknowledged_and_not_before(bench: Bench) -> None:
    async with publishing(bench) as canonical:
        link = FakeLink()
        canonical.connected(link)
        await store(bench, 1, 2)
        await until(lambda: bool(link.sent))
        canonical.keep()
        await bench.pipeline.drain()
        assert (canonical.lag, bench.log.reader().cursor("publish:main")) == (2, 0)
        link.take(len(link.owed))
        canonical.keep()
        await bench.pipeline.drain()
        assert (canonical.lag, bench.log.reader().cursor("publish:main")) == (0, 2)
    topics = {topic for topic, _ in link.sent}
    assert topics == {"users/alice/canonical/heart_rate"}


@pytest.mark.parametrize("progress", [False, True])
async def test_who_is_elected_begins_where_the_log_says_and_not_behind_what_the_log_has_lost(
    bench: Bench, *, progress: bool
) -> None:
    """Other bridges published before, and a standby without the newest rows took over."""

    async def note(seq: int) -> None:
        bench.chores.add(lambda journal: journal.keep_cursors({"publish": seq}), lambda: None)
        await bench.pipeline.drain()

    await store(bench, 1, 2, 3)
    await note(3 if not progress else 1)
    reader = bench.log.reader()
    canonical = CanonicalPublisher(
        bridge_id="main", reader=reader, head=3, registry=TOPICS, chores=bench.chores, gate=bench.gate,
        counters=bench.counters, places={}, shared=True,
    )  # fmt: skip
    link = FakeLink()
    canonical.connected(link)
    if progress:
        first = asyncio.create_task(canonical.run())
        await until(lambda: len(link.sent) == 2)
        link.take(2)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    else:
        await note(1)
    await store(bench, 4)
    canonical.committed(Commit(bench.log.head(), (), 0))
    link = FakeLink()
    canonical.connected(link)
    second = asyncio.create_task(canonical.run())
    await until(lambda: [json.loads(payload)["id"] for _, payload in link.sent][-1:] == ["e4"])
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    sent = [json.loads(payload)["id"] for _, payload in link.sent]
    assert sent == (["e4"] if progress else ["e2", "e3", "e4"]), "what was acknowledged here is not sent again"


async def test_a_new_connection_gets_what_the_last_one_did_not_get_acknowledged(bench: Bench) -> None:
    async with publishing(bench) as canonical:
        old, new = FakeLink(), FakeLink()
        canonical.connected(old)
        await store(bench, 1)
        await until(lambda: bool(old.sent))
        old.take(1)
        await store(bench, 2)
        await until(lambda: len(old.sent) == 2)
        canonical.connected(None)
        canonical.connected(new)
        await until(lambda: bool(new.sent))
        old.take(1)  # too late: its connection is gone
        assert canonical.lag == 1
        assert [json.loads(payload)["id"] for _, payload in new.sent] == ["e2"]


async def test_what_the_broker_refuses_for_now_is_sent_again_and_what_it_never_takes_is_set_aside(bench: Bench) -> None:
    async with publishing(bench) as canonical:
        link = FakeLink()
        canonical.connected(link)
        await store(bench, 1, 2)
        await until(lambda: len(link.sent) == 2)
        link.take(1)
        link.take(1, 0x97)  # over its quota: later
        assert canonical.lag == 2
        await until(lambda: len(link.sent) == 4)
        link.take(1, 0x10)  # nobody listens: taken all the same
        link.take(1, 0x99)  # it will never take this one
        assert canonical.lag == 0
    assert bench.counters.unsent == {"canonical": 1}


async def test_a_link_that_takes_no_more_is_tried_again(bench: Bench) -> None:
    async with publishing(bench) as canonical:
        link = FakeLink()
        refused: list[str] = []
        send = link.send

        def reluctant(topic: str, payload: bytes, **how: Any) -> bool:
            if not refused:
                refused.append(topic)
                return False
            return send(topic, payload, **how)

        link.send = reluctant  # type: ignore[method-assign]
        canonical.connected(link)
        await store(bench, 1)
        await until(lambda: bool(link.sent))
        link.take(1)
        assert canonical.lag == 0


def limited(most: int) -> FakeLink:
    """To a broker that takes packets of so many bytes."""
    link = FakeLink()
    link.agreed = replace(link.agreed, max_packet=most)
    return link


async def test_receipts_are_split_to_what_the_broker_takes(bench: Bench) -> None:
    link, source = limited(600), bench.source()
    source.release(link)
    bench.outlet.connected(link)
    names = [f"event-{number:058}" for number in range(40)]
    source.received([message(number + 1, name=name) for number, name in enumerate(names)])
    await bench.pipeline.drain()
    told = [json.loads(payload) for _, payload in link.sent]
    assert sorted(name for each in told for name in each["stored"]) == names
    assert bench.counters.snapshot()["unsent"] == {}


async def test_what_the_broker_does_not_take_is_counted_and_the_event_is_stored(bench: Bench) -> None:
    link, source = limited(60), bench.source()
    source.release(link)
    bench.outlet.connected(link)
    source.received([message(1), message(2)])
    await bench.pipeline.drain()
    assert (bench.log.head(), link.sent) == (2, [])
    assert bench.counters.snapshot()["unsent"]["receipt"] >= 1
    (metric,) = (each for each in METRICS if each.name == "messages_unsent_total")
    samples = {each.labels[0]: each.value for each in metric.read({"counters": bench.counters.snapshot()})}
    assert samples["receipt"] >= 1
    assert samples["canonical"] == 0


async def test_a_canonical_event_larger_than_the_broker_takes_holds_up_no_other(bench: Bench) -> None:
    async with publishing(bench) as canonical:
        link = limited(500)
        canonical.connected(link)
        source = bench.source()
        source.release(FakeLink())
        source.received([message(1), message(2, name="x" * 64), message(3)])
        source.received([large(4), message(5)])
        await bench.pipeline.drain()
        await until(lambda: len(link.sent) == 4)
        link.take(4)
        assert canonical.lag == 0
    assert [json.loads(payload)["id"] for _, payload in link.sent] == ["e1", "x" * 64, "e3", "e5"]
    assert bench.counters.snapshot()["unsent"] == {"canonical": 1}


def large(packet_id: int) -> Publish:
    body = json.loads(message(packet_id).payload)
    body["value"] = {"samples": [[second, 70] for second in range(100)]}
    return Publish(b"users/alice/devices/watch/events", json.dumps(body).encode(), 1, packet_id=packet_id)


async def test_a_user_who_moves_to_another_shard_loses_nothing_and_duplicates_are_harmless(bench: Bench) -> None:
    """What the first bridge acknowledged stays in its log; what it did not, and what is sent again, is the second's."""
    other = Bench()
    first, second = FakeLink(), FakeLink()
    bench.outlet.connected(first)
    other.outlet.connected(second)
    home = next(number for number in (1, 2) if Shard(number, 2).owns("alice"))
    away = 3 - home
    before, after = bench.source(f"{home}/2"), other.source("1/1")
    idle = other.source(f"{away}/2")
    for source, link in ((before, first), (after, second), (idle, FakeLink())):
        source.release(link)
    for source in (before, idle):
        source.received([message(1), message(2)])
    await bench.pipeline.drain()
    await other.pipeline.drain()
    assert (bench.log.head(), other.log.head()) == (2, 0)
    # The device has the receipts of both. It resends the second under the new epoch, and sends a third.
    after.received([message(1, name="e2"), message(2, name="e3"), message(3, name="e3")])
    await other.pipeline.drain()
    stored = [{row.id for row in each.log.reader().read(0, 10)} for each in (bench, other)]
    assert stored == [{"e1", "e2"}, {"e2", "e3"}]
    receipts = [json.loads(payload) for _, payload in first.sent + second.sent]
    assert len({each["epoch"] for each in receipts}) == 2
    assert sorted(name for each in receipts for name in each["stored"]) == ["e1", "e2", "e2", "e3"]
    assert [name for each in receipts for name in each["duplicate"]] == ["e3"]
    other.pipeline.stop()
    other.journal.close()


@pytest.mark.parametrize("group", ["all", "two"])
def test_bridges_may_not_share_all_messages(group: str) -> None:
    with pytest.raises(ConfigError, match="each has a log of its own") as refused:
        subscriptions(TOPICS, ExternalSettings(share=group), one_log=False)
    assert "--shard 1/2" in refused.value.hint
    assert subscriptions(TOPICS, ExternalSettings(shard="1/2"), one_log=False) == list(TOPICS.bridge_filters())


def test_bridges_of_one_log_share_every_filter_in_their_group() -> None:
    filters = subscriptions(TOPICS, ExternalSettings(share="all"), one_log=True)
    assert filters == [f"$share/all/{name}" for name in TOPICS.bridge_filters()]


async def test_the_birth_of_a_home_assistant_is_heard_and_acknowledged(bench: Bench) -> None:
    shelf, link, status = LinkShelf(), FakeLink(), b"homeassistant/status"
    long = LongAllowance(MessageRoom(1_048_576, 1_048_576), lambda *_: 1_048_576)
    source = LinkSource(bench.pipeline, Origins(TOPICS, Shard.parse(""), "", {status.decode(): shelf.hear}), long)
    source.release(link)
    source.received(
        [Publish(status, b"online", 1, packet_id=1, retain=True), Publish(status, b"offline", 1, packet_id=2)]
    )
    assert shelf.births == 0, "what is retained was said at some other time"
    source.received([Publish(status, b"online", 1, packet_id=3)])
    assert shelf.births == 1
    assert link.acknowledged == encode_pubacks([1, 2, 3])
    assert bench.counters.messages_received == 0
