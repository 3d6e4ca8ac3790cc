"""A registry in a file: registry.db, through sqlite-utils."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sqlite_utils import Database
from sqlite_utils.db import Table

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.identity.people.tables import GENERATION, Key, Tables
from healthsync_mqtt.sqlite_faults import fix_of

R = TypeVar("R")


class SqliteTables(Tables):
    """One open database file."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._lock = threading.RLock()
        self._raise = False

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def write(self, *, quiet: bool = False) -> Iterator[None]:
        """See ``Tables``."""
        with self._transaction("BEGIN IMMEDIATE"):
            self._raise = self._raise or not quiet
            yield

    @contextlib.contextmanager
    def read(self) -> Iterator[None]:
        """See ``Tables``."""
        with self._transaction("BEGIN"):
            yield

    def records(self, kind: Callable[..., R], sql: str, *parameters: object) -> list[R]:
        """See ``Tables``."""
        with self.read():
            return [kind(**row) for row in self._db.query(sql, parameters)]

    def tuples(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """See ``Tables``."""
        with self.read():
            return list(self._db.execute(sql, parameters).fetchall())

    def execute(self, sql: str, *parameters: object) -> None:
        """See ``Tables``."""
        self._db.execute(sql, parameters)

    def insert(self, table: str, row: dict[str, Any]) -> None:
        """See ``Tables``."""
        self._table(table).insert(row)

    def replace(self, table: str, row: dict[str, Any]) -> None:
        """See ``Tables``."""
        self._table(table).insert(row, replace=True)

    def update(self, table: str, key: Key, changes: dict[str, Any]) -> None:
        """See ``Tables``."""
        self._table(table).update(key, changes)

    def delete(self, table: str, where: str, *parameters: object) -> None:
        """See ``Tables``."""
        self._table(table).delete_where(where, parameters)

    def rewrite(self) -> None:
        """See ``Tables``."""
        with self._lock:
            try:
                self._db.execute("VACUUM")
            except sqlite3.Error as error:
                raise StoreError(f"the registry could not be written anew: {error}", hint=fix_of(error)) from error

    def _table(self, name: str) -> Table:
        table = self._db[name]
        assert isinstance(table, Table)
        return table

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with self._lock:
            try:
                if self._db.conn.in_transaction:
                    yield
                    return
                self._db.execute(begin)
                try:
                    yield
                    if self._raise:
                        self._db.execute(GENERATION["raise_generation"])
                    self._db.commit()
                except BaseException:
                    self._db.rollback()
                    raise
                finally:
                    self._raise = False
            except sqlite3.Error as error:
                raise StoreError(f"the registry could not be used: {error}", hint=fix_of(error)) from error
