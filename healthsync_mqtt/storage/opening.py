"""The one place that knows which store a data directory has: everybody else gets a writer or a reader from here."""

from pathlib import Path
from typing import NamedTuple

from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.storage.anchor import Acceptance, AnchorComparison
from healthsync_mqtt.storage.codec import BodyCodec
from healthsync_mqtt.storage.port import EventLog, LogReader
from healthsync_mqtt.storage.quotas import Quotas
from healthsync_mqtt.storage.sqlite.checkpoints import wal_bytes as wal_size
from healthsync_mqtt.storage.sqlite.comparing import compare_files
from healthsync_mqtt.storage.sqlite.holders import readers_of
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.pages import HeldDatabase
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader

__all__ = [
    "HeldDatabase",
    "HeldLog",
    "compare_with_anchor",
    "has_log",
    "hold_database",
    "hold_log",
    "open_log",
    "open_reader",
    "readers",
    "wal_bytes",
]


def has_log(data: Path) -> bool:
    """Whether this data directory has an event log yet."""
    return DataPaths(root=data).events_db.exists()


def open_log(
    data: Path,
    *,
    codec: BodyCodec | None = None,
    accept_restored: Acceptance | None = None,
    quotas: Quotas | None = None,
) -> EventLog:
    """The writer of a data directory's log, created when missing; one at a time, in all processes.

    Raises UnavailableError when another writer has it, StoreError when it cannot be used safely, RestoredError when it
    is not the log that was here. ``accept_restored`` takes it as it is and gives it a new epoch, of which it is told
    before; what it raises leaves the log as it is.
    """
    return SqliteEventLog.open(
        DataPaths(root=data).events_db, codec=codec, accept_restored=accept_restored, quotas=quotas
    )


def compare_with_anchor(data: Path) -> AnchorComparison:
    """What the log of a data directory is, seen from its anchor; changes nothing, also while the service runs."""
    return compare_files(DataPaths(root=data).events_db)


def wal_bytes(data: Path) -> int:
    """The size of the log's write-ahead log, which is not in the database yet."""
    return wal_size(DataPaths(root=data).events_db)


def readers(data: Path) -> tuple[int, ...]:
    """The ids of the processes that read the log right now, where the system tells."""
    return readers_of(DataPaths(root=data).events_db)


def open_reader(data: Path, *, codec: BodyCodec | None = None) -> LogReader:
    """A reader of a data directory's log. UnavailableError when there is none, StoreError when it cannot be read."""
    return SqliteLogReader.open(DataPaths(root=data).events_db, codec=codec)


class HeldLog(NamedTuple):
    """The log as it was at one moment: its pages can be copied while it is written."""

    database: HeldDatabase
    epoch: str
    head: int


def hold_log(data: Path) -> HeldLog | None:
    """Hold a data directory's log at what is committed now; None when it has none yet. StoreError."""
    path = DataPaths(root=data).events_db
    if not path.exists():
        return None
    held = HeldDatabase(path)
    try:
        held.hold()
        if not held.schema:
            held.close()
            return None
        epoch, head = held.value("SELECT value FROM meta WHERE name = 'epoch'"), held.value("SELECT max(seq) FROM log")
    except BaseException:
        held.close()
        raise
    return HeldLog(held, str(epoch), int(str(head or 0)))


def hold_database(path: Path) -> HeldDatabase:
    """Any database of a data directory, to be held. StoreError when it cannot be opened."""
    return HeldDatabase(path)
