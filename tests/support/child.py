"""Processes that tests start. Whoever starts one ends it and closes its pipes, however its test goes.

They are all remembered here: one that is left behind is found at the end of its test and named, instead of by a warning
in whatever test the garbage collector happens to run.
"""

import contextlib
import signal
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

from tests.support.patience import PATIENCE_S

_started: list["subprocess.Popen[Any]"] = []


def start(command: Sequence[str], **options: Any) -> "subprocess.Popen[Any]":
    """As ``subprocess.Popen``."""
    process: subprocess.Popen[Any] = subprocess.Popen(command, **options)
    _started.append(process)
    return process


def end(
    process: "subprocess.Popen[Any] | None", number: int = signal.SIGKILL, within: float = PATIENCE_S
) -> int | None:
    """Send the signal if it runs, wait for the end (kill it when that is too late) and close its pipes; its code."""
    if process is None:
        return None
    try:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
        return process.wait(within)
    except BaseException:
        process.kill()
        process.wait(PATIENCE_S)
        raise
    finally:
        _close(process)


def lasting(process: "subprocess.Popen[Any]") -> "subprocess.Popen[Any]":
    """A process that a fixture of the module ends, though a test started it anew: no test leaves it behind."""
    _started.remove(process)
    return process


@contextlib.contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator["subprocess.Popen[Any]"]:
    """A process for the length of a ``with``; killed at its end if it still runs."""
    process = start(command, **options)
    try:
        yield process
    finally:
        end(process)


def count() -> int:
    """How many have been started so far, for ``left``."""
    return len(_started)


def left(since: int) -> list["subprocess.Popen[Any]"]:
    """Those started after ``since`` were counted that still run or hold a pipe open."""
    return [each for each in _started[since:] if each.poll() is None or any(not pipe.closed for pipe in _pipes(each))]


def _pipes(process: "subprocess.Popen[Any]") -> list[Any]:
    return [pipe for pipe in (process.stdin, process.stdout, process.stderr) if pipe is not None]


def _close(process: "subprocess.Popen[Any]") -> None:
    for pipe in _pipes(process):
        with contextlib.suppress(BrokenPipeError):
            pipe.close()
