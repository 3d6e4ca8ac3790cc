"""A file of NDJSON as a sink: one canonical event a line, tombstones too, in the order of the log, each once.

``place.json`` beside the files says how far they are and how long the last one is. It is written after they are
durable, and what lies behind it in them is cut off at the start: a crash anywhere repeats nothing and loses nothing.
A file is rewritten only where a person is erased: an event that is superseded or deleted later is followed by the line
that says so.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from healthsync_mqtt.config.private_files import create_private, make_private_directory, read_private, write_durably
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.model.record import canonical_json
from healthsync_mqtt.sinks.config import FileConfig
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.port import Next, Rows, SinkStep

_DONE = SinkStep(Next.DONE)
_GO_ON = SinkStep(Next.GO_ON)
_AGAIN_US = 60_000_000


@dataclass(slots=True)
class FileShipment:
    """The lines of some rows."""

    lines: list[tuple[int, bytes]]
    through: int
    events: int


class FileSink:
    """See ``port.Sink``. The files are ``events-000001.ndjson`` and so on in the folder of the configuration."""

    generation = 0

    def __init__(self, config: FileConfig, *, epoch: str, ledger: SinkLedger | None = None) -> None:
        """``ledger`` says who is erased; without one nobody is."""
        self._ledger = ledger
        self._config = config
        self._folder = config.path
        self._epoch = epoch
        self._file: IO[bytes] | None = None
        self._number, self._bytes, self._seq = 1, 0, 0
        self._written = 0

    def warm_up(self, cursor: int) -> None:
        """See ``port.Sink``: nothing is to be remembered that the place does not say."""

    def begin(self, rows: Rows) -> FileShipment:
        """See ``port.Sink``."""
        lines = [
            (record.seq, canonical_json(record) + b"\n") for record in rows.records if record.seq not in rows.withheld
        ]
        return FileShipment(lines, rows.through, len(rows.records))

    def step(self, shipment: FileShipment) -> SinkStep:
        """See ``port.Sink``: all of it at once."""
        try:
            self._append(shipment)
        except HealthSyncError as error:
            self.disconnect()
            return SinkStep(Next.WAIT, "unwritable", str(error), error.hint)
        except (OSError, ValueError) as error:
            self.disconnect()
            word = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "its place is unreadable"
            return SinkStep(
                Next.WAIT, "unwritable", f"{self._folder}: {word}", "is the disk full, or the folder not ours?"
            )
        return _DONE

    def mend(self, now_us: int) -> SinkStep:
        """See ``port.Sink``: nothing is kept aside but who is erased."""
        leaving = None if self._ledger is None else self._ledger.erasing_due(now_us)
        if self._ledger is None or leaving is None:
            return _DONE
        user, _ = leaving
        try:
            self._without(user)
        except (HealthSyncError, OSError, ValueError) as error:
            self.disconnect()
            self._ledger.erase_later(user, now_us + _AGAIN_US, f"{self._folder} cannot be written: {error}")
            return _GO_ON
        self._ledger.erased(user)
        return _GO_ON

    def probe(self) -> SinkStep:
        """See ``port.Sink``."""
        return SinkStep(Next.GO_ON)

    def disconnect(self) -> None:
        """See ``port.Sink``."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def status(self) -> dict[str, Any]:
        """See ``port.Sink``."""
        return {"refused_lines": 0, "file": str(self._path), "since_start": {"points": self._written, "refused": 0}}

    def close(self) -> None:
        """See ``port.Sink``."""
        self.disconnect()

    def _without(self, user: str) -> None:
        """Write the files that have lines of a user anew, without those."""
        if not (self._folder / "place.json").exists():
            return
        if self._file is None:
            self._open()
        own = f'"user_id":"{user}"'.encode()
        if self._bytes and own in self._path.read_bytes():
            # The place says how long the last file is, so that one is not rewritten: it is the last no more.
            self.disconnect()
            self._number, self._bytes = self._number + 1, 0
            self._start()
            self._keep()
        for number in range(1, self._number):
            path = self._folder / f"events-{number:06d}.ndjson"
            if path.exists() and own in (content := path.read_bytes()):
                lines = content.splitlines(keepends=True)
                write_durably(path, b"".join(line for line in lines if json.loads(line)["user_id"] != user))

    @property
    def _path(self) -> Path:
        return self._folder / f"events-{self._number:06d}.ndjson"

    def _append(self, shipment: FileShipment) -> None:
        if self._file is None:
            self._open()
        new = [line for seq, line in shipment.lines if seq > self._seq]
        if shipment.through <= self._seq:
            return
        if self._bytes and self._bytes + sum(map(len, new)) > self._config.file_bytes:
            self.disconnect()
            self._number, self._bytes = self._number + 1, 0
            self._start()
        assert self._file is not None
        for line in new:
            self._file.write(line)
            self._bytes += len(line)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._seq = shipment.through
        self._written += len(new)
        self._keep()

    def _open(self) -> None:
        """Go on where the place says, and cut off what was written after it."""
        make_private_directory(self._folder)
        place = self._folder / "place.json"
        if place.exists():
            known = json.loads(read_private(place))
            self._number, self._bytes = int(known["file"]), int(known["bytes"])
            self._seq = int(known["seq"]) if known["epoch"] == self._epoch else 0  # another log: it has its own count
        self._start()

    def _start(self) -> None:
        create_private(self._path)
        self._file = self._path.open("r+b")
        self._file.truncate(self._bytes)
        self._file.seek(self._bytes)

    def _keep(self) -> None:
        place = {"epoch": self._epoch, "seq": self._seq, "file": self._number, "bytes": self._bytes}
        write_durably(self._folder / "place.json", json.dumps(place).encode() + b"\n")
