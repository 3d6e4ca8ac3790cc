"""Which users the sinks of a data directory work for, and where it is written what those agreed to.

Bridges that share an installation divide its users and read one registry. A user who moved to another bridge is in two
logs: the sinks of the one that he left pass his rows over, so that nothing old is written over what is new.
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
    """One bridge's part of an installation."""

    registry: Path
    shard: Shard

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As these settings have it."""
        return cls(settings.external.registry_file or settings.paths.registry_db, Shard.parse(settings.external.shard))

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
