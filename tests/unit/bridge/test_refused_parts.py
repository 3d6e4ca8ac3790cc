"""Many events, and many refused ones, are written a part at a time: the loop is let in between, the commit is one."""

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.decode.delivery import DEFAULT
from bridge.group import GROUP_EVENTS, PORTION
from bridge.stages.quarantine import PART_BYTES, PART_ROWS, in_parts
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.storage.port import Quarantined
from healthsync_mqtt.testing.log_items import rejected
from tests.unit.bridge.bench import Bench, delivery, event, until

BAD = [event(f"bad{n}") | {"value": {"bpm": 900 + n}} for n in range(499)]


class Parts:
    """The log's ``stage``, noted with the pass of the loop that it was called in."""

    def __init__(self, bench: Bench, *, fails_at: int = 0) -> None:
        self.items: list[int] = []
        self.sizes: list[int] = []
        self.passes: list[int] = []
        self._fails_at = fails_at
        self._pass = 0
        self._stage = bench.log.stage
        bench.log.stage = self._noted
        self._loop = asyncio.get_running_loop()
        self._next()

    def _next(self) -> None:
        self._pass += 1
        self._ticking = self._loop.call_soon(self._next)

    def _noted(self, items: Any, refused: Sequence[Quarantined], received_us: int) -> list[int]:
        self.items.append(len(items))
        self.sizes.append(len(refused))
        self.passes.append(self._pass)
        if len(self.sizes) == self._fails_at:
            raise StoreError("the disk is full")
        found: list[int] = self._stage(items, refused, received_us)
        return found

    def close(self) -> None:
        self._ticking.cancel()


async def test_others_are_let_in_while_many_refused_events_are_written() -> None:
    bench = Bench()
    parts = Parts(bench)
    try:
        source = bench.source()
        bench.pipeline.submit([delivery(source, 1, [event("good"), *BAD])])
        await bench.settle()
        assert sum(parts.sizes) == len(BAD)
        assert max(parts.sizes) <= PART_ROWS
        assert len(set(parts.passes)) == len(parts.sizes)
        assert bench.log.commits == 1
        assert (source.tokens, bench.ids()) == ([1], ["good"])
        assert len(bench.log.reader().rejected(0, 999)) == len(BAD)
        assert bench.balanced()
    finally:
        parts.close()
        bench.close()


async def test_it_is_known_while_a_group_takes_several_rounds_and_not_otherwise() -> None:
    bench = Bench()
    between: list[bool] = []
    parts = Parts(bench)
    write = parts._noted

    def noted(*values: Any) -> list[int]:
        between.append(bench.pipeline.writing)
        return write(*values)

    bench.log.stage = noted
    try:
        source = bench.source()
        bench.pipeline.submit([delivery(source, 1, BAD)])
        await bench.settle()
        assert between == [False] + [True] * (len(parts.sizes) - 1)
        assert len(between) > 2
        bench.pipeline.submit([delivery(source, 2, [event("good"), *BAD[:5]])])
        await bench.settle()
        assert between[len(parts.sizes) - 1 :] == [False]
        assert not bench.pipeline.writing
    finally:
        parts.close()
        bench.close()


async def test_others_are_let_in_while_a_message_of_many_events_is_written() -> None:
    """Its device and others are answered by one commit; a portion of them in a round."""
    many = 2 * GROUP_EVENTS + 10
    bench = Bench(limits=dataclasses.replace(DEFAULT, max_events=many, max_payload=1 << 24))
    parts = Parts(bench)
    try:
        source = bench.source()
        bench.pipeline.submit([delivery(source, 1, [*(event(f"e{n}") for n in range(many - 1)), BAD[0]])])
        await bench.settle()
        portions, rest = divmod(many - 1, PORTION)
        assert parts.items == [PORTION] * portions + [rest]
        assert parts.sizes == [0] * portions + [1]
        assert len(set(parts.passes)) == portions + 1
        assert bench.log.commits == 1
        assert (source.tokens, len(bench.ids())) == ([1], many - 1)
        assert bench.balanced()
    finally:
        parts.close()
        bench.close()


async def test_a_part_that_fails_is_written_again_with_all_of_its_group() -> None:
    bench = Bench()
    bench.pipeline._retry_s = 0.0
    rollback = bench.log.rollback
    parts = Parts(bench, fails_at=3)
    stage = bench.log.stage

    def failing(*values: Any) -> list[int]:
        try:
            found: list[int] = stage(*values)
        except StoreError:
            rollback()
            raise
        return found

    bench.log.stage = failing
    try:
        source = bench.source()
        bench.pipeline.submit([delivery(source, 1, [event("good"), *BAD])])
        await bench.settle()
        assert (source.tokens, bench.ids(), bench.log.commits) == ([1], ["good"], 1)
        assert [row.times for row in bench.log.reader().rejected(0, 999)] == [1] * len(BAD)
        assert bench.balanced()
    finally:
        parts.close()
        bench.close()


async def test_a_stop_between_two_parts_tells_nobody() -> None:
    bench = Bench()
    parts = Parts(bench)
    try:
        source = bench.source()
        bench.pipeline.submit([delivery(source, 1, BAD)])
        await until(lambda: bool(parts.sizes))
        bench.pipeline.stop()
        for _ in range(20):
            await asyncio.sleep(0)
        assert parts.sizes == [PART_ROWS]
        assert (source.tokens, bench.log.commits) == ([], 0)
    finally:
        parts.close()
        bench.close()


@given(st.lists(st.sampled_from([0, 10, 1_000, 60_000, PART_BYTES, 3 * PART_BYTES]), max_size=200))
def test_parts_are_all_in_order_and_bounded(sizes: list[int]) -> None:
    zeros = bytes(3 * PART_BYTES)
    rows = [rejected("alice", f"e{n}", zeros[:size]) for n, size in enumerate(sizes)]
    parts = list(in_parts(rows))
    assert [row for part in parts for row in part] == rows
    assert all(part for part in parts) or parts == [[]]
    for part in parts:
        assert len(part) <= PART_ROWS
        assert sum(len(row.rejection.raw) for row in part[:-1]) <= PART_BYTES
