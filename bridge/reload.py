"""Which settings take effect while the service runs, and which wait for the next start. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from healthsync_mqtt.config.settings import Settings

CHANGEABLE: Final = ("log", "events", "retention", "limits.device_events_per_day", "broker.moved_to")
"""What a SIGHUP changes: sections and single settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Settings that differ, by dotted key."""

    now: tuple[str, ...]
    at_next_start: tuple[str, ...]


def changes(before: Settings, after: Settings) -> Changes:
    """What is different, and when it counts."""
    old, new = dict(_leaves(before.model_dump())), dict(_leaves(after.model_dump()))
    differ = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    now = tuple(key for key in differ if _changeable(key))
    return Changes(now=now, at_next_start=tuple(key for key in differ if not _changeable(key)))


def _changeable(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in CHANGEABLE)


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
