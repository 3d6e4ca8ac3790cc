"""One commit is bounded, what waits is bounded, and what a failed commit leaves behind does not multiply."""

import asyncio
import gzip
import json
from pathlib import Path

import pytest

import bridge.pipeline as pipeline_module
from bridge.cursors import Cursors
from bridge.group import LONG, PORTION, Group, WaitingDelivery
from bridge.ports import Chores
from bridge.stages.journal import Journal
from healthsync_mqtt.errors import StoreError, UnavailableError
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.event import Decoded, Event, Op
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.sqlite.connection import translated
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_items import item
from tests.support.patience import PATIENCE_S
from tests.unit.bridge.bench import Bench, delivery, event, until


async def test_a_group_is_bounded_in_events_and_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "GROUP_EVENTS", 40)
    bench = Bench()
    staged: list[int] = []
    stage = bench.log.stage
    bench.log.stage = lambda items, *more: staged.append(len(items)) or stage(items, *more)  # type: ignore[method-assign,func-returns-value]
    try:
        source = bench.source()
        bench.log.gate.clear()
        bench.pipeline.submit([delivery(source, 1, event("first"))])
        await until(lambda: bench.log._staged is not None)
        bench.pipeline.submit([delivery(source, n, [event(f"e{n}-{m}") for m in range(10)]) for n in range(2, 32)])
        bench.log.gate.set()
        await bench.settle()
        assert source.tokens == list(range(1, 32))
        assert staged == [1, *[40] * 7, 20]
        staged.clear()
        monkeypatch.setattr(pipeline_module, "GROUP_BYTES", 2_000)
        bench.pipeline.submit([delivery(source, n, event(f"f{n}")) for n in range(32, 52)])
        await bench.settle()
        assert sum(staged) == 20
        assert max(staged) < 10
    finally:
        bench.close()


def test_a_portion_has_few_long_events() -> None:
    """Five hundred series were one portion, and held the loop for seconds."""
    origin, each = Origin("mallory", "d", None, "t"), b"x" * 100_000
    most = PORTION * (1 << LONG)

    def came(name: str, events: int) -> WaitingDelivery:
        made = [Event(f"{name}{n}", "heart_rate", 0, None, 0, Op.UPSERT, each, n) for n in range(events)]
        decoded = Decoded(None, made, [], events, events * len(each))
        return WaitingDelivery(Delivery(name, 1, origin, b""), decoded, 1)  # type: ignore[arg-type]

    group = Group([came("one", 20), came("two", 2), came("three", 40)], [])
    portions = list(group.portions(0))
    assert [item.event.id for portion in portions for item in portion.items] == [
        event.id for waiting in group.waiting for event in waiting.decoded.events
    ]
    assert max(sum(len(item.event.body) for item in portion.items) for portion in portions) <= most + len(each)
    assert len(portions) >= 62 * len(each) // (most + len(each))
    assert [portion.whole for portion in portions if portion.last] == [3]


async def test_the_backlog_counts_what_was_unfolded() -> None:
    bench = Bench(backlog_limit=300_000)
    try:
        bench.log.gate.clear()
        source = bench.source()
        samples = {"samples": [[n // 10, 60] for n in range(5_000)]}
        payload = gzip.compress(json.dumps([event(f"s{n}") | {"value": samples} for n in range(3)]).encode())
        assert len(payload) * 20 < 3 * 5_000 * 8
        assert not bench.pipeline.submit([delivery(source, 1, event("small"))])
        full = [bench.pipeline.submit([delivery(source, n, payload)]) for n in range(2, 5)]
        assert full[-1]
        assert bench.pipeline.backlog > 20 * len(payload)
    finally:
        bench.close()


async def test_who_comes_while_the_backlog_is_full_is_held_before_its_first_event() -> None:
    bench = Bench(backlog_limit=1_000)
    try:
        bench.log.gate.clear()
        source, late, gone = bench.source(), bench.source(), bench.source()
        assert not bench.pipeline.hold(late)
        while not bench.pipeline.submit([delivery(source, 1, event("a"))]):
            pass
        assert bench.pipeline.hold(late)
        assert bench.pipeline.hold(gone)
        bench.pipeline.leave(gone)
        bench.log.gate.set()
        await bench.settle()
        assert (source.resumed, late.resumed, gone.resumed) == (1, 1, 0)
        assert bench.pipeline.backlog == 0
    finally:
        bench.close()


async def test_a_purge_that_waits_out_a_full_disk_happens_once(tmp_path: Path) -> None:
    log = SqliteEventLog.open(tmp_path / "events.db")
    purges: list[list[int]] = []
    faults = 6
    write, commit = log._write_purges, log.commit

    def failing() -> int:
        nonlocal faults
        if faults:
            faults -= 1
            log.rollback()
            raise StoreError("the disk is full")
        return commit()

    log.commit = failing  # type: ignore[method-assign]
    log._write_purges = lambda asked: purges.append([n for _, _, seqs in asked for n in seqs]) or write(asked)  # type: ignore[method-assign,func-returns-value]
    bench = Bench(log=log)
    bench.pipeline._retry_s = 0.0
    try:
        log.stage([item("old"), item("new")], [], 1)
        commit()
        await bench.chores.durable(lambda journal: journal.purge("heart_rate", 1 << 62, [1]))
        assert purges == [[1]]
        assert faults == 0
        with SqliteLogReader.open(tmp_path / "events.db") as reader:
            assert [row.id for row in reader.read(0, 10, history=True)] == ["new"]
    finally:
        bench.close()


async def test_a_place_counts_as_kept_when_it_is_durable_and_one_write_is_on_its_way_at_a_time() -> None:
    log = MemoryEventLog()
    journal, chores = Journal(log), Chores()
    try:
        cursors = Cursors(chores, "sink:")
        cursors.move("main", 7)
        cursors.keep()
        cursors.move("main", 8)
        for _ in range(50):
            cursors.keep()
        (chore,) = chores.take()
        chore.write(journal)
        log.commit()
        chore.done()
        assert log.reader().cursors() == {"sink:main": 7}
        cursors.keep()
        (chore,) = chores.take()
        chore.write(journal)
        log.commit()
        chore.done()
        assert log.reader().cursors() == {"sink:main": 8}
        cursors.keep()
        assert chores.take() == []
    finally:
        journal.close()


async def test_a_clean_stop_commits_what_is_in_and_takes_nothing_more() -> None:
    bench = Bench()
    try:
        source = bench.source()
        bench.pipeline.submit([delivery(source, n, event(f"e{n}")) for n in range(1, 4)])
        closing = asyncio.create_task(bench.pipeline.close(PATIENCE_S))
        await asyncio.sleep(0)
        assert bench.pipeline.submit([delivery(source, 4, event("late"))])
        await closing
        assert source.tokens == [1, 2, 3]
        assert bench.ids() == ["e1", "e2", "e3"]
    finally:
        bench.close()


async def test_a_stop_that_cannot_commit_in_time_gives_up_and_acknowledges_nothing() -> None:
    bench = Bench()
    bench.log.gate.clear()
    source = bench.source()
    try:
        bench.pipeline.submit([delivery(source, 1, event("a"))])
        await until(lambda: bench.log._staged is not None)
        bench.pipeline.submit([delivery(source, 2, event("b"))])
        promise = asyncio.create_task(bench.chores.durable(lambda _: None))
        await asyncio.sleep(0)
        await bench.pipeline.close(0.01)
        bench.pipeline.stop()
        with pytest.raises(UnavailableError):
            await promise
        assert source.tokens == []
        assert bench.counters.failed == 2
    finally:
        bench.close()


async def test_a_defect_of_ours_stops_loudly_and_is_not_tried_for_ever(tmp_path: Path) -> None:
    log = SqliteEventLog.open(tmp_path / "events.db")
    bench = Bench(log=log)
    try:
        attempts = 0

        def twice(_: Journal) -> None:
            nonlocal attempts
            attempts += 1
            log._connection.execute("INSERT INTO purged (type, before_us) VALUES (1, 1)")
            with translated("staging"):
                log._connection.execute("INSERT INTO purged (type, before_us) VALUES (1, 1)")

        source = bench.source()
        bench.pipeline.submit([delivery(source, 1, event("a"))])
        bench.chores.add(twice)
        await bench.settle()
        assert attempts == 1
        assert [getattr(error, "reason", "") for error in bench.told] == ["defect"]
        assert source.tokens == []
    finally:
        bench.close()
