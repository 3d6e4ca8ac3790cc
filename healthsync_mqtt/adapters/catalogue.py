"""Every adapter by its name: those of the program, of installed packages, and of a data directory's folder."""

from pathlib import Path
from typing import Final, NamedTuple

from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.extension_point import BrokenModule, ExtensionPoint

SHIPPED: Final = (
    "google_health", "garmin", "withings", "oura", "whoop", "polar", "strava", "dexcom", "fitbit", "google_fit",
    "apple_health", "health_connect",
)  # fmt: skip
"""Modules of the program, in the order in which people are shown them."""
_ADAPTERS: Final = ExtensionPoint(
    of=Adapter,
    called="adapter",
    name=lambda adapter: adapter.name,
    group="healthsync.adapters",
    package="healthsync_mqtt.adapters.providers",
    shipped=SHIPPED,
    page="docs/adapter-spec.md",
)


class Known(NamedTuple):
    """The adapters that were found, and what could not be loaded."""

    adapters: dict[str, Adapter]
    broken: list[BrokenModule]


def shipped(name: str) -> Adapter:
    """An adapter of the program."""
    return _ADAPTERS.load(name)


def known(folder: Path | None = None) -> Known:
    """All adapters; ``folder`` is the one of a data directory."""
    return Known(*_ADAPTERS.known(folder))
