"""Where the log of a data directory is: in it, or on a server that its settings name."""

from pathlib import Path
from typing import TYPE_CHECKING

from healthsync_mqtt.config.named_server import naming_server, no_driver

if TYPE_CHECKING:
    from healthsync_mqtt.storage.postgres.server import PostgresServer


def server_of(data: Path) -> "PostgresServer | None":
    """The server; None: the log is in the data directory. ConfigError when the settings are wrong."""
    settings = naming_server(data, "storage")
    if settings is None:
        return None
    try:
        from healthsync_mqtt.storage.postgres.server import PostgresServer  # noqa: PLC0415
    except ImportError as error:
        raise no_driver("storage") from error
    return PostgresServer(settings.storage)
