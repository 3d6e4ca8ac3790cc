"""openScale-sync, which sends what the app openScale (Android) has weighed.

A weighing has a minute, a row of a history the second, and only an insert has the app's number: which of them are one
weighing is remembered. Deletion names a minute, and means all that was weighed in it.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from healthsync_mqtt.formats.port import AppMessage, Fold, FormatEntry, Gone, Outcome
from healthsync_mqtt.formats.reading.amount import first_field, in_field
from healthsync_mqtt.formats.reading.document import (
    Record,
    as_record,
    inner,
    inside,
    is_number,
    items,
    number,
    read_document,
    text,
    text_or_none,
    whole,
)
from healthsync_mqtt.formats.reading.moment import Moment, of_epoch_ms
from healthsync_mqtt.formats.reading.scribe import Named, Records, Scribe
from healthsync_mqtt.model.reasons import Reason, RefusedError

_ROOT: Final = "openScaleSync/"
_MINUTE_US: Final = 60_000_000

#: The app's key: our type; of what is in percent of the weight, the type that is a percentage too.
_TYPES: Final = {
    "WEIGHT": ("weight", ""),
    "BODY_FAT": ("fat_mass", "body_fat_percentage"),
    "WATER": ("body_water", "body_water_percentage"),
    "MUSCLE": ("muscle_mass", "muscle_percentage"),
    "LBM": ("lean_mass", ""),
    "BONE": ("bone_mass", ""),
    "WAIST": ("waist_circumference", ""),
    "HIPS": ("hip_circumference", ""),
    "HIP": ("hip_circumference", ""),
    "BMI": ("bmi", ""),
    "VISCERAL_FAT": ("visceral_fat", ""),
    "BMR": ("basal_metabolic_rate", ""),
    "HEART_RATE": ("heart_rate", ""),
}
"""What else it has (other circumferences, calipers, impedance, needs of calories, comments, own ones) has no type."""

#: How the app writes our units where the usual ways do not know it.
_OWN: Final = {"basal_metabolic_rate": ("kcal", "kcal/d"), "visceral_fat": ("", "1"), "bmi": ("", "kg/m²")}

#: The fields beside ``values``, by our key, and their units, which are always these.
_FLAT: Final = {
    "weight": ("WEIGHT", "kg"),
    "b": ("WEIGHT", "kg"),
    "body_fat": ("BODY_FAT", "%"),
    "fat": ("BODY_FAT", "%"),
    "water": ("WATER", "%"),
    "muscle": ("MUSCLE", "%"),
    "lbm": ("LBM", "%"),
    "bone": ("BONE", "%"),
}

_MOST: Final = 400
"""Weighings that are remembered."""
_MOST_OF_MINUTE: Final = 60
"""Weighings of one minute: each is compared with all of them."""


class _Measure(NamedTuple):
    key: str
    unit: str
    number: float
    derived: bool = False
    #: where its unit is said, or it itself where none is
    place: str = ""


class _Weighing(NamedTuple):
    """One weighing that is remembered: its minute, its number in it, what the app calls it, when it was, its weight."""

    minute_us: int
    number: int
    own: int | None
    at_us: int
    weight: float


class Openscale:
    """Messages below ``openScaleSync/`` (``port.Format``)."""

    name = "openscale"
    summary = "openScale-sync (Android): weighings of many scales, one by one or a whole history"
    roots = ("openScaleSync",)
    remembers: frozenset[str] = frozenset({"weight"})

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        for key, (of_weight, percentage) in _TYPES.items():
            both = ", ".join(filter(None, (of_weight, percentage)))
            yield FormatEntry(key, both, f"{percentage} in percent" if percentage else "")
        yield FormatEntry("delete, clear", "what is gone", "all of a minute, everything")

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """One message; the last words of its topic say what it is."""
        levels = message.topic.removeprefix(_ROOT).strip("/").split("/")
        verb = levels[-1]
        known = _KnownWeighings(msgspec.json.decode(state) if state else [])
        document = read_document(message.payload)
        records, scribe = Records(), Scribe(self.name, message, "openscale")
        reading = _ScaleReading(scribe, known)
        try:
            _check_whose(levels, document, message.declared.slot)
        except RefusedError as refusal:
            yield records.refuse("", document, refusal)
            return state
        if verb in {"insert", "update", "last"}:
            if document != {}:
                yield from records.read("", document, partial(reading.weighing, updates=verb == "update"))
                yield from reading.gone
        elif verb in {"history", "all"}:
            yield from reading.history(records, document)
        elif verb == "delete":
            yield from _deleted(scribe, records, known, document)
        elif verb == "clear":
            if document is True or document == {}:
                known.clear()
                yield Gone("")
        else:
            raise RefusedError(Reason.MALFORMED, None, "the topic does not say whether it is an insert, a history, …")
        return known.state


def _check_whose(levels: list[str], document: Any, slot: str | None) -> None:
    """Raises RefusedError for what is of another user of the app than the login says, or of nobody known."""
    said = [levels[0]] if levels[0].isdecimal() else []
    if isinstance(document, dict) and document.get("userId") is not None:
        said.append(str(document["userId"]))
    if not said:
        return
    if slot is None:
        message = f"whose weighings user {said[0]} of the app has is not declared (--slot {said[0]})"
        raise RefusedError(Reason.NOT_ALLOWED, "userId", message)
    if any(each != slot for each in said):
        message = f"this login is of user {slot} of the app, and the message of another"
        raise RefusedError(Reason.IDENTITY_MISMATCH, "userId", message)


def _when(scribe: Scribe, record: Record) -> tuple[Moment, bool]:
    """When a weighing was; and whether that is exact, not only its minute."""
    for field in ("date", "dateTime", "a"):
        value = record.get(field)
        if is_number(value) and value is not None:
            return of_epoch_ms(value, field), True
        if value is not None:
            return scribe.moment_in(record, field), False
    raise RefusedError(Reason.MISSING_FIELD, "date", "date is missing")


def _deleted(scribe: Scribe, records: Records, known: "_KnownWeighings", document: Any) -> Iterator[Outcome]:
    try:
        at, _ = _when(scribe, as_record(document))
    except RefusedError as refusal:
        yield records.refuse("", document, refusal)
        return
    minute_us = at.us - at.us % _MINUTE_US
    known.forget(minute_us)
    yield Gone(f"{minute_us}/")


class _KnownWeighings:
    """The weighings that are remembered, the newest last."""

    def __init__(self, rows: list[Any]) -> None:
        self._by_minute: dict[int, list[_Weighing]] = {}
        for row in rows:
            self.keep(_Weighing(*row))

    @property
    def state(self) -> bytes:
        rows = [each for minute in self._by_minute.values() for each in minute]
        return msgspec.json.encode(rows[-_MOST:]) if rows else b""

    def clear(self) -> None:
        self._by_minute.clear()

    def forget(self, minute_us: int) -> None:
        self._by_minute.pop(minute_us, None)

    def of_minute(self, minute_us: int) -> list[_Weighing]:
        return self._by_minute.get(minute_us, [])

    def keep(self, weighing: _Weighing) -> None:
        there = self._by_minute.pop(weighing.minute_us, [])
        self._by_minute[weighing.minute_us] = [each for each in there if each.number != weighing.number] + [weighing]


class _ScaleReading:
    def __init__(self, scribe: Scribe, known: _KnownWeighings) -> None:
        self._scribe = scribe
        self._known = known
        #: what an update says no more
        self.gone: list[Gone] = []

    def weighing(self, record: Record, *, updates: bool) -> Iterator[Named]:
        """One weighing with all that was measured at it."""
        at, exact = _when(self._scribe, record)
        measures = _measures(record)
        weight = next((each.number for each in measures if each.key == "WEIGHT"), 0)
        own = record.get("id") if isinstance(record.get("id"), int) else None
        which = self._which(at, own, weight, exact=exact)
        said = set()
        for event in self._events(measures, Moment(which.at_us, at.offset_s), which, weight):
            said.add(event.name)
            yield event
        if updates and "values" in record:
            names = {_name(which, type_) for types in _TYPES.values() for type_ in types if type_}
            self.gone = [Gone(name) for name in sorted(names - said)]

    def _which(self, at: Moment, own: int | None, weight: float, *, exact: bool) -> _Weighing:
        """Which weighing of its minute it is: the one of its number, or one of its weight, or another."""
        minute_us = at.us - at.us % _MINUTE_US
        there = self._known.of_minute(minute_us)
        found = next((each for each in there if own is not None and each.own == own), None)
        if found is None:
            same = (each for each in there if each.weight == weight and (own is None or each.own is None))
            found = next(same, None)
        if found is None and own is None and len(there) == 1 and (there[0].at_us == at.us or not exact):
            found = there[0]
        if found is None:
            if len(there) >= _MOST_OF_MINUTE:
                message = f"more than {_MOST_OF_MINUTE} weighings in one minute"
                raise RefusedError(Reason.TOO_MANY, "date", message)
            found = _Weighing(minute_us, len(there), own, at.us, weight)
        found = found._replace(own=own if own is not None else found.own, weight=weight)
        if exact:
            found = found._replace(at_us=at.us)
        self._known.keep(found)
        return found

    def _events(self, measures: list[_Measure], at: Moment, which: _Weighing, weight: float) -> Iterator[Named]:
        for each in measures:
            type_, amount = _amount(each, weight)
            key = ("weighing", which.minute_us, which.number)
            source = {"derived": True} if each.derived else {}
            event = self._scribe.event(type_, {first_field(type_): amount}, at, key=key, source=source)
            yield Named(event, _name(which, type_))

    def history(self, records: Records, document: Any) -> Iterator[Outcome]:
        """Rows under names of fields; a row that cannot be read keeps no other from being read."""
        table = as_record(document)
        fields, units, rows = items(table, "fields"), inner(table, "units"), items(table, "rows")
        for place, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != len(fields):
                refusal = RefusedError(Reason.MALFORMED, None, "the row has not as many values as there are fields")
                yield records.refuse(f"rows[{place}]", row, refusal)
                continue
            record = {str(field): value for field, value in zip(fields, row, strict=True)}
            yield from records.read(f"rows[{place}]", record, partial(self._row, units))

    def _row(self, units: Mapping[str, Any], record: Record) -> Iterator[Named]:
        at, exact = _when(self._scribe, record)
        measures = []
        for field, value in record.items():
            key, usual = _FLAT.get(field, (field.upper(), ""))
            if value is None or value == 0 or key not in _TYPES:
                continue
            unit = units.get(field, usual)
            measures.append(
                _Measure(key, unit if isinstance(unit, str) else "", number(record, field), place=f"units.{field}")
            )
        weight = next((each.number for each in measures if each.key == "WEIGHT"), 0)
        which = self._which(at, None, weight, exact=exact)
        yield from self._events(measures, Moment(which.at_us), which, weight)


def _name(which: _Weighing, type_: str) -> str:
    return f"{which.minute_us}/{which.number}/{type_};"


def _measures(record: Record) -> list[_Measure]:
    """What a weighing measured: of ``values`` where they are, of the fields beside them what they do not say."""
    found: dict[str, _Measure] = {}
    values = items(record, "values")
    for place, value in enumerate(values):
        with inside(f"values[{place}]"):
            each = as_record(value)
            key = text(each, "key").upper()
            if key not in _TYPES:
                continue
            amount = number(each, "value")
            if amount:
                found.setdefault(
                    key,
                    _Measure(
                        key,
                        text_or_none(each, "unit") or "",
                        amount,
                        each.get("isDerived") is True,
                        f"values[{place}].unit",
                    ),
                )
    for field, (key, unit) in _FLAT.items():
        # Nought says that nothing was measured. Beside values, these two are computed and of another unit.
        given = record.get(field)
        if given is not None and given != 0 and not (values and key in {"LBM", "BONE"}):
            found.setdefault(key, _Measure(key, unit, number(record, field), place=field))
    return list(found.values())


def _amount(measure: _Measure, weight: float) -> tuple[str, float]:
    """The type that a measure is of, and its number: parts of the weight in kilograms where that is known."""
    of_weight, percentage = _TYPES[measure.key]
    if measure.unit == "%":
        if measure.key == "BODY_FAT" or (percentage and not weight):
            return percentage, whole(measure.number)
        if measure.key in {"WATER", "MUSCLE", "LBM", "BONE"} and weight:
            share = Fraction(repr(measure.number)) * Fraction(repr(weight)) / 100
            return of_weight, whole(float(round(share, 4)))
    field = first_field(of_weight)
    own = _OWN.get(of_weight, ())
    return of_weight, in_field(of_weight, field, measure.number, measure.unit, own, place=measure.place)
