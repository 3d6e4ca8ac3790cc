"""Where the log of a data directory is: in it, or on a server that its settings name."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.errors import UnavailableError

if TYPE_CHECKING:
    from healthsync_mqtt.storage.postgres.server import PostgresServer

_VARIABLE: Final = "HEALTHSYNC_STORAGE__URL"


def server_of(data: Path) -> "PostgresServer | None":
    """The server; None: the log is in the data directory. ConfigError when the settings are wrong.

    Settings are read only where they may name one: most commands need none of them.
    """
    if not any(name.upper() == _VARIABLE for name in os.environ):
        try:
            if b"storage" not in DataPaths(root=data).config_file.read_bytes():
                return None
        except OSError:  # whoever needs the settings says what is wrong with them
            return None
    from healthsync_mqtt.config.settings import load_settings  # noqa: PLC0415

    storage = load_settings(data).storage
    if not storage.url:
        return None
    try:
        from healthsync_mqtt.storage.postgres.server import PostgresServer  # noqa: PLC0415
    except ImportError as error:
        raise UnavailableError(
            "storage.url needs the driver of PostgreSQL", hint="in the checkout: pip install '.[postgres]'"
        ) from error
    return PostgresServer(storage)
