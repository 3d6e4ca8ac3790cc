"""An outbox in one SQLite file: what was handed over survives a crash of the device."""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from healthsync_mqtt.client.outbox import KeptTime, OutboxEntry, Position
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.sql_files import migrate, numbered, statements
from healthsync_mqtt.sqlite_faults import fix_of

_SQL = statements(__package__ or "", "outbox.sql")


class SqliteOutbox:
    """Durable outbox: ``put`` returns after the fsync. One process at a time; the file is made 0600.

    A rollback journal, not a write-ahead log: it is right with every SQLite that Python ships.
    """

    blocking = True

    def __init__(self, path: Path, *, capacity: int = 1_000_000) -> None:
        self.capacity = capacity
        self._path = path
        self._lock = threading.Lock()
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = TRUNCATE")
            self._db.execute("PRAGMA synchronous = FULL")
            migrate(self._db, numbered(__package__ or "", "sql"), self._newer, f"the outbox {path}")
            self._waiting: int = self._db.execute(_SQL["waiting"]).fetchone()[0]
        except (OSError, sqlite3.Error) as error:
            raise self._failure("open", error) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _failure(self, verb: str, error: Exception) -> StoreError:
        return StoreError(
            f"cannot {verb} the outbox {self._path}: {error}",
            hint=f"{fix_of(error)}; an outbox file is for one process",
        )

    def _newer(self, version: int, newest: int) -> StoreError:
        return StoreError(
            f"the outbox {self._path} has schema {version}; this program knows {newest}", hint="use the newer release"
        )

    def put(self, events: Sequence[tuple[str, bytes]]) -> Sequence[int]:
        try:
            with self._transaction() as db:
                keys = [db.execute(_SQL["put"], event).lastrowid or 0 for event in events]
        except sqlite3.Error as error:
            raise self._failure("write", error) from error
        self._waiting += len(keys)
        return keys

    def pending(self, after: int, limit: int) -> list[OutboxEntry]:
        try:
            with self._lock:
                return [OutboxEntry(*row) for row in self._db.execute(_SQL["pending"], (after, limit))]
        except sqlite3.Error as error:
            raise self._failure("read", error) from error

    def waiting(self) -> int:
        return self._waiting

    def acknowledge(self, keys: Iterable[int], position: Position, now: float) -> None:
        try:
            with self._transaction() as db:
                before = db.execute(_SQL["kept_time"]).fetchone()
                time = KeptTime(*(before or (now, now))).at(now)
                db.execute(_SQL["set_kept_time"], time)
                changed = db.executemany(_SQL["acknowledge"], [(time.now, key) for key in keys]).rowcount
                db.execute(_SQL["prune"], (time.oldest,))
                db.execute(_SQL["set_position"], position)
            self._waiting -= max(changed, 0)
        except sqlite3.Error as error:
            raise self._failure("write", error) from error

    def discard(self, keys: Iterable[int]) -> None:
        try:
            with self._transaction() as db:
                changed = db.executemany(_SQL["discard"], [(key,) for key in keys]).rowcount
            self._waiting -= max(changed, 0)
        except sqlite3.Error as error:
            raise self._failure("write", error) from error

    def position(self) -> Position | None:
        try:
            with self._lock:
                row = self._db.execute(_SQL["position"]).fetchone()
        except sqlite3.Error as error:
            raise self._failure("read", error) from error
        return Position(*row) if row else None

    def rewind(self) -> int:
        try:
            with self._transaction() as db:
                count = db.execute(_SQL["rewind"]).rowcount
            self._waiting += count
        except sqlite3.Error as error:
            raise self._failure("write", error) from error
        return count

    def close(self) -> None:
        with self._lock:
            self._db.close()
