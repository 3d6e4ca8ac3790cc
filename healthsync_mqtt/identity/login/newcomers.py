"""Logins that wait for something slow, which happens in a thread: one round of it for all that wait.

They wait for a reading of the registry, or for the check of passwords: neither keeps those of the other waiting.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor

from healthsync_mqtt.identity.login.logins import Logins


class _Rounds:
    """``work`` again and again as long as somebody waits; who comes while it runs waits for the next one."""

    def __init__(self, thread: Executor, work: Callable[[], object]) -> None:
        self._thread = thread
        self._work = work
        self._next: asyncio.Future[None] | None = None
        self._running = False

    def next(self) -> asyncio.Future[None]:
        """Done when a round that began after this call is; its failure shows in what is still unknown."""
        waiting = self._next
        if waiting is None:
            waiting = self._next = asyncio.get_running_loop().create_future()
            if not self._running:
                self._begin()
        return waiting

    def _begin(self) -> None:
        """The round for those that wait now; those who come meanwhile wait for another one."""
        waiting, self._next = self._next, None
        assert waiting is not None
        self._running = True
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
        self._readings = _Rounds(self._thread, self._read)
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
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._passwords.shutdown(wait=False, cancel_futures=True)

    def _read(self) -> None:
        self._logins.catch_up()

    def _prove(self) -> None:
        self._logins.prove()
