"""Numbered NDJSON files in a folder, and the place beside them that says how far the last one is.

The place is written after the lines are durable, and what lies behind it is cut off at the start: a crash anywhere
leaves no torn line. A file is rewritten only where a person is erased.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from healthsync_mqtt.config.private_files import (
    create_private,
    make_private_directory,
    read_private,
    unfinished,
    write_durably,
)


class LineFiles:
    """The files ``STEM-000001.ndjson`` and so on, used from one thread. OSError, ValueError, HealthSyncError."""

    def __init__(self, folder: Path, stem: str, place: str, most_bytes: int) -> None:
        """Touches nothing. ``place`` is the name of the file that says how far the last one is."""
        self._folder = folder
        self._stem = stem
        self._place = folder / place
        self._most_bytes = most_bytes
        self._file: IO[bytes] | None = None
        self._number, self._bytes = 1, 0
        #: What was kept with the place; empty before the first.
        self.kept: dict[str, Any] = {}

    @property
    def path(self) -> Path:
        """The last file."""
        return self._numbered(self._number)

    @property
    def begun(self) -> bool:
        """Whether anything was ever written here."""
        return self._place.exists()

    def open(self) -> None:
        """Go on where the place says, and cut off what was written after it."""
        if self._file is not None:
            return
        make_private_directory(self._folder)
        self._number, self._bytes, self.kept = 1, 0, {}
        if self.begun:
            self.kept = json.loads(read_private(self._place))
            self._number, self._bytes = int(self.kept["file"]), int(self.kept["bytes"])
        self._start()

    def append(self, lines: Sequence[bytes], **kept: Any) -> None:
        """Write these lines into one file, and then the place with what is ``kept``; ``open`` was called."""
        assert self._file is not None
        if self._bytes and self._bytes + sum(map(len, lines)) > self._most_bytes:
            self._next()
        for line in lines:
            self._file.write(line)
            self._bytes += len(line)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._keep(kept)

    def without(self, user: str) -> None:
        """Write the files that have lines of a user anew, without those."""
        for left in unfinished(self._folder, f"{self._stem}-*.ndjson"):
            left.unlink(missing_ok=True)
        if not self.begun:
            self.close()
            self._numbered(1).unlink(missing_ok=True)  # it has lines where the place was not written any more
            return
        self.open()
        self._numbered(self._number + 1).unlink(missing_ok=True)  # the same of the next one
        own = f'"user_id":"{user}"'.encode()
        if self._bytes and own in self.path.read_bytes():
            # The place says how long the last file is, so that one is not rewritten: it is the last no more.
            kept = {name: value for name, value in self.kept.items() if name not in {"file", "bytes"}}
            self._next()
            self._keep(kept)
        for number in range(1, self._number):
            path = self._numbered(number)
            if path.exists() and own in (content := path.read_bytes()):
                lines = content.splitlines(keepends=True)
                write_durably(path, b"".join(line for line in lines if json.loads(line)["user_id"] != user))

    def close(self) -> None:
        """Let go of the file. Idempotent; ``open`` goes on."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _numbered(self, number: int) -> Path:
        return self._folder / f"{self._stem}-{number:06d}.ndjson"

    def _next(self) -> None:
        self.close()
        self._number, self._bytes = self._number + 1, 0
        self._start()

    def _start(self) -> None:
        create_private(self.path)
        self._file = self.path.open("r+b")
        self._file.truncate(self._bytes)
        self._file.seek(self._bytes)

    def _keep(self, kept: dict[str, Any]) -> None:
        self.kept = kept | {"file": self._number, "bytes": self._bytes}
        write_durably(self._place, json.dumps(self.kept).encode() + b"\n")
