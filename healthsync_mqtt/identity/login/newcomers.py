"""Logins that wait for a reading of the registry, which happens in a thread: one reading for all that wait."""

import asyncio
from concurrent.futures import Executor, ThreadPoolExecutor

from healthsync_mqtt.identity.login.logins import Logins


class Newcomers:
    """The one thread in which a service reads its registry. The shared ones may all be waiting for something else."""

    def __init__(self, logins: Logins, thread: Executor | None = None) -> None:
        self._logins = logins
        self._thread = thread or ThreadPoolExecutor(1, "registry")
        self._next: asyncio.Future[None] | None = None
        self._running = False

    def reading(self) -> asyncio.Future[None]:
        """Done when a reading that began after this call is; its failure shows in what is still unknown."""
        waiting = self._next
        if waiting is None:
            waiting = self._next = asyncio.get_running_loop().create_future()
            if not self._running:
                self._begin()
        return waiting

    async def read(self) -> None:
        """Read what has changed. StoreError: what was last read holds."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._logins.catch_up)

    def close(self) -> None:
        """End the thread; a reading that is under way is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> None:
        """The reading for those that wait now; those who come meanwhile wait for another one."""
        waiting, self._next = self._next, None
        assert waiting is not None
        self._running = True
        task = asyncio.get_running_loop().run_in_executor(self._thread, self._logins.catch_up)
        task.add_done_callback(lambda done: self._read(done, waiting))

    def _read(self, done: asyncio.Future[None], waiting: asyncio.Future[None]) -> None:
        self._running = False
        if not done.cancelled():
            done.exception()  # told at the next look of the service, which reads as often as this
        if not waiting.done():
            waiting.set_result(None)
        if self._next is not None:
            self._begin()
