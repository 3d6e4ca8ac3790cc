"""When to try again: exponential, jittered, and testable."""

import asyncio
import time
from dataclasses import dataclass
from random import Random
from typing import Protocol


class Clock(Protocol):
    """Time as the client sees it; tests pass their own."""

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        ...


class SystemClock:
    """The machine's clocks."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waits between attempts: a random part of first x 2^failures, at most ``longest`` seconds.

    Half of each wait is fixed and half random, so that ten thousand watches do not come back in the same second and
    none of them comes back at once.
    """

    first: float = 1.0
    longest: float = 60.0

    def delay(self, failures: int, rng: Random) -> float:
        """Seconds to wait after ``failures`` (1, 2, …) attempts in a row without progress."""
        ceiling = min(self.longest, self.first * 2.0 ** min(max(failures - 1, 0), 32))
        return ceiling * (0.5 + 0.5 * rng.random())

    def denied(self, rng: Random) -> float:
        """Seconds to wait after a refused login: the longest wait, because trying fast cannot help."""
        return self.longest * (0.5 + 0.5 * rng.random())
