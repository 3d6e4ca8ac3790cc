"""The event log: an append-only, ordered, durable table of accepted events, and its readers."""

from healthsync_mqtt.storage.memory import MemoryEventLog, MemoryLogReader
from healthsync_mqtt.storage.port import (
    BodyCodec,
    EventLog,
    Item,
    LogReader,
    PlainCodec,
    Quarantined,
    RejectedRow,
    Totals,
)
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader

__all__ = [
    "BodyCodec",
    "EventLog",
    "Item",
    "LogReader",
    "MemoryEventLog",
    "MemoryLogReader",
    "PlainCodec",
    "Quarantined",
    "RejectedRow",
    "SqliteEventLog",
    "SqliteLogReader",
    "Totals",
]
