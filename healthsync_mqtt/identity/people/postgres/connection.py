"""Connections to the server of a registry, and what it reports, as errors that say what to do."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import errors, sql
from psycopg.rows import TupleRow
from psycopg.types.string import StrDumper

from healthsync_mqtt import sql_files
from healthsync_mqtt.config.private_files import read_private
from healthsync_mqtt.errors import ConfigError, StoreError, UnavailableError

Connection = psycopg.Connection[TupleRow]

SQL: Final = sql_files.statements(__package__ or "", "queries", "server.sql")
_OLDEST: Final = 130000
_SCHEMA_LOCK: Final = 0x48535246

#: How long a change waits for one of another process.
_PATIENCE_MS: Final = 5_000

_TRANSPORT: Final = {
    "connect_timeout": 3, "keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
    "tcp_user_timeout": 5_000, "client_encoding": "UTF8",
}  # fmt: skip

_REFUSED: Final = (
    errors.InsufficientPrivilege,
    errors.InvalidPassword,
    errors.InvalidAuthorizationSpecification,
    errors.InvalidCatalogName,
    errors.ReadOnlySqlTransaction,
)


class RegistryGoneError(StoreError):
    """The server of the registry does not answer: nothing was changed."""

    reason = "unreachable"


@dataclass(frozen=True, slots=True)
class RegistryPlace:
    """Where a registry is: a server's database, and the schema in it. The URL is never shown."""

    url: str
    password_file: Path | None = None
    schema: str = "healthsync_registry"

    def __repr__(self) -> str:
        """Without the URL."""
        return f"RegistryPlace(schema={self.schema!r})"


@contextmanager
def translated(doing: str = "the registry could not be used") -> Iterator[None]:
    """Raise what the server reports as StoreError. It names no value of any row."""
    try:
        yield
    except psycopg.Error as error:
        raise _store_error(error, doing) from error


def _store_error(error: psycopg.Error, doing: str) -> StoreError:
    name = type(error).__name__
    if isinstance(error, _REFUSED):
        hint = "check user, password, database and privileges of registry.url, and that it names the primary server"
        return StoreError(f"{doing}: PostgreSQL refuses ({name})", hint=hint)
    if isinstance(error, (errors.QueryCanceled, errors.LockNotAvailable)):
        return StoreError(f"{doing}: PostgreSQL was busy ({name})", hint="try again; see the server's log if it lasts")
    if isinstance(error, (errors.DiskFull, errors.OutOfMemory)):
        return StoreError(f"{doing}: PostgreSQL has no room ({name})", hint="free disk space on the server")
    if isinstance(error, psycopg.OperationalError):
        hint = "is the server of registry.url up? nothing is changed while it is away; known logins go on"
        return RegistryGoneError(f"{doing}: PostgreSQL cannot be reached ({name})", hint=hint)
    return StoreError(f"{doing}: PostgreSQL says {name}", hint="report this message with the log")


def connect(place: RegistryPlace) -> Connection:
    """A connection that keeps what a change of the registry promises. psycopg.Error or HealthSyncError."""
    secret = None if place.password_file is None else read_private(place.password_file).decode().rstrip("\r\n")
    try:
        connection: Connection = psycopg.connect(
            place.url,
            autocommit=True,
            application_name="healthsync-registry",
            password=secret,
            cursor_factory=psycopg.RawCursor,
            **_TRANSPORT,  # type: ignore[arg-type]
        )
    except psycopg.ProgrammingError as error:  # its text repeats the URL
        raise ConfigError(
            "registry.url is not one that PostgreSQL understands", hint="postgresql://user@host/database"
        ) from error
    try:
        _prepare(connection, place)
    except BaseException:
        abandon(connection)
        raise
    return connection


def _prepare(connection: Connection, place: RegistryPlace) -> None:
    connection.adapters.register_dumper(str, StrDumper)  # text, and not what the place of it may be taken for
    if connection.info.server_version < _OLDEST:
        raise UnavailableError("this PostgreSQL is too old", hint="use PostgreSQL 13 or newer")
    if value(connection, "SHOW server_encoding") != "UTF8":
        raise UnavailableError(
            "the database of the registry is not in UTF-8", hint="createdb --encoding=UTF8 --template=template0"
        )
    if value(connection, "SHOW fsync") != "on":
        raise UnavailableError(
            "this PostgreSQL has fsync = off: a power cut would undo what was revoked",
            hint="set fsync = on in postgresql.conf, and restart the server",
        )
    # A revocation that was answered must not come undone: where commits do not wait for the disk, these do.
    if value(connection, "SHOW synchronous_commit") == "off":
        connection.execute(b"SET synchronous_commit = on")
    # Not a statement's time: a COMMIT that waits for a standby would be called done when that ends.
    connection.execute(f"SET lock_timeout = {_PATIENCE_MS}".encode())
    connection.execute(f"SET idle_in_transaction_session_timeout = {2 * _PATIENCE_MS}".encode())
    connection.execute(b"SELECT set_config('search_path', $1, false)", (f'"{place.schema}"',))


def migrate(connection: Connection, place: RegistryPlace) -> None:
    """Make the schema, or bring it up to date: all steps or none, one process at a time. ConfigError for a newer."""
    steps = sql_files.numbered(__package__ or "", "migrations")
    newest = steps[-1][0]
    if schema_version(connection, place) == newest:
        return
    with connection.transaction():
        connection.execute(SQL["lock_schema"].encode(), (_SCHEMA_LOCK,))
        version = schema_version(connection, place)
        if version > newest:
            raise ConfigError(
                f"the registry has schema {version}; this program knows {newest}", hint="use the newer release"
            )
        if version == 0:
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(place.schema)))
            connection.execute(SQL["make_schema_version"].encode())
            connection.execute(SQL["begin_schema_version"].encode())
        for number, script in steps:
            if number > version:
                connection.execute(script.encode())
                connection.execute(SQL["change_schema_version"].encode(), (number,))
        if version == 0:
            connection.execute(SQL["make_erasure_key"].encode(), (secrets.token_bytes(32),))


def described(place: RegistryPlace) -> str:
    """The server and the schema, in words. StoreError."""
    connection: Connection | None = None
    try:
        with translated("the registry could not be opened"):
            connection = connect(place)
            database = value(connection, "SELECT current_database()")
            return f"PostgreSQL {value(connection, 'SHOW server_version')}, database {database}, schema {place.schema}"
    finally:
        abandon(connection)


def schema_version(connection: Connection, place: RegistryPlace) -> int:
    """Which schema there is; 0: none."""
    if value(connection, "SELECT to_regclass($1)::text", f'"{place.schema}".schema_version') is None:
        return 0
    return int(value(connection, SQL["schema_version"]))


def value(connection: Connection, statement: str, *parameters: Any) -> Any:
    """The one value that a statement gives; None: it gives no row."""
    row = connection.execute(statement.encode(), parameters).fetchone()
    return None if row is None else row[0]


def abandon(connection: Connection | None) -> None:
    """Close after a failure; what this finds wrong is not news."""
    if connection is not None:
        with suppress(psycopg.Error):
            connection.close()
