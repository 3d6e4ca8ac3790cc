"""What a payload format remembers and takes back: in the commit of its events, whatever is killed when."""

import asyncio
import json
from random import Random
from typing import Any

import pytest

from bridge.stages.consent import ConsentGate
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.formats.life_dashboard import LifeDashboard
from healthsync_mqtt.formats.port import AppMessage, Declared, Fold, Gone, Made, event_id
from healthsync_mqtt.identity.consent.decisions import in_force
from healthsync_mqtt.identity.people.senders import SenderChanges, SenderStanding
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.origin import Origin
from tests.support.consent import agreeing_to_all, grant
from tests.support.patience import until
from tests.unit.bridge.bench import NOW_US, Bench, GatedLog, delivery, event

TOPIC = "users/alice/devices/watch/formats/counter"


class Counter:
    """A test's format: a running total of steps; what came since the last message is an event."""

    name = "counter"
    summary = "a running total"
    roots = ()
    remembers: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.told: list[AppMessage] = []
        self.last = 0

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        self.told.append(message)
        words = json.loads(message.payload)
        before, now = int(state or b"0"), words.get("total", int(state or b"0"))
        if "gone" in words:
            yield Gone(words["gone"], words.get("from_us"), words.get("until_us"))
        if now > before:
            steps: dict[str, Any] = {"type": "steps", "value": {"steps": now - before}}
            steps |= {"start_time": "2026-05-03T06:00:00Z", "end_time": f"2026-05-03T07:00:{now % 60:02d}Z"}
            yield Made(steps | {"id": event_id(message.user, self.name, before, now)}, 0, "total", f"to/{now}")
        self.last = now
        return str(now).encode()


@pytest.fixture
def form(monkeypatch: pytest.MonkeyPatch) -> Counter:
    counter = Counter()
    monkeypatch.setattr("bridge.pipeline.FORMATS", {"counter": counter})
    return counter


def message(bench: Bench, token: int, words: object, topic: str = TOPIC, source: object = None) -> Delivery:
    made = delivery(source or bench.source(), token, json.dumps(words).encode())
    return made._replace(origin=Origin("alice", "watch", None, topic), form="counter")


def steps(log: GatedLog) -> int:
    latest = {record.id: record for record in log.committed.log}
    return sum(json.loads(each.body)["value"]["steps"] for each in latest.values() if not each.op)


async def test_each_message_is_folded_on_what_the_one_before_left(form: Counter) -> None:
    bench = Bench()
    source = bench.source()
    bench.pipeline.submit([message(bench, n, {"total": n * 100}, source=source) for n in range(1, 6)])
    await bench.settle()
    assert [json.loads(each.body)["value"] for each in bench.log.committed.log] == [{"steps": 100}] * 5
    assert bench.log.reader().format_state("alice", "watch", "counter") == b"500"
    assert source.tokens == [1, 2, 3, 4, 5]
    assert bench.balanced()
    bench.close()


async def test_who_may_not_send_any_more_changes_and_takes_back_nothing_that_is_remembered(
    form: Counter,
) -> None:
    gate = agreeing_to_all("alice")
    bench = Bench(gate=gate)
    bench.pipeline.submit([message(bench, 1, {"total": 100})])
    await bench.settle()
    gate.bar(SenderChanges(1, {("alice", "watch"): SenderStanding.removed}, {}), only_known=False)
    bench.pipeline.submit([message(bench, 2, {"total": 300, "gone": "to/"})])
    await bench.settle()
    assert steps(bench.log) == 100
    assert bench.log.reader().format_state("alice", "watch", "counter") == b"100"
    assert bench.counters.snapshot()["rejected_by_reason"] == {"not_allowed": 2}, "the event, and what it takes back"
    assert bench.balanced()
    bench.close()


async def test_of_several_connections_the_next_message_waits_for_the_commit_of_the_one_before(form: Counter) -> None:
    bench = Bench()
    bench.log.gate.clear()
    bench.pipeline.submit([message(bench, 1, {"total": 100})])
    bench.pipeline.submit([message(bench, 1, {"total": 300})])
    for _ in range(200):
        await asyncio.sleep(0.001)
    assert len(form.told) <= 1
    bench.log.gate.set()
    await bench.settle()
    assert steps(bench.log) == 300
    bench.close()


async def test_what_is_remembered_is_committed_with_the_events_or_not_at_all(form: Counter) -> None:
    bench = Bench()
    bench.log.faults.append(StoreError("full"))
    bench.pipeline.submit([message(bench, 1, {"total": 100})])
    await bench.settle()
    assert steps(bench.log) == 100
    assert bench.log.reader().format_state("alice", "watch", "counter") == b"100"
    bench.close()


async def test_a_kill_at_any_time_loses_and_doubles_nothing(form: Counter) -> None:
    """The service is killed before, in and after commits; the sender sends again what nobody acknowledged."""
    chance = Random(7)  # a test's
    log = GatedLog()
    waiting = [{"total": total} for total in sorted(chance.sample(range(1, 100_000), 60))]
    kills = 0
    while waiting:
        bench = Bench(log=log)
        source = bench.source()
        sent = waiting[: chance.randrange(1, 8)]
        bench.pipeline.submit([message(bench, n, words, source=source) for n, words in enumerate(sent, 1)])
        if kills % 5 == 4:
            await bench.settle()
        for _ in range(chance.randrange(80)):
            await asyncio.sleep(0)
        told = len(source.tokens)
        bench.close()  # a commit that is under way ends, and nobody is told of it
        log.rollback()
        log._memories.clear()
        waiting = waiting[told:]
        kills += 1
    assert kills > 10
    assert steps(log) == int(log.reader().format_state("alice", "watch", "counter")) == form.last


async def test_a_format_is_told_topic_time_retention_and_what_was_declared(form: Counter) -> None:
    declared = Declared(zone="Europe/Berlin", unit="kg", bucket_s=3600, slot="2")
    bench = Bench(declared=lambda user, device: declared if (user, device) == ("alice", "watch") else None)
    bench.pipeline.submit([message(bench, 1, {"total": 5}, f"{TOPIC}/1/measurements/insert")._replace(retained=True)])
    await bench.settle()
    (told,) = form.told
    assert (told.user, told.device, told.topic) == ("alice", "watch", "1/measurements/insert")
    assert (told.retained, told.at_us, told.declared) == (True, NOW_US, declared)
    bench.close()


async def test_what_a_source_takes_back_gets_tombstones_and_may_come_again(form: Counter) -> None:
    bench = Bench()
    source = bench.source()
    bench.pipeline.submit([delivery(source, 1, event("other"))])
    for token, words in enumerate(({"total": 10}, {"total": 25}, {"gone": "to/10"}, {"gone": "to/10"}), 2):
        bench.pipeline.submit([message(bench, token, words, source=source)])
    await bench.settle()
    rows = [(each.id == "other", each.op, each.type) for each in bench.log.committed.log]
    assert rows == [(True, 0, "heart_rate"), (False, 0, "steps"), (False, 0, "steps"), (False, 1, "steps")]
    assert steps_left(bench) == 15
    bench.pipeline.submit([message(bench, 6, {"gone": "", "from_us": NOW_US}, source=source)])
    await bench.settle()
    assert steps_left(bench) == 15
    bench.pipeline.submit([message(bench, 7, {"gone": "", "until_us": NOW_US, "total": 30}, source=source)])
    await bench.settle()
    assert steps_left(bench) == 5
    assert source.tokens == [1, 2, 3, 4, 5, 6, 7]
    assert bench.balanced()
    bench.close()


def steps_left(bench: Bench) -> int:
    latest = {each.id: each for each in bench.log.committed.log if each.type == "steps"}
    return sum(json.loads(each.body)["value"]["steps"] for each in latest.values() if not each.op)


@pytest.mark.parametrize("remembers", [frozenset(), frozenset({"steps"})])
async def test_without_consent_a_format_remembers_and_names_nothing_of_it(
    form: Counter, remembers: frozenset[str]
) -> None:
    form.remembers = remembers
    bench = Bench(gate=ConsentGate(in_force(grant("alice", ["heart_rate"]))))
    bench.pipeline.submit([message(bench, 1, {"total": 4711})])
    await bench.settle()
    reader = bench.log.reader()
    assert reader.format_state("alice", "watch", "counter") == b""
    assert reader.format_records("alice", "watch", "counter", "", 9) == []
    assert [row.reason for row in reader.rejected()] == ["no_consent"]
    bench.close()


async def test_what_a_format_remembers_goes_when_consent_is_taken_back_and_stays_where_it_is_of_another_type(
    form: Counter,
) -> None:
    gate = ConsentGate(in_force(grant("alice", ["steps"])))
    bench = Bench(gate=gate)
    bench.pipeline.submit([message(bench, 1, {"total": 100})])
    await bench.settle()
    gate.replace(in_force(grant("alice", ["heart_rate"])))
    form.remembers = frozenset({"heart_rate"})
    bench.pipeline.submit([message(bench, 1, {"total": 200})])
    await bench.settle()
    assert bench.log.reader().format_state("alice", "watch", "counter") == b"200"  # of the type that may be stored
    form.remembers = frozenset({"heart_rate", "steps"})
    bench.pipeline.submit([message(bench, 1, {"total": 150})])  # of which no event is made
    await bench.settle()
    assert bench.log.reader().format_state("alice", "watch", "counter") == b""
    bench.close()


async def test_consent_that_is_taken_back_while_a_message_waits_counts_for_what_is_remembered(form: Counter) -> None:
    gate = ConsentGate(in_force(grant("alice", ["steps", "heart_rate"])))
    bench = Bench(gate=gate)
    bench.log.gate.clear()
    bench.pipeline.submit([delivery(bench.source(), 1, event("first"))])
    await asyncio.sleep(0)
    bench.pipeline.submit([message(bench, 1, {"total": 100})])
    await until(lambda: bench.counters.received == 2)
    gate.replace(in_force(grant("alice", ["heart_rate"])))
    bench.log.gate.set()
    await bench.settle()
    assert bench.ids() == ["first"]
    assert bench.log.reader().format_state("alice", "watch", "counter") == b""
    assert bench.log.reader().format_records("alice", "watch", "counter", "", 9) == []
    bench.close()


async def test_a_message_in_a_format_that_was_taken_away_is_kept_as_refused_and_stops_nobody(form: Counter) -> None:
    bench = Bench(gate=agreeing_to_all("alice"))
    source = bench.source()
    gone = message(bench, 1, {"total": 100}, source=source)._replace(form="gone")
    bench.pipeline.submit([gone])
    bench.pipeline.submit([message(bench, 2, {"total": 100}, source=source)])
    await bench.settle()
    assert bench.told == []
    assert source.tokens == [1, 2]
    (row,) = bench.log.reader().rejected()
    assert (row.reason, row.form, row.raw) == ("not_allowed", "gone", gone.payload)
    assert steps(bench.log) == 100
    bench.close()


def waiting(bench: Bench) -> frozenset[str]:
    """Of which types the app's format holds something on disk."""
    return LifeDashboard().holds(bench.log.reader().format_state("alice", "watch", "life_dashboard"))


def app_says(bench: Bench, topic: str, payload: bytes) -> Delivery:
    topic = f"users/alice/devices/watch/formats/life_dashboard/{topic}"
    made = delivery(bench.source(), 1, payload)
    return made._replace(origin=Origin("alice", "watch", None, topic), form="life_dashboard")


async def test_a_value_that_waits_for_its_time_is_not_kept_without_consent_to_its_type() -> None:
    gate = ConsentGate(in_force(grant("alice", ["heart_rate"])))
    bench = Bench(gate=gate)
    bench.pipeline.submit([app_says(bench, "heart_rate/state", b"64")])
    bench.pipeline.submit([app_says(bench, "weight/state", b"71.35")])
    await bench.settle()
    assert waiting(bench) == {"heart_rate"}
    assert b"71.35" not in bench.log.reader().format_state("alice", "watch", "life_dashboard")
    bench.close()


async def test_a_value_that_waits_is_forgotten_by_the_next_message_after_its_consent_was_taken_back() -> None:
    gate = ConsentGate(in_force(grant("alice", ["heart_rate", "weight"])))
    bench = Bench(gate=gate)
    bench.pipeline.submit([app_says(bench, "weight/state", b"71.35")])
    await bench.settle()
    assert waiting(bench) == {"weight"}
    gate.replace(in_force(grant("alice", ["heart_rate"])))
    bench.pipeline.submit([app_says(bench, "sleep_duration/state", b"1")])  # of which nothing becomes
    await bench.settle()
    assert waiting(bench) == frozenset()
    bench.close()
