"""A user whose data key cannot be had is not stored and not told, and nobody else waits for it."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from bridge import pipeline
from healthsync_mqtt.keys.faults import KeyUnavailableError
from tests.unit.bridge.bench import Bench, GatedLog, delivery, event, origin, until


class LockedLog(GatedLog):
    """Users whose keys are away are not staged, and with them nothing of their group."""

    def __init__(self) -> None:
        super().__init__()
        self.away = {"bob"}
        self.refused = 0

    def stage(self, items: Sequence[Any], rejected: Sequence[Any], received_us: int) -> list[int]:
        for user in [each.origin.user for each in (*items, *rejected)]:
            if user in self.away:
                self.refused += 1
                self.rollback()
                raise KeyUnavailableError("the outer key is away", owner=f"user:{user}")
        return super().stage(items, rejected, received_us)


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(pipeline, "_LOCKED_OUT_S", 0.01)
    made = Bench(log=LockedLog())
    yield made
    made.close()


BOB = origin("bob", "band")


async def test_others_are_stored_and_told_and_who_is_locked_out_is_neither(bench: Bench) -> None:
    mine, theirs = bench.source(), bench.source()
    bench.pipeline.submit([delivery(theirs, 1, event("b1"), BOB), delivery(theirs, 2, b"no json", BOB)])
    bench.pipeline.submit([delivery(mine, 1, event("a1"))])
    await until(lambda: mine.tokens == [1])
    bench.pipeline.submit([delivery(theirs, 3, event("b2"), BOB)])
    bench.pipeline.submit([delivery(mine, 2, event("a2"))])
    await until(lambda: mine.tokens == [1, 2] and bench.log.refused > 3)
    assert (theirs.tokens, bench.ids(), bench.told) == ([], ["a1", "a2"], [])
    assert bench.pipeline.healthy
    assert bench.balanced()
    assert bench.counters.in_flight == 3
    bench.log.away = set()
    await bench.settle()
    assert theirs.tokens == [1, 2, 3]
    assert bench.ids() == ["a1", "a2", "b1", "b2"]
    assert bench.balanced()
    assert bench.counters.in_flight == 0


async def test_what_comes_behind_is_not_stored_before(bench: Bench) -> None:
    """The key is there again, and who waited has the first word."""
    source = bench.source()
    bench.pipeline.submit([delivery(source, 1, event("one"), BOB)])
    await until(lambda: bench.log.refused > 0)
    bench.pipeline._knocking.cancel()
    bench.log.away = set()
    other = bench.source()
    bench.pipeline.submit([delivery(source, 2, event("two"), BOB)])
    bench.pipeline.submit([delivery(other, 1, event("a"))])
    await until(lambda: other.tokens == [1])
    assert bench.ids() == ["a"]
    bench.pipeline._knock()
    await bench.settle()
    assert bench.ids() == ["a", "one", "two"]


async def test_who_knocks_while_others_are_committed_stays_before_what_came_meanwhile(bench: Bench) -> None:
    """It was queued behind, and what the source had sent later was stored first."""
    source, other = bench.source(), bench.source()
    bench.pipeline.submit([delivery(source, 1, event("one"), BOB), delivery(source, 2, event("two"), BOB)])
    await until(lambda: bench.log.refused > 0)
    bench.pipeline._knocking.cancel()
    bench.log.gate.clear()
    bench.pipeline.submit([delivery(other, 1, event("a"))])
    await until(lambda: bench.log._staged is not None)
    bench.pipeline.submit([delivery(source, 3, event("three"), BOB)])
    bench.pipeline._knock()
    bench.log.away = set()
    bench.log.gate.set()
    await bench.settle()
    assert source.tokens == [1, 2, 3]
    assert [each for each in bench.ids() if each != "a"] == ["one", "two", "three"]


async def test_stopping_counts_who_is_locked_out_as_failed(bench: Bench) -> None:
    source = bench.source()
    bench.pipeline.submit([delivery(source, 1, event("b1"), BOB)])
    await until(lambda: bench.log.refused > 0)
    await bench.pipeline.close(0.05)
    bench.pipeline.stop()
    assert source.tokens == []
    assert bench.counters.snapshot()["failed"] == 1
    assert bench.balanced()
