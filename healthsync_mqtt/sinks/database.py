"""The small databases of sinks: opened private and durable, brought up to date by numbered migrations, SQL by name."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from healthsync_mqtt.config.private_database import open_private_database, transaction
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.sql_files import numbered, statements
from healthsync_mqtt.sqlite_faults import fix_of


class Database:
    """One open file. Every write is durable when the call returns; StoreError, with ``what`` in it, when it cannot."""

    def __init__(self, connection: sqlite3.Connection, name: str, what: str) -> None:
        """Use ``open``."""
        self._connection = connection
        self._sql = statements(__package__ or "", "sql", f"{name}.sql")
        self._what = what

    @classmethod
    def open(cls, path: Path, name: str, what: str) -> Self:
        """Open or create, mode 0600, with the schema of ``sql/<name>/``."""
        return cls(open_private_database(path, numbered(__package__ or "", "sql", name)), name, what)

    def rows(self, statement: str, *bindings: object) -> list[Any]:
        """The rows of a query."""
        try:
            return self._connection.execute(self._sql[statement], bindings).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self._what} cannot be read: {error}", hint=fix_of(error)) from error

    def write(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> int:
        """Run a statement for each row, all in one transaction; the number of rows that it changed."""
        values = list(rows)
        if not values:
            return 0
        try:
            with transaction(self._connection):
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
