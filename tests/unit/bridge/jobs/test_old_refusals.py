"""Old refusals go some at a time, with commits of others between them, and not those that are due."""

from collections.abc import AsyncIterator
from itertools import count

import pytest

from bridge.jobs.old_refusals import OldRefusals
from healthsync_mqtt.testing.log_items import NOW_US, rejected
from tests.unit.bridge.bench import Bench, delivery, event

DAY_US = 86_400_000_000


class Clock:
    """Some seconds go by with each look at it."""

    def __init__(self, step_s: float) -> None:
        self._looks = count()
        self._step_s = step_s
        self.later_s = 0.0

    def __call__(self) -> float:
        return next(self._looks) * self._step_s + self.later_s


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    made.close()


def old_refusals(bench: Bench, clock: Clock, days: int = 30) -> OldRefusals:
    return OldRefusals(
        bench.chores, days=days, open_reader=bench.log.reader, clock_us=lambda: NOW_US, monotonic_s=clock
    )


def keep(bench: Bench, number: int, user: str = "alice", *, days_ago: int = 0) -> None:
    ones = [rejected(user, f"{user}-{days_ago}-{n}") for n in range(number)]
    bench.log.stage([], [one._replace(received_us=NOW_US - days_ago * DAY_US) for one in ones], NOW_US)
    bench.log.commit()


async def test_they_go_some_with_each_commit(bench: Bench) -> None:
    keep(bench, 1_200, days_ago=31)
    keep(bench, 3, "bob", days_ago=29)
    before = bench.log.commits
    await old_refusals(bench, Clock(0)).look()
    assert bench.log.commits - before == 3
    assert {row.user for row in bench.log.reader().rejected(0, 9_999)} == {"bob"}


async def test_whoever_sends_meanwhile_is_stored_between_them(bench: Bench) -> None:
    keep(bench, 1_200, days_ago=31)
    purging = old_refusals(bench, Clock(0))
    write, seen = bench.log.purge_rejected, list[int]()

    def purge_rejected(*args: object, **how: object) -> None:
        seen.append(len(bench.ids()))
        bench.pipeline.submit([delivery(bench.source(), len(seen), [event(f"e{len(seen)}")])])
        write(*args, **how)  # type: ignore[arg-type]

    bench.log.purge_rejected = purge_rejected  # type: ignore[method-assign]
    await purging.look()
    assert seen == [0, 1, 2]


async def test_after_some_seconds_it_says_that_there_are_more(bench: Bench) -> None:
    keep(bench, 1_200, days_ago=31)
    refusals = old_refusals(bench, Clock(2.0))
    asked = 1
    while not await refusals.purge(NOW_US):
        asked += 1
    assert asked > 1
    assert bench.log.reader().rejected() == []


async def test_it_looks_once_an_hour_or_until_nothing_is_left(bench: Bench) -> None:
    clock = Clock(0)
    refusals = old_refusals(bench, clock)
    await refusals.look()
    keep(bench, 1, days_ago=31)
    await refusals.look()
    assert len(bench.log.reader().rejected()) == 1
    clock.later_s = 3_600.0
    await refusals.look()
    assert bench.log.reader().rejected() == []


async def test_of_a_user_alone_and_all_of_it(bench: Bench) -> None:
    keep(bench, 2)
    keep(bench, 2, "bob")
    assert await old_refusals(bench, Clock(0)).purge(NOW_US + 1, "alice")
    assert {row.user for row in bench.log.reader().rejected()} == {"bob"}


async def test_what_is_due_is_tried_first(bench: Bench) -> None:
    one = rejected(event_id="due")
    held = one._replace(rejection=one.rejection._replace(due_us=NOW_US - 1), received_us=NOW_US - 31 * DAY_US)
    bench.log.stage([], [held], NOW_US)
    bench.log.commit()
    refusals = old_refusals(bench, Clock(0))
    await refusals.look()
    assert [row.event_id for row in bench.log.reader().rejected()] == ["due"]
    assert await refusals.purge(NOW_US)
    assert bench.log.reader().rejected() == []
