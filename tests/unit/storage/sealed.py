"""Sealed logs for tests: each side with a ring of its own, as processes have them."""

from functools import partial
from pathlib import Path

from healthsync_mqtt.keys.book import KeyBook
from healthsync_mqtt.keys.opening import FILE, providers, ring_made_if_missing
from healthsync_mqtt.keys.ring import KeyRing
from healthsync_mqtt.storage.codec import KeyCodec
from healthsync_mqtt.storage.sqlite.index import Tuning
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader


def own_ring(data: Path) -> KeyRing:
    """The ring of a data directory as another process has it."""
    return KeyRing(KeyBook.existing(data / "keys.db"), providers(data), FILE)


def codec(data: Path) -> KeyCodec:
    """What seals and opens there."""
    return KeyCodec(partial(own_ring, data), partial(ring_made_if_missing, data))


def sealed_writer(data: Path, *, tuning: Tuning | None = None, seal_new: bool = True) -> SqliteEventLog:
    """The log of a data directory; a new one is sealed."""
    return SqliteEventLog.open(data / "events.db", codec=codec(data), tuning=tuning, seal_new=seal_new)


def sealed_reader(data: Path) -> SqliteLogReader:
    """A reader of it."""
    return SqliteLogReader.open(data / "events.db", codec=codec(data))
