"""A file made from others, as the gateway reads it: in one thread, opened when it is there or is another one."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.gateway.bodies.problem import kept_at_home


class DerivedFile(Protocol):
    """summaries.db, insights.db."""

    def close(self) -> None:
        """Release it."""


F = TypeVar("F", bound=DerivedFile)
T = TypeVar("T")


class DerivedPool(Generic[F]):
    """Asks a file beside the event loop. ``read`` opens it, and says None where there is none.

    ``here``: it would be here; else another machine of the installation keeps it.
    """

    def __init__(self, path: Path, read: Callable[[Path], F | None], *, here: bool = True) -> None:
        self._here = here
        self._path = path
        self._read = read
        self._file: F | None = None
        self._inode = -1
        self._thread = ThreadPoolExecutor(1, path.stem)

    async def ask(self, question: Callable[[F], T]) -> T | None:
        """The answer; None when nothing has been worked out yet. StoreError when the file cannot be read.

        HttpError 503 where it is kept elsewhere.
        """
        if not self._here:
            raise kept_at_home()
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._asked, question)

    def close(self) -> None:
        """Release the file."""
        self._thread.submit(self._give_up)
        self._thread.shutdown(wait=True, cancel_futures=False)

    def _asked(self, question: Callable[[F], T]) -> T | None:
        try:
            inode = self._path.stat().st_ino
        except FileNotFoundError:
            self._give_up()
            return None
        if self._file is None or inode != self._inode:
            self._give_up()
            self._file, self._inode = self._read(self._path), inode
        if self._file is None:
            return None
        try:
            return question(self._file)
        except StoreError:
            self._give_up()
            raise

    def _give_up(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()
