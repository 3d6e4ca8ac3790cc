"""The event log as the gateway reads it: a few readers, each in a thread of its own, and how far the log is."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from healthsync_mqtt.errors import StoreError, UnavailableError
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.port import LogReader

T = TypeVar("T")

READERS: Final = 4


class LogPool:
    """Asks the log beside the event loop. A reader that failed is opened anew by the next question."""

    def __init__(self, data: Path, open_log: Callable[[Path], LogReader] = open_reader) -> None:
        self._data = data
        self._open = open_log
        self._mine = threading.local()
        self._opened: list[LogReader] = []
        self._threads = ThreadPoolExecutor(READERS, "log")

    async def ask(self, question: Callable[[LogReader], T]) -> T:
        """The answer of a reader. UnavailableError when there is no log yet, StoreError when it cannot be read."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._asked, question)

    def close(self) -> None:
        """Release the log."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for reader in self._opened:
            reader.close()

    def _asked(self, question: Callable[[LogReader], T]) -> T:
        reader: LogReader | None = getattr(self._mine, "reader", None)
        if reader is None:
            reader = self._mine.reader = self._open(self._data)
            self._opened.append(reader)
        try:
            return question(reader)
        except (StoreError, UnavailableError):
            # What refuses a request is no failure of the reader, and each one that is given up is closed.
            self._mine.reader = None
            self._opened.remove(reader)
            reader.close()
            raise
