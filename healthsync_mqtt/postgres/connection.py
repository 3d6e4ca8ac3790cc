"""Where a database is, and a connection to it."""

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

#: The first server that tells what became of a transaction by its number.
OLDEST_SERVER: Final = 130000

_TRANSPORT: Final = {
    "connect_timeout": 3, "keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
    "client_encoding": "UTF8",
}  # fmt: skip


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
    try:
        path = sql.Literal(f'"{place.schema}"')
        connection.execute(sql.SQL("SELECT set_config('search_path', {}, false)").format(path))
    except BaseException:
        abandon(connection)
        raise
    return connection


def missed_soon(connection: Connection) -> None:
    """Have the server end this session, and give its locks back, 11 seconds after its machine is gone."""
    for setting, seconds in (("idle", 5), ("interval", 2), ("count", 3)):
        connection.execute(f"SET tcp_keepalives_{setting} = {seconds}".encode())
    connection.execute(b"SET tcp_user_timeout = 10000")


def abandon(connection: Connection | None) -> None:
    """Close after a failure; what this finds wrong is not news."""
    if connection is not None:
        with suppress(psycopg.Error):
            connection.close()
