"""A connection that is made anew whenever it ends: whether there is one, how often there was, and who waits for it."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.mqtt.links.link import Link
from healthsync_mqtt.telemetry.log import get_logger

_AGAIN_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)


class LastingLink(ABC):
    """``run`` is a task of the process; ``logger`` names who speaks in the log."""

    def __init__(self, logger: str, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._logger = logger
        self._log = get_logger(logger)
        self._sleep = sleep
        self._link: Link | None = None
        self._arrived = asyncio.Event()
        #: how often it was connected
        self.connections = 0

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link is not None

    async def run(self) -> None:
        """Connect, and again whenever the connection ends, for ever."""
        failures = 0
        while True:
            before = self.connections
            try:
                await self._connect()
            except HealthSyncError as error:
                if failures == 0 or self.connections > before:
                    self._log.warning(f"{self._logger}.broker_away", error=error)
            failures = 0 if self.connections > before else failures + 1
            await self._sleep(_AGAIN_S[min(failures, len(_AGAIN_S) - 1)])

    async def arrived(self) -> None:
        """Return when there is a connection. It may be gone again by then."""
        await self._arrived.wait()

    @abstractmethod
    async def _connect(self) -> None:
        """One connection until it ends. HealthSyncError."""

    @contextmanager
    def _lasting(self, link: Link) -> Iterator[None]:
        """Be connected by it until the end of the ``with``."""
        self._link = link
        self.connections += 1
        self._arrived.set()
        try:
            yield
        finally:
            self._link = None
            self._arrived.clear()
