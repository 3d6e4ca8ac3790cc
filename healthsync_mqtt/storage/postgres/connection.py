"""Connections to the server that keep its promises: version, durability and schema are checked, not assumed."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.rows import TupleRow

from healthsync_mqtt.errors import StoreError, UnavailableError
from healthsync_mqtt.postgres.connection import OLDEST_SERVER, Connection, ServerPlace, abandon, connect, missed_soon
from healthsync_mqtt.postgres.schema import bring_up, schema_version, take_turn
from healthsync_mqtt.storage.postgres.arrays import register
from healthsync_mqtt.storage.postgres.faults import (
    AloneError,
    OtherLogError,
    ServerGoneError,
    ServerUnsafeError,
    store_error,
)
from healthsync_mqtt.storage.postgres.statements import migrations, statements

_SQL = statements("writer")

#: The first server that ends a session that asks for nothing.
SESSIONS_END: Final = 140000

#: Of a session: one service for a log, or any number that have agreed to share it.
ALONE_LOCK: Final = 0x48534541

#: Whoever makes or changes the schema has this lock.
_SCHEMA_LOCK: Final = 0x4853454C

_CHANGE_S: Final = 2.0
_LOOK_S: Final = 0.05

#: A writer that stops in the middle of a group holds up every other one: after this the server ends its transaction.
_IDLE_MS: Final = 10_000

#: So long a group waits for the groups of other bridges before it is tried again.
_LOCK_MS: Final = 10_000

#: So long the server may take nothing of what was sent.
_UNSENT_MS: Final = 10_000

#: What a session looks up is always few rows by an index: a plan that was made for an empty table must not stay.
_WRITER: Final = (
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    f"SET idle_in_transaction_session_timeout = {_IDLE_MS}",
    "SET jit = off",  # a plan of the three above counts as dear, and is not
    f"SET lock_timeout = {_LOCK_MS}",
)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise what the server reports as StoreError."""
    try:
        yield
    except psycopg.Error as error:
        raise store_error(error, doing) from error


def fetch(connection: Connection, statement: bytes, bindings: Any = ()) -> list[Any]:
    """All rows of a statement that gives some. They come as they are stored, not as text."""
    with connection.cursor(binary=True) as cursor:
        return cursor.execute(statement, bindings).fetchall()


def run(connection: Connection, statement: bytes, bindings: Any = ()) -> int:
    """A statement that changes rows; how many."""
    with connection.cursor(binary=True) as cursor:
        return cursor.execute(statement, bindings).rowcount


def asked(connection: Connection, statement: bytes, bindings: Any = ()) -> psycopg.Cursor[TupleRow]:
    """A statement whose answer is looked at later: inside of a pipeline, several go to the server at once."""
    return connection.cursor(binary=True).execute(statement, bindings)


def connect_writer(place: ServerPlace) -> Connection:
    """A connection that writes, with everything made sure that an acknowledgement rests on."""
    connection = _connect(place, "healthsync-writer")
    try:
        missed_soon(connection)  # its lock keeps every other service away
        refuse_unsafe(connection)
        refuse_pooler(connection)
        _refuse_standby(connection)
        for setting in _WRITER:
            connection.execute(setting.encode())
        keep_durable(connection, *fetch(connection, _SQL["durability"])[0])
    except BaseException:
        abandon(connection)
        raise
    return connection


def connect_reader(place: ServerPlace) -> Connection:
    """A connection that only reads."""
    connection = _connect(place, "healthsync-reader")
    try:
        connection.execute(b"SET default_transaction_read_only = on")
        connection.execute(b"SET jit = off")
    except BaseException:
        abandon(connection)
        raise
    return connection


def migrate(connection: Connection, place: ServerPlace) -> None:
    """Make the schema, or bring it up to date: all steps or none, one process at a time, and while nobody writes.

    AloneError where somebody else does, UnavailableError for a newer schema: the connection is of no use then.
    """
    if _known_version(connection, place) == migrations()[-1][0]:
        return
    take_turn(connection, _SCHEMA_LOCK, "session", what="the event log", usual_ms=_LOCK_MS)
    version = _known_version(connection, place)
    if version < migrations()[-1][0]:
        take_for_change(connection, place)
        with connection.transaction():
            bring_up(connection, place, migrations(), version)
            connection.execute(_SQL["set_meta"], ("identity_secret", secrets.token_bytes(32)))
            if not fetch(connection, _SQL["epochs"]):
                connection.execute(_SQL["mint_epoch"], (secrets.token_hex(8),))
        # Before the other lock: whoever waits for that one finds this one free.
        fetch(connection, _SQL["let_go"], (ALONE_LOCK, place.schema))
    connection.execute(b"SELECT pg_advisory_unlock(%s)", (_SCHEMA_LOCK,))


def take_for_change(connection: Connection, place: ServerPlace) -> None:
    """Have the log alone for a while; AloneError. The session of a service that has just ended may outlive it."""
    until = time.monotonic() + _CHANGE_S
    while not fetch(connection, _SQL["take_alone"], (ALONE_LOCK, place.schema))[0][0]:
        if time.monotonic() >= until:
            raise AloneError(
                "the tables of the event log are to be changed, and another service writes them",
                hint="stop all services of this log, then start one that is upgraded: it changes them",
            )
        time.sleep(_LOOK_S)


def _known_version(connection: Connection, place: ServerPlace) -> int:
    """Which schema there is; 0: none. UnavailableError for one that a newer program made."""
    version, newest = schema_version(connection, place), migrations()[-1][0]
    if version > newest:
        raise UnavailableError(
            f"the event log has schema {version}, and this program knows {newest}",
            hint="a newer HealthSync wrote it: upgrade this one",
        )
    return version


def refuse_other_schema(connection: Connection, place: ServerPlace) -> None:
    """UnavailableError where the schema is another one than this program's."""
    _known_version(connection, place)
    refuse_empty(connection, place)


def told_on(place: ServerPlace) -> str:
    """The channel on which bridges that share a log tell each other of commits."""
    return f"{place.schema}_log"


def connect_watcher(place: ServerPlace, name: str) -> Connection:
    """A connection that waits: the server ends it soon when its machine is gone, or when it has stopped asking."""
    connection = _connect(place, name)
    try:
        refuse_pooler(connection)
        missed_soon(connection)
        if connection.info.server_version >= SESSIONS_END:
            connection.execute(f"SET idle_session_timeout = {_IDLE_MS}".encode())
    except BaseException:
        abandon(connection)
        raise
    return connection


def refuse_empty(connection: Connection, place: ServerPlace) -> None:
    """UnavailableError where there is no log, or one that a service of this release has not opened yet."""
    version = schema_version(connection, place)
    if version == 0:
        raise UnavailableError(
            "there is no event log in this database yet", hint="start the service once: healthsync up"
        )
    if version < migrations()[-1][0]:
        raise UnavailableError(
            "the event log in this database has an older schema",
            hint="start the service once to migrate it: healthsync up",
        )


class LastPlace(NamedTuple):
    """What stays of a row for as long as there is a log, purged or not."""

    seq: int
    identity: bytes
    received_us: int

    def witness(self, secret: bytes) -> str:
        """A digest that another row, or the same event received at another time, does not have."""
        row = b"%d:%b:%d" % (self.seq, self.identity, self.received_us)
        return blake2b(row, digest_size=16, key=secret).hexdigest()


def other_log() -> OtherLogError:
    """What is there has another name, or not the rows that were there."""
    return OtherLogError(
        "behind storage.url is another event log than the one that was opened, or it has lost rows",
        hint="did a standby take over, or was a backup restored? start the service again: it says what is missing",
    )


def row_at(connection: Connection, seq: int) -> LastPlace | None:
    """What stays of a row; None where there is none yet."""
    return next((LastPlace(*row) for row in fetch(connection, _SQL["row_at"], (seq,))), None)


class LogFacts:
    """What a log says of itself. The secret makes the digests of identities; ``former`` are names that it had."""

    __slots__ = ("epoch", "former", "secret")

    def __init__(self, connection: Connection) -> None:
        self.secret = bytes(dict(fetch(connection, _SQL["meta"]))["identity_secret"])
        self.epoch: str
        self.former: list[str]
        self.epoch, *self.former = (row[0] for row in fetch(connection, _SQL["epochs"]))

    def refuse_other(self, connection: Connection, last: LastPlace | None = None) -> None:
        """OtherLogError where a new connection leads to another log, or to one that has lost the row ``last``."""
        if LogFacts(connection).epoch == self.epoch and (last is None or row_at(connection, last.seq) == last):
            return
        raise other_log()


def _connect(place: ServerPlace, name: str) -> Connection:
    connection = connect(place, name, setting="storage.url", wrong=StoreError, unsent_ms=_UNSENT_MS)
    try:
        register(connection)
        _refuse_strange(connection)
    except BaseException:
        abandon(connection)
        raise
    return connection


def _refuse_strange(connection: Connection) -> None:
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        raise UnavailableError(f"PostgreSQL {version // 10000} is too old", hint="use PostgreSQL 13 or newer")
    if _value(connection, b"SHOW server_encoding") != "UTF8":
        raise UnavailableError(
            "the database is not in UTF-8", hint="createdb --encoding=UTF8 --template=template0 healthsync"
        )


def refuse_unsafe(connection: Connection) -> None:
    """ServerUnsafeError for a server that may lose what it says is durable."""
    fsync, pages, _ = fetch(connection, _SQL["durability"])[0]
    _refuse_lossy(fsync, pages)


def keep_durable(connection: Connection, fsync: str, pages: str, commit: str) -> None:
    """What the next COMMIT rests on, as the server has it now: it reads its settings again while sessions last.

    ServerUnsafeError where it may lose what it says is durable. A COMMIT that would not wait for the disk does so.
    """
    _refuse_lossy(fsync, pages)
    if commit == "off":
        connection.execute(b"SET synchronous_commit = on")


def _refuse_lossy(fsync: str, pages: str) -> None:
    for name, setting, risk in (
        ("fsync", fsync, "a power cut would lose"),
        ("full_page_writes", pages, "a power cut could damage"),
    ):
        if setting != "on":
            raise ServerUnsafeError(
                f"this PostgreSQL has {name} = off: {risk} what was acknowledged",
                hint=f"set {name} = on in postgresql.conf, and restart the server",
            )


def _refuse_standby(connection: Connection) -> None:
    """ServerGoneError for a server that takes no writes yet: rows that it seems to have lost may be on their way."""
    if _value(connection, b"SELECT pg_is_in_recovery()"):
        raise ServerGoneError(
            "this PostgreSQL is a standby: it takes no writes",
            hint="name all servers and target_session_attrs=read-write in storage.url; it is tried again",
        )


def refuse_pooler(connection: Connection) -> None:
    """ServerUnsafeError where something in between gives sessions of the server to several of us.

    Locks belong to a session: two services could have the same one, and each would think that it is alone, or leads.
    A pooler says a number of its own for the session's process.
    """
    if connection.info.backend_pid != _value(connection, b"SELECT pg_backend_pid()"):
        raise ServerUnsafeError(
            "between this service and PostgreSQL is a connection pooler, and the locks of a log are a session's",
            hint="name the server itself in storage.url (not PgBouncer)",
        )


def _value(connection: Connection, statement: bytes, bindings: Any = ()) -> Any:
    row = connection.execute(statement, bindings).fetchone()
    return None if row is None else row[0]
