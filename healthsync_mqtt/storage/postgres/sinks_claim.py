"""Which directory of sinks belongs to a log that bridges share, and which bridge runs them: sinks are files.

The log has the mark of the directory. A bridge on it ships while it has a lock of its session.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.postgres.connection import Connection, ServerPlace, abandon
from healthsync_mqtt.storage.postgres.connection import connect_writer, fetch, run, translated
from healthsync_mqtt.storage.postgres.statements import statements

_SQL = statements("sinks_claim")

SHIP_LOCK: Final = 0x4853454E
"""Of a session: the one that ships."""


def claimed(connection: Connection) -> str:
    """The mark; empty while no directory is the log's."""
    return next((bytes(value).decode() for (value,) in fetch(connection, _SQL["claimed"])), "")


def take_shipping(connection: Connection, place: ServerPlace) -> bool:
    """Whether nobody else ships: from now on this session does."""
    return bool(fetch(connection, _SQL["take"], (SHIP_LOCK, place.schema))[0][0])


def leave_shipping(connection: Connection, place: ServerPlace) -> None:
    """Let another one ship."""
    fetch(connection, _SQL["leave"], (SHIP_LOCK, place.schema))


def claim(place: ServerPlace, mark: str) -> None:
    """Let this directory be the log's, unless another one is. StoreError."""
    with _writing(place) as connection:
        run(connection, _SQL["claim"], (mark.encode(),))


def adopt(place: ServerPlace, mark: str) -> None:
    """Let this directory be the log's, whichever was. UnavailableError while a bridge ships from that one."""
    with _writing(place) as connection:
        if not take_shipping(connection, place):
            raise UnavailableError(
                "a bridge runs the sinks of this log from another directory now",
                hint="see which one: healthsync status; stop it, and every other one that has that directory",
            )
        run(connection, _SQL["adopt"], (mark.encode(),))


@contextmanager
def _writing(place: ServerPlace) -> Iterator[Connection]:
    connection: Connection | None = None
    try:
        with translated("the log could not be told of its sinks"):
            connection = connect_writer(place)
            yield connection
    finally:
        abandon(connection)
