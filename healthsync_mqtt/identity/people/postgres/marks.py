"""What has to be the same on every machine of an installation, as the server has it, in digests."""

from collections.abc import Iterator
from contextlib import contextmanager

from healthsync_mqtt.identity.people.postgres.connection import (
    SQL,
    durable,
    migrate,
    registry_connection,
    translated,
    value,
)
from healthsync_mqtt.postgres.connection import Connection, ServerPlace


def agreed(place: ServerPlace, name: str, mark: str, now_us: int) -> str:
    """The installation's mark of a thing; ours becomes it where there is none. StoreError."""
    with _connection(place) as connection, translated():
        with durable(connection):
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
    with _connection(place) as connection, translated(), durable(connection):
        connection.execute(SQL["change_mark"].encode(), (name, mark, now_us))


@contextmanager
def _connection(place: ServerPlace) -> Iterator[Connection]:
    with registry_connection(place) as connection:
        with translated("the registry could not be opened"):
            migrate(connection, place)
        yield connection
