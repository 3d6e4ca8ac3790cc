"""A registry on PostgreSQL: any number of machines work on it, one of them changes it at a time.

A connection that was cut is made again at the next call outside of a transaction. What was told meanwhile is not
missed: the generation is read again then.
"""

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import psycopg
from psycopg import errors
from psycopg.rows import TupleRow

from healthsync_mqtt.errors import HealthSyncError, StoreError
from healthsync_mqtt.identity.people.postgres.connection import (
    SQL,
    begin_alone,
    connect_registry,
    keep_durable,
    migrate,
    translated,
    value,
)
from healthsync_mqtt.identity.people.postgres.dialect import deletion, for_postgres, insertion, update
from healthsync_mqtt.identity.people.tables import Key, Tables
from healthsync_mqtt.postgres.connection import Connection, ServerPlace, abandon, unremarked

R = TypeVar("R")

_ASK_S: Final = 0.5
"""A connection that says nothing is asked after so long: the machine at its other end may be gone."""

_READ: Final = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresTables(Tables):
    """One connection to a registry."""

    def __init__(self, place: ServerPlace) -> None:
        """Use ``open``."""
        self._place = place
        self._channel = f"{place.schema}_changed"
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        self._closed = False
        #: Who made a change, as the server knows it for an hour: what became of it is asked by that.
        self._name = f"change of {secrets.token_hex(16)}"
        self._inside = False
        self._raise = False
        self._keys: dict[str, list[str]] = {}
        self._listens = False
        self._known: int | None = None
        self._asked = 0.0
        #: What the server calls its history; a standby that takes over begins another one.
        self._history: str | None = None
        self._histories = 0

    @classmethod
    def open(cls, place: ServerPlace) -> "PostgresTables":
        """Connect, and bring the schema up to date. ConfigError, UnavailableError or StoreError."""
        opened = cls(place)
        try:
            with translated("the registry could not be opened"):
                migrate(opened._connected(), place)
        except BaseException:
            opened.close()
            raise
        return opened

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._closed = True
            self._drop()

    @contextlib.contextmanager
    def write(self, *, quiet: bool = False) -> Iterator[None]:
        """See ``Tables``. Changes of all processes go one after the other, as they do in a file."""
        with self._transaction(locks=True):
            self._raise = self._raise or not quiet
            yield

    @contextlib.contextmanager
    def read(self) -> Iterator[None]:
        """See ``Tables``."""
        with self._transaction(locks=False):
            yield

    def records(self, kind: Callable[..., R], sql: str, *parameters: object) -> list[R]:
        """See ``Tables``."""
        cursor = self._run(for_postgres(sql), parameters)
        names = [each.name for each in cursor.description or ()]
        return [kind(**dict(zip(names, row, strict=True))) for row in cursor]

    def tuples(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """See ``Tables``."""
        return self._run(for_postgres(sql), parameters).fetchall()

    def execute(self, sql: str, *parameters: object) -> None:
        """See ``Tables``."""
        self._run(for_postgres(sql), parameters)

    def insert(self, table: str, row: dict[str, Any]) -> None:
        """See ``Tables``."""
        self._run(insertion(table, list(row)), list(row.values()))

    def replace(self, table: str, row: dict[str, Any]) -> None:
        """See ``Tables``."""
        self._run(insertion(table, list(row), self._key(table)), list(row.values()))

    def update(self, table: str, key: Key, changes: dict[str, Any]) -> None:
        """See ``Tables``."""
        keys = key if isinstance(key, tuple) else (key,)
        self._run(update(table, list(changes), self._key(table)), [*changes.values(), *keys])

    def delete(self, table: str, where: str, *parameters: object) -> None:
        """See ``Tables``."""
        self._run(deletion(table, where), parameters)

    def rewrite(self) -> None:
        """See ``Tables``. What the server's archive and backups hold is its operator's to end."""
        for (table,) in self.tuples(SQL["tables"], self._place.schema):
            self._run(f'VACUUM (FULL) "{table}"'.encode())

    def generation(self) -> int:
        """See ``Tables``. The server says when there was a change; in between it is asked twice a second."""
        with self._lock:
            if self._inside:
                return super().generation()
            if self._known is None or not self._silent():
                self._listen()
                self._asked = time.monotonic()
                self._known = super().generation()
            return self._known

    def histories(self) -> int:
        """See ``Tables``: failovers and restores that a new connection has found."""
        return self._histories

    def _silent(self) -> bool:
        """Whether no change was told of, as far as this end of the connection can say."""
        connection = self._connection
        if connection is None or time.monotonic() - self._asked >= _ASK_S:
            return False
        try:
            connection.pgconn.consume_input()
            return connection.pgconn.notifies() is None
        except psycopg.Error:
            self._drop()
            return False

    def _listen(self) -> None:
        with translated():
            connection = self._connected()
            if not self._listens:
                connection.add_notify_handler(self._told)
                connection.execute(f'LISTEN "{self._channel}"'.encode())
                self._listens = True

    def _told(self, _notice: psycopg.Notify) -> None:
        self._known = None

    def _key(self, table: str) -> list[str]:
        found = self._keys.get(table)
        if found is None:
            found = self._keys[table] = self.column(str, SQL["primary_key"], f'"{table}"')
        return found

    def _run(self, statement: bytes, parameters: Sequence[object] = ()) -> psycopg.Cursor[TupleRow]:
        with self._lock, translated():
            if self._inside:
                assert self._connection is not None
                return self._connection.execute(statement, parameters)
            return self._twice(lambda: self._connected().execute(statement, parameters))

    @contextlib.contextmanager
    def _transaction(self, *, locks: bool) -> Iterator[None]:
        with self._lock:
            if self._inside:
                yield
                return
            with translated():
                self._twice(lambda: self._begun(locks=locks))
            self._inside = True
            try:
                yield
                if self._raise:
                    # Never one that another change had: a standby that takes over may not know of that.
                    self._run(SQL["raise_generation"].encode())
                    self._run(b"SELECT pg_notify($1, '')", (self._channel,))
                token = self._noted() if locks else ""
            except BaseException:
                self._roll_back()
                raise
            else:
                self._commit(token)
            finally:
                self._inside = self._raise = False

    def _twice(self, beginning: Callable[[], R]) -> R:
        """Do what begins something, again on a new connection where the old one turns out to be cut."""
        fresh = self._connection is None
        try:
            return beginning()
        except psycopg.OperationalError:
            if fresh or (self._connection is not None and not self._connection.closed):
                raise
        self._drop()
        return beginning()

    def _begun(self, *, locks: bool) -> None:
        connection = self._connected()
        if not locks:
            connection.execute(_READ)
            return
        try:
            begin_alone(connection, self._place, "lock")
            keep_durable(connection)
        except BaseException:
            self._roll_back()
            raise

    def _noted(self) -> str:
        """What the open transaction is known by; it is durable with it."""
        token = secrets.token_hex(16)
        self._run(SQL["note_change"].encode(), (self._name, token))
        return token

    def _commit(self, token: str) -> None:
        """``token``: what a change is known by; "" where nothing is changed."""
        assert self._connection is not None
        try:
            with translated("the registry could not be changed"):
                if unremarked(self._connection, b"COMMIT") or not token:
                    return
        except StoreError:
            self._drop()
            if not token or not self._made(token):
                raise
        else:
            self._made(token)

    def _made(self, token: str) -> bool:
        """Whether a change is there whose COMMIT had no clear answer; StoreError where nobody knows.

        Only what it wrote is believed: after a crash or a failover the number of its transaction may be another's. The
        lock waits until its connection has ended on the server, too. The COMMIT waits for the standby that commits
        wait for, which the change itself need not have reached.
        """
        try:
            self._begun(locks=True)
            assert self._connection is not None
            made = self._connection.execute(SQL["take_change"].encode(), (self._name, token)).rowcount > 0
            if unremarked(self._connection, b"COMMIT"):
                return made
        except (psycopg.Error, HealthSyncError):
            self._drop()
        raise StoreError(
            "PostgreSQL went away while the registry was changed: whether it was is not known",
            hint="look whether the change is there before you make it again",
        )

    def _roll_back(self) -> None:
        try:
            if self._connection is not None:
                self._connection.execute(b"ROLLBACK")
        except psycopg.Error:
            self._drop()

    def _connected(self) -> Connection:
        if self._closed:
            raise StoreError("the registry is closed", hint="open it again")
        if self._connection is None:
            connection = connect_registry(self._place)
            try:
                self._look_back(connection)
            except BaseException:
                abandon(connection)
                raise
            self._connection = connection
        return self._connection

    def _look_back(self, connection: Connection) -> None:
        """Whether the numbers of changes that are known are of what the server has now. Who cannot tell says no."""
        try:
            history = str(value(connection, SQL["history"]))
        except errors.DatabaseError:
            if connection.closed:
                raise
            history = ""
        if self._history is not None and (not history or history != self._history):
            self._histories += 1
        self._history = history

    def _drop(self) -> None:
        abandon(self._connection)
        self._connection, self._listens, self._known = None, False, None
