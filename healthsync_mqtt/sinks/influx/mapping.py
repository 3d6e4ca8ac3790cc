"""Events as points: measurement = type, fields of fixed types, tags of closed sets only.

Tags are the user's pseudonym, the device's id, the provider and how it was recorded; a provider that is not in the
list below is no tag. Free text (names of food, app names, models) goes nowhere. A series becomes a point per sample, a
night its summary and its stages, a meal its summary and its items.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import msgspec

from healthsync_mqtt.model.catalogue import CATALOGUE, EventType, Kind
from healthsync_mqtt.model.event import Op
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.model.times import micros
from healthsync_mqtt.model.types.food import Meals
from healthsync_mqtt.model.types.sleep import SleepStage, Stages
from healthsync_mqtt.sinks.influx.line import Line
from healthsync_mqtt.sinks.influx.lineprotocol import MAX_NS, MIN_NS, UnmappableError, flag, number, tag_set, text
from healthsync_mqtt.sinks.influx.point_time import SLOTS, slot, time_ns
from healthsync_mqtt.sinks.series import LATER, PROVIDERS, RECORDINGS, SeriesSource

#: Stages as numbers, for servers that chart no text. The higher, the deeper.
STAGE_LEVELS = {
    "unknown": 0.0, "out_of_bed": 1.0, "awake": 2.0, "awake_in_bed": 3.0, "in_bed": 4.0, "rem": 5.0, "light": 6.0,
    "asleep": 7.0, "deep": 8.0,
}  # fmt: skip

_US = 1_000_000

#: Measurement, time in microseconds, field set.
_Points = list[tuple[str, int, str]]


class SeriesBook(Protocol):
    """Which tags a source gets: all of them, or the user's alone once the user's budget of series is spent."""

    @property
    def adopted(self) -> int:
        """Up to this row, providers of ``providers.LATER`` are no tag."""

    def admit(self, source: SeriesSource) -> bool: ...


class Mapper:
    """Makes lines of records. ``marks``: superseding versions carry ``deleted=false``, for servers without deletion."""

    def __init__(self, pseudonym: Callable[[str], str], book: SeriesBook, *, marks: bool = False) -> None:
        self._pseudonym = pseudonym
        self._book = book
        self._marks = marks
        self._tags: dict[tuple[str, str, str | None, str | None, str | None], str] = {}

    def lines(self, record: Record, shift: int = 0) -> list[Line]:
        """The points of an upsert, in order of time; none for a delete. UnmappableError when it has none.

        ``shift`` moves the digits below the millisecond on.
        """
        seq, user, device, provider, event_id, type_name, start_us, end_us, _, version, op, body, _ = record
        if op == Op.DELETE:
            return []
        decode, spread, simple = _PLANS.get(type_name) or _unknown()
        try:
            decoded = decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise UnmappableError(f"the body of this {type_name} cannot be read") from None
        value, origin, recording = decoded.value, decoded.source, None
        if origin is not None:
            recording = origin.recording if origin.recording in RECORDINGS else None
            if provider is None and origin.provider in PROVIDERS:
                provider = None if origin.provider in LATER and seq <= self._book.adopted else origin.provider
        source = (type_name, user, device, provider, recording)
        tags = self._tags.get(source) or self._tag(SeriesSource(*source))
        digits = (slot(event_id) + shift) % SLOTS
        more = "," + flag("deleted", False) if self._marks and version else ""
        if simple and value.amount is not None:  # by far the most frequent case
            at_ns = start_us // 1000 * SLOTS + digits
            if MIN_NS <= at_ns <= MAX_NS:
                return [Line(type_name + tags, f"{simple}{value.amount!r}{more}", at_ns)]
        return self._spaced(spread(type_name, value, start_us, end_us), tags, more, digits)

    def first_point(self, record: Record) -> Line:
        """The point at the start of a record without its body: its measurement, user and nanosecond, no other tag."""
        at_ns = time_ns(record.start_us, slot(record.id))
        return Line(record.type + tag_set([("user", self._pseudonym(record.user))]), "", at_ns)

    @staticmethod
    def _spaced(points: _Points, tags: str, more: str, digits: int) -> list[Line]:
        """Points of one millisecond get successive digits, so that none overwrites another."""
        lines: list[Line] = []
        last_ms = used = 0
        for measurement, at_us, fields in points:
            at_ms = at_us // 1000
            used = used + 1 if lines and at_ms == last_ms else 0
            last_ms = at_ms
            at_ns = time_ns(at_us, (digits + used) % SLOTS)
            if not MIN_NS <= at_ns <= MAX_NS:
                raise UnmappableError("its time is outside the years that InfluxDB stores (1677 to 2262)")
            lines.append(Line(measurement + tags, fields + more, at_ns))
        if not lines:
            raise UnmappableError("it has no value")
        return lines

    def _tag(self, source: SeriesSource) -> str:
        if len(self._tags) > 100_000:
            self._tags.clear()
        pairs: list[tuple[str, str | None]] = [("user", self._pseudonym(source.user))]
        if self._book.admit(source):
            pairs += [("device", source.device), ("provider", source.provider), ("recording", source.recording)]
        self._tags[source] = tags = tag_set(pairs)
        return tags


# -- how each type spreads: (measurement, start in microseconds, field set) per point, times never going back

_Spread = Callable[[str, Any, int, int | None], _Points]


class _Origin(msgspec.Struct, gc=False):
    provider: str | None = None
    recording: str | None = None


def _scalar(name: str, type_: EventType) -> _Spread:
    interval = type_.kind is Kind.INTERVAL

    def spread(measurement: str, value: Any, start_us: int, end_us: int | None) -> _Points:
        amount, samples = value.amount, value.samples
        if amount is not None:
            fields = f"{name}={amount!r}"
            if interval and end_us is not None:
                fields += f",duration_s={(end_us - start_us) / _US!r}"
            return [(measurement, start_us, fields)]
        # Rounded, not cut: 0.29 s are 289,999.99 µs as a float.
        return [(measurement, start_us + round(second * _US), f"{name}={amount!r}") for second, amount in samples]

    return spread


def _several(names: tuple[str, ...]) -> _Spread:
    def spread(measurement: str, value: Any, start_us: int, _end_us: int | None) -> _Points:
        fields = _numbers(value, names)
        return [(measurement, start_us, fields)] if fields else []

    return spread


def _numbers(value: Any, names: tuple[str, ...]) -> str:
    return ",".join(number(name, amount) for name in names if (amount := getattr(value, name)) is not None)


def _sleep(_: str, value: Any, start_us: int, end_us: int | None) -> _Points:
    totals: dict[str, int] = {}
    points: _Points = []
    for stage in sorted(value.stages, key=lambda stage: (stage.start_time, stage.end_time, stage.stage)):
        at_us, span_us = micros(stage.start_time), micros(stage.end_time) - micros(stage.start_time)
        totals[stage.stage] = totals.get(stage.stage, 0) + span_us
        level, duration = number("level", STAGE_LEVELS[stage.stage]), number("duration_s", span_us / _US)
        points.append(("sleep_stage", at_us, f"{text('stage', stage.stage)},{level},{duration}"))
    fields = [number("stages", len(points))]
    if end_us is not None:
        fields.append(number("duration_s", (end_us - start_us) / _US))
    fields += [number(f"{stage}_s", totals[stage] / _US) for stage in Stages.__args__ if stage in totals]  # type: ignore[attr-defined]
    return [("sleep", start_us, ",".join(fields)), *points]


def _food(nutrients: tuple[str, ...], amounts: tuple[str, ...]) -> _Spread:
    def spread(_: str, value: Any, start_us: int, end_us: int | None) -> _Points:
        fields = [text("meal", value.meal)] if value.meal in Meals.__args__ else []  # type: ignore[attr-defined]
        fields.append(number("items", len(value.items)))
        for name in nutrients:
            amount = getattr(value, name)
            eaten = [part for item in value.items if (part := getattr(item, name)) is not None]
            if amount is not None or eaten:
                fields.append(number(name, sum(eaten) if amount is None else amount))
        if end_us is not None:
            fields.append(number("duration_s", (end_us - start_us) / _US))
        items = [_numbers(item, amounts + nutrients) for item in value.items]
        return [("food", start_us, ",".join(fields)), *(("food_item", start_us, item) for item in items if item)]

    return spread


def _floats(names: tuple[str, ...]) -> list[tuple[str, Any, Any]]:
    return [(name, float | None, None) for name in names]


class _Plan(NamedTuple):
    """How one type becomes points; ``simple`` is the field's name and "=" where one number is all there is."""

    decode: Callable[[bytes], Any]
    spread: _Spread
    simple: str


def _make_plan(type_: EventType) -> _Plan:
    names = tuple(quantity.field for quantity in type_.quantities)
    fields: list[Any]
    spread: _Spread
    if type_.name == "sleep":
        fields, spread = [("stages", list[SleepStage], msgspec.field(default_factory=list))], _sleep
    elif type_.name == "food":
        amounts = tuple(name for name in names if name in {"grams", "milliliters", "servings"})
        nutrients = tuple(name for name in names if name not in amounts)
        item = msgspec.defstruct("Item", _floats(amounts + nutrients))
        some: Any = msgspec.field(default_factory=list)
        fields = [("meal", str | None, None), ("items", list[item], some), *_floats(nutrients)]  # type: ignore[valid-type]
        spread = _food(nutrients, amounts)
    elif len(names) == 1:
        some = msgspec.field(default_factory=list)
        fields = [("amount", float | None, None), ("samples", list[tuple[float, float]], some)]
        spread = _scalar(names[0], type_)
    else:
        fields, spread = _floats(names), _several(names)
    value = msgspec.defstruct("Value", fields, rename={"amount": names[0]} if len(names) == 1 else None, gc=False)
    body = msgspec.defstruct("Body", [("value", value), ("source", _Origin | None, None)], gc=False)
    simple = f"{names[0]}=" if len(names) == 1 and type_.kind is Kind.INSTANT else ""
    return _Plan(msgspec.json.Decoder(body).decode, spread, simple)


_PLANS = {type_.name: _make_plan(type_) for type_ in CATALOGUE.values()}


def _unknown() -> _Plan:
    raise UnmappableError("its type is not in this version's catalogue")


#: Measurements that a type writes besides its own.
PARTS = {"sleep": "sleep_stage", "food": "food_item"}

#: Fields that are words of a closed set; all others are floats, and ``deleted`` is a boolean.
TEXTS = frozenset({"stage", "meal"})
