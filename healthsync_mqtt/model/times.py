"""Times: integer microseconds since the epoch inside the program, ISO text in UTC with microseconds outside."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = tuple(f"{second:02d}." for second in range(60))


def micros(when: datetime) -> int:
    """Microseconds since the epoch of an aware datetime; exact."""
    since = when - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


@lru_cache(maxsize=8192)
def _minute_text(minute: int) -> str:
    return (_EPOCH + timedelta(minutes=minute)).isoformat()[:17]


def iso(us: int) -> str:
    """``YYYY-MM-DDTHH:MM:SS.ffffffZ`` of microseconds since the epoch; OverflowError outside the years 1 to 9999."""
    minute, rest = divmod(us, 60_000_000)
    second, fraction = divmod(rest, 1_000_000)
    return f"{_minute_text(minute)}{_SECONDS[second]}{fraction:06d}Z"
