"""The supervisor: tasks have names, none ends in silence, one that fails for good ends the whole."""

import asyncio
import errno

import pytest

from bridge import supervisor as module
from bridge.supervisor import Supervisor, TaskEndedError
from healthsync_mqtt.errors import StoreError
from tests.unit.bridge.bench import until


async def forever() -> None:
    await asyncio.Event().wait()


async def test_the_first_end_counts_and_the_others_are_given_up() -> None:
    given_up: list[str] = []

    async def long() -> None:
        try:
            await forever()
        finally:
            given_up.append("long")

    async def short() -> None:
        await asyncio.sleep(0)

    async with Supervisor() as tasks:
        await tasks.first(long(), short())
    assert given_up == ["long"]


async def test_a_task_that_fails_ends_whoever_waits_with_its_error() -> None:
    async def broken() -> None:
        raise OverflowError("nobody thought of this")

    async with Supervisor() as tasks:
        tasks.start("broken", broken())
        tasks.start("other", forever())
        with pytest.raises(OverflowError):
            await tasks.first(forever())
        assert tasks.down == ("broken",)
        other = tasks._tasks["other"]
    assert other.cancelled()
    assert other.get_name() == "bridge.other"


async def test_a_task_that_returns_has_failed_too() -> None:
    async def over() -> None:
        pass

    async with Supervisor() as tasks:
        tasks.start("over", over())
        with pytest.raises(TaskEndedError, match="over"):
            await tasks.first(forever())


async def test_a_task_that_was_ended_on_purpose_is_not_down_and_may_begin_again() -> None:
    async with Supervisor() as tasks:
        tasks.start("led", forever())
        tasks.begin_ending("led")
        await tasks.end("led")
        assert (tasks.names, tasks.down) == ((), ())
        tasks.start("led", forever())
        await tasks.end("never started")
        assert (tasks.names, tasks.down) == (("led",), ())


async def test_a_failure_before_anybody_waits_is_not_lost_and_the_first_one_counts() -> None:
    async with Supervisor() as tasks:
        tasks.fail(StoreError("first"))
        tasks.fail(StoreError("second"))
        with pytest.raises(StoreError, match="first"):
            await tasks.first(forever())


@pytest.mark.parametrize(
    "error", [StoreError("locked"), OSError(errno.ENOSPC, "No space left"), OSError(errno.EMFILE, "Too many files")]
)
async def test_a_repeated_job_that_fails_is_down_until_it_works_again(error: Exception) -> None:
    fails, done = True, 0

    async def work() -> None:
        nonlocal done
        done += 1
        if fails:
            raise error

    async with Supervisor() as tasks:
        tasks.every("look", 0.0, work)
        await until(lambda: tasks.down == ("look",))
        seen = done
        await until(lambda: done > seen + 2)  # it is tried again and again
        fails = False
        await until(lambda: tasks.down == ())
        assert tasks.names == ("look",)


async def test_a_repeated_job_that_hangs_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STALLED_S", -1.0)
    async with Supervisor() as tasks:
        tasks.every("stuck", 0.0, forever)
        await until(lambda: tasks.down == ("stuck",))


async def test_a_surprise_in_a_repeated_job_ends_the_whole() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    async with Supervisor() as tasks:
        tasks.every("odd", 0.0, work)
        with pytest.raises(ZeroDivisionError):
            await tasks.first(forever())
