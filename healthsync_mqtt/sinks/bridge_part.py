"""Which users what follows the log of a data directory works for, and where it is written what those agreed to.

Bridges that share an installation divide its users and read one registry. A user who moved to another bridge is in two
logs: the sinks of the one that he left pass his rows over, so that nothing old is written over what is new. Where they
write one log, a shard divides deliveries alone: one bridge follows the log for everybody.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from healthsync_mqtt.config.settings import Settings, load_settings
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.storage.port import LogReader


@dataclass(frozen=True, slots=True)
class BridgePart:
    """One bridge's part of an installation.

    ``home``: here are the files about persons, and here persons are erased. Of bridges that share a log it is the one
    beside the registry, or the one that is told so where that is on a server; any other bridge is its own.
    """

    registry: Path
    shard: Shard
    home: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As these settings have it."""
        own, shared = settings.paths.registry_db, settings.storage.shared
        registry = settings.external.registry_file or own
        home = settings.registry.home if settings.registry.url else not shared or registry.absolute() == own.absolute()
        return cls(registry, Shard.parse("" if shared else settings.external.shard), home)

    @classmethod
    def read(cls, data: Path) -> Self:
        """As the settings of a data directory have it."""
        return cls.of(load_settings(data))

    def rows(self, reader: LogReader) -> LogReader:
        """The log without the rows of users that belong to another part."""
        return reader if self.shard.of == 1 else cast("LogReader", _OwnRows(reader, self.shard))


class _OwnRows:
    """A LogReader; what is not defined here is the log's own."""

    def __init__(self, reader: LogReader, shard: Shard) -> None:
        self._reader = reader
        self._shard = shard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def snapshot(self) -> AbstractContextManager[None]:
        return self._reader.snapshot()

    def read(self, after: int, limit: int, **wanted: Any) -> list[Record]:
        """As the log's: fewer than ``limit`` only at its end."""
        found: list[Record] = []
        while rows := self._reader.read(after, limit, **wanted):
            found += [row for row in rows if self._shard.owns(row.user)]
            if wanted.get("newest") or len(rows) < limit or len(found) >= limit:
                break
            after = rows[-1].seq
        return found[:limit]
