"""Transactions and rows of registry.db: what Registry is written in terms of."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from sqlite_utils import Database
from sqlite_utils.db import Table

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.identity.sql import statements
from healthsync_mqtt.sqlite_faults import fix_of

R = TypeVar("R")
_SQL: Final = statements("people", "generation")


class Tables:
    """One open database, used by one thread at a time. A transaction inside another one belongs to the outer one."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._lock = threading.RLock()
        self._raise = False

    def close(self) -> None:
        """Close the file; later calls raise StoreError."""
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def write(self, *, quiet: bool = False) -> Iterator[None]:
        """One durable transaction that also raises the generation; StoreError when the file cannot be written.

        ``quiet`` is for what no directory has in memory: the generation stays, and nobody reads again.
        """
        with self._transaction("BEGIN IMMEDIATE"):
            self._raise = self._raise or not quiet
            yield

    @contextlib.contextmanager
    def read(self) -> Iterator[None]:
        """One consistent reading."""
        with self._transaction("BEGIN"):
            yield

    def records(self, kind: Callable[..., R], sql: str, *parameters: object) -> list[R]:
        """The rows of a query as values: its columns are the fields of ``kind``, or what makes one of them."""
        with self.read():
            return [kind(**row) for row in self._db.query(sql, parameters)]

    def record(self, kind: Callable[..., R], sql: str, *parameters: object) -> R | None:
        """The first of them, if there is one."""
        return next(iter(self.records(kind, sql, *parameters)), None)

    def tuples(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of a query that has many, as they come."""
        with self.read():
            return list(self._db.execute(sql, parameters).fetchall())

    def column(self, kind: Callable[[Any], R], sql: str, *parameters: object) -> list[R]:
        """The one column that a query selects, each value as ``kind``."""
        return [kind(value) for (value,) in self.tuples(sql, *parameters)]

    def number(self, sql: str, *parameters: object) -> int:
        """The number that a query is about."""
        (value,) = self.column(int, sql, *parameters)
        return value

    def execute(self, sql: str, *parameters: object) -> None:
        """Run a statement that changes rows, inside ``write()``."""
        self._db.execute(sql, parameters)

    def insert(self, table: str, row: dict[str, Any]) -> None:
        """Add one row, inside ``write()``."""
        self._table(table).insert(row)

    def replace(self, table: str, row: dict[str, Any]) -> None:
        """Add one row, or take the place of the one with its primary key, inside ``write()``."""
        self._table(table).insert(row, replace=True)

    def update(self, table: str, key: str | tuple[str, ...], changes: dict[str, Any]) -> None:
        """Change one row by its primary key, inside ``write()``."""
        self._table(table).update(key, changes)

    def delete(self, table: str, where: str, *parameters: object) -> None:
        """Remove rows, inside ``write()``."""
        self._table(table).delete_where(where, parameters)

    def rewrite(self) -> None:
        """Write the whole file anew, so that nothing of what was deleted is in it. StoreError while another writes."""
        with self._lock:
            try:
                self._db.execute("VACUUM")
            except sqlite3.Error as error:
                raise StoreError(f"the registry could not be written anew: {error}", hint=fix_of(error)) from error

    def generation(self) -> int:
        """The number that every write raises."""
        return self.number(_SQL["generation"])

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
                        self._db.execute(_SQL["raise_generation"])
                    self._db.commit()
                except BaseException:
                    self._db.rollback()
                    raise
                finally:
                    self._raise = False
            except sqlite3.Error as error:
                raise StoreError(f"the registry could not be used: {error}", hint=fix_of(error)) from error
