"""The process of a sink never outlives the service's interest in it, however impatiently that ends."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from bridge.follow.ship import Shipping
from healthsync_mqtt.sinks.config import Sinks, made
from tests.support.patience import until
from tests.unit.bridge.follow.test_ship import Chores, Journal


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


@pytest.mark.parametrize("cancels", [1, 2, 3])
async def test_a_process_that_will_not_end_is_killed_even_when_nobody_waits_for_it(
    tmp_path: Path, processes: list[asyncio.subprocess.Process], cancels: int
) -> None:
    data, pid_file, script = tmp_path / "data", tmp_path / "pid", tmp_path / "stopped.py"
    data.mkdir(mode=0o700)
    script.write_text(
        f"import os, signal\nopen({str(pid_file)!r} + '.new', 'w').write(str(os.getpid()))\n"
        f"os.rename({str(pid_file)!r} + '.new', {str(pid_file)!r})\nos.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    Sinks(data).put(made(name="main", url="http://127.0.0.1:9"))
    ship = Shipping(data, chores=Chores(Journal()), command=(sys.executable, str(script)))  # type: ignore[arg-type]
    running = asyncio.create_task(ship.run())
    await until(lambda: processes and pid_file.exists())  # the process may run before its start returns
    assert int(pid_file.read_text()) == processes[0].pid
    keeping = next(task for task in asyncio.all_tasks() if task.get_name() == "bridge.ship.main")
    for _ in range(cancels):
        keeping.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.gather(keeping, return_exceptions=True)
    # Until the loop knows of its end: a zombie that the test leaves is a warning in whatever test comes later.
    await until(lambda: processes[0].returncode is not None)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_nothing_of_a_process_is_left_to_the_collector(
    tmp_path: Path, processes: list[asyncio.subprocess.Process]
) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    Sinks(data).put(made(name="main", url="http://127.0.0.1:9"))
    # A child of its own holds the pipe, so its end does not come with the end of the process.
    script = "import subprocess, sys\nsubprocess.Popen(['sleep', '2'])\nsys.stdin.read()"
    ship = Shipping(data, chores=Chores(Journal()), command=(sys.executable, "-c", script))  # type: ignore[arg-type]
    running = asyncio.create_task(ship.run())
    await until(lambda: processes)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert processes[0]._transport.is_closing()  # type: ignore[attr-defined]
