"""How far the log is, looked at once for all streams that wait for more, and not at all when none does."""

import asyncio
from typing import Final

from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.gateway.stores.log_pool import LogPool
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("gateway")

_EVERY_S: Final = 0.05


class Tail:
    """The end of the log. ``run`` is a task of the process."""

    def __init__(self, log_pool: LogPool, *, every_s: float = _EVERY_S) -> None:
        self._log = log_pool
        self._every_s = every_s
        self._next: asyncio.Future[None] | None = None
        self._wanted = asyncio.Event()
        #: as far as it is known
        self.head = 0
        #: nobody is to wait any more
        self.ended = False

    async def beyond(self, seq: int, within_s: float) -> bool:
        """Wait until the log is longer than this; False when it is not within that time."""
        try:
            async with asyncio.timeout(within_s):
                while self.head <= seq:
                    if self.ended:
                        return False
                    if self._next is None:
                        self._next = asyncio.get_running_loop().create_future()
                        self._wanted.set()
                    await asyncio.shield(self._next)
        except TimeoutError:
            return False
        return True

    def end(self) -> None:
        """Who waits is told that nothing comes, now and from now on."""
        self.ended = True
        waiting, self._next = self._next, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def run(self) -> None:
        """Look again and again while somebody waits, for ever."""
        failing = False
        while True:
            await self._wanted.wait()
            try:
                head = await self._log.ask(lambda reader: reader.head())
                failing = False
            except HealthSyncError as error:
                if not failing:
                    log.warning("gateway.log_unreadable", error=error)
                failing, head = True, self.head
            if head > self.head and self._next is not None:
                self.head, waiting, self._next = head, self._next, None
                self._wanted.clear()
                waiting.set_result(None)
            await asyncio.sleep(self._every_s)
