"""homeassistant.db: how far the log was read, the newest values, and what the broker may have retained of them."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from healthsync_mqtt.config.private_database import open_private_database, transaction
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.homeassistant.latest import LatestValue, ValueKey
from healthsync_mqtt.keys.values import ValueSealing
from healthsync_mqtt.sql_files import numbered, statements
from healthsync_mqtt.sqlite_faults import fix_of

_HERE: Final = __package__ or ""
_SQL: Final = statements(_HERE, "sql", "file.sql")


class Shown(NamedTuple):
    """Digests of what the broker acknowledged last for a key; empty: nothing is retained, None: it is not known."""

    config: bytes | None
    state: bytes | None


EMPTY: Final = Shown(b"", b"")


class Kept(NamedTuple):
    """What is known of a key: whether its newest value is, and that; None: it has none."""

    complete: bool
    value: LatestValue | None


_NO_VALUE: Final = LatestValue(0, "", 0, 0, b"")


class LatestFile:
    """The open file. ``epoch`` and ``seq`` are the place in the log; a write is durable when it returns. StoreError."""

    def __init__(self, connection: sqlite3.Connection, sealing: ValueSealing) -> None:
        """Use ``open``."""
        self._connection = connection
        self._sealing = sealing
        place = connection.execute(_SQL["place"]).fetchone()
        self.epoch: str = "" if place is None else place[0]
        self.seq: int = 0 if place is None else place[1]

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create, mode 0600."""
        connection = open_private_database(path, numbered(_HERE, "sql", "file"))
        try:
            older = (_SQL["seal_latest"], _SQL["seal_shown"])
            return cls(connection, ValueSealing.writing(connection, path.parent, path.name, older))
        except sqlite3.Error as error:
            raise StoreError(f"{path} cannot be used: {error}", hint=fix_of(error)) from error

    def latest(self) -> dict[ValueKey, LatestValue | None]:
        """The newest values of the keys that were searched for; None: it has none."""
        found = {ValueKey(user, name): LatestValue(*rest) for user, name, *rest in self._rows("latest")}
        return {key: value if value.state else None for key, value in found.items()}

    def shown(self) -> dict[ValueKey, Shown]:
        """What may be retained."""
        return {ValueKey(user, name): Shown(config, state) for user, name, config, state in self._rows("shown")}

    def write(
        self, epoch: str, seq: int, latest: Mapping[ValueKey, Kept], shown: Mapping[ValueKey, Shown | None]
    ) -> None:
        """The place, and the values and what is shown where that is different."""
        try:
            with self._sealing.asking(), transaction(self._connection):
                run = self._connection.executemany
                run(_SQL["move"], [(epoch, seq)])
                run(_SQL["forget"], [key for key, each in latest.items() if not each.complete])
                run(_SQL["keep"], [(*key, *(each.value or _NO_VALUE)) for key, each in latest.items() if each.complete])
                run(_SQL["clear"], [key for key, each in shown.items() if each is None])
                run(_SQL["show"], [(*key, *each) for key, each in shown.items() if each is not None])
        except sqlite3.Error as error:
            raise StoreError(f"homeassistant.db cannot be written: {error}", hint=fix_of(error)) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _rows(self, statement: str) -> list[Any]:
        try:
            with self._sealing.asking():
                return self._connection.execute(_SQL[statement]).fetchall()
        except sqlite3.Error as error:
            hint = "with the service stopped, remove the file: it is made again from the log"
            raise StoreError(f"homeassistant.db cannot be read: {error}", hint=hint) from error
