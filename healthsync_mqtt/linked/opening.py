"""Opening adapters.db, for whoever uses it."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from healthsync_mqtt.config.private_database import open_private_database
from healthsync_mqtt.config.private_database import transaction as bare_transaction
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.sql_files import numbered
from healthsync_mqtt.sqlite_faults import fix_of

FILE: Final = "adapters.db"


def open_links(data: Path) -> sqlite3.Connection:
    """Open or create the file of a data directory. StoreError, ConfigError."""
    connection = open_private_database(data / FILE, numbered(__package__, "sql"))
    connection.execute("PRAGMA foreign_keys=ON")
    _read_beside_who_writes(connection)
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is written inside, or nothing of it.

    UnavailableError where another process writes for longer than it is waited for, or the disk is full or fails: it is
    tried again.
    """
    try:
        with bare_transaction(connection):
            yield
    except sqlite3.Error as error:
        raise fault_of(error) from error


def fault_of(error: sqlite3.Error) -> UnavailableError:
    """What an error of SQLite is to who uses the file."""
    return UnavailableError(f"{FILE} cannot be used now: {error}", hint=fix_of(error))


def _read_beside_who_writes(connection: sqlite3.Connection) -> None:
    """A journal that is written ahead: a commit is one fsync, and keeps no reader waiting.

    Where others have an older file open it stays as it is, and whoever opens it next tries again.
    """
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode=WAL")


def each_provider(table: str) -> str:
    """The providers in a table with an index that begins with them: a step for each, however many rows it has."""
    return (
        f"WITH RECURSIVE each (name) AS (SELECT min(provider) FROM {table} UNION ALL"  # noqa: S608  # one of ours
        f" SELECT (SELECT min(provider) FROM {table} WHERE provider > each.name) FROM each WHERE each.name IS NOT NULL)"
        " SELECT name FROM each WHERE name IS NOT NULL"
    )


def tokens_context(provider: str) -> bytes:
    """What the tokens of a link are sealed with, beside the user's key."""
    return f"adapters:tokens:{provider}".encode()
