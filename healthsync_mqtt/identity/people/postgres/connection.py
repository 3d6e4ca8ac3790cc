"""Connections to the server of a registry, and what it reports, as errors that say what to do."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal

import psycopg
from psycopg import errors
from psycopg.types.string import StrDumper

from healthsync_mqtt import sql_files
from healthsync_mqtt.errors import ConfigError, StoreError, UnavailableError
from healthsync_mqtt.postgres.connection import (
    OLDEST_SERVER,
    Connection,
    ServerPlace,
    abandon,
    connect,
    refuses_login,
    unremarked,
)
from healthsync_mqtt.postgres.schema import bring_up, schema_version, take_turn

SQL: Final = sql_files.statements(__package__ or "", "queries", "server.sql")
_SCHEMA_LOCK: Final = 0x48535246

#: How long a change waits for one of another process.
_PATIENCE_MS: Final = 5_000

#: One that stops in the middle of a change holds up every other one: after this the server ends its transaction.
_IDLE_MS: Final = 10_000

#: So long the server may take nothing of what was sent.
_UNSENT_MS: Final = 5_000

#: Where the tables are, beside those of a log in the same database.
SCHEMA: Final = "healthsync_registry"

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


@contextmanager
def translated(doing: str = "the registry could not be used") -> Iterator[None]:
    """Raise what the server reports as StoreError. It names no value of any row."""
    try:
        yield
    except psycopg.Error as error:
        raise _store_error(error, doing) from error


def _store_error(error: psycopg.Error, doing: str) -> StoreError:
    name = type(error).__name__
    if isinstance(error, _REFUSED) or refuses_login(error):
        hint = "check user, password, database and privileges of registry.url, and that it names the primary server"
        return StoreError(f"{doing}: PostgreSQL refuses ({name})", hint=hint)
    if isinstance(error, (errors.QueryCanceled, errors.LockNotAvailable)):
        return StoreError(f"{doing}: PostgreSQL was busy ({name})", hint="try again; see the server's log if it lasts")
    if isinstance(error, (errors.DiskFull, errors.OutOfMemory)):
        return StoreError(f"{doing}: PostgreSQL has no room ({name})", hint="free disk space on the server")
    if isinstance(error, (psycopg.OperationalError, errors.IdleInTransactionSessionTimeout)):  # that ended the session
        hint = "is the server of registry.url up? nothing is changed while it is away; known logins go on"
        return RegistryGoneError(f"{doing}: PostgreSQL cannot be reached ({name})", hint=hint)
    return StoreError(f"{doing}: PostgreSQL says {name}", hint="report this message with the log")


def connect_registry(place: ServerPlace) -> Connection:
    """A connection that keeps what a change of the registry promises. psycopg.Error or HealthSyncError."""
    connection = connect(
        place,
        "healthsync-registry",
        setting="registry.url",
        wrong=ConfigError,
        unsent_ms=_UNSENT_MS,
        cursors=psycopg.RawCursor,
    )
    try:
        _prepare(connection)
    except BaseException:
        abandon(connection)
        raise
    return connection


def _prepare(connection: Connection) -> None:
    connection.adapters.register_dumper(str, StrDumper)  # text, and not what the place of it may be taken for
    if connection.info.server_version < OLDEST_SERVER:
        raise UnavailableError("this PostgreSQL is too old", hint="use PostgreSQL 13 or newer")
    if value(connection, "SHOW server_encoding") != "UTF8":
        raise UnavailableError(
            "the database of the registry is not in UTF-8", hint="createdb --encoding=UTF8 --template=template0"
        )
    keep_durable(connection)
    # Not a statement's time: a COMMIT that waits for a standby would be called done when that ends.
    connection.execute(f"SET lock_timeout = {_PATIENCE_MS}".encode())
    connection.execute(f"SET idle_in_transaction_session_timeout = {_IDLE_MS}".encode())


def keep_durable(connection: Connection) -> None:
    """A revocation that was answered must not come undone: where commits do not wait for the disk, these do.

    UnavailableError where none does. A server reads its settings again while sessions last, so a change asks anew.
    """
    row = connection.execute(SQL["durability"].encode()).fetchone()
    fsync, commit = row or ("", "")
    if fsync != "on":
        raise UnavailableError(
            "this PostgreSQL has fsync = off: a power cut would undo what was revoked",
            hint="set fsync = on in postgresql.conf, and restart the server",
        )
    if commit == "off":
        connection.execute(b"SET synchronous_commit = on")


def begin_alone(connection: Connection, place: ServerPlace, lock: Literal["lock", "lock_audit"]) -> None:
    """BEGIN, and wait for all others that change it. StoreError where a newer release has changed its tables.

    A migration takes that lock, too: what an older release writes into newer tables may lack something.
    """
    connection.execute(b"BEGIN")
    connection.execute(SQL[lock].encode(), (place.schema,))
    refuse_newer(connection)


def refuse_newer(connection: Connection) -> None:
    """StoreError where a newer release has changed the tables since this program opened them."""
    version, newest = value(connection, SQL["version"]), _steps()[-1][0]
    if version > newest:
        raise StoreError(
            f"the registry has schema {version}, and this program knows {newest}: it changes nothing there",
            hint="a newer HealthSync has changed its tables: upgrade this one",
        )


@contextmanager
def durable(connection: Connection) -> Iterator[None]:
    """A transaction that ends with ``commit_durably``; what it did may be there after a StoreError, too."""
    connection.execute(b"BEGIN")
    try:
        yield
    except BaseException:
        with suppress(psycopg.Error):
            connection.execute(b"ROLLBACK")
        raise
    commit_durably(connection)


def commit_durably(connection: Connection) -> None:
    """COMMIT; where its wait for a standby is broken off, one more commit waits for both. StoreError, psycopg.Error.

    On another machine than the server something is done next that rests on it: a file gets its new name, somebody is
    answered.
    """
    if not unremarked(connection, b"COMMIT") and not unremarked(connection, SQL["write_again"].encode()):
        raise StoreError(
            "PostgreSQL did not wait for its standby: it is on the disk of one machine",
            hint="who broke off the wait? do it again when the standby is there",
        )


def migrate(connection: Connection, place: ServerPlace) -> None:
    """Make the schema, or bring it up to date: all steps or none, one process at a time. ConfigError for a newer."""
    steps = _steps()
    if schema_version(connection, place) == steps[-1][0]:
        return
    with connection.transaction():
        take_turn(connection, _SCHEMA_LOCK, "transaction", what="the registry", usual_ms=_PATIENCE_MS)
        version = _known_version(connection, place)
        if version < steps[-1][0]:
            for writer in ("lock", "lock_audit"):  # who has one has looked at the version before, and ends in time
                connection.execute(SQL[writer].encode(), (place.schema,))
            bring_up(connection, place, steps, version)
        if version == 0:
            connection.execute(SQL["make_erasure_key"].encode(), (secrets.token_bytes(32),))


@contextmanager
def registry_connection(place: ServerPlace) -> Iterator[Connection]:
    """A connection for as long as the ``with`` lasts. StoreError where there is none."""
    with translated("the registry could not be opened"):
        connection = connect_registry(place)
    try:
        yield connection
    finally:
        abandon(connection)


def is_outdated(place: ServerPlace) -> bool:
    """Whether ``migrate`` has something to do. ConfigError for a newer schema, StoreError."""
    with registry_connection(place) as connection, translated("the registry could not be opened"):
        return _known_version(connection, place) != _steps()[-1][0]


def _steps() -> sql_files.Steps:
    return sql_files.numbered(__package__ or "", "migrations")


def _known_version(connection: Connection, place: ServerPlace) -> int:
    version, newest = schema_version(connection, place), _steps()[-1][0]
    if version > newest:
        raise ConfigError(
            f"the registry has schema {version}; this program knows {newest}", hint="use the newer release"
        )
    return version


def described(place: ServerPlace) -> str:
    """The server and the schema, in words. StoreError."""
    with registry_connection(place) as connection, translated("the registry could not be opened"):
        database = value(connection, "SELECT current_database()")
        return f"PostgreSQL {value(connection, 'SHOW server_version')}, database {database}, schema {place.schema}"


def value(connection: Connection, statement: str, *parameters: Any) -> Any:
    """The one value that a statement gives; None: it gives no row."""
    row = connection.execute(statement.encode(), parameters).fetchone()
    return None if row is None else row[0]
