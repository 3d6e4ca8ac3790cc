"""What Withings exports: tables of weights, pressures, nights, days and minutes. Their names say what they are of.

Weights and pressures are told by the wall clock of the person: the zone has to be declared. Minutes come with offsets.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from healthsync_mqtt.formats.port import Event
from healthsync_mqtt.formats.reading.amount import first_field, in_field
from healthsync_mqtt.formats.reading.moment import day, moment
from healthsync_mqtt.formats.reading.scribe import Scribe
from healthsync_mqtt.imports.port import LeftOut, PassedOver, Read, Reading, Whose
from healthsync_mqtt.imports.rows import Row, column, header_of, number_in, rows_of, time_in
from healthsync_mqtt.imports.source import Member, UnreadableError
from healthsync_mqtt.model.catalogue import CATALOGUE, TimeKind
from healthsync_mqtt.model.reasons import Reason, RefusedError

_BODY: Final = {
    "weight": "weight", "fat mass": "fat_mass", "bone mass": "bone_mass", "muscle mass": "muscle_mass",
    "hydration": "body_water", "height": "height", "temperature": "body_temperature",
}  # fmt: skip
#: A table of minutes by the end of its file's name: our type, and the unit of its values.
_RAW: Final = {
    "tracker_steps": ("steps", "{steps}"),
    "tracker_distance": ("distance", "m"),
    "tracker_calories-earned": ("energy_active", "kcal"),
    "tracker_elevation": ("elevation_gain", "m"),
    "tracker_hr": ("heart_rate", "/min"),
    "hr_hr": ("heart_rate", "/min"),
    "bed_hr": ("heart_rate", "/min"),
    "bed_respiratory-rate": ("respiratory_rate", "/min"),
    "spo2_auto_spo2": ("spo2", "%"),
}
_AGGREGATES: Final = {
    "steps": ("daily_steps", "{steps}"),
    "distance": ("daily_distance", "m"),
    "calories_earned": ("daily_energy_active", "kcal"),
    "calories_passive": ("daily_energy_basal", "kcal"),
    "elevation": ("daily_elevation_gain", "m"),
}
_NIGHT: Final = (
    ("light (s)", "light_s"), ("deep (s)", "deep_s"), ("rem (s)", "rem_s"), ("awake (s)", "awake_s"),
    ("wake up", "awakenings"), ("duration to sleep (s)", "latency_s"), ("average heart rate", "heart_rate_mean_bpm"),
    ("heart rate (min)", "heart_rate_low_bpm"),
)  # fmt: skip
_FILE: Final = re.compile(r"(?:^|/)(?P<kind>raw|aggregates)_(?P<of>[\w-]+?)(?:_\d+)?\.csv$", re.IGNORECASE)
_MOST: Final = 10_000

Make = Callable[[Row], Iterator[Event]]


class _WithingsTable(NamedTuple):
    """What a table is read by: the columns that it has, and how each row becomes events."""

    columns: frozenset[str]
    make: Callable[["_WithingsRows", Row], Iterator[Event]]


class WithingsTables:
    """The tables of an account's export (``port.Archive``)."""

    name = "withings_csv"
    summary = "Withings' export (CSV)"

    def recognises(self, member: Member, head: bytes) -> bool:
        """By the columns; tables of minutes and days by their names too, as all of them have the same columns."""
        return _table(member, head) is not None

    def read(self, members: list[Member], whose: Whose) -> Reading:
        """All rows of all tables."""
        rows = _WithingsRows(Scribe("withings_csv", whose.message(b""), "withings"))
        for member in members:
            table = _table(member, member.head())
            assert table is not None
            make = partial(table.make, rows)
            try:
                for row in rows_of(member):
                    place = f"{member.shown}:{row.line}"
                    try:
                        for event in make(row):
                            yield Read(event, place)
                    except RefusedError as refusal:
                        yield LeftOut(refusal.code, place, str(refusal))
            except UnreadableError as error:
                yield LeftOut(PassedOver.DAMAGED, member.shown, str(error))


def _table(member: Member, head: bytes) -> _WithingsTable | None:
    names = {column(each).name for each in header_of(head)} | set(header_of(head))
    named = _FILE.search(member.name)
    if named is not None:
        known, columns = (_RAW, {"start", "duration", "value"}) if named["kind"].lower() == "raw" else (
            _AGGREGATES, {"date", "value"},
        )  # fmt: skip
        of = known.get(named["of"].lower())
        if of is None or not columns <= names:
            return None
        make = _WithingsRows.minutes if known is _RAW else _WithingsRows.of_a_day
        return _WithingsTable(frozenset(columns), lambda rows, row: make(rows, of, row))
    return next((each for each in _TABLES if each.columns <= names), None)


class _WithingsRows:
    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe
        self._zone = scribe.message.declared.zone

    def body(self, row: Row) -> Iterator[Event]:
        """What a scale or a thermometer measured at once."""
        at = time_in(row.cells, "date", self._zone)
        for name in row.cells:
            of, unit = column(name)
            type_ = _BODY.get(of)
            amount = number_in(row.cells, name) if type_ else None
            if type_ and amount:
                value = {first_field(type_): in_field(type_, first_field(type_), amount, unit, place=name)}
                yield self._scribe.event(type_, value, at)

    def pressure(self, row: Row) -> Iterator[Event]:
        """A cuff's two numbers and the pulse."""
        at = time_in(row.cells, "date", self._zone)
        value = {field: number_in(row.cells, field) for field in ("systolic", "diastolic")}
        if value["systolic"] is None or value["diastolic"] is None:
            raise RefusedError(Reason.MISSING_FIELD, "systolic", "half of a blood pressure is missing")
        pulse = number_in(row.cells, "heart rate")
        if pulse:
            value["pulse"] = pulse
        yield self._scribe.event("blood_pressure", value, at)

    def night(self, row: Row) -> Iterator[Event]:
        """A night, of which is told how long each stage was."""
        start, end = (moment(row.cells.get(each), each, self._zone) for each in ("from", "to"))
        found = {ours: number_in(row.cells, theirs) for theirs, ours in _NIGHT}
        value: dict[str, Any] = {field: amount for field, amount in found.items() if amount}
        value["total_asleep_s"] = sum(found[stage] or 0 for stage in ("light_s", "deep_s", "rem_s"))
        yield self._scribe.event("sleep", value, start, end)

    def minutes(self, of: tuple[str, str], row: Row) -> Iterator[Event]:
        """A start, and lists of how long each value was and what it was."""
        type_, unit = of
        at = moment(row.cells.get("start"), "start", self._zone)
        lasted, values = (_numbers(row.cells.get(each, ""), each) for each in ("duration", "value"))
        if len(lasted) != len(values):
            raise RefusedError(Reason.MALFORMED, "value", "not as many values as durations")
        field = first_field(type_)
        counted = CATALOGUE[type_].kind is TimeKind.INTERVAL
        for seconds, amount in zip(lasted, values, strict=True):
            end = at.later(seconds)
            if amount:
                value = {field: in_field(type_, field, amount, unit)}
                yield self._scribe.event(type_, value, at, end if counted else None)
            at = end

    def of_a_day(self, of: tuple[str, str], row: Row) -> Iterator[Event]:
        """The total of a day."""
        type_, unit = of
        date = day(row.cells.get("date"), "date", self._zone)
        amount = number_in(row.cells, "value")
        if amount is not None:
            value = {first_field(type_): in_field(type_, first_field(type_), amount, unit)}
            yield self._scribe.event(type_, value, date, key=("day", date.date))


_TABLES: Final = (
    _WithingsTable(frozenset({"date", "systolic", "diastolic"}), _WithingsRows.pressure),
    _WithingsTable(frozenset({"from", "to", "light (s)", "deep (s)"}), _WithingsRows.night),
    _WithingsTable(frozenset({"date", "weight", "fat mass"}), _WithingsRows.body),
    _WithingsTable(frozenset({"date", "height", "comments"}), _WithingsRows.body),
    _WithingsTable(frozenset({"date", "temperature", "comments"}), _WithingsRows.body),
)


def _numbers(text: str, field: str) -> list[float]:
    try:
        found = msgspec.json.decode(text.encode(), type=list[float])
    except msgspec.MsgspecError:
        raise RefusedError(Reason.MALFORMED, field, "no list of numbers") from None
    if len(found) > _MOST:
        raise RefusedError(Reason.TOO_MANY, field, f"more than {_MOST} numbers in a row")
    return [int(each) if each.is_integer() else each for each in found]
