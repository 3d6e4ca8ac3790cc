"""A commit that is being written ends early for those who have little: they wait for a portion, not for all of it."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bridge.backlog import LIGHT
from bridge.group import GROUP_EVENTS, PORTION
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.storage.port import Quarantined
from tests.support.consent import agreeing
from tests.support.patience import PATIENCE_S
from tests.unit.bridge.bench import Bench, Notes, delivery, event, origin

MANY = 6 * PORTION + 70
assert MANY < GROUP_EVENTS, "one commit takes all of them"


class Between:
    """Does something in the round after the first portion was staged."""

    def __init__(self, bench: Bench, work: Callable[[], object]) -> None:
        self.staged: list[int] = []
        self._work: Callable[[], object] | None = work
        self._stage = bench.log.stage
        self._soon = bench.pipeline._loop.call_soon
        bench.log.stage = self._noted

    def _noted(self, items: Sequence[Any], refused: Sequence[Quarantined], received_us: int) -> list[int]:
        self.staged.append(len(items))
        if self._work is not None:
            self._soon(self._work)
            self._work = None
        found: list[int] = self._stage(items, refused, received_us)
        return found


def flood(bench: Bench, source: Notes, sender: str = "alice") -> None:
    bench.pipeline.submit([delivery(source, n, event(f"{sender}-{n}"), origin(sender)) for n in range(MANY)])


@pytest.mark.parametrize("failures", [0, 2])
async def test_who_has_little_waits_for_a_portion_of_others_and_nothing_is_lost(failures: int) -> None:
    """Fifty flooding connections had 1,705 events in a commit; a bystander waited for 59 ms of writing them."""
    bench = Bench()
    bench.pipeline._retry_s = 0.0
    bench.log.faults = [StoreError("the disk is full") for _ in range(failures)]
    alice, bob = bench.source(), bench.source()
    between = Between(bench, lambda: bench.pipeline.submit([delivery(bob, 1, event("bob-1"), origin("bob"))]))
    try:
        flood(bench, alice)
        await bench.settle()
        assert (bob.tokens, alice.tokens) == ([1], list(range(MANY)))
        assert bob.stored_then[0] <= 2 * PORTION + 1
        assert max(between.staged) <= PORTION
        assert [each for each in bench.ids() if each != "bob-1"] == [f"alice-{n}" for n in range(MANY)]
        assert bench.balanced()
        assert bench.pipeline.backlog == 0
    finally:
        bench.close()


@pytest.mark.parametrize("failures", [0, 2])
async def test_a_group_that_is_written_apart_ends_early_too(failures: int) -> None:
    """On PostgreSQL who had little waited for all five thousand rows of others, each portion a way to the server."""
    bench = Bench()
    bench.journal.apart = True
    bench.pipeline._retry_s = 0.0
    bench.log.faults = [StoreError("the server is gone") for _ in range(failures)]
    alice, bob = bench.source(), bench.source()
    stage, came = bench.log.stage, threading.Event()
    staged: list[int] = []

    def held(items: Sequence[Any], refused: Sequence[Quarantined], received_us: int) -> list[int]:
        if not staged:
            bench.pipeline._loop.call_soon_threadsafe(arrive)
            assert came.wait(PATIENCE_S)
        staged.append(len(items))
        found: list[int] = stage(items, refused, received_us)
        return found

    def arrive() -> None:
        bench.pipeline.submit([delivery(bob, 1, event("bob-1"), origin("bob"))])
        came.set()

    bench.log.stage = held
    try:
        bad = [event(f"bad-{n}", bpm=900) for n in range(3)]
        bench.pipeline.submit([delivery(alice, MANY, bad)])
        flood(bench, alice)
        await bench.settle()
        assert (bob.tokens, sorted(alice.tokens)) == ([1], list(range(MANY + 1)))
        assert bob.stored_then[0] <= PORTION + 1
        assert max(staged) <= PORTION
        assert [each for each in bench.ids() if each != "bob-1"] == [f"alice-{n}" for n in range(MANY)]
        assert bench.counters.rejected == len(bad) == len(bench.log.reader().rejected(0, 9_999))
        assert bench.balanced()
        assert bench.pipeline.backlog == 0
    finally:
        bench.close()


async def test_a_group_that_is_written_apart_is_one_where_nobody_comes_who_has_little() -> None:
    bench = Bench()
    bench.journal.apart = True
    alice = bench.source()
    try:
        flood(bench, alice)
        await bench.settle()
        assert bench.log.commits == 1
        assert alice.tokens == list(range(MANY))
    finally:
        bench.close()


async def test_of_an_even_crowd_a_group_that_is_written_apart_is_written_at_once() -> None:
    """It never ends early, and on PostgreSQL each portion is four ways to the server and back."""
    crowd = [f"user-{n}" for n in range(2 * PORTION // LIGHT + 1)]
    bench = Bench(gate=agreeing(*crowd))
    bench.journal.apart = True
    staged, stage = list[int](), bench.log.stage

    def noted(items: Sequence[Any], refused: Sequence[Quarantined], received_us: int) -> list[int]:
        staged.append(len(items))
        found: list[int] = stage(items, refused, received_us)
        return found

    bench.log.stage = noted
    sources = [bench.source() for _ in crowd]
    try:
        for source, user in zip(sources, crowd, strict=True):
            bench.pipeline.submit([delivery(source, n, event(f"{user}-{n}"), origin(user)) for n in range(LIGHT)])
        await bench.settle()
        assert staged == [len(crowd) * LIGHT]
        assert all(source.tokens == list(range(LIGHT)) for source in sources)
    finally:
        bench.close()


async def test_a_commit_is_one_where_nobody_comes_who_has_little() -> None:
    bench = Bench()
    alice = bench.source()
    more = [delivery(alice, MANY + n, event(f"more-{n}")) for n in range(PORTION)]
    Between(bench, lambda: bench.pipeline.submit(more))
    try:
        flood(bench, alice)
        await bench.settle()
        assert bench.log.commits == 2
        assert alice.tokens == list(range(MANY + PORTION))
    finally:
        bench.close()


async def test_refusals_are_of_the_commit_that_has_their_message() -> None:
    bench = Bench()
    alice, bob = bench.source(), bench.source()
    told: list[tuple[int, int]] = []

    def noted(tokens: Sequence[int], *_: object) -> None:
        told.append((max(tokens), len(bench.log.reader().rejected(0, 9_999))))

    alice.acknowledge = noted  # type: ignore[method-assign]
    Between(bench, lambda: bench.pipeline.submit([delivery(bob, 1, event("bob-1"), origin("bob"))]))
    try:
        came = [event(f"a-{n}", bpm=72 if n % 10 else 900 + n) for n in range(1_500)]
        bench.pipeline.submit([delivery(alice, n, each) for n, each in enumerate(came)])
        await bench.settle()
        assert len(told) > 1
        assert [refused for _, refused in told] == [1 + last // 10 for last, _ in told]
        assert bob.tokens == [1]
        assert bench.balanced()
    finally:
        bench.close()


async def test_clients_get_less_of_a_round_while_somebody_waits_who_has_little() -> None:
    bench = Bench()
    bench.log.gate.clear()
    alice, bob = bench.source(), bench.source()
    try:
        bench.pipeline.submit([delivery(bob, 1, event("bob-1"), origin("bob"))])
        assert not bench.pipeline.hurried
        flood(bench, alice)
        assert bench.pipeline.hurried
        bench.log.gate.set()
        await bench.settle()
        assert not bench.pipeline.hurried
        flood(bench, alice)
        assert not bench.pipeline.writing
        assert not bench.pipeline.hurried, "nobody else waits"
    finally:
        bench.close()


async def test_nobody_who_has_much_is_read_on_while_two_commits_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """43,500 events waited, and each pass of the loop decoded more while a bystander waited for a commit."""
    monkeypatch.setattr("bridge.pipeline._AHEAD", 1_000)
    bench = Bench()
    try:
        bench.log.gate.clear()
        alice, bob, carol = bench.source(), bench.source(), bench.source()
        batch = [event(f"a{n}") for n in range(200)]
        told = [bench.pipeline.submit([delivery(alice, n, batch)]) for n in range(8)]
        assert told == [False] * 5 + [True] * 3
        assert not bench.pipeline.submit([delivery(bob, 1, event("b1"), origin("bob"))]), "bob has little"
        assert bench.pipeline.hold(carol, "alice"), "coming back changes nothing"
        assert not bench.pipeline.hold(bench.source()), "nor is who comes anew held up"
        bench.log.gate.set()
        await bench.settle()
        assert (alice.resumed, bob.resumed, carol.resumed) == (1, 0, 1)
        assert (alice.tokens, bob.tokens) == (list(range(8)), [1])
        assert not bench.pipeline.submit([delivery(alice, 9, event("later"))])
    finally:
        bench.close()


async def test_nobody_of_whom_plenty_waits_is_read_on_while_somebody_waits_who_has_little() -> None:
    """Beside each commit that a bystander waited for, nine more batches of a flood were read and decoded."""
    bench = Bench(backlog_limit=1 << 20)
    try:
        bench.log.gate.clear()
        alice, bob, carol = bench.source(), bench.source(), bench.source()
        batch = [event(f"a{n}") for n in range(60)]
        assert not bench.pipeline.submit([delivery(alice, 1, batch)])
        assert not bench.pipeline.submit([delivery(alice, 2, batch)]), "nobody else waits"
        assert not bench.pipeline.submit([delivery(bob, 1, event("b1"), origin("bob"))])
        assert bench.pipeline.submit([delivery(alice, 3, batch)])
        assert bench.pipeline.hold(carol, "alice"), "nor with another connection"
        assert not bench.pipeline.submit([delivery(bob, 2, event("b2"), origin("bob"))])
        bench.log.gate.set()
        await bench.settle()
        assert (alice.resumed, bob.resumed, carol.resumed) == (1, 0, 1)
        assert (alice.tokens, bob.tokens) == ([1, 2, 3], [1, 2])
        assert bench.pipeline.backlog == 0
    finally:
        bench.close()


async def test_commits_of_one_who_has_much_are_short_while_others_come_who_have_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was written before a bystander came is committed, with what the index costs: thirty milliseconds of work."""
    monkeypatch.setattr("bridge.pipeline._OF_ONE", 100)
    monkeypatch.setattr("bridge.pipeline._COMPANY", 3)
    bench = Bench()
    alice, bob = bench.source(), bench.source()
    try:
        bench.pipeline.submit([delivery(bob, 1, event("bob-1"), origin("bob"))])
        flood(bench, alice)
        await bench.settle()
        after = sorted(set(alice.stored_then))
        assert (bob.stored_then, after) == ([1], [101, 201, MANY + 1]), "the rest is one commit: nobody comes any more"
        assert alice.tokens == list(range(MANY))
    finally:
        bench.close()
