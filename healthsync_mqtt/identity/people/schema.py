"""registry.db as a file: created private, opened durable, migrated in numbered steps."""

import sqlite3
from pathlib import Path

from sqlite_utils import Database

from healthsync_mqtt.config.private_files import create_private, make_private_directory
from healthsync_mqtt.errors import ConfigError, StoreError
from healthsync_mqtt.identity import sql
from healthsync_mqtt.identity.sql import numbered
from healthsync_mqtt.sqlite_faults import fix_of

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
            raise StoreError(f"the registry could not be opened: {error}", hint=fix_of(error)) from error
        raise ConfigError(f"{path} is not a registry", hint="restore registry.db from a backup") from error
    except BaseException:
        connection.close()
        raise
    return database


def migrations() -> sql.Steps:
    """The numbered steps as (version, SQL), oldest first."""
    return numbered("people")


def migrate(database: Database) -> None:
    """Bring the schema to the newest version, all steps or none; ConfigError when a newer program wrote it."""
    sql.migrate(database.conn, migrations(), "the registry")


def _configure(connection: sqlite3.Connection) -> None:
    # Rollback journal: rare small writes, many short-lived processes. EXTRA is FULL plus a sync of the directory after
    # the journal is deleted; without it a power cut may bring the journal back and undo a committed removal.
    mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
    connection.execute("PRAGMA synchronous = EXTRA")
    connection.execute("PRAGMA foreign_keys = ON")
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    if mode != "delete" or synchronous != 3:
        raise StoreError(f"the registry is not durable (journal {mode}, synchronous {synchronous})")
