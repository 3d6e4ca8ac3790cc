"""registry.db as a file: created private, opened durable, migrated in numbered steps."""

import sqlite3
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from sqlite_utils import Database

from healthsync_mqtt.config.private_files import create_private, make_private_directory
from healthsync_mqtt.errors import ConfigError, StoreError

BUSY_TIMEOUT_S = 5.0
"""How long a call waits for another process that writes; a write is one fsync, so a second wait is already odd."""


def open_database(path: Path) -> Database:
    """The registry at ``path``, created where it is missing, at the newest schema. ConfigError or StoreError."""
    make_private_directory(path.parent)
    create_private(path)
    # The calls are serialised by Registry, which may be used from a worker thread.
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    try:
        database = Database(connection)
        _configure(connection)
        migrate(database)
    except sqlite3.DatabaseError as error:
        connection.close()
        if isinstance(error, sqlite3.OperationalError):
            raise StoreError(f"the registry could not be opened: {error}", hint="is the disk full?") from error
        raise ConfigError(f"{path} is not a registry", hint="restore registry.db from a backup") from error
    except BaseException:
        connection.close()
        raise
    return database


def migrations() -> list[tuple[int, str]]:
    """The numbered steps as (version, SQL), oldest first."""
    folder = resources.files("healthsync_mqtt.identity.people") / "sql"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)
    return [(int(item.name[:4]), item.read_text(encoding="utf-8")) for item in files]


def migrate(database: Database) -> None:
    """Bring the schema to the newest version, all steps or none; ConfigError when a newer program wrote it."""
    steps = migrations()
    newest = steps[-1][0]
    if _version(database) == newest:
        return
    database.execute("BEGIN IMMEDIATE")  # another process may be at the same step: read the version under the lock
    try:
        version = _version(database)
        _check_known(version, newest)
        for number, script in steps:
            if number > version:
                for statement in _statements(script):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {number}")
        database.commit()
    except BaseException:
        database.rollback()
        raise


def _configure(connection: sqlite3.Connection) -> None:
    # Rollback journal: rare small writes, many short-lived processes. EXTRA is FULL plus a sync of the directory after
    # the journal is deleted; without it a power cut may bring the journal back and undo a committed removal.
    mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
    connection.execute("PRAGMA synchronous = EXTRA")
    connection.execute("PRAGMA foreign_keys = ON")
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    if mode != "delete" or synchronous != 3:
        raise StoreError(f"the registry is not durable (journal {mode}, synchronous {synchronous})")


def _version(database: Database) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _check_known(version: int, newest: int) -> None:
    if version > newest:
        raise ConfigError(
            f"the registry has schema {version}; this program knows {newest}", hint="use the newer release"
        )


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
