"""The faults that are not a kill: a stopped process and a full disk."""

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.patience import PATIENCE_S
from tests.support.soak.run import Soak, SoakError

DISK = "14m"
BALLAST = 10 << 20
FILE_LIMIT = 3 << 20
FULL_WITHIN = PATIENCE_S
QUIET = 2.0


async def pause(soak: Soak, seconds: float) -> None:
    """SIGSTOP for ``seconds``, then SIGCONT: clients wait or come back, and nothing is lost."""
    if not soak.service.running:
        await soak.start()
    await soak.wait_progress()
    soak.service.send(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    soak.service.send(signal.SIGCONT)
    soak.count("SIGSTOP")
    await soak.wait_progress()
    await soak.compare()


@contextlib.contextmanager
def small_disk(directory: Path, size: str = DISK) -> Iterator[bool]:
    """A tmpfs of a few megabytes on ``directory``; false where this process may not mount one."""
    directory.mkdir(parents=True, exist_ok=True)
    mounted = (
        sys.platform == "linux"
        and os.geteuid() == 0
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(directory)],
            capture_output=True,
            check=False,
        ).returncode
        == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(directory)], check=True)


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    """No room is left on ``disk``, which is a small one."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    try:
        yield
    finally:
        ballast.unlink()


async def fill_disk(soak: Soak, *, mounted: bool) -> str:
    """Run into a full disk under load, free it, and expect acknowledgements again. Says how the service took it."""
    ballast = soak.data.parent / "ballast"
    if mounted:
        ballast.write_bytes(bytes(BALLAST))
    else:
        soak.service = soak.made(file_limit=FILE_LIMIT)
    await soak.start()
    await soak.wait_progress()
    await until_quiet(soak)
    soak.count("disk full")
    if mounted:
        ballast.unlink()
    survived = soak.service.running and (mounted or lift_limit(soak.service.pid))
    if survived:
        with contextlib.suppress(SoakError):
            await soak.wait_progress(events=100, within=30)
            await soak.compare()
            return "degraded, then went on by itself"
    ended = not soak.service.running
    await asyncio.to_thread(soak.service.kill)
    soak.gone()
    soak.service = soak.made()
    await soak.start()
    await soak.wait_progress(events=100)
    await soak.compare()
    return f"{'ended' if ended else 'acknowledged nothing'}, and went on after a restart"


async def until_quiet(soak: Soak) -> None:
    """Return when nothing was acknowledged for a while: the disk is full, or the service ended because of it."""
    until = time.monotonic() + FULL_WITHIN
    seen, since = len(soak.history.acknowledged), time.monotonic()
    while time.monotonic() < until:
        await asyncio.sleep(0.1)
        if (now := len(soak.history.acknowledged)) != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > QUIET or not soak.service.running:
            return
    raise SoakError(f"the disk is not full after {FULL_WITHIN} s")


def lift_limit(pid: int) -> bool:
    """Let the process write longer files again; false where the system cannot change another process's limits."""
    if not hasattr(resource, "prlimit"):
        return False
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    return True
