"""Refused for its time: acknowledged, held whole over a restart, and taken by itself when the clock allows it."""

import json
from typing import Any

import pytest

from bridge.decode.delivery import decode
from bridge.jobs.release import Release
from healthsync_mqtt.model.limits import DEFAULT
from healthsync_mqtt.model.times import iso
from tests.support.consent import agreeing
from tests.unit.bridge.bench import NOW_US, Bench, delivery, event

YEAR = 365 * 86_400_000_000
AHEAD = NOW_US + 50 * YEAR
"""What a right clock says while ours has begun again long ago."""


class Clocked:
    """A bench, and the release with a clock of its own."""

    def __init__(self, **options: Any) -> None:
        self.bench = Bench(**options)
        self.now_us = NOW_US
        self.reader = self.bench.log.reader()
        self.release = Release(self.bench.pipeline, self.bench.chores, self.reader, clock_us=lambda: self.now_us)

    async def send(self, *events: dict[str, Any]) -> None:
        source = self.bench.source()
        self.bench.pipeline.submit([delivery(source, 1, list(events))])
        await self.bench.settle()
        assert source.tokens == [1], "PUBACK: the sender has it no more"

    async def take(self) -> None:
        await self.release.take_due()
        await self.bench.settle()

    def held(self) -> list[str | None]:
        return [row.event_id for row in self.reader.rejected() if row.due_us is not None]


async def test_a_clock_that_is_wrong_by_years_loses_nothing() -> None:
    on = Clocked()
    try:
        await on.send(event("a", start_time=iso(AHEAD)), event("b"), event("c", start_time=iso(AHEAD + 1)))
        assert on.bench.ids() == ["b"]
        told = on.bench.outbox.sent[0][1]["rejected"]
        assert [(one["code"], one["held"], "retry" in one) for one in told] == [("future_time", True, False)] * 2
        await on.take()
        assert (on.bench.ids(), on.held()) == (["b"], ["a", "c"])
        on.now_us = AHEAD - DEFAULT.max_future_us  # the first moment at which the same bytes are taken
        await on.take()
        assert (on.bench.ids(), on.held()) == (["b", "a"], ["c"])
        on.now_us += 1
        await on.take()
        assert (on.bench.ids(), on.reader.rejected()) == (["b", "a", "c"], [])
        assert on.bench.outbox.sent[-1][1]["stored"] == ["c"], "and its sender hears of it"
        assert on.bench.balanced()
    finally:
        on.bench.close()


async def test_a_long_series_is_held_whole() -> None:
    on = Clocked()
    samples = [[second, 60 + second % 60] for second in range(9_000)]
    late = event("s", start_time=iso(AHEAD), value={"samples": samples})
    try:
        assert len(json.dumps(late)) > 65_536
        await on.send(late)
        on.now_us = AHEAD + YEAR
        await on.take()
        assert (on.bench.ids(), on.reader.rejected()) == (["s"], [])
    finally:
        on.bench.close()


@pytest.mark.parametrize("field", ["start_time", "end_time", "samples"])
def test_the_time_that_a_row_is_due_is_the_first_at_which_it_is_taken(field: str) -> None:
    (sent,) = {
        "start_time": [event("a", start_time=iso(AHEAD))],
        "end_time": [event("a", type="steps", value={"steps": 1}, start_time=iso(NOW_US), end_time=iso(AHEAD))],
        "samples": [event("a", start_time=iso(NOW_US), value={"samples": [[0, 60], [7200.4321, 61]]})],
    }[field]
    sent.pop("bpm", None)
    payload, origin = json.dumps(sent).encode(), delivery(None, 1, sent).origin  # type: ignore[arg-type]
    (refused,) = decode(payload, origin, NOW_US).rejections
    assert refused.reason == "future_time"
    assert refused.due_us is not None
    again = decode(payload, origin, refused.due_us)
    assert not any(each.reason == "future_time" for each in again.rejections)
    (before,) = decode(payload, origin, refused.due_us - 2).rejections
    assert before.reason == "future_time"


async def test_what_is_bad_for_another_reason_by_then_stays_and_is_held_no_more() -> None:
    on = Clocked()
    try:
        await on.send(event("a", start_time=iso(AHEAD), bpm=900))
        on.now_us = AHEAD
        await on.take()
        (row,) = on.reader.rejected()
        assert (on.bench.ids(), row.event_id, row.due_us, row.last_us) == ([], "a", None, AHEAD)
    finally:
        on.bench.close()


async def test_what_is_a_duplicate_by_then_changes_nothing() -> None:
    """The sender sent it again when the clock was right; or the log was killed between the two."""
    on = Clocked()
    try:
        await on.send(event("a", start_time=iso(AHEAD)))
        await on.send(event("a", bpm=61))
        on.now_us = AHEAD
        await on.take()
        assert (on.bench.ids(), on.reader.rejected()) == (["a"], [])
    finally:
        on.bench.close()


async def test_a_consent_that_ended_meanwhile_is_asked() -> None:
    gate = agreeing("alice")
    on = Clocked(gate=gate)
    try:
        await on.send(event("a", start_time=iso(AHEAD)))
        gate.store = {}
        on.now_us = AHEAD
        await on.take()
        assert (on.bench.ids(), on.held()) == ([], [])
    finally:
        on.bench.close()


async def test_many_are_taken_in_portions() -> None:
    on = Clocked()
    try:
        for first in range(0, 900, 300):
            await on.send(*(event(f"e{n}", start_time=iso(AHEAD + n)) for n in range(first, first + 300)))
        on.now_us = AHEAD + YEAR
        commits = on.bench.log.commits
        await on.take()
        assert on.bench.ids() == [f"e{n}" for n in range(900)]
        assert on.reader.rejected() == []
        assert 9 <= on.bench.log.commits - commits <= 11
    finally:
        on.bench.close()
