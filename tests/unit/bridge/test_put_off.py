"""What the index costs is not in the commits that others wait for who have little; it has commits of its own."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bridge.group import PORTION
from healthsync_mqtt.errors import StoreError
from tests.unit.bridge.bench import Bench, GatedLog, delivery, event, origin

MANY = 3 * PORTION


class OwingLog(GatedLog):
    """Says of each commit whose rows it had, and whether something was put off or paid."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[str, str]] = []
        #: commits of rows after which it owes something by itself
        self.gathers = 0
        self._puts_off = self._owes = False
        #: what comes in while a commit is under way, by how many were before it
        self.meanwhile: dict[int, Callable[[], None]] = {}
        self._loop = asyncio.get_running_loop()

    def put_off(self) -> None:
        self._puts_off = True

    @property
    def owes(self) -> bool:
        return self._owes

    def commit(self) -> int:
        before, (puts_off, self._puts_off) = len(self.committed.log), (self._puts_off, False)
        head = super().commit()
        users = {record.user for record in self.committed.log[before:]}
        self.made.append(("+".join(sorted(users)), "put off" if puts_off else "paid" if self._owes else ""))
        self._owes = puts_off or (bool(users) and self.gathers > 0)
        self.gathers -= bool(users)
        if (work := self.meanwhile.pop(len(self.made) - 1, None)) is not None:
            self._loop.call_soon_threadsafe(work)
        return head


def flood(bench: Bench, source: Any, number: int) -> None:
    bench.pipeline.submit([delivery(source, n, event(f"a-{n}"), origin("alice")) for n in range(number)])


def little(bench: Bench, source: Any, number: int) -> None:
    bench.pipeline.submit([delivery(source, number, event(f"b-{number}"), origin("bob"))])


ROWS, INDEX, HIS, HIS_BEFORE_THE_INDEX = ("alice", "put off"), ("", "paid"), ("bob", ""), ("bob", "put off")


@pytest.mark.parametrize("failures", [0, 2])
async def test_who_has_little_waits_for_rows_or_for_the_index_and_not_for_both(failures: int) -> None:
    """In a log of 750,000 rows the index took as long as the rows: 60 ms of work beside batches of 500 events."""
    bench = Bench(log=OwingLog())
    bench.pipeline._retry_s = 0.0
    alice, bob = bench.source(), bench.source()
    try:
        bench.log.meanwhile = {1: lambda: little(bench, bob, 2), 3: lambda: little(bench, bob, 3)}
        bench.log.faults = [StoreError("the disk is full") for _ in range(failures)]
        flood(bench, alice, MANY)
        little(bench, bob, 1)
        await bench.settle()
        assert bench.log.made == [HIS, ROWS, HIS_BEFORE_THE_INDEX, INDEX, HIS, ROWS, INDEX, ROWS, INDEX]
        assert not bench.log.owes
        assert alice.tokens == list(range(MANY))
        assert bob.tokens == [1, 2, 3]
        assert bench.balanced()
    finally:
        bench.close()


async def test_where_nobody_else_sends_nothing_is_put_off() -> None:
    bench = Bench(log=OwingLog())
    try:
        flood(bench, bench.source(), MANY)
        await bench.settle()
        assert {how for _, how in bench.log.made} == {""}
    finally:
        bench.close()


async def test_nobody_waits_for_what_a_log_has_gathered_by_itself() -> None:
    """A write-ahead log that is full: whoever has little is stored between the rows that filled it and its move."""
    bench = Bench(log=OwingLog())
    alice, bob = bench.source(), bench.source()
    try:
        bench.log.gathers = 4
        bench.log.meanwhile = {0: lambda: little(bench, bob, 1), 2: lambda: little(bench, bob, 2)}
        flood(bench, alice, MANY)
        await bench.settle()
        assert all(how != "paid" for users, how in bench.log.made if users)
        assert ("", "paid") in bench.log.made
        assert not bench.log.owes
        assert bob.tokens == [1, 2]
        assert bench.balanced()
    finally:
        bench.close()
