"""Connections to events.db that keep its promises: versions, modes and permissions are checked, not assumed."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw

from healthsync_mqtt.config.private_files import sync_directory
from healthsync_mqtt.errors import StoreError, UnavailableError
from healthsync_mqtt.storage.sqlite.faults import DamagedError, store_error
from healthsync_mqtt.storage.sqlite.statements import migrations

#: "HSEL" in the file's header: this is an event log of HealthSync.
APPLICATION_ID = 0x4853454C

#: The first SQLite whose WAL cannot lose committed rows to a second connection (fixed upstream in 2026).
OLDEST_SQLITE = (3, 51, 3)

#: The setting and what SQLite answers for it. With NORMAL a power cut loses acknowledged events.
SYNCHRONOUS = ("FULL", 2)

#: The WAL is copied into the database when it has grown to this many pages (4 MB). The log only grows at its end, so
#: waiting for more would save no write and make the one commit that does it slower.
CHECKPOINT_PAGES = 1000

#: The event loop waits for this lock, so the writer gives up early; readers never hold it.
WRITER_BUSY_MS = 1000
_READER_BUSY_MS = 5000

_WAL_BYTES_KEPT = 64 * 1024 * 1024
_WRITER_CACHE_KIB = 32 * 1024
_READER_CACHE_KIB = 4 * 1024


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise what SQLite reports as StoreError, and text that is not UTF-8, which only damage leaves there."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DamagedError(f"the event log is damaged: {doing}", hint="restore events.db from a backup") from error
    except apsw.Error as error:
        raise store_error(error, doing) from error


def fetch(connection: apsw.Connection, sql: str, bindings: Any = ()) -> list[Any]:
    """All rows of a statement, or of each statement of a script."""
    return connection.execute(sql, bindings).fetchall()


def fetch_value(connection: apsw.Connection, sql: str, bindings: Any = ()) -> Any:
    """The first column of the first row."""
    return connection.execute(sql, bindings).fetchall()[0][0]


def abandon(connection: apsw.Connection) -> None:
    """Close after a failure. What this finds wrong is not news, and what is committed is in the WAL already."""
    with suppress(apsw.Error):
        connection.close(force=True)


@contextmanager
def snapshot(connection: apsw.Connection) -> Iterator[None]:
    """Statements that see the same committed state; what SQLite reports is raised as StoreError. May be nested."""
    if connection.in_transaction:
        yield
        return
    with translated("reading"):
        fetch(connection, "BEGIN")
        try:
            yield
        finally:
            fetch(connection, "COMMIT")


def refuse_old_sqlite(version: str) -> None:
    """StoreError when this SQLite may lose committed rows."""
    if tuple(int(part) for part in version.split(".")) < OLDEST_SQLITE:
        raise StoreError(f"SQLite {version} can lose committed rows", hint="install apsw >= 3.51.3")


def open_writer(path: Path, *, create: bool, vfs: str | None, exclusive: bool) -> apsw.Connection:
    """A connection in WAL mode with ``synchronous=FULL``; its schema may be missing or older."""
    refuse_old_sqlite(apsw.sqlite_lib_version())
    _check_file(path, create=create)
    with translated("opening"):
        connection = apsw.Connection(
            os.fspath(path), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE, vfs=vfs
        )
    try:
        with translated("opening"):
            _prepare(connection, path, exclusive=exclusive)
            _check_schema(connection)
    except BaseException:
        abandon(connection)
        raise
    return connection


def connected(path: Path) -> apsw.Connection:
    """A connection that waits: whoever opens a file, or closes it last, has it alone for a moment. apsw.Error."""
    connection = apsw.Connection(os.fspath(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(_READER_BUSY_MS)
    return connection


def open_reader(path: Path) -> apsw.Connection:
    """A connection that cannot change a row. It may write the WAL's index, which a reader needs when it comes first."""
    refuse_old_sqlite(apsw.sqlite_lib_version())
    if not path.is_file():
        raise UnavailableError(f"there is no event log at {path}", hint="start the service once: healthsync up")
    with translated("opening"):
        connection = connected(path)
    try:
        with translated("opening"):
            fetch(connection, "PRAGMA query_only=ON")
            fetch(connection, f"PRAGMA cache_size=-{_READER_CACHE_KIB}")
            _check_schema(connection)
            _refuse_older_schema(connection, path)
    except BaseException:
        abandon(connection)
        raise
    return connection


def migrate(connection: apsw.Connection) -> None:
    """Bring the schema up to date, each step in one transaction. Idempotent. StoreError for a newer schema."""
    _check_schema(connection)
    for version, script in migrations():
        if version <= _pragma(connection, "user_version"):
            continue
        fetch(connection, "BEGIN IMMEDIATE")
        try:
            fetch(connection, script)
            fetch(connection, f"PRAGMA application_id={APPLICATION_ID}")
            fetch(connection, f"PRAGMA user_version={version}")
            fetch(connection, "COMMIT")
        except BaseException:
            if connection.in_transaction:
                fetch(connection, "ROLLBACK")
            raise


def _check_file(path: Path, *, create: bool) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        if not create:
            raise UnavailableError(
                f"there is no event log at {path}", hint="start the service once: healthsync up"
            ) from None
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        sync_directory(path.parent)  # SQLite syncs the directory for its WAL only
        return
    if not stat.S_ISREG(mode):
        raise StoreError(f"{path} is a symbolic link or no plain file", hint=f"put the file itself at {path}")
    if mode & 0o077:
        raise StoreError(f"{path} can be read by other users of this machine", hint=f"chmod 600 {path}")


def _prepare(connection: apsw.Connection, path: Path, *, exclusive: bool) -> None:
    connection.set_busy_timeout(WRITER_BUSY_MS)
    if exclusive:
        fetch(connection, "PRAGMA locking_mode=EXCLUSIVE")
    # Takes effect in a file without tables; an older file keeps its free pages until it is vacuumed once.
    fetch(connection, "PRAGMA auto_vacuum=INCREMENTAL")
    if fetch(connection, "PRAGMA journal_mode=WAL") != [("wal",)]:
        raise StoreError(f"{path} is on a file system without write-ahead logging", hint="use a local disk")
    word, number = SYNCHRONOUS
    fetch(connection, f"PRAGMA synchronous={word}")
    if _pragma(connection, "synchronous") != number:
        raise StoreError("SQLite does not sync each commit", hint="install apsw from PyPI")
    fetch(connection, "PRAGMA foreign_keys=ON")
    fetch(connection, f"PRAGMA journal_size_limit={_WAL_BYTES_KEPT}")
    fetch(connection, f"PRAGMA cache_size=-{_WRITER_CACHE_KIB}")
    fetch(connection, "PRAGMA temp_store=MEMORY")
    # Where it costs no write of its own; who erases a user has all of it overwritten.
    fetch(connection, "PRAGMA secure_delete=FAST")


def _check_schema(connection: apsw.Connection) -> None:
    application, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    tables = fetch_value(connection, "SELECT count(*) FROM sqlite_schema")
    if application != APPLICATION_ID and (application or version or tables):
        raise DamagedError("the file is a database of another program", hint="use another data directory")
    if version > migrations()[-1][0]:
        raise StoreError(
            f"the event log was written by a newer version (schema {version})",
            hint="upgrade: in the checkout, git pull, then scripts/up or pip install .",
        )


def _refuse_older_schema(connection: apsw.Connection, path: Path) -> None:
    if _pragma(connection, "user_version") != migrations()[-1][0]:
        raise UnavailableError(
            f"the event log at {path} has an older schema", hint="start the service once to migrate it: healthsync up"
        )


def _pragma(connection: apsw.Connection, name: str) -> int:
    return int(fetch_value(connection, f"PRAGMA {name}"))


def has_schema(connection: apsw.Connection) -> bool:
    """Whether there are tables; a file that was just created has none."""
    return _pragma(connection, "user_version") > 0
