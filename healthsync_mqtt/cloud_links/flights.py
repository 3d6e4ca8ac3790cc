"""Whose turn a link is: one process at a time fetches it, refreshes its tokens or ends it.

A process that is killed gives its turn back.
"""

import asyncio
import contextlib
import errno
import fcntl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

from healthsync_mqtt.config.private_files import create_private

_FILE: Final = "adapters.flights"
_AGAIN_S: Final = 0.05


class Flights:
    """Whose turn a link is, over all processes of a data directory."""

    def __init__(self, data: Path) -> None:
        path = data / _FILE
        create_private(path)
        # The object, not its number: once closed it is refused, and never another file that got the number since.
        self._file = path.open("r+b", buffering=0)
        # A lock of the system is the process's: within it there is another.
        self._here: dict[int, asyncio.Lock] = {}

    def close(self) -> None:
        """Give everything back."""
        self._file.close()

    @contextlib.asynccontextmanager
    async def turn(self, link: int) -> AsyncIterator[None]:
        """Wait until no other task and no other process has this link."""
        async with self._here.setdefault(link, asyncio.Lock()):
            while not self._taken(link):  # noqa: ASYNC110  # another process has it
                await asyncio.sleep(_AGAIN_S)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, link)

    @contextlib.contextmanager
    def turn_now(self, link: int) -> Iterator[None]:
        """The same for a command, which has nothing else to do."""
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, link)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, link)

    @contextlib.contextmanager
    def turn_if_free(self, link: int) -> Iterator[bool]:
        """The turn, for a step that is done again later; False where another process has it."""
        taken = self._taken(link)
        try:
            yield taken
        finally:
            if taken:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, link)

    def _taken(self, link: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, link)
        except OSError as error:
            if error.errno in {errno.EACCES, errno.EAGAIN}:
                return False
            raise
        return True
