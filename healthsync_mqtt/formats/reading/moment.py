"""When something was: the times of others, in all the spellings in which apps write them.

Times that come without an offset are read in a declared zone or refused; a second that did not exist there is refused,
and one that came twice (the clock went back) is the first of the two.
"""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from healthsync_mqtt.formats.reading.document import Record, is_number
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable
from healthsync_mqtt.model.times import iso, micros

_US: Final = 1_000_000
_DAY_US: Final = 86_400_000_000
_NOON: Final = 12
_LONGEST: Final = 64
_MOST_HOURS: Final = 17
_MOST_MINUTES: Final = 59
_LATEST_US: Final = 253_402_300_799_999_999
_FIRST_MS: Final = 100_000_000_000
"""Of 1973; as seconds, of a year that does not come."""
_SPLIT: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r"(?:[ \u00a0\u202f]?([AaPp])\.?[Mm]\.?)?[ \u00a0\u202f]?(Z|z|[+-]\d\d:?\d\d)?)?"
)
"""A date; with a time, on a clock of 24 or of twice 12 hours; with an offset. Digits of any script are digits."""


class Moment(NamedTuple):
    """A moment, and the offset of the clock that told it in seconds; None: nobody said."""

    us: int
    offset_s: int | None = None

    @property
    def text(self) -> str:
        """As events write it."""
        return iso(self.us)

    def later(self, seconds: float) -> "Moment":
        """So many seconds later by the same clock. Raises RefusedError where no clock goes."""
        if not abs(seconds) <= _LATEST_US / _US:
            raise RefusedError(Reason.BAD_INTERVAL, None, "the interval is longer than time is counted")
        return _within(Moment(self.us + round(seconds * _US), self.offset_s))


def moment_in(record: Record, field: str, zone: str | None = None) -> Moment:
    """The moment in a text of a record, in ``zone`` where it has no offset. Raises RefusedError."""
    value = record.get(field)
    if value is None or value == "":
        raise RefusedError(Reason.MISSING_FIELD, field, f"{field} is missing")
    return moment(value, field, zone)


def moment(value: Any, field: str | None = None, zone: str | None = None) -> Moment:
    """The moment that a text says; a date alone is none. Raises RefusedError at ``field``."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise RefusedError(Reason.BAD_TIME, field, f"{field or 'the time'} must be a text with date and time")
    try:
        return _moment(value, zone)
    except RefusedError as refusal:
        raise RefusedError(refusal.code, field, str(refusal)) from None


@lru_cache(maxsize=4096)
def _moment(text: str, zone: str | None) -> Moment:
    found = _SPLIT.fullmatch(text.strip())
    if found is None:
        raise RefusedError(Reason.BAD_TIME, None, f"{printable(text)} is no date with a time")
    year, month, day, hour, minute, second, fraction, half, offset = found.groups()
    if hour is None:
        raise RefusedError(Reason.NAIVE_TIME, None, f"{printable(text)} is a day and no time")
    us = int((fraction or "0").ljust(6, "0")[:6])
    try:
        wall = datetime(int(year), int(month), int(day), _hour(int(hour), half), int(minute), int(second or 0), us)  # noqa: DTZ001  # a clock's
    except ValueError:
        raise RefusedError(Reason.BAD_TIME, None, f"{printable(text)} was never") from None
    if offset is None:
        return at_wall(wall, zone)
    if offset in {"Z", "z"}:
        return _within(Moment(micros(wall.replace(tzinfo=UTC)), None))
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    if hours > _MOST_HOURS or minutes > _MOST_MINUTES:
        raise RefusedError(Reason.BAD_TIME, None, f"{printable(text)} has an offset that no clock has")
    seconds = (hours * 3600 + minutes * 60) * (-1 if offset[0] == "-" else 1)
    return _within(Moment(micros(wall.replace(tzinfo=UTC)) - seconds * _US, seconds))


def _hour(hour: int, half: str | None) -> int:
    """The hour of a clock: 12 AM is midnight, 12 PM is noon, and there is no 13 PM."""
    if half is None:
        return hour
    if not 1 <= hour <= _NOON:
        raise ValueError
    return hour % _NOON + (_NOON if half in "Pp" else 0)


def at_wall(wall: datetime, zone: str | None) -> Moment:
    """What a clock on the wall says, in a declared zone. Raises RefusedError."""
    if zone is None:
        message = f"{wall.isoformat(sep=' ')} has no offset, and no zone is declared (--zone)"
        raise RefusedError(Reason.NAIVE_TIME, None, message)
    where = zone_of(zone)
    try:
        there = wall.replace(tzinfo=where, fold=0).astimezone(UTC)
        back = there.astimezone(where)
    except (OverflowError, ValueError):
        raise RefusedError(Reason.BAD_TIME, None, f"{wall.isoformat(sep=' ')} is out of time") from None
    if back.replace(tzinfo=None, fold=0) != wall:
        raise RefusedError(Reason.BAD_TIME, None, f"{wall.isoformat(sep=' ')} did not exist in {zone}")
    return _within(_by_its_clock(back))


@lru_cache(maxsize=64)
def zone_of(zone: str) -> ZoneInfo:
    """The zone of a name. Raises RefusedError."""
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RefusedError(Reason.BAD_TIME, None, f"{printable(zone)} is no time zone") from None


def in_zone(moment: Moment, zone: str | None) -> Moment:
    """The same moment by a clock in a zone; as it is where no zone is declared."""
    if zone is None:
        return moment
    try:
        there = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment.us)).astimezone(zone_of(zone))
    except OverflowError:
        raise RefusedError(Reason.BAD_TIME, None, f"{moment.text} is out of time") from None
    return _by_its_clock(there)


def _by_its_clock(there: datetime) -> Moment:
    offset = there.utcoffset()
    return Moment(micros(there), None if offset is None else round(offset.total_seconds()))


def of_epoch(seconds: float, field: str | None = None, *, scale: int = 1) -> Moment:
    """A moment in seconds since 1970, or in parts of one (``scale`` 1000 for milliseconds). Raises RefusedError."""
    if not is_number(seconds) or abs(seconds) > _LATEST_US:
        raise RefusedError(Reason.BAD_TIME, field, "a time must be a number, and of our time")
    # Of integers exactly, of floats as near as they are.
    us = seconds * _US // scale if isinstance(seconds, int) else round(seconds * (_US / scale))
    return _within(Moment(us), field)


def of_epoch_ms(millis: float, field: str | None = None) -> Moment:
    """A moment in milliseconds since 1970. Raises RefusedError, also for what can only be seconds."""
    at = of_epoch(millis, field, scale=1000)
    if at.us < _FIRST_MS * 1000:
        message = f"{millis} milliseconds are in {at.text[:4]}, when nothing was measured: are they seconds?"
        raise RefusedError(Reason.BAD_TIME, field, message)
    return at


def _within(moment: Moment, field: str | None = None) -> Moment:
    if not 0 <= moment.us <= _LATEST_US:
        raise RefusedError(Reason.BAD_TIME, field, "the time is not between 1970 and 9999")
    return moment


class Day(NamedTuple):
    """A day somewhere: its date there, and when it began and ended."""

    date: str
    start: Moment
    end: Moment


def day(value: Any, field: str | None = None, zone: str | None = None) -> Day:
    """The day that a text says: a date, in a declared zone; or the day in which a moment is. Raises RefusedError.

    Where a zone is declared, it alone says which day a moment is of: a phone that has travelled spells the same
    midnight with another offset.
    """
    try:
        found = _date(value)
        return day_around(moment(value, None, zone), zone) if found is None else day_of(found, zone)
    except RefusedError as refusal:
        raise RefusedError(refusal.code, field, str(refusal)) from None


def is_date(value: Any) -> bool:
    """Whether it is a date alone, and no moment."""
    return _alone(value) is not None


def _alone(value: Any) -> re.Match[str] | None:
    found = _SPLIT.fullmatch(value.strip()) if isinstance(value, str) else None
    return found if found is not None and found[4] is None else None


def _date(value: Any) -> date | None:
    """The date that stands alone. Raises RefusedError for one that was never."""
    found = _alone(value)
    if found is None:
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        raise RefusedError(Reason.BAD_TIME, None, f"{printable(found[0])} was never") from None


def day_around(at: Moment, zone: str | None) -> Day:
    """The day in which a moment is, in a declared zone, else by the clock that told it. Raises RefusedError."""
    if zone is not None:
        return day_of(_wall(in_zone(at, zone)).date(), zone)
    if at.offset_s is None:
        raise RefusedError(Reason.NAIVE_TIME, None, "whose day that is needs a zone: declare one (--zone)")
    start_us = (at.us + at.offset_s * _US) // _DAY_US * _DAY_US
    text = iso(start_us)[:10]
    start = _within(Moment(start_us - at.offset_s * _US, at.offset_s))
    return Day(text, start, start.later(86_400))


def _wall(at: Moment) -> datetime:
    """What the clock said that told it."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at.us, seconds=at.offset_s or 0)


def day_of(date: date, zone: str | None) -> Day:
    """A day of a declared zone, from midnight to midnight, or where it begins later. Raises RefusedError."""
    if zone is None:
        message = f"{date} is a day without a zone, and none is declared (--zone)"
        raise RefusedError(Reason.NAIVE_TIME, None, message)
    return Day(date.isoformat(), _midnight(date, zone), _midnight(date + timedelta(days=1), zone))


def _midnight(date: date, zone: str) -> Moment:
    where = zone_of(zone)
    try:
        there = datetime(date.year, date.month, date.day, tzinfo=where).astimezone(UTC).astimezone(where)
    except (OverflowError, ValueError):
        raise RefusedError(Reason.BAD_TIME, None, f"{date} is out of time") from None
    return _within(_by_its_clock(there))
