"""Which sets are kept: the newest of each of the last hours, days and weeks (UTC) that have one. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

_HOUR_US: Final = 3_600_000_000
_DAY_US: Final = 24 * _HOUR_US
_WEEK_US: Final = 7 * _DAY_US
_MONDAY_US: Final = 4 * _DAY_US
"""The epoch was a Thursday: weeks begin on the fourth day after it."""


class RetentionCalendar(NamedTuple):
    """How many hours, days and weeks keep their newest set."""

    hourly: int
    daily: int
    weekly: int


def kept(sets: Mapping[str, int], keeping: RetentionCalendar) -> set[str]:
    """The names to keep of sets and their times (microseconds). The newest of all is always kept."""
    newest_first = sorted(sets, key=lambda name: (sets[name], name), reverse=True)
    chosen = set(newest_first[:1])
    for count, period in (
        (keeping.hourly, lambda at: at // _HOUR_US),
        (keeping.daily, lambda at: at // _DAY_US),
        (keeping.weekly, lambda at: (at - _MONDAY_US) // _WEEK_US),
    ):
        chosen |= set(_newest_of_each(newest_first, sets, period, count))
    return chosen


def _newest_of_each(
    newest_first: Iterable[str], sets: Mapping[str, int], period: Callable[[int], int], count: int
) -> list[str]:
    found: dict[int, str] = {}
    for name in newest_first:
        found.setdefault(period(sets[name]), name)
    return list(found.values())[:count]
