"""Opening adapters.db, for whoever uses it.

Once the log is sealed, so is what a provider calls somebody and something here: ``sealed`` and ``opened`` in
statements, and ``marked`` where a row is found by it. Tokens, deliveries and files are sealed in any case.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, Self

from healthsync_mqtt.config.private_database import open_private_database
from healthsync_mqtt.config.private_database import transaction as bare_transaction
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.keys.opening import ring_made_if_missing
from healthsync_mqtt.keys.ring import KeyRing
from healthsync_mqtt.keys.values import ValueSealing
from healthsync_mqtt.sql_files import numbered, statements
from healthsync_mqtt.sqlite_faults import fix_of

FILE: Final = "adapters.db"

_OLDER: Final = tuple(statements(__package__, "seal.sql").values())


def queries(file: str) -> dict[str, str]:
    """The statements of ``queries/<file>.sql`` by the name in the comment above each."""
    return statements(__package__, "queries", f"{file}.sql")


class LinkFile(NamedTuple):
    """The open file."""

    connection: sqlite3.Connection
    sealing: ValueSealing
    ring: KeyRing

    @classmethod
    def open(cls, data: Path) -> Self:
        """Open or create the file of a data directory. StoreError, ConfigError."""
        connection = open_private_database(data / FILE, numbered(__package__, "sql"))
        connection.execute("PRAGMA foreign_keys=ON")
        _read_beside_who_writes(connection)
        ring = ring_made_if_missing(data)
        try:
            return cls(connection, ValueSealing.writing(connection, data, FILE, _OLDER), ring)
        except sqlite3.Error as error:
            raise fault_of(error) from error

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Around what reads with functions of ``sealing``. UnavailableError as in ``transaction``."""
        try:
            with self.sealing.asking():
                yield
        except sqlite3.Error as error:
            raise fault_of(error) from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside, or nothing of it.

        UnavailableError where another process writes for longer than it is waited for, or the disk is full or fails: it
        is tried again.
        """
        with self.asking(), bare_transaction(self.connection):
            yield


def fault_of(error: sqlite3.Error) -> UnavailableError:
    """What an error of SQLite is to who uses the file."""
    return UnavailableError(f"{FILE} cannot be used now: {error}", hint=fix_of(error))


def _read_beside_who_writes(connection: sqlite3.Connection) -> None:
    """A journal that is written ahead: a commit is one fsync, and keeps no reader waiting.

    Where others have an older file open it stays as it is, and whoever opens it next tries again.
    """
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode=WAL")


def tokens_context(provider: str) -> bytes:
    """What the tokens of a link are sealed with, beside the user's key."""
    return f"adapters:tokens:{provider}".encode()
