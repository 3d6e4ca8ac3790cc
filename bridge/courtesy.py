"""How threads that compute let in those that somebody waits for.

The loop takes the interpreter's lock anew for each callback of a socket, and a commit takes it dozens of times. A
thread that lets go of it for a moment has it back before the next callback: then each of the hundred callbacks of a
round waits for it, and a PUBACK that takes three rounds for all of them. So such a thread works in slices, one for each
round of the loop, and none while the loop writes a group: each statement of SQL gives the lock away. What nobody waits
for at all does not go on while a commit is under way. Nor does what comes of many bytes of somebody, while one who has
little waits for a commit: that one would wait for a slice in each of a dozen rounds, and for one it does.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

SLICE_S: Final = 0.0005
"""How long a thread that computes may hold the interpreter's lock at once."""
_ROUND_S: Final = 0.1
"""A round of the loop takes no longer, or it has ended."""
_COMMIT_S: Final = 0.02
"""So long the end of a commit is waited for: where one follows the other, a slice goes on between now and then."""


class Courtesy:
    """``begin``, ``end`` and ``quiet`` are called on the loop, ``let_in`` and ``pause`` in threads.

    ``soon`` has the loop call something in its next round, from any thread.
    """

    def __init__(
        self,
        soon: Callable[[Callable[[], None]], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        #: whether somebody who has little waits beside others: asked in threads, of what the loop changes
        self.uneven: Callable[[], bool] = lambda: False
        self._soon = soon or asyncio.get_running_loop().call_soon_threadsafe
        self._clock = clock
        self._no_commit = threading.Event()
        self._no_commit.set()
        self._may_compute = threading.Event()
        self._may_compute.set()
        self._mine = threading.local()

    def begin(self) -> None:
        """A commit is under way from now on."""
        self._no_commit.clear()

    def end(self) -> None:
        """It is over."""
        self._no_commit.set()

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """No thread has a slice meanwhile. For what the loop does in one piece."""
        self._may_compute.clear()
        try:
            yield
        finally:
            self._may_compute.set()

    def let_in(self) -> None:
        """Let the loop have a round, if this thread has had its slice. To be called more often than that."""
        self._may_compute.wait()
        if self._sliced():
            if self.uneven():
                self._no_commit.wait(_COMMIT_S)
            self._round()

    def pause(self) -> None:
        """The same for what nobody waits for."""
        if self._sliced():
            self._no_commit.wait(_COMMIT_S)
            self._round()
        self._may_compute.wait()

    def _sliced(self) -> bool:
        now = self._clock()
        since: float = getattr(self._mine, "since", 0.0)
        return now - since >= SLICE_S

    def _round(self) -> None:
        had = threading.Event()
        try:
            self._soon(had.set)
        except RuntimeError:  # the loop is closed: there is nobody to let in
            return
        had.wait(_ROUND_S)
        self._mine.since = self._clock()
