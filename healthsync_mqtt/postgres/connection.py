"""Where a database is, and a connection to it."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from healthsync_mqtt.config.private_files import read_private
from healthsync_mqtt.errors import HealthSyncError

Connection = psycopg.Connection[TupleRow]

#: The oldest server that is tried.
OLDEST_SERVER: Final = 130000

_TRANSPORT: Final = {
    "connect_timeout": 3, "keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
    "client_encoding": "UTF8",
}  # fmt: skip

_LOGIN_REFUSED: Final = re.compile(
    r"FATAL:\s+(.*authentication failed for user|(role|database) .* does not exist|role .* is not permitted to log in"
    r"|no pg_hba\.conf entry|permission denied for database)|no password supplied"
)

_SESSION: Final = {
    # A VACUUM that takes longer would never be done.
    "statement_timeout": "0",
    # Who waited for a lock must see what was committed meanwhile.
    "default_transaction_isolation": "read committed",
    # A COMMIT that did not wait for its standby says so in a warning.
    "client_min_messages": "warning",
    # What a machine had that is gone makes room again after 11 seconds, and not after two hours.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
"""Of each session, whatever the role, the database or the server has for others."""


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """A server's database, and the schema in it. The URL may hold a password: it is never shown."""

    url: str
    schema: str = "healthsync"
    password_file: Path | None = None

    def __repr__(self) -> str:
        """Without the URL."""
        return f"ServerPlace(schema={self.schema!r})"


def connect(
    place: ServerPlace,
    name: str,
    *,
    setting: str,
    wrong: type[HealthSyncError],
    unsent_ms: int,
    cursors: type[psycopg.Cursor[Any]] = psycopg.Cursor,
) -> Connection:
    """A connection that commits each statement, in the schema of ``place``; who opens it says what else it has to be.

    ``name`` is what the server's own lists call it. What was sent and not taken in ``unsent_ms`` cuts it. Raises
    ``wrong`` for a URL that is none, which ``setting`` named, and psycopg.Error for what the server says.
    """
    secret = None if place.password_file is None else read_private(place.password_file).decode().rstrip("\r\n")
    try:
        connection: Connection = psycopg.connect(
            place.url,
            autocommit=True,
            application_name=name,
            password=secret,
            cursor_factory=cursors,
            tcp_user_timeout=unsent_ms,
            **_TRANSPORT,  # type: ignore[arg-type]
        )
    except psycopg.ProgrammingError as error:  # its text repeats the URL
        raise wrong(
            f"{setting} is not one that PostgreSQL understands", hint="postgresql://user@host/database"
        ) from error
    settings = {"search_path": f'"{place.schema}"'} | _SESSION
    try:
        each = (sql.SQL("set_config({}, {}, false)").format(what, value) for what, value in settings.items())
        connection.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(each)))
    except BaseException:
        abandon(connection)
        raise
    return connection


def missed_soon(connection: Connection) -> None:
    """Have the server give this session's locks back as soon, too, while it waits to be rid of an answer."""
    connection.execute(b"SET tcp_user_timeout = 10000")


def refuses_login(error: psycopg.Error) -> bool:
    """Whether a server that was asked for a connection answered that it lets us in nowhere.

    libpq hands on no code there, and the text is in the server's language: it is known in English alone.
    """
    return error.sqlstate is None and _LOGIN_REFUSED.search(str(error)) is not None


def unremarked(connection: Connection, statement: bytes) -> bool:
    """Run a statement that commits; False where the server had something to say beside the answer.

    A COMMIT whose wait for a standby is broken off (pg_cancel_backend) is answered as any other, with a warning:
    then it is durable on this server and on no other.
    """
    remarks: list[psycopg.errors.Diagnostic] = []
    hear = remarks.append
    connection.add_notice_handler(hear)
    try:
        connection.execute(statement)
    finally:
        connection.remove_notice_handler(hear)
    return not remarks


def abandon(connection: Connection | None) -> None:
    """Close after a failure; what this finds wrong is not news."""
    if connection is not None:
        with suppress(psycopg.Error):
            connection.close()
