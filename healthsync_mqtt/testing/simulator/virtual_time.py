"""An event loop whose time passes only when nobody has anything to do, and a wall clock that can be set wrong.

An hour of waiting costs nothing, two runs with the same seed are the same run, and a program that waits for something
that cannot come any more is found at once: there is no timer left to move to.
"""

import asyncio
import selectors
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from functools import partial
from random import Random
from typing import Any, Final

_WORK_A_SECOND: Final = 500.0
"""What a thread is given takes 2 ms on average, and as long again until its owner hears of it."""


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

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """For a ``VirtualThread`` only: RuntimeError, as a real one would make two runs of one seed differ."""
        if not isinstance(executor, VirtualThread):
            raise RuntimeError("the simulation has no threads")  # noqa: TRY004  # as the loop says what it cannot do
        return asyncio.wrap_future(executor.submit(func, *args), loop=self)


class VirtualThread(Executor):
    """A thread of a service, on virtual time: what it is given happens a moment later, one after the other, whole.

    Its owner hears of it another moment later, so that a process may die between the two.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: Random) -> None:
        self._loop = loop
        self._chance = chance
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """See ``Executor``."""
        future: Future[Any] = Future()
        self._waiting.append((future, partial(fn, *args, **kwargs)))
        self._begin()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """What was given is done first, unless it is cancelled."""
        if cancel_futures:
            self._waiting.clear()
        while self._waiting:
            self._work(0.0)
        self._rest()

    def _begin(self) -> None:
        if self._timer is None and self._waiting:
            self._timer = self._loop.call_later(self._pause(), self._next)

    def _next(self) -> None:
        self._timer = None
        self._work(self._pause())
        self._begin()

    def _work(self, until_heard: float) -> None:
        future, call = self._waiting.popleft()
        try:
            tell = partial(future.set_result, call())
        except Exception as error:  # noqa: BLE001  # whatever it is, its owner hears of it
            tell = partial(future.set_exception, error)
        self._loop.call_later(until_heard, _tell, future, tell)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _pause(self) -> float:
        return self._chance.expovariate(_WORK_A_SECOND)


def _tell(future: Future[Any], tell: Callable[[], None]) -> None:
    if not future.done():
        tell()


class WallClock:
    """What a machine takes for the time: the loop's time, its epoch and an error that faults change."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start_us: int) -> None:
        self._loop = loop
        self._start_us = start_us
        self._error_us = 0
        #: it was not right all the time
        self.ever_wrong = False

    @property
    def error_us(self) -> int:
        """How far it is ahead."""
        return self._error_us

    @error_us.setter
    def error_us(self, error_us: int) -> None:
        self._error_us = error_us
        self.ever_wrong = self.ever_wrong or bool(error_us)

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
