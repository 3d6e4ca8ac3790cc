"""The one place that knows which store a data directory has: everybody else gets a writer or a reader from here."""

from pathlib import Path

from healthsync_mqtt.config.sections import DataPaths
from healthsync_mqtt.storage.codec import BodyCodec
from healthsync_mqtt.storage.port import EventLog, LogReader
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader


def has_log(data: Path) -> bool:
    """Whether this data directory has an event log yet."""
    return DataPaths(root=data).events_db.exists()


def open_log(data: Path, *, codec: BodyCodec | None = None) -> EventLog:
    """The writer of a data directory's log, created when missing; one at a time, in all processes.

    Raises UnavailableError when another writer has it, StoreError when it cannot be used safely.
    """
    return SqliteEventLog.open(DataPaths(root=data).events_db, codec=codec)


def open_reader(data: Path, *, codec: BodyCodec | None = None) -> LogReader:
    """A reader of a data directory's log. UnavailableError when there is none, StoreError when it cannot be read."""
    return SqliteLogReader.open(DataPaths(root=data).events_db, codec=codec)
