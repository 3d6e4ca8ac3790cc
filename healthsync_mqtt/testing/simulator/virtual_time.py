"""An event loop whose time passes only when nobody has anything to do, and a wall clock that can be set wrong.

An hour of waiting costs nothing, two runs with the same seed are the same run, and a program that waits for something
that cannot come any more is found at once: there is no timer left to move to.
"""

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any


class StandstillError(RuntimeError):
    """Every task waits and no timer runs: nothing will ever happen again."""


class _NoSockets(selectors.BaseSelector):
    """Waiting for sockets becomes moving the time: there is nothing outside this process."""

    def __init__(self) -> None:
        self.now = 0.0
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, fileobj if isinstance(fileobj, int) else fileobj.fileno(), events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StandstillError("every task waits and no timer runs")
        self.now += max(0.0, timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """``time`` is virtual. Threads and sockets have no place here: what needs one is replaced through its port."""

    def __init__(self) -> None:
        self._sockets = _NoSockets()
        super().__init__(self._sockets)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._sockets.now

    def run_in_executor(self, *_: Any) -> Any:  # type: ignore[override]
        """Raises RuntimeError: a thread would make two runs of one seed differ."""
        raise RuntimeError("the simulation has no threads")


class WallClock:
    """What a machine takes for the time: the loop's time, its epoch and an error that faults change."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start_us: int) -> None:
        self._loop = loop
        self._start_us = start_us
        self.error_us = 0

    def true_us(self) -> int:
        """Microseconds since 1970 as a right clock shows them."""
        return self._start_us + int(self._loop.time() * 1_000_000)

    def us(self) -> int:
        """Microseconds since 1970 as this machine's clock shows them."""
        return self.true_us() + self.error_us

    def time(self) -> float:
        """Seconds since 1970 as this machine's clock shows them."""
        return self.us() / 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds`` of virtual time."""
        await asyncio.sleep(seconds)
