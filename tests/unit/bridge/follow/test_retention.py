"""Sweeps: what is purged, when, and in which portions."""

import asyncio
from collections.abc import AsyncIterator

import pytest

import bridge.follow.retention as retention_module
from bridge.follow.retention import Retention
from healthsync_mqtt.model.event import Op
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.testing.log_items import item
from tests.unit.bridge.bench import NOW_US, Bench, until

DAY_US = 86_400_000_000
OLD_US = NOW_US - 31 * DAY_US


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def sweeper(bench: Bench, *sinks: str, days: dict[str, int] | None = None) -> Retention:
    return Retention(
        {"heart_rate": 30} if days is None else days,
        chores=bench.chores,
        open_reader=bench.log.reader,
        sinks=lambda: sinks,
        clock_us=lambda: NOW_US,
    )


def store(bench: Bench, *starts_us: int, first: int = 0) -> None:
    bench.log.stage([item(f"e{first + n}", start_us=start) for n, start in enumerate(starts_us)], [], NOW_US)
    bench.log.commit()


async def sweep(bench: Bench, retention: Retention) -> list[str]:
    while await retention.step():
        await bench.settle()
    return [record.id for record in bench.log.reader().read(0, 9999, history=True)]


async def test_without_sinks_age_alone_counts(bench: Bench) -> None:
    store(bench, OLD_US, NOW_US, OLD_US, NOW_US - 30 * DAY_US)
    assert await sweep(bench, sweeper(bench)) == ["e1", "e3"]


async def test_followers_are_told_of_each_portion_when_it_is_durable(bench: Bench) -> None:
    left: list[int] = []
    retention = Retention(
        {"heart_rate": 30},
        chores=bench.chores,
        open_reader=bench.log.reader,
        sinks=tuple,
        clock_us=lambda: NOW_US,
        purged=lambda: left.append(len(list(bench.log.reader().read(0, 9_999, history=True)))),
    )
    store(bench, *[OLD_US] * 501, NOW_US)
    await sweep(bench, retention)
    assert left == [2, 1]


async def test_other_types_are_kept(bench: Bench) -> None:
    bench.log.stage([item("steps", event_type="steps", start_us=OLD_US), item("pulse", start_us=OLD_US)], [], NOW_US)
    bench.log.commit()
    assert await sweep(bench, sweeper(bench)) == ["steps"]
    assert await sweep(bench, sweeper(bench, days={"steps": 31})) == ["steps"]
    assert await sweep(bench, sweeper(bench, days={"steps": 30})) == []


async def test_nothing_goes_before_every_sink_has_it(bench: Bench) -> None:
    store(bench, *[OLD_US] * 4)
    retention = sweeper(bench, "fast", "slow")
    bench.log.set_cursor("sink:fast", 4)
    bench.log.set_cursor("subscriber:app", 0)
    bench.log.commit()
    assert len(await sweep(bench, retention)) == 4  # "slow" has said nothing yet
    bench.log.set_cursor("sink:slow", 3)
    bench.log.commit()
    assert await sweep(bench, retention) == ["e3"]
    bench.log.set_cursor("sink:slow", 4)
    bench.log.commit()
    assert await sweep(bench, retention) == []


async def test_the_cursor_of_a_sink_that_was_removed_holds_nothing_back(bench: Bench) -> None:
    store(bench, OLD_US)
    bench.log.set_cursor("sink:removed", 0)
    bench.log.commit()
    assert await sweep(bench, sweeper(bench)) == []


async def test_a_tombstone_stays(bench: Bench) -> None:
    store(bench, OLD_US)
    bench.log.stage([item("e0", version=1, op=Op.DELETE, start_us=OLD_US)], [], NOW_US)
    bench.log.commit()
    assert await sweep(bench, sweeper(bench)) == ["e0"]
    [record] = bench.log.reader().read(0, 9)
    assert (record.seq, record.op) == (2, Op.DELETE)


async def test_each_commit_takes_one_portion(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_module, "_ROWS_A_LOOK", 6)
    monkeypatch.setattr(retention_module, "_ROWS_A_COMMIT", 2)
    store(bench, *[OLD_US] * 9)
    commits, left = bench.log.commits, []
    retention = sweeper(bench)
    while await retention.step():
        await bench.settle()
        left.append(len(bench.log.reader().read(0, 99)))
    assert left == [9, 7, 5, 3, 3, 1, 0]
    assert bench.log.commits - commits == 5
    store(bench, OLD_US, first=9)
    assert await sweep(bench, retention) == []


async def test_a_duplicate_that_comes_after_the_purge_is_a_duplicate(bench: Bench) -> None:
    store(bench, OLD_US)
    await sweep(bench, sweeper(bench))
    assert bench.log.stage([item("e0", start_us=OLD_US)], [], NOW_US) == [0]


async def test_with_everything_kept_nothing_is_looked_for_until_the_settings_change(bench: Bench) -> None:
    store(bench, OLD_US)
    commits = bench.log.commits
    retention = sweeper(bench, days={})
    job = asyncio.create_task(retention.run())
    await until(lambda: retention._resting)
    assert (bench.log.commits, retention._position) == (commits, 0)
    retention.use({"heart_rate": 30})
    await until(lambda: bench.log.reader().read(0, 9, history=True) == [])
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)


async def test_a_sweep_that_a_sink_holds_up_goes_on_when_the_sink_does(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention_module, "_BEHIND_S", 0)
    store(bench, *[OLD_US] * 2)
    retention = sweeper(bench, "late")
    job = asyncio.create_task(retention.run())
    await until(lambda: retention._behind)
    bench.log.set_cursor("sink:late", 2)
    bench.log.commit()
    await until(lambda: bench.log.reader().read(0, 9, history=True) == [])
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)


async def test_a_sink_that_is_always_behind_keeps_no_event_that_grows_old_from_the_next_sweep(bench: Bench) -> None:
    seconds = 0.0
    retention = Retention(
        {"heart_rate": 30},
        chores=bench.chores,
        open_reader=bench.log.reader,
        sinks=lambda: ["late"],
        clock_us=lambda: NOW_US + int(seconds * 1_000_000),
        monotonic_s=lambda: seconds,
    )
    store(bench, NOW_US - 30 * DAY_US, NOW_US)
    bench.log.set_cursor("sink:late", 1)
    bench.log.commit()
    assert await sweep(bench, retention) == ["e0", "e1"]
    seconds = 3599.0
    assert await sweep(bench, retention) == ["e0", "e1"]  # the sweep is past it, and waits for the sink
    seconds = 3600.0
    assert await sweep(bench, retention) == ["e0", "e1"]  # ends, and the next one starts at the beginning
    assert await sweep(bench, retention) == ["e1"]


async def test_what_a_look_found_by_days_that_changed_meanwhile_is_forgotten(bench: Bench) -> None:
    store(bench, OLD_US)

    def open_reader() -> LogReader:
        retention.use({"heart_rate": 60})
        return bench.log.reader()

    retention = Retention(
        {"heart_rate": 30}, chores=bench.chores, open_reader=open_reader, sinks=list, clock_us=lambda: NOW_US
    )
    assert await retention.step()
    retention._open_reader = bench.log.reader
    assert await sweep(bench, retention) == ["e0"]
