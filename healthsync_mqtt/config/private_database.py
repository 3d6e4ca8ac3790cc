"""Small databases of the service's own: private, durable at each commit, what is deleted is overwritten."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from healthsync_mqtt.config.private_files import create_private
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.sql_files import Steps, migrate
from healthsync_mqtt.sqlite_faults import fix_of


def open_private_database(path: Path, steps: Steps) -> sqlite3.Connection:
    """Open or create, mode 0600, with the schema of ``steps``; in autocommit, for any thread. StoreError."""
    create_private(path)
    try:
        connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")
        newer = StoreError(f"{path} is of a newer version of this program", hint="use that version")
        migrate(connection, steps, lambda _theirs, _ours: newer, str(path))
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be used: {error}", hint=fix_of(error)) from error
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is written inside, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
