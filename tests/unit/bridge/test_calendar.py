"""A clock that jumped purges nothing, until devices say that it is right."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest

from bridge.calendar import LEAP_US, Calendar, ClockState
from bridge.follow.retention import Retention
from healthsync_mqtt.testing.log_items import item
from tests.unit.bridge.bench import NOW_US, Bench, delivery, event

DAY_US = 86_400_000_000
YEAR_US = 365 * DAY_US


class Clocks:
    """A wall clock that tests set, and a monotonic one that only runs."""

    def __init__(self) -> None:
        self.wall_us = NOW_US
        self.ran_s = 1_000.0

    def run(self, us: int) -> None:
        self.wall_us += us
        self.ran_s += us / 1e6


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
async def bench(clocks: Clocks) -> AsyncIterator[Bench]:
    bench = Bench(clock_us=lambda: clocks.wall_us)
    yield bench
    bench.close()


def calendar(bench: Bench, clocks: Clocks, known_us: int | None = NOW_US) -> Calendar:
    return Calendar(bench.chores, known_us, clock_us=lambda: clocks.wall_us, monotonic=lambda: clocks.ran_s)


def day(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat()


async def left(bench: Bench, clock_us: Callable[[], int]) -> list[str]:
    """What a whole sweep leaves of a log that keeps heart rates for 30 days."""
    retention = Retention(
        {"heart_rate": 30}, chores=bench.chores, open_reader=bench.log.reader, sinks=lambda: (), clock_us=clock_us
    )
    while await retention.step():
        await bench.settle()
    return [record.id for record in bench.log.reader().read(0, 99, history=True)]


async def test_a_clock_that_jumps_a_year_ahead_purges_nothing(bench: Bench, clocks: Clocks) -> None:
    bench.log.stage([item("young", start_us=NOW_US - DAY_US), item("old", start_us=NOW_US - 31 * DAY_US)], [], NOW_US)
    bench.log.commit()
    held = calendar(bench, clocks)
    clocks.wall_us += YEAR_US
    assert await left(bench, held.now_us) == ["young"]
    assert held.state is ClockState.DOUBTED
    assert held.ahead_s == YEAR_US / 1e6
    clocks.wall_us -= YEAR_US
    assert await left(bench, held.now_us) == ["young"]
    assert (held.state, held.ahead_s) == (ClockState.BELIEVED, 0)


async def test_while_it_is_doubted_time_goes_on_as_the_service_runs(bench: Bench, clocks: Clocks) -> None:
    held = calendar(bench, clocks)
    clocks.wall_us += YEAR_US
    for days in range(1, 40):
        clocks.run(DAY_US)
        held.look()
        assert held.now_us() == NOW_US + days * DAY_US


async def test_an_event_of_its_time_ends_the_doubt_and_others_do_not(bench: Bench, clocks: Clocks) -> None:
    """The clock was wrong before, or the machine was off for a year."""
    held = calendar(bench, clocks)
    bench.pipeline._observers = (*bench.pipeline._observers, held)
    clocks.wall_us += YEAR_US
    source = bench.source()
    held.look()
    for number, start_us in enumerate((NOW_US, clocks.wall_us - LEAP_US - 1)):
        bench.pipeline.submit([delivery(source, number, event(f"e{number}", start_time=day(start_us)))])
        await bench.settle()
        assert held.state is ClockState.DOUBTED
    bench.pipeline.submit([delivery(source, 2, event("now", start_time=day(clocks.wall_us - 60_000_000)))])
    await bench.settle()
    assert held.state is ClockState.BELIEVED
    assert held.now_us() == clocks.wall_us


async def test_what_is_believed_outlasts_a_restart_with_the_wrong_clock(bench: Bench, clocks: Clocks) -> None:
    """Rows that came in meanwhile carry the wrong time of reception: they say nothing."""
    held = calendar(bench, clocks)
    held.keep()
    await bench.settle()
    clocks.wall_us += YEAR_US
    bench.log.stage([item("e", start_us=NOW_US)], [], clocks.wall_us)
    bench.log.commit()
    known_us = bench.log.reader().cursor("clock:goes_by")
    assert known_us == NOW_US
    again = calendar(bench, clocks, known_us)
    assert again.state is ClockState.DOUBTED
    assert again.now_us() == NOW_US


async def test_a_log_that_has_no_such_place_goes_by_its_newest_row(bench: Bench, clocks: Clocks) -> None:
    assert Calendar.of(bench.log.reader(), bench.chores).state is ClockState.BELIEVED
    bench.log.stage([item("e", start_us=NOW_US)], [], NOW_US - YEAR_US)
    bench.log.commit()
    found = Calendar.of(bench.log.reader(), bench.chores)
    assert found.now_us() < NOW_US - YEAR_US + DAY_US


@pytest.mark.parametrize("jump_us", [LEAP_US, DAY_US, -DAY_US, -50 * YEAR_US])
async def test_small_leaps_and_clocks_that_are_behind_are_no_reason_for_doubt(
    bench: Bench, clocks: Clocks, jump_us: int
) -> None:
    held = calendar(bench, clocks)
    clocks.wall_us += jump_us
    assert held.now_us() == clocks.wall_us
    assert held.state is ClockState.BELIEVED
    clocks.wall_us = NOW_US
    assert held.now_us() == NOW_US


async def test_it_is_kept_every_hour_and_at_the_end_and_not_more_often(bench: Bench, clocks: Clocks) -> None:
    held = calendar(bench, clocks)
    commits = bench.log.commits
    for _ in range(2 * 3600):
        held.look()
        await bench.settle()
        clocks.run(1_000_000)
    assert bench.log.commits - commits == 2
    held.keep()
    await bench.settle()
    assert bench.log.reader().cursor("clock:goes_by") == clocks.wall_us
