"""Work that nobody waits for, in slices with pauses between them.

A low priority is not enough where others answer within milliseconds: who wakes on a core waits until who is there has
had its turn, some milliseconds of it, however low that one's priority is. Who pauses has no turn left to end.
"""

import time
from collections.abc import Callable
from typing import Final

_SLICE_S: Final = 0.0005
_PAUSE_S: Final = 0.002


class Slices:
    """One piece of work, of one thread: what counts is the time for which it had a core."""

    def __init__(
        self, clock: Callable[[], float] = time.thread_time, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._since = clock()

    def pause(self) -> None:
        """Rest as long as the slice was, and no longer than a moment. To be called about each millisecond of work."""
        worked = self._clock() - self._since
        if worked >= _SLICE_S:
            self._sleep(min(worked, _PAUSE_S))
            self._since = self._clock()
