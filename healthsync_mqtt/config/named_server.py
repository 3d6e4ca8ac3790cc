"""Whether the settings of a data directory name a server for something. Most commands need none of the others."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.errors import UnavailableError

if TYPE_CHECKING:
    from healthsync_mqtt.config.settings import Settings


def naming_server(data: Path, section: str) -> "Settings | None":
    """The settings, where ``url`` of this section is set. ConfigError when they are wrong.

    They are read only where they may name one.
    """
    variable = f"HEALTHSYNC_{section.upper()}__URL"
    if not any(name.upper() == variable for name in os.environ):
        try:
            if section.encode() not in DataPaths(root=data).config_file.read_bytes():
                return None
        except OSError:  # whoever needs the settings says what is wrong with them
            return None
    from healthsync_mqtt.config.settings import load_settings  # noqa: PLC0415

    found = load_settings(data)
    return found if getattr(found, section).url else None


def no_driver(section: str) -> UnavailableError:
    """What to raise where ``url`` of a section is set and the driver of its server is not installed."""
    return UnavailableError(
        f"{section}.url needs the driver of PostgreSQL", hint="in the checkout: pip install '.[postgres]'"
    )
