"""A process of the service's own ends with the interest in it, at whatever moment that ends."""

import asyncio
import sys
from typing import Any

import pytest

from bridge.own_process import KeptProcess, own_process
from tests.support.patience import PATIENCE_S, until

STUBBORN = (sys.executable, "-c", "import signal; signal.pause()")
TURNS = 40
"""Of the loop: more than a process takes to be started, with its pipes."""


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.subprocess.Process]:
    """Those that were started."""
    started: list[asyncio.subprocess.Process] = []
    make = asyncio.create_subprocess_exec

    async def noted(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        started.append(await make(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    return started


@pytest.mark.parametrize("cancels", [1, 2])
async def test_cancelled_at_any_turn_of_its_start_it_is_over(
    processes: list[asyncio.subprocess.Process], cancels: int
) -> None:
    reached = 0

    async def run() -> None:
        nonlocal reached
        async with own_process(*STUBBORN, stop_s=0.0):
            reached += 1
            await asyncio.Event().wait()

    for turns in range(TURNS):
        running = asyncio.create_task(run())
        for _ in range(turns):
            await asyncio.sleep(0)
        for _ in range(cancels):
            running.cancel()
            await asyncio.sleep(0)
        assert (await asyncio.wait({running}, timeout=PATIENCE_S))[0], f"it hangs when cancelled after {turns} turns"
        assert running.cancelled()
        assert all(process.returncode is not None for process in processes)
    assert processes
    assert reached, "no start was ever completed: more turns are needed"


async def test_one_that_ends_by_itself_has_its_time() -> None:
    async with own_process(sys.executable, "-c", "import sys; sys.stdin.read()", stop_s=PATIENCE_S) as process:
        assert process.returncode is None
    assert process.returncode == 0


async def test_what_cannot_be_started_is_said() -> None:
    with pytest.raises(OSError, match="no-such-program"):
        async with own_process("/no-such-program", stop_s=0.0):
            raise AssertionError("it was not started")


async def test_one_that_is_slow_to_begin_is_given_more_time_and_is_killed_when_it_falls_silent() -> None:
    script = "import time; time.sleep(1.0); print('{}', flush=True); time.sleep(3600)"
    starts, heard = 0, list[Any]()
    kept = KeptProcess("gateway", silence_s=0.1)

    async def command() -> tuple[str, ...]:
        nonlocal starts
        starts += 1
        return (sys.executable, "-c", script)

    running = asyncio.create_task(kept.run(command, lambda said: heard.append((said, starts)), lambda: None))
    await until(lambda: heard)
    _, first = heard[0]
    assert first > 1
    await until(lambda: kept.restarts >= first)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_one_that_falls_silent_after_its_first_word_gives_the_next_no_more_time() -> None:
    """Else a program that hangs now and then is waited for longest when it does not begin at all."""
    kept, spoke, ends = KeptProcess("gateway", silence_s=1.0), list[Any](), list[tuple[bool, float]]()

    async def command() -> tuple[str, ...]:
        spoke.clear()
        return (sys.executable, "-S", "-c", "import time; print('{}', flush=True); time.sleep(3600)")

    running = asyncio.create_task(kept.run(command, spoke.append, lambda: ends.append((bool(spoke), kept._start_s))))
    await until(lambda: any(heard for heard, _ in ends))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    unheard = [heard for heard, _ in ends].index(True)  # on a machine that is slow
    assert ends[unheard] == (True, 2.0**unheard)
