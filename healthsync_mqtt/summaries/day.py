"""A day of a user as it is told: to subscribers, by ``healthsync summary``, and to whoever reads the JSON."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from healthsync_mqtt.model.points import US
from healthsync_mqtt.summaries.rules import DayFigures

_EPOCH = date(1970, 1, 1)


def date_text(day: int) -> str:
    """``2026-11-23``"""
    return (_EPOCH + timedelta(days=day)).isoformat()


def day_number(text: str) -> int:
    """The day of a date. ValueError."""
    return (datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date() - _EPOCH).days


def day_dict(day: int, types: Mapping[str, DayFigures], *, user: str) -> dict[str, Any]:
    """``{"user_id", "day", "utc_offset", "types": {name: figures}}``; the offset in seconds, or null."""
    placed = [found for found in types.values() if found.offset_us is not None]
    last = max(placed, key=lambda found: found.at_us, default=None)
    return {
        "user_id": user,
        "day": date_text(day),
        "utc_offset": None if last is None or last.offset_us is None else last.offset_us // US,
        "types": {name: types[name].figures for name in sorted(types)},
    }


def day_json(day: int, types: Mapping[str, DayFigures], *, user: str) -> bytes:
    """The same as JSON."""
    return msgspec.json.encode(day_dict(day, types, user=user))
