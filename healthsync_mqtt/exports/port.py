"""What every format of an export promises."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import IO, Protocol

from healthsync_mqtt.model.record import Record

Folder = Callable[[str], AbstractContextManager[IO[bytes]]]
"""Opens a new file of this name beside the others of an export."""


class Export(Protocol):
    """One export at work. It holds a bounded part of what it was given, however much that is."""

    def take(self, record: Record) -> None:
        """The next row, in log order. Its body was not purged."""

    def close(self) -> None:
        """Write the end. What was written is complete afterwards."""

    def abandon(self) -> None:
        """Let go of what is open: the export failed, and nothing of it stays."""

    @property
    def left_out(self) -> Mapping[str, int]:
        """What the format has no place for: how many rows by reason, in words for people."""
