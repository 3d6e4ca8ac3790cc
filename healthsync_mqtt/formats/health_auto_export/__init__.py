"""Health Auto Export, an app that sends what HealthKit has (iOS): metrics, nights, workouts, the heart, a diary.

One message may hold days. The app sends all of yesterday and today again at each run: a bucket keeps its id and its
last value wins; two sources at one moment are two. Who it is of the login says, and nothing in the message.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import msgspec

from healthsync_mqtt.formats.health_auto_export.diary import (
    CYCLE_TYPES,
    read_cycle,
    read_medicine,
    read_mood,
    read_symptom,
)
from healthsync_mqtt.formats.health_auto_export.heart import read_ecg, read_notice
from healthsync_mqtt.formats.health_auto_export.metrics import (
    METRICS,
    NUMBERS,
    NUTRIENTS,
    SPECIAL,
    MetricRows,
    moment_of,
    source_of,
    unknown,
)
from healthsync_mqtt.formats.health_auto_export.sleep import Nights, Segments, is_segment, night_of_totals
from healthsync_mqtt.formats.health_auto_export.workouts import read_workout
from healthsync_mqtt.formats.port import AppMessage, Event, Fold, FormatEntry, Outcome
from healthsync_mqtt.formats.reading.amount import in_field
from healthsync_mqtt.formats.reading.document import Record, as_record, items, number, read_object, text, text_or_none
from healthsync_mqtt.formats.reading.moment import Moment
from healthsync_mqtt.formats.reading.scribe import Records, Scribe
from healthsync_mqtt.model.reasons import Reason, RefusedError

_SECTIONS: Final[dict[str, tuple[Callable[[Scribe, Record], Iterator[Event]], str | None]]] = {
    "workouts": (read_workout, None),
    "ecg": (read_ecg, "ecg"),
    "heartRateNotifications": (read_notice, "heart_notification"),
    "stateOfMind": (read_mood, "state_of_mind"),
    "medications": (read_medicine, "medication_dose"),
    "symptoms": (read_symptom, None),
    "cycleTracking": (read_cycle, None),
}
"""The arrays beside the metrics: what reads a record of one, and the type that all of it is about if it is one."""

_SPLIT_PRESSURE: Final = {"blood_pressure_systolic": "systolic", "blood_pressure_diastolic": "diastolic"}

_Make = Callable[[str, Record], Iterator[Event]]
_Gathered = dict[tuple[str, str], tuple[str, Moment, dict[str, float]]]
"""Parts of events by moment and source: where the first of them is, when it was, and the parts."""


class HealthAutoExport:
    """Messages of the app, as JSON of version 1 or 2 (``port.Format``)."""

    name = "health_auto_export"
    summary = "Health Auto Export (iOS, HealthKit): metrics, sleep, workouts, ECGs, moods, medicines, symptoms, cycle"
    roots = ()
    remembers: frozenset[str] = frozenset({"sleep"})

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        for type_, names, _ in NUMBERS:
            yield FormatEntry(names.replace(" ", ", "), type_)
        for name, (type_, _) in SPECIAL.items():
            yield FormatEntry(name, type_)
        yield FormatEntry("sleep_analysis", "sleep", "totals, or stages of each source")
        yield FormatEntry(", ".join(_SPLIT_PRESSURE), "blood_pressure", "halves of one moment and source")
        yield FormatEntry(
            ", ".join(name for name in NUTRIENTS if not name.startswith("dietary_")), "food", "of one moment"
        )
        yield FormatEntry("workouts", "workout, heart_rate, workout_route", "version 1 and 2")
        yield FormatEntry("ecg", "ecg")
        yield FormatEntry("heartRateNotifications", "heart_notification, heart_rate")
        yield FormatEntry("stateOfMind", "state_of_mind")
        yield FormatEntry("medications", "medication_dose", "skipped ones too, without a dose")
        yield FormatEntry("symptoms", "symptom, mental_symptom, reproductive_symptom", "unknown words are labels")
        yield FormatEntry("cycleTracking", ", ".join(CYCLE_TYPES))

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """All of a message. What is remembered are the nights, by which beginning each is known."""
        root = read_object(message.payload)
        data = root.get("data", root)
        if data is None or data == []:
            return state
        if not isinstance(data, dict):
            raise RefusedError(Reason.MALFORMED, "data", "data is not an object")
        base = "data." if "data" in root else ""
        nights = Nights(_remembered(state))
        reading = _ExportReading(Scribe(self.name, message, "healthkit"), nights)
        yield from reading.metrics(f"{base}metrics", data)
        for section in _SECTIONS:
            yield from reading.section(section, f"{base}{section}", data)
            if base and section in root:
                yield from reading.section(section, section, root)
        return msgspec.json.encode(nights.rows) if nights.rows else state


def _remembered(state: bytes) -> list[Any]:
    return msgspec.json.decode(state) if state else []


class _ExportReading:
    """One message, as it is read."""

    def __init__(self, scribe: Scribe, nights: Nights) -> None:
        self._scribe = scribe
        self._records = Records()
        self._nights = nights
        self._segments = Segments(scribe)
        self._meals: _Gathered = {}
        self._pressures: _Gathered = {}

    def section(self, name: str, place: str, holder: Record) -> Iterator[Outcome]:
        """One of the arrays beside the metrics."""
        read, type_ = _SECTIONS[name]
        records = yield from self._records.listed(place, holder, name)
        for number_, record in enumerate(records):
            yield from self._records.read(f"{place}[{number_}]", record, partial(read, self._scribe), type_)

    def metrics(self, place: str, holder: Record) -> Iterator[Outcome]:
        """All metrics; at last what is made of several rows: nights of stages, meals, halves of a blood pressure."""
        metrics = yield from self._records.listed(place, holder, "metrics")
        for number_, metric in enumerate(metrics):
            where = f"{place}[{number_}]"
            try:
                record = as_record(metric)
                name, rows = text(record, "name"), items(record, "data")
            except RefusedError as refusal:
                yield self._records.refuse(where, metric, refusal)
                continue
            yield from self._metric(where, name, text_or_none(record, "units"), rows)
        yield from self._segments.nights(self._records, self._nights)
        yield from self._joined("food", self._meals)
        yield from self._joined("blood_pressure", self._pressures)

    def _metric(self, where: str, name: str, unit: str | None, rows: list[Any]) -> Iterator[Outcome]:
        folded = name.strip().casefold()
        reads = self._reader(folded, unit)
        if reads is None:
            if rows:
                yield self._records.refuse(where, {"name": name}, unknown(name))
            return
        make, type_ = reads
        for number_, row in enumerate(rows):
            place = f"{where}.data[{number_}]"
            if folded == "sleep_analysis" and is_segment(row):
                try:
                    self._segments.add(place, row)
                except RefusedError as refusal:
                    yield self._records.refuse(place, row, refusal, type_)
                continue
            yield from self._records.read(place, row, partial(make, place), type_)

    def _reader(self, name: str, unit: str | None) -> tuple[_Make, str] | None:
        """What reads the rows of a metric, and the type that they are about."""
        rows = MetricRows(self._scribe, unit)
        if name in METRICS:
            return _placeless(rows.number(METRICS[name])), METRICS[name].type
        if name in SPECIAL:
            type_, of = SPECIAL[name]
            return _placeless(of(rows)), type_
        if name == "sleep_analysis":
            return _placeless(partial(night_of_totals, self._scribe, unit, self._nights)), "sleep"
        if name in NUTRIENTS:
            return partial(self._part, "food", NUTRIENTS[name], unit, self._meals), "food"
        if name in _SPLIT_PRESSURE:
            half = _SPLIT_PRESSURE[name]
            return partial(self._part, "blood_pressure", half, unit, self._pressures), "blood_pressure"
        return None

    def _part(  # noqa: PLR0917  # of which, which, in what, to where, and the row
        self, type_: str, field: str, unit: str | None, gathered: _Gathered, place: str, row: Record
    ) -> Iterator[Event]:
        """A row that is one part of an event: parts of one moment and source belong together."""
        at = moment_of(self._scribe, row)
        declared = self._scribe.message.declared.unit
        amount = in_field(type_, field, number(row, "qty"), unit, declared=declared)
        gathered.setdefault((at.text, source_of(row) or ""), (place, at, {}))[2][field] = amount
        yield from ()

    def _joined(self, type_: str, gathered: _Gathered) -> Iterator[Outcome]:
        for (_, app), (place, at, value) in gathered.items():
            yield from self._records.read(place, value, partial(self._whole, type_, at, app), type_)

    def _whole(self, type_: str, at: Moment, app: str, value: Record) -> Iterator[Event]:
        if type_ == "blood_pressure":
            for half in _SPLIT_PRESSURE.values():
                number(value, half)
        yield self._scribe.event(type_, value, at, app=app or None)


def _placeless(read: Callable[[Record], Iterator[Event]]) -> _Make:
    return lambda _, row: read(row)
