"""SIGHUP in the moments in which a service starts: it is heard when the service is there, and ends nothing."""

import signal
from types import FrameType

_heard: list[int] = []


def hear_early() -> None:
    """From now on SIGHUP is noted, until a service listens to it. For the first line of a process that becomes one."""
    signal.signal(signal.SIGHUP, _note)


def heard_early() -> bool:
    """Whether one came since ``hear_early``; it is told once."""
    found = bool(_heard)
    _heard.clear()
    return found


def _note(number: int, _frame: FrameType | None) -> None:
    _heard.append(number)
