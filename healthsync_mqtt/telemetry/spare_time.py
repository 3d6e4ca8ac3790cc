"""Time of the cores that nobody else wants, for work that can be done in steps.

A low priority is not enough where others answer within milliseconds: who wakes goes to a core that is free, and one on
which somebody works lowly is not, so he waits behind whom he finds on his own. Linux' class for idle work is looked
through: a core with such work alone counts as free. But on a machine whose cores are always busy it gets next to
nothing, and whoever waits for it, or holds something meanwhile, would do so for ever. So work begins in that class, and
goes on as any work of a low priority does, in slices with pauses, once it has waited too long for a core.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from healthsync_mqtt.telemetry.slices import Slices

_MOST_WAITED_S: Final = 0.5
_WAITED_FOR_WORKED: Final = 2.0
_LOOK_EVERY_S: Final = 0.1
_INTERRUPTED_AFTER_S: Final = 0.1
_OWN: Final = Path("/proc/thread-self/schedstat")


class CoreUse(NamedTuple):
    """For how long a thread had a core, and for how long it waited for one."""

    worked_s: float
    waited_s: float


def own_use() -> CoreUse | None:
    """Of the calling thread; None where the system does not tell."""
    try:
        worked_ns, waited_ns, _ = _OWN.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return CoreUse(int(worked_ns) / 1e9, int(waited_ns) / 1e9)


def be_idle() -> bool:
    """From now on the calling thread works when no other wants to; false where that cannot be asked for."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (OSError, AttributeError):
        return False
    return True


class SpareTime:
    """Has a thread of its own for idle work. Use as a context manager, in the thread that calls ``spend``."""

    def __init__(
        self,
        *,
        idle: Callable[[], bool] = be_idle,
        use: Callable[[], CoreUse | None] = own_use,
        clock: Callable[[], float] = time.monotonic,
        slices: Slices | None = None,
    ) -> None:
        self._use = use
        self._clock = clock
        self._slices = slices or Slices()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spare-time")
        self._looked = clock()
        self._stopped = threading.Event()
        #: whether it is idle work no more
        self.hurried = not self._thread.submit(idle).result()

    def spend(self, steps: Iterator[object]) -> None:
        """Take all steps, each of about a millisecond. What one raises is raised, and no step is at work then."""
        if not self.hurried:
            self._stopped.clear()
            try:
                work = self._thread.submit(self._while_it_gets_on, steps)
                while not wait([work], _INTERRUPTED_AFTER_S).done:
                    pass  # a signal that comes as a wait begins does not end it: Python hears of it at the next one
                work.result()
            except BaseException:
                self._stopped.set()
                self._thread.submit(int).result()  # behind a step that is at work, whatever was interrupted here
                raise
        for _ in steps:
            self._slices.pause()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.shutdown()

    def _while_it_gets_on(self, steps: Iterator[object]) -> None:
        while not (self.hurried or self._stopped.is_set()):
            if next(steps, self) is self:
                return
            self._look()

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked < _LOOK_EVERY_S:
            return
        self._looked = now
        use = self._use()
        self.hurried = use is None or use.waited_s > _MOST_WAITED_S + _WAITED_FOR_WORKED * use.worked_s
