"""Threads that compute work in slices: one a round of the loop, and what nobody waits for none while a commit runs."""

import asyncio
import threading
import time
from collections.abc import Callable
from itertools import count

import pytest

from bridge import courtesy as module
from bridge.courtesy import SLICE_S, Courtesy
from bridge.stages.decode_lines import Aside
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.event import Decoded
from healthsync_mqtt.model.origin import Origin
from tests.support.patience import PATIENCE_S, until

SLICES = 20


def ticking() -> Callable[[], float]:
    """A clock by which each look is a slice later."""
    ticks = count(1)
    return lambda: next(ticks) * 2 * SLICE_S


def test_within_a_slice_nobody_is_let_in() -> None:
    rounds: list[Callable[[], None]] = []
    now = [1.0]
    courtesy = Courtesy(soon=lambda call: (rounds.append(call), call()), clock=lambda: now[0])
    courtesy.let_in()
    for _ in range(100):
        courtesy.let_in()
        courtesy.pause()
    assert len(rounds) == 1
    now[0] += 2 * SLICE_S
    courtesy.let_in()
    assert len(rounds) == 2


def test_what_nobody_waits_for_waits_for_the_end_of_a_commit() -> None:
    said: list[str] = []
    began, ended = threading.Event(), threading.Event()
    courtesy = Courtesy(soon=lambda call: call(), clock=ticking())

    class Commit(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            said.append("waits")
            began.set()
            assert ended.wait(PATIENCE_S)
            return True

    courtesy._no_commit = Commit()
    courtesy.begin()

    def work() -> None:
        courtesy.pause()
        said.append("goes on")

    thread = threading.Thread(target=work)
    thread.start()
    assert began.wait(PATIENCE_S)
    said.append("over")
    courtesy.end()
    ended.set()
    thread.join(PATIENCE_S)
    assert said == ["waits", "over", "goes on"]


@pytest.mark.parametrize(("uneven", "waits"), [(False, 0), (True, SLICES)])
def test_what_many_bytes_come_to_has_a_slice_a_commit_while_who_has_little_waits(uneven: bool, waits: int) -> None:
    """A dozen rounds of the loop are one commit: a bystander waited for a slice of the decoder in each of them."""
    waited: list[float | None] = []
    courtesy = Courtesy(soon=lambda call: call(), clock=ticking())
    courtesy.uneven = lambda: uneven

    class Commit(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout)
            return True

    courtesy._no_commit = Commit()
    for _ in range(SLICES):
        courtesy.let_in()
    assert len(waited) == waits
    assert None not in waited, "a commit that never ends holds nothing up for ever"


def test_a_commit_that_never_ends_holds_nothing_up_for_ever() -> None:
    courtesy = Courtesy(soon=lambda call: call(), clock=ticking())
    courtesy.begin()
    for _ in range(3):
        courtesy.pause()


@pytest.mark.parametrize("verb", ["let_in", "pause"])
def test_nobody_goes_on_while_the_loop_does_something_in_one_piece(verb: str) -> None:
    courtesy = Courtesy(soon=lambda call: call(), clock=ticking())
    came, went = threading.Event(), threading.Event()

    class Piece(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            came.set()
            return super().wait(timeout)

    courtesy._may_compute = Piece()
    courtesy._may_compute.set()

    def work() -> None:
        getattr(courtesy, verb)()
        went.set()

    thread = threading.Thread(target=work)
    with courtesy.quiet():
        thread.start()
        assert came.wait(PATIENCE_S)
        assert not went.is_set()
        assert not courtesy._may_compute.is_set()
    thread.join(PATIENCE_S)
    assert went.is_set()


def test_a_loop_that_is_closed_is_not_waited_for() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    Courtesy(soon=loop.call_soon_threadsafe, clock=ticking()).let_in()


async def test_a_decoder_has_one_slice_for_each_round_however_long_that_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback that lets go of the interpreter, as each call of the system does, gives it to no second slice."""
    monkeypatch.setattr(module, "_ROUND_S", PATIENCE_S)  # on a busy machine a round may be long, and has not ended
    slices = 0
    within: list[int] = []

    def decode(_delivery: Delivery, _told: object, pause: Callable[[], None]) -> Decoded:
        nonlocal slices
        for _ in range(SLICES):
            slices += 1
            pause()
        return Decoded(None, [], [], 0, 0, 0)

    done: list[Decoded] = []
    aside: Aside[None] = Aside(
        decode=decode,
        quick=lambda _: None,
        ready=lambda _, decoded, __: done.append(decoded),
        failed=done.append,  # type: ignore[arg-type]
        courtesy=Courtesy(clock=ticking()),
    )
    loop = asyncio.get_running_loop()

    def callback() -> None:
        before = slices
        time.sleep(0.005)
        within.append(slices - before)
        if not done:
            loop.call_soon(callback)

    loop.call_soon(callback)
    aside.put(Delivery(object(), 1, Origin("alice", "watch", None, "t"), b"{}"), None)  # type: ignore[arg-type]
    await until(lambda: done)
    aside.close()
    assert slices == SLICES
    assert max(within) <= 1
