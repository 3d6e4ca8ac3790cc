"""The small databases of sinks: opened private and durable, brought up to date by numbered migrations, SQL by name."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from healthsync_mqtt.config.private_database import open_private_database, transaction
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.keys.values import ValueSealing
from healthsync_mqtt.sql_files import numbered, statements
from healthsync_mqtt.sqlite_faults import fix_of


class Database:
    """One open file. Every write is durable when the call returns; StoreError, with ``what`` in it, when it cannot."""

    def __init__(self, connection: sqlite3.Connection, path: Path, name: str, what: str) -> None:
        """Use ``open``."""
        self._connection = connection
        self._sql = statements(__package__ or "", "sql", f"{name}.sql")
        self._what = what
        older = [statement for each, statement in self._sql.items() if each.startswith("seal_")]
        self.sealing = ValueSealing.writing(connection, path.parent.parent, f"sinks/{path.name}", older)

    @classmethod
    def open(cls, path: Path, name: str, what: str) -> Self:
        """Open or create, mode 0600, with the schema of ``sql/<name>/``."""
        connection = open_private_database(path, numbered(__package__ or "", "sql", name))
        try:
            return cls(connection, path, name, what)
        except sqlite3.Error as error:
            raise StoreError(f"{what} cannot be used: {error}", hint=fix_of(error)) from error

    def rows(self, statement: str, *bindings: object) -> list[Any]:
        """The rows of a query."""
        try:
            with self.sealing.asking():
                return self._connection.execute(self._sql[statement], bindings).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self._what} cannot be read: {error}", hint=fix_of(error)) from error

    def write(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> int:
        """Run a statement for each row, all in one transaction; the number of rows that it changed."""
        values = list(rows)
        if not values:
            return 0
        try:
            with self.sealing.asking(), transaction(self._connection):
                return self._connection.executemany(self._sql[statement], values).rowcount
        except sqlite3.Error as error:
            raise StoreError(f"{self._what} cannot be written: {error}", hint=fix_of(error)) from error

    def version(self) -> int:
        """Another number after each change that another process made."""
        try:
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as error:
            raise StoreError(f"{self._what} cannot be read: {error}", hint="is the disk damaged?") from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
