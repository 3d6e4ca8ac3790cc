"""Work in time that nobody wants, until it waits too long for that; then in slices, by whoever asked for it."""

import _thread
import os
import signal
import threading
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from healthsync_mqtt.telemetry.spare_time import CoreUse, SpareTime, be_idle, own_use

GETS_ON = CoreUse(worked_s=1.0, waited_s=2.0)
STARVES = CoreUse(worked_s=1.0, waited_s=3.0)


def steps(number: int, by: list[int]) -> Iterator[None]:
    """So many steps, which say by which thread each was taken."""
    for _ in range(number):
        by.append(threading.get_ident())
        yield


class Clock:
    """A second goes by with each look at it."""

    def __init__(self) -> None:
        self._now = count()

    def __call__(self) -> float:
        return float(next(self._now))


def spare_time(use: CoreUse | None, *, idle: bool = True) -> SpareTime:
    return SpareTime(idle=lambda: idle, use=lambda: use, clock=Clock())


def test_work_that_gets_on_is_idle_work_to_its_end() -> None:
    by: list[int] = []
    with spare_time(GETS_ON) as spare:
        spare.spend(steps(5, by))
        spare.spend(steps(5, by))
        assert not spare.hurried
    assert len(by) == 10
    assert len(set(by)) == 1
    assert threading.get_ident() not in by


@pytest.mark.parametrize("use", [STARVES, None])
def test_work_that_waits_too_long_or_nobody_knows_how_long_is_gone_on_with_by_who_asked(use: CoreUse | None) -> None:
    by: list[int] = []
    with spare_time(use) as spare:
        spare.spend(steps(5, by))
        assert spare.hurried
        spare.spend(steps(5, by))
    own = threading.get_ident()
    assert [each == own for each in by] == [False] + [True] * 9


def test_where_there_is_no_idle_work_it_is_done_by_who_asked() -> None:
    by: list[int] = []
    with spare_time(GETS_ON, idle=False) as spare:
        spare.spend(steps(5, by))
    assert by == [threading.get_ident()] * 5


def test_what_a_step_raises_is_raised_and_the_next_work_is_done() -> None:
    def broken() -> Iterator[None]:
        yield
        raise ValueError("broken")

    by: list[int] = []
    with spare_time(GETS_ON) as spare:
        with pytest.raises(ValueError, match="broken"):
            spare.spend(broken())
        spare.spend(steps(5, by))
    assert len(by) == 5
    assert threading.get_ident() not in by


def by_a_signal() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def as_a_wait_begins() -> None:
    """The interpreter is told, and the wait goes on: so it is where a signal comes in the moment before one."""
    _thread.interrupt_main()


@pytest.mark.parametrize("interrupt", [by_a_signal, as_a_wait_begins])
def test_who_is_interrupted_stops_it(interrupt: Callable[[], None]) -> None:
    taken = 0

    def endless() -> Iterator[None]:
        nonlocal taken
        while True:
            taken += 1
            if taken == 3:
                interrupt()
            yield

    with spare_time(GETS_ON) as spare:
        with pytest.raises(KeyboardInterrupt):
            spare.spend(endless())
        seen = taken
    assert taken == seen


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="this system knows no idle work")
def test_only_the_thread_that_asks_is_idle() -> None:
    said: list[tuple[bool, int]] = []
    asking = threading.Thread(target=lambda: said.append((be_idle(), os.sched_getscheduler(0))))
    asking.start()
    asking.join()
    assert said == [(True, os.SCHED_IDLE)]
    assert os.sched_getscheduler(0) != os.SCHED_IDLE


@pytest.mark.skipif(own_use() is None, reason="this system does not tell")
def test_how_long_a_thread_had_a_core_is_told() -> None:
    def told() -> CoreUse:
        found = own_use()
        assert found is not None
        return found

    before = told()
    sum(number * number for number in range(300_000))
    after = told()
    assert after.worked_s > before.worked_s
    assert after.waited_s >= before.waited_s
