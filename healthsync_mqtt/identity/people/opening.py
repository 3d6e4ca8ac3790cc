"""Where the registry of a data directory is: in it, or on a server that its settings name.

A registry goes by the name of the file that it would be: ``registry.db`` in the data directory. Who has that opens it
here, and need not know which of the two it is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from healthsync_mqtt.config.named_server import naming_server, no_driver
from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.errors import HealthSyncError, UnavailableError
from healthsync_mqtt.identity.people.schema import open_database
from healthsync_mqtt.identity.people.sqlite_tables import SqliteTables
from healthsync_mqtt.identity.people.tables import Tables

if TYPE_CHECKING:
    from healthsync_mqtt.postgres.connection import ServerPlace


def place_of(data: Path) -> "ServerPlace | None":
    """The server; None: the registry is in the data directory. ConfigError when the settings are wrong."""
    settings = naming_server(data, "registry")
    if settings is None:
        return None
    try:
        from healthsync_mqtt.identity.people.postgres.connection import SCHEMA  # noqa: PLC0415
        from healthsync_mqtt.postgres.connection import ServerPlace  # noqa: PLC0415
    except ImportError as error:
        raise no_driver("registry") from error
    return ServerPlace(settings.registry.url, SCHEMA, settings.registry.password_file)


def shared_registry(data: Path) -> str | None:
    """What server the registry is on, in words; None: it is in the data directory. ConfigError, StoreError."""
    place = place_of(data)
    if place is None:
        return None
    from healthsync_mqtt.identity.people.postgres.connection import described  # noqa: PLC0415

    return described(place)


def outdated_registry(data: Path) -> bool:
    """Whether the tables of a registry on a server are of an older release, or not there; of one in a file: never.

    ConfigError, StoreError.
    """
    place = place_of(data)
    if place is None:
        return False
    from healthsync_mqtt.identity.people.postgres.connection import is_outdated  # noqa: PLC0415

    return is_outdated(place)


def migrate_registry(data: Path) -> None:
    """Bring the tables of a registry on a server to this release, or make them. ConfigError, StoreError."""
    place = place_of(data)
    if place is not None:
        from healthsync_mqtt.identity.people.postgres.tables import PostgresTables  # noqa: PLC0415

        PostgresTables.open(place).close()


def has_registry(path: Path) -> bool:
    """Whether there is a registry by this name yet. One on a server is taken to be there: it is made when opened."""
    return path.exists() or place_of(path.parent) is not None


@contextmanager
def be_home(path: Path, lost: Callable[[HealthSyncError], object]) -> Iterator[None]:
    """Be the one that erases persons and keeps files about them. UnavailableError where another machine is.

    ``lost`` is called, from another thread, where another one is later: while the connection to the server was lost.
    What is in the data directory yet moves to the server. A registry in a file is nobody else's.
    """
    place = place_of(path.parent)
    if place is None:
        yield
        return
    from healthsync_mqtt.identity.people.postgres.home import home  # noqa: PLC0415
    from healthsync_mqtt.identity.people.postgres.move import move_in  # noqa: PLC0415

    with home(place, lost):
        move_in(place, path, DataPaths(root=path.parent).audit_db)
        yield


class Turn(Protocol):
    """What one process of an installation does at a time. Everything here blocks."""

    def take(self) -> bool:
        """Whether it is ours, from before or from now on. HealthSyncError or OSError: nobody can tell."""

    def leave(self) -> None:
        """Let another one have it. Idempotent."""


def turn_at_webhooks(path: Path) -> Turn | None:
    """Whose turn it is among all who use a registry on a server; None: this one is in the data directory."""
    place = place_of(path.parent)
    if place is None:
        return None
    from healthsync_mqtt.identity.people.postgres.session_lock import SessionLock  # noqa: PLC0415

    return SessionLock(place, "post_webhooks")


def open_tables(path: Path) -> Tables:
    """Open or create; ConfigError for loose file modes, a foreign or newer one, StoreError when it cannot.

    UnavailableError where there is one on a server and one in the data directory.
    """
    place = place_of(path.parent)
    if place is None:
        return SqliteTables(open_database(path))
    if path.exists():
        raise UnavailableError(
            f"registry.url names a server, and there is a registry in {path}",
            hint="start the service once, it takes them over; where that is not meant, move the file away",
        )
    from healthsync_mqtt.identity.people.postgres.tables import PostgresTables  # noqa: PLC0415

    return PostgresTables.open(place)
