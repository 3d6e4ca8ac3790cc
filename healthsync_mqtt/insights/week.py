"""Days of the week, by the number of the day. Pure."""

from typing import Final

_MONDAY: Final = 4
"""1970-01-05"""


def weekday(day: int) -> int:
    """0: Monday."""
    return (day - _MONDAY) % 7


def is_sunday(day: int) -> bool:
    """Whether a week ends with this day."""
    return weekday(day) == 6
