"""A file of NDJSON as a sink: one canonical event a line, tombstones too, in the order of the log, each once.

``place.json`` beside the files says how far they are and how long the last one is: a crash anywhere repeats nothing
and loses nothing. A file is rewritten only where a person is erased: an event that is superseded or deleted later is
followed by the line that says so.
"""

import os
from dataclasses import dataclass
from typing import Any

from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.model.record import canonical_json
from healthsync_mqtt.sinks.config import FileConfig
from healthsync_mqtt.sinks.file.days import day_files
from healthsync_mqtt.sinks.file.lines import LineFiles
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
        self._files = LineFiles(config.path, "events", "place.json", config.file_bytes)
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
        """See ``port.Sink``: nothing is kept aside but who is erased, from the events and from the days."""
        leaving = None if self._ledger is None else self._ledger.erasing_due(now_us)
        if self._ledger is None or leaving is None:
            return _DONE
        user, _ = leaving
        days = day_files(self._config)
        try:
            self._files.without(user)
            days.without(user)
        except (HealthSyncError, OSError, ValueError) as error:
            self.disconnect()
            self._ledger.erase_later(user, now_us + _AGAIN_US, f"{self._folder} cannot be written: {error}")
            return _GO_ON
        finally:
            days.close()
        self._ledger.forget_days(user)
        self._ledger.erased(user)
        return _GO_ON

    def probe(self) -> SinkStep:
        """See ``port.Sink``."""
        return SinkStep(Next.GO_ON)

    def disconnect(self) -> None:
        """See ``port.Sink``."""
        self._files.close()

    def status(self) -> dict[str, Any]:
        """See ``port.Sink``."""
        return {
            "refused_lines": 0,
            "file": str(self._files.path),
            "since_start": {"points": self._written, "refused": 0},
        }

    def close(self) -> None:
        """See ``port.Sink``."""
        self.disconnect()

    def _append(self, shipment: FileShipment) -> None:
        self._files.open()
        kept = self._files.kept
        # Another log has its own count.
        seq = int(kept["seq"]) if kept and kept["epoch"] == self._epoch else 0
        if shipment.through <= seq:
            return
        new = [line for at, line in shipment.lines if at > seq]
        self._files.append(new, epoch=self._epoch, seq=shipment.through)
        self._written += len(new)
