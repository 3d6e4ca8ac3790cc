"""What has to be the same on every machine of an installation, as the server has it: digests, and one place at home."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.identity.people.postgres.connection import SQL, connect_registry, migrate, translated, value
from healthsync_mqtt.postgres.connection import Connection, ServerPlace, abandon

_HOME_S: Final = 5.0
_LOOK_S: Final = 0.2


def agreed(place: ServerPlace, name: str, mark: str, now_us: int) -> str:
    """The installation's mark of a thing; ours becomes it where there is none. StoreError."""
    with _connection(place) as connection, translated():
        connection.execute(SQL["note_mark"].encode(), (name, mark, now_us))
        return str(value(connection, SQL["mark"], name))


def known(place: ServerPlace, name: str) -> str | None:
    """The installation's mark of a thing; None: it has none yet. StoreError."""
    with _connection(place) as connection, translated():
        found = value(connection, SQL["mark"], name)
        return None if found is None else str(found)


def listed(place: ServerPlace, prefix: str) -> dict[str, str]:
    """The marks of all things whose names begin so, by the rest of it. StoreError."""
    with _connection(place) as connection, translated():
        rows = connection.execute(SQL["marks"].encode(), (prefix,)).fetchall()
        return {str(name).removeprefix(prefix): str(mark) for name, mark in rows}


def change(place: ServerPlace, name: str, mark: str, now_us: int) -> None:
    """From now on this is the installation's mark. StoreError."""
    with _connection(place) as connection, translated():
        connection.execute(SQL["change_mark"].encode(), (name, mark, now_us))


@contextmanager
def home(place: ServerPlace) -> Iterator[None]:
    """Be the one place of an installation where persons are erased. UnavailableError where there is another.

    The server gives the place back with the connection: a bridge that was killed is waited for.
    """
    with _connection(place) as connection:
        until = time.monotonic() + _HOME_S
        while not _taken(connection, place):
            if time.monotonic() >= until:
                raise UnavailableError(
                    "another bridge of this registry keeps the files about persons, and erases them",
                    hint="set registry.home = false here",
                )
            time.sleep(_LOOK_S)
        yield


def _taken(connection: Connection, place: ServerPlace) -> bool:
    with translated():
        return bool(value(connection, SQL["keep_home"], place.schema))


@contextmanager
def _connection(place: ServerPlace) -> Iterator[Connection]:
    connection: Connection | None = None
    try:
        with translated("the registry could not be opened"):
            connection = connect_registry(place)
            migrate(connection, place)
        yield connection
    finally:
        abandon(connection)
