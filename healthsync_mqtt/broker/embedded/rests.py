"""Rests of the loop: one for everybody who has done as much as may be done at once.

A loop that is never idle starves the threads of this process: each needs the interpreter for a moment several times a
commit, a look at the registry or a revocation, and one that is let go of for microseconds only is mostly taken back
before another thread wakes up. So whoever may bring much work does a little of it, and the rest after a rest.

All of them rest together: where one worked while another rested, the loop would never be idle. And what they began may
go on in rounds of its own (the router, handshakes, the ends of connections), so time that passes is no rest: what
counts is time in which the loop's thread did not compute.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

REST_S: Final = 0.001
"""The least that the loop has for everything else, and other threads have the interpreter."""
_ENOUGH: Final = 0.5
"""The part of ``REST_S`` that the loop's thread has to be idle: clocks and timers are not exact."""
MOST_PUT_OFF: Final = 20
"""How often a rest is waited for before work goes on without one: whatever never ends holds nobody up for good."""


def idle_s() -> float:
    """Seconds in which the thread that asks did not compute; only differences mean something."""
    return time.monotonic() - time.thread_time()


class Rests:
    """``after`` calls something after so many seconds, ``soon`` in the next round of the loop.

    ``idle`` is ``idle_s`` where the loop has the time of a machine.
    """

    def __init__(
        self,
        after: Callable[[float, Callable[[], None]], object] | None = None,
        soon: Callable[[Callable[[], None]], object] | None = None,
        idle: Callable[[], float] = idle_s,
    ) -> None:
        self._after = after or (lambda delay, work: asyncio.get_running_loop().call_later(delay, work))
        self._soon = soon or (lambda work: asyncio.get_running_loop().call_soon(work))
        self._idle = idle
        self._waiting: list[Callable[[], None]] = []
        self._idle_before = 0.0
        self._put_off = 0

    def after_next(self, work: Callable[[], None]) -> None:
        """Call ``work`` once, after the next rest."""
        self._waiting.append(work)
        if len(self._waiting) == 1:
            self._idle_before = self._idle()
            self._after(REST_S, self._look)

    def _look(self) -> None:
        if self._put_off < MOST_PUT_OFF and self._idle() - self._idle_before < REST_S * _ENOUGH:
            self._put_off += 1
            self._after(REST_S, self._look)
            return
        self._put_off = 0
        rested, self._waiting = self._waiting, []
        for work in rested:
            self._soon(work)
