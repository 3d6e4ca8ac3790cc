"""Logins that wait for something slow, which happens in a thread: one round of it for all that wait.

They wait for a reading of the registry, or for the check of passwords: neither keeps those of the other waiting.
"""

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final

from healthsync_mqtt.identity.login.logins import Logins

READ_EVERY_S: Final = 0.25
"""As often as the registry is read anyway: whoever may be new, and invents codes, causes it no more often."""


class _Rounds:
    """``work`` again and again as long as somebody waits; who comes while it runs waits for the next one.

    One begins ``least_s`` after the one before, or later.
    """

    def __init__(self, thread: Executor, work: Callable[[], object], least_s: float = 0.0) -> None:
        self._thread = thread
        self._work = work
        self._least_s = least_s
        self._next: asyncio.Future[None] | None = None
        self._running = False
        self._due = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    def next(self) -> asyncio.Future[None]:
        """Done when a round that began after this call is; its failure shows in what is still unknown."""
        waiting = self._next
        if waiting is None:
            waiting = self._next = asyncio.get_running_loop().create_future()
            self._begin()
        return waiting

    def close(self) -> None:
        """Nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _begin(self) -> None:
        """When it is time, and none is under way."""
        if self._running or self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        wait_s = self._due - loop.time()
        if wait_s > 0:
            self._timer = loop.call_later(wait_s, self._run)
        else:
            self._run()

    def _run(self) -> None:
        """The round for those that wait now; those who come meanwhile wait for another one."""
        waiting, self._next, self._timer = self._next, None, None
        assert waiting is not None
        self._running, self._due = True, asyncio.get_running_loop().time() + self._least_s
        task = asyncio.get_running_loop().run_in_executor(self._thread, self._work)
        task.add_done_callback(lambda done: self._done(done, waiting))

    def _done(self, done: asyncio.Future[object], waiting: asyncio.Future[None]) -> None:
        self._running = False
        if not done.cancelled():
            done.exception()  # told at the next look of the service, which reads as often as this
        if not waiting.done():
            waiting.set_result(None)
        if self._next is not None:
            self._begin()


class Newcomers:
    """The one thread in which a service reads its registry, and the one in which it checks passwords.

    The shared ones may all be waiting for something else.
    """

    def __init__(self, logins: Logins, thread: Executor | None = None) -> None:
        """``thread`` is for both, where there may be no other."""
        self._logins = logins
        self._thread = thread or ThreadPoolExecutor(1, "registry")
        self._passwords = thread or ThreadPoolExecutor(1, "passwords")
        self._readings = _Rounds(self._thread, self._read, READ_EVERY_S)
        self._proofs = _Rounds(self._passwords, self._prove)

    def reading(self) -> asyncio.Future[None]:
        """Done when a reading that began after this call is."""
        return self._readings.next()

    def proving(self) -> asyncio.Future[None]:
        """Done when of each address a password that waits now was checked."""
        return self._proofs.next()

    async def read(self) -> None:
        """Read what has changed. StoreError: what was last read holds."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._logins.catch_up)

    def close(self) -> None:
        """End the threads; what is under way is not waited for."""
        self._readings.close()
        self._proofs.close()
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._passwords.shutdown(wait=False, cancel_futures=True)

    def _read(self) -> None:
        self._logins.catch_up()

    def _prove(self) -> None:
        self._logins.prove()
