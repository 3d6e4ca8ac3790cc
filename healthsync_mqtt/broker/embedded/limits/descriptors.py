"""File descriptors of this process: each connection needs one, and so do databases and pipes."""

import contextlib
import resource
from typing import Final

#: Descriptors that are no connections: databases, logs, sinks, pipes, listeners.
SPARE: Final = 256


def raise_soft_limit(wanted: int) -> int:
    """Raise the soft limit to ``wanted`` and what else is needed, as far as the hard limit allows; the limit then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    goal = wanted + SPARE
    if hard != resource.RLIM_INFINITY:
        goal = min(goal, hard)
    if soft == resource.RLIM_INFINITY or soft >= goal:
        return soft
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (goal, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def connections_at_most() -> int | None:
    """How many connections this process can have open now; None when nothing limits them."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else max(SPARE // 4, soft - SPARE)
