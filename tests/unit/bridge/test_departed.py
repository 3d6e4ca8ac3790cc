"""What connections left behind that are gone: good events are stored, refusals are bounded, all of it is counted."""

import gzip
import json

import pytest

from bridge.departed import MOST_REFUSED
from healthsync_mqtt.storage.port import Quarantined
from tests.unit.bridge.bench import Bench, Notes, delivery, event, origin

BATCH = 25
"""Refusals of a message: so few that it is decoded at once; what is not when its sender goes is another case."""


def bad(token: int) -> list[dict[str, object]]:
    return [event(f"a{token}-{number}", bpm=900) for number in range(BATCH)]


def rows(bench: Bench) -> list[Quarantined]:
    found: list[Quarantined] = bench.log.reader().rejected(0, 99_999)
    return found


def messages_balanced(bench: Bench) -> bool:
    found = bench.counters.snapshot()
    parts = ("messages_stored", "messages_duplicate", "messages_rejected", "messages_failed")
    return bool(found["messages_received"] == sum(found[part] for part in parts))


@pytest.mark.parametrize("gone", [True, False])
async def test_refusals_of_who_is_gone_are_bounded_and_what_is_good_is_stored(gone: bool) -> None:
    bench = Bench()
    bench.log.gate.clear()
    alice, bob = bench.source(), bench.source()
    count = 4 * MOST_REFUSED // BATCH
    try:
        bench.pipeline.submit([delivery(bob, 1, event("first"), origin("bob"))])
        for token in range(count):
            bench.pipeline.submit([delivery(alice, token, [*bad(token), event(f"good-{token}")])])
        bench.pipeline.submit([delivery(alice, count, bad(count))])
        if gone:
            bench.pipeline.leave(alice)
        bench.log.gate.set()
        await bench.settle()
        assert set(bench.ids()) == {"first", *(f"good-{token}" for token in range(count))}
        assert len(bench.ids()) == 1 + count
        refused = MOST_REFUSED if gone else (count + 1) * BATCH
        assert bench.counters.rejected == refused
        assert bench.counters.failed == (count + 1) * BATCH - refused
        assert bench.counters.messages_failed == gone, "the one of which nothing was left"
        assert bench.balanced()
        assert messages_balanced(bench)
        assert bench.pipeline.backlog == 0
        assert not bench.pipeline._departed
    finally:
        bench.close()


async def test_what_is_not_decoded_yet_is_decoded_no_more_once_it_is_too_much() -> None:
    """Each of these is decoded in the thread: five thousand refusals would follow from what was sent before the end."""
    bench = Bench(backlog_limit=1 << 30)
    bench.log.gate.clear()
    alice, bob = bench.source(), bench.source()
    each = 500
    many = gzip.compress(json.dumps([event(f"a{number}", bpm=900) for number in range(each)]).encode())
    try:
        bench.pipeline.submit([delivery(bob, 1, event("first"), origin("bob"))])
        bench.pipeline.submit([delivery(alice, token, many) for token in range(20)])
        bench.pipeline.leave(alice)
        bench.log.gate.set()
        await bench.settle()
        assert bench.counters.rejected == MOST_REFUSED
        assert bench.counters.messages_received == 21
        assert bench.counters.messages_failed >= 20 - MOST_REFUSED // each
        assert bench.balanced()
        assert messages_balanced(bench)
        assert bench.pipeline.backlog == 0
        assert (alice.resumed, bob.tokens) == (0, [1])
        assert not bench.pipeline._departed
        assert not bench.pipeline._aside.lines
    finally:
        bench.close()


async def test_the_receipt_of_a_batch_counts_the_refusals_that_were_dropped() -> None:
    """It may wait in the session of who comes back, who would take what it leaves out for stored."""
    bench = Bench()
    bench.log.gate.clear()
    alice, bob = bench.source(), bench.source()
    try:
        bench.pipeline.submit([delivery(bob, 1, event("first"), origin("bob"))])
        for token in range(2 * MOST_REFUSED // BATCH):
            bench.pipeline.submit(
                [delivery(alice, token, {"batch": f"b{token}", "events": [*bad(token), event(f"good-{token}")]})]
            )
        bench.pipeline.leave(alice)
        bench.log.gate.set()
        await bench.settle()
        told = [said for _, said in bench.outbox.sent if "batch" in said]
        assert len(told) == 2 * MOST_REFUSED // BATCH
        assert {(said["stored"], len(said["rejected"]) + said.get("unlisted", 0)) for said in told} == {(1, BATCH)}
        assert sum(len(said["rejected"]) for said in told) <= MOST_REFUSED
    finally:
        bench.close()


async def test_coming_back_changes_nothing() -> None:
    bench = Bench()
    bench.log.gate.clear()
    connections = [bench.source() for _ in range(6)]
    bob = bench.source()
    try:
        bench.pipeline.submit([delivery(bob, 1, event("first"), origin("bob"))])
        for number, source in enumerate(connections):
            for token in range(16):
                bench.pipeline.submit([delivery(source, token, bad(100 * number + token))])
            bench.pipeline.leave(source)
        bench.pipeline.submit([delivery(bob, 2, event("worse", bpm=900), origin("bob"))])
        bench.pipeline.leave(bob)
        bench.log.gate.set()
        await bench.settle()
        assert bench.counters.rejected == MOST_REFUSED + 1, "bob has his own"
        assert bench.counters.failed == 96 * BATCH - MOST_REFUSED
        assert bench.balanced()
        assert messages_balanced(bench)
        assert not bench.pipeline._departed
        assert not bench.pipeline._departed._left
    finally:
        bench.close()


async def test_who_is_gone_and_left_nothing_is_not_remembered() -> None:
    bench = Bench()
    alice: Notes = bench.source()
    try:
        bench.pipeline.submit([delivery(alice, 1, bad(1))])
        await bench.settle()
        bench.pipeline.leave(alice)
        assert not bench.pipeline._departed
        assert (bench.counters.rejected, bench.counters.failed, len(rows(bench))) == (BATCH, 0, BATCH)
    finally:
        bench.close()


async def test_who_leaves_refusals_behind_again_and_again_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It was a line of each commit, for as long as a device cares to come and go."""
    bench = Bench()
    bob = bench.source()
    try:
        for round_ in range(4):
            bench.log.gate.clear()
            alice = bench.source()
            bench.pipeline.submit([delivery(bob, round_, event(f"first-{round_}"), origin("bob"))])
            for token in range(2 * MOST_REFUSED // BATCH):
                bench.pipeline.submit([delivery(alice, token, bad(token))])
            bench.pipeline.leave(alice)
            bench.log.gate.set()
            await bench.settle()
        assert bench.counters.failed >= 4 * (MOST_REFUSED - BATCH)
        assert [each.getMessage() for each in caplog.records].count("bridge.refusals_dropped") == 1
    finally:
        bench.close()
