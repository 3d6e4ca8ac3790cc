"""The audit log's rows on the server of the registry, in the words of ``sqlite3`` that ``AuditLog`` uses."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

import psycopg
from psycopg.rows import TupleRow

from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.identity.people.postgres import marks
from healthsync_mqtt.identity.people.postgres.connection import (
    begin_alone,
    commit_durably,
    connect_registry,
    translated,
)
from healthsync_mqtt.identity.people.postgres.dialect import for_postgres
from healthsync_mqtt.postgres.connection import Connection, ServerPlace, abandon

_NAME: Final = "audit key"


class AuditServer:
    """Where the rows are, and which key is theirs."""

    def __init__(self, place: ServerPlace) -> None:
        self._place = place

    def connect(self) -> "ServerRows":
        """A connection to them. StoreError."""
        with translated("the audit log could not be opened"):
            return ServerRows(connect_registry(self._place), self._place)

    def refuse_new_key(self, key_file: Any) -> None:
        """ConfigError where the installation has a key already: pseudonyms are one on all machines."""
        if marks.known(self._place, _NAME) is not None:
            raise ConfigError(f"{key_file} is missing", hint="copy it from another machine of this registry")

    def agree(self, mark: str, key_file: Any) -> None:
        """ConfigError where the installation has another key than the one of this mark."""
        if marks.agreed(self._place, _NAME, mark, time.time_ns() // 1000) != mark:
            raise ConfigError(
                f"{key_file} is not the key of the other machines of this registry",
                hint="one person would have two pseudonyms: copy theirs over it",
            )


class ServerRows:
    """One connection; a transaction of it waits for those of all other machines."""

    def __init__(self, connection: Connection, place: ServerPlace) -> None:
        self._connection = connection
        self._place = place

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> psycopg.Cursor[TupleRow]:
        """Run a statement of SQLite's."""
        with translated("the audit log could not be used"):
            if statement == "BEGIN IMMEDIATE":
                # It writes in any case: where all notes are rows already, their standby is waited for, too.
                begin_alone(self._connection, self._place, "lock_audit")
                return self._connection.cursor()
            return self._connection.execute(for_postgres(statement), parameters)

    def commit(self) -> None:
        """Make it durable, wherever commits wait for. StoreError; then it may be there all the same."""
        with translated("the audit log could not be written"):
            commit_durably(self._connection)

    def close(self) -> None:
        """Close the connection; what was not committed is not there."""
        abandon(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """``close`` ends what was begun."""
