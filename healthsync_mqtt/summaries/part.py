"""What one event adds to days: its numbers, when they were, where it was then, and who measured. Pure.

Its part in a day follows from how the catalogue says that its type adds up (``EventType.daily``) and lies in time.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event_type import Daily, EventType, TimeKind
from healthsync_mqtt.model.points import US
from healthsync_mqtt.model.record import Record

DAY_US: Final = 86_400 * US
LONGEST_DIVIDED_US: Final = 7 * DAY_US
"""An amount of a longer time says nothing of a day, and is in none."""

_LENGTH_ALONE: Final = ("duration_s",)
_STRETCH: Final = 1_000
"""Samples between two pauses: they take a quarter of a millisecond."""

Numbers = tuple[float | None, ...]
"""In the order of ``fields_of``; None: it does not say."""


Pause = Callable[[], None]
"""Called again and again by what may take long: others are let in then."""


class DayRule(StrEnum):
    """How the parts of a day become one."""

    #: amounts of stretches of time: at any time one source counts
    SHARED = "shared"
    #: things of their own (a meal, a dose): all count, but what two sources say of the same time once
    PORTIONS = "portions"
    #: numbers of moments: mean, least, greatest
    MOMENTS = "moments"
    #: the last number of the day
    LAST = "last"
    #: what a source says of the whole day: the best source's last word
    WORD = "word"
    #: the longest session, on the day on which it ends
    LONGEST = "longest"


class Contribution(NamedTuple):
    """What one event adds. ``rows``: each a time and the numbers of it; one row, but of a series.

    ``worn``: 0 where something on the body measured, 2 where a phone did, else 1. ``offset_us`` is how far the local
    clock was ahead of UTC; 0 where the event does not say (``placed`` is False then).
    """

    id: str
    source: str
    worn: int
    offset_us: int
    placed: bool
    start_us: int
    end_us: int | None
    rows: tuple[tuple[int, Numbers], ...]

    @property
    def until_us(self) -> int:
        """The end, or the last time that it says something of."""
        return self.rows[-1][0] if self.end_us is None else self.end_us


def go_on() -> None:
    """A pause that is none."""


def local_day(at_us: int, offset_us: int) -> int:
    """The day of a moment on a clock that is so far ahead of UTC, counted from 1970-01-01."""
    return (at_us + offset_us) // DAY_US


def rule_of(of: EventType) -> DayRule | None:
    """How a type adds up over a day; None: it does not."""
    match of.daily:
        case Daily.SUM:
            alone = of.separate or (of.kind is not TimeKind.INTERVAL and of.quantities)
            return DayRule.PORTIONS if alone else DayRule.SHARED
        case Daily.MEAN:
            return DayRule.MOMENTS
        case Daily.LAST:
            return DayRule.WORD if of.kind is TimeKind.DAILY else DayRule.LAST
        case Daily.LONGEST:
            return DayRule.LONGEST
        case Daily.NONE:
            return None


RULES: Final = {of.name: rule for of in CATALOGUE.values() if (rule := rule_of(of)) is not None}
"""By the names of types that have one."""


def fields_of(of: EventType) -> tuple[str, ...]:
    """The numbers of a part, in their order; of a session without any, how long it was."""
    stored = of.spread.stored.__struct_encode_fields__
    found = tuple(each.field for each in of.quantities if each.field in stored)
    return found or _LENGTH_ALONE


class _Device(msgspec.Struct, gc=False):
    type: Any = None
    platform: Any = None


class _Source(msgspec.Struct, gc=False):
    app: Any = None
    provider: Any = None


class _Recipe(NamedTuple):
    rule: DayRule
    decode: Callable[[bytes], Any]
    points: Callable[..., Any]
    simple: bool
    #: whether ``samples`` of a value are its rows as they are
    series: bool
    fields: tuple[str, ...]


_PLANS: Final[dict[str, _Recipe | None]] = {}
_WORN: Final = frozenset({
    "watch", "band", "ring", "strap", "chest_strap", "wearable", "tracker", "fitness_band", "watchos", "wearos",
    "wear_os", "garmin", "fitbit", "tizen", "zepp",
})  # fmt: skip
_PHONES: Final = frozenset({"phone", "smartphone", "tablet", "ios", "ipados", "android", "iphone"})


def _plan(type_name: str) -> _Recipe | None:
    of = CATALOGUE.get(type_name)
    rule = RULES.get(type_name)
    if of is None or rule is None:
        return None
    body = msgspec.defstruct(
        "Body",
        [
            ("value", of.spread.stored),
            ("device", _Device | None, None),
            ("utc_offset", int | None, None),
            ("source", _Source | None, None),
        ],
        gc=False,
    )
    fields = fields_of(of)
    series = bool(of.spread.series) and fields == (of.spread.series,) != _LENGTH_ALONE
    decode = msgspec.json.Decoder(body).decode
    return _Recipe(rule, decode, of.spread.points, bool(of.spread.simple), series, fields)


def part_of(record: Record, pause: Pause = go_on) -> Contribution | None:
    """What a row of the log adds to days; None where that is nothing: a deletion, a purged row, a word.

    ``pause`` is called now and then where it takes long.
    """
    if record.op or not record.body:
        return None
    try:
        plan = _PLANS[record.type]
    except KeyError:
        plan = _PLANS[record.type] = _plan(record.type)
    if plan is None:
        return None
    try:
        body = plan.decode(record.body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    start_us, end_us, rule = record.start_us, record.end_us, plan.rule
    if rule in {DayRule.SHARED, DayRule.PORTIONS}:
        end_us = start_us if end_us is None else end_us
        if end_us - start_us > LONGEST_DIVIDED_US:
            return None
    elif rule is not DayRule.LONGEST:
        end_us = None
    elif end_us is None:
        return None
    rows: tuple[tuple[int, Numbers], ...]
    if plan.simple and body.value.amount is not None:
        rows = ((start_us, (body.value.amount,)),)
    else:
        rows = _rows(plan, record, body.value, pause)
        if not rows:
            return None
    source = body.source
    device = record.device or record.provider or (source and source.provider) or "unknown"
    name = f"{device}/{source.app}" if source is not None and source.app else str(device)
    offset = body.utc_offset
    return Contribution(
        record.id,
        name,
        _worn(body.device),
        (offset or 0) * US,
        offset is not None,
        start_us,
        end_us,
        rows,
    )


def _rows(plan: _Recipe, record: Record, value: Any, pause: Pause) -> tuple[tuple[int, Numbers], ...]:
    """The numbers of the type's own points. A session without a number still has its length."""
    if plan.series and value.amount is None and value.samples:
        return _of_samples(record.start_us, value.samples, pause)
    rows = []
    for point in plan.points(value, record.start_us, record.end_us):
        if point.measurement == record.type:
            said = dict(point.fields)
            rows.append((point.at_us, tuple(_number(said.get(field)) for field in plan.fields)))
    if not rows and plan.rule in {DayRule.SHARED, DayRule.LONGEST} and record.end_us is not None:
        rows = [(record.start_us, (None,) * len(plan.fields))]
    if plan.fields == _LENGTH_ALONE and record.end_us is not None:
        rows = [(record.start_us, ((record.end_us - record.start_us) / US,))]
    return tuple(sorted(rows, key=_at))


def _of_samples(start_us: int, samples: Sequence[tuple[float, float]], pause: Pause) -> tuple[tuple[int, Numbers], ...]:
    """The rows of a series, without a point for each of its samples: there may be twenty thousand."""
    rows: list[tuple[int, Numbers]] = []
    for first in range(0, len(samples), _STRETCH):
        pause()
        rows += [(start_us + round(at * US), (number,)) for at, number in samples[first : first + _STRETCH]]
    return tuple(sorted(rows, key=_at))


def _at(row: tuple[int, Numbers]) -> int:
    return row[0]


def _number(said: Any) -> float | None:
    return said if isinstance(said, int | float) else None


def _worn(device: _Device | None) -> int:
    if device is None:
        return 1
    words = {said.casefold() for said in (device.type, device.platform) if isinstance(said, str)}
    if words & _WORN:
        return 0
    return 2 if words & _PHONES else 1
