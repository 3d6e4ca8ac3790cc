"""The event log: an append-only, ordered, durable table of accepted events, and its readers."""

from healthsync_mqtt.storage.codec import BodyCodec, PlainCodec
from healthsync_mqtt.storage.memory import MemoryEventLog, MemoryLogReader
from healthsync_mqtt.storage.opening import has_log, open_log, open_reader
from healthsync_mqtt.storage.port import EventLog, Item, LogReader, Quarantined, RejectedRow, Totals

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
    "Totals",
    "has_log",
    "open_log",
    "open_reader",
]
