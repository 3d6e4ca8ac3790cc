"""Nightscout and what speaks like it: entries and treatments, xDrip+ with its activity, Juggluco's ``pebble``.

``sgv`` and ``mbg`` are mg/dL, whatever a hint says; below 39 an ``sgv`` is a code of the sensor. An uploader gives one
reading several ids: it is known by its kind and its time. A glucose of a treatment has a unit or is refused.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from healthsync_mqtt.formats.port import AppMessage, Event, Fold, FormatEntry, Gone, Outcome
from healthsync_mqtt.formats.reading.amount import in_field
from healthsync_mqtt.formats.reading.document import (
    Record,
    items,
    number,
    number_of_text,
    read_document,
    text_or_none,
    whole,
)
from healthsync_mqtt.formats.reading.moment import Moment, in_zone, of_epoch_ms
from healthsync_mqtt.formats.reading.scribe import Named, Records, Scribe
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

_LOWEST: Final = 39
"""Sensors report nothing below; smaller numbers are their codes."""
_UNITS: Final = {"mmol": "mmol/L", "mmol/l": "mmol/L", "mg/dl": "mg/dL", "mg": "mg/dL"}
_SPECIMENS: Final = {"finger": "capillary_blood", "sensor": "interstitial_fluid"}
_NO_READING: Final = frozenset({"cal", "motion-class", "etc", "announcement"})

#: What a treatment has of a meal.
_MEAL: Final = (("carbs", "carbohydrate_g"), ("protein", "protein_g"), ("fat", "fat_g"))


class Nightscout:
    """Entries, treatments and activity of Nightscout's API (``port.Format``)."""

    name = "nightscout"
    summary = "Nightscout, xDrip+, Juggluco: glucose, treatments, heart rate and steps"
    roots = ("nightscout",)
    remembers: frozenset[str] = frozenset({"steps"})

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        yield FormatEntry("sgv, mbg", "glucose", "mg/dL; a pebble's needs a unit")
        yield FormatEntry("glucose", "glucose", "of a treatment that says its unit")
        yield FormatEntry("insulin", "insulin_delivery")
        yield FormatEntry(", ".join(name for name, _ in _MEAL), "food")
        yield FormatEntry("hr-bpm", "heart_rate")
        yield FormatEntry("steps-total", "steps", "what the counter rose")
        yield FormatEntry("isValid false", "what is gone")

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """One message; what is remembered is the last count of steps."""
        document = read_document(message.payload)
        reading = _NightscoutReading(Scribe(self.name, message, "nightscout"), state)
        for place, record in _records(document):
            yield from reading.record(place, record)
        return reading.state


def _records(document: Any) -> Iterator[tuple[str, Any]]:
    """The records of a message and their places."""
    if isinstance(document, list):
        yield from ((f"[{place}]", each) for place, each in enumerate(document))
    elif isinstance(document, dict) and "bgs" in document:
        yield from ((f"bgs[{place}]", each) for place, each in enumerate(items(document, "bgs")))
    elif isinstance(document, dict):
        yield "", document
    else:
        raise RefusedError(Reason.MALFORMED, None, "no record and no array of records")


class _NightscoutReading:
    def __init__(self, scribe: Scribe, state: bytes) -> None:
        self._scribe = scribe
        self._records = Records()
        #: when steps were last counted, and what the counter said
        self._counted: tuple[int, float] | None = tuple(msgspec.json.decode(state)) if state else None

    @property
    def state(self) -> bytes:
        return msgspec.json.encode(self._counted) if self._counted else b""

    def record(self, place: str, record: Any) -> Iterator[Outcome]:
        """What one record comes to; one that is no more valid is gone."""
        if isinstance(record, dict) and record.get("isValid") is False:
            name = _name(record)
            if name is not None:
                yield Gone(name)
            return
        yield from self._records.read(place, record, self._read)

    def _read(self, record: Record) -> Iterator[Event | Named]:
        kind = text_or_none(record, "type")
        if "eventType" in record or "glucoseType" in record:
            yield from self._treatment(record)
        elif kind == "hr-bpm":
            value = {"bpm": whole(number(record, "bpm"))}
            yield self._scribe.event("heart_rate", value, self._at(record, "timeStamp"))
        elif kind == "steps-total":
            yield from self._steps(record)
        elif "sgv" in record or "mbg" in record:
            yield from self._entry(record)
        elif kind not in _NO_READING:
            raise RefusedError(Reason.UNKNOWN_TYPE, "type", f"{printable(kind or 'it')} has no type here")

    def _at(self, record: Record, *fields: str) -> Moment:
        """When it was, and by which clock: an offset of nought is that none is known."""
        for field in fields:
            value = record.get(field)
            if value is None:
                continue
            if isinstance(value, str) and "-" in value[1:]:
                at = self._scribe.moment_in(record, field)
            else:
                millis = number_of_text(value, field) if isinstance(value, str) else value
                at = of_epoch_ms(millis, field)
            minutes = record.get("utcOffset")
            if at.offset_s is None and isinstance(minutes, int) and minutes and abs(minutes) <= _MOST_MINUTES:
                return Moment(at.us, minutes * 60)
            return at if at.offset_s is not None else in_zone(at, self._scribe.message.declared.zone)
        raise RefusedError(Reason.MISSING_FIELD, fields[0], f"{fields[0]} is missing")

    def _entry(self, record: Record) -> Iterator[Event | Named]:
        field = "sgv" if "sgv" in record else "mbg"
        at = self._at(record, "date", "datetime", "dateString")
        amount = number(record, field, texts=True)
        if "datetime" in record and "date" not in record:  # a pebble says it in the unit of its display
            unit = self._scribe.message.declared.unit
            if unit is None:
                message = "nothing says whether that is mmol/L or mg/dL: declare it with the login (--unit)"
                raise RefusedError(Reason.UNKNOWN_UNIT, field, message)
            milligrams = in_field("glucose", "mg_dl", amount, unit, place=field)
        else:
            milligrams = whole(amount)
        if field == "sgv" and milligrams < _LOWEST:
            raise RefusedError(Reason.OUT_OF_RANGE, field, f"{milligrams} is a code of the sensor and no glucose")
        specimen = "interstitial_fluid" if field == "sgv" else "capillary_blood"
        value = {"mg_dl": milligrams, "specimen": specimen}
        event = self._scribe.event("glucose", value, at, app=text_or_none(record, "device"), key=(field, at.text))
        name = _name(record)
        yield Named(event, name) if name else event

    def _treatment(self, record: Record) -> Iterator[Event | Named]:
        at = self._at(record, "created_at", "date", "timestamp")
        name = _name(record)
        app = text_or_none(record, "enteredBy")

        def named(type_: str, value: dict[str, Any]) -> Event | Named:
            key = ("record", name) if name else ("treatment", at.text)
            event = self._scribe.event(type_, value, at, app=app, key=key)
            return Named(event, name) if name else event

        if _has(record, "glucose"):
            yield named("glucose", _measured(record))
        insulin = _amount(record, "insulin")
        if insulin:
            reason = "bolus" if "bolus" in (text_or_none(record, "eventType") or "").casefold() else "unknown"
            yield named("insulin_delivery", {"units": insulin, "reason": reason})
        meal = {field: amount for name_, field in _MEAL if (amount := _amount(record, name_))}
        if meal:
            yield named("food", meal)

    def _steps(self, record: Record) -> Iterator[Event]:
        """What the counter rose since it was last read; one that fell has begun again."""
        at, count = self._at(record, "timeStamp"), number(record, "steps")
        before = self._counted
        if before is not None and at.us <= before[0]:
            return
        self._counted = (at.us, count)
        if before is not None and count > before[1]:
            start = Moment(before[0], at.offset_s)
            yield self._scribe.event("steps", {"steps": whole(count - before[1])}, start, at)


_MOST_MINUTES: Final = 1080


def _name(record: Record) -> str | None:
    found = text_or_none(record, "identifier") or text_or_none(record, "uuid")
    return f"{found};" if found else None


def _has(record: Record, field: str) -> bool:
    return record.get(field) not in (None, "")


def _amount(record: Record, field: str) -> float | None:
    """A number that is there; uploaders write an empty text where there is none."""
    return whole(number(record, field, texts=True)) if _has(record, field) else None


def _measured(record: Record) -> dict[str, Any]:
    said = text_or_none(record, "units")
    if said is None:
        message = "whether that is mmol/L or mg/dL says the profile, which is not here"
        raise RefusedError(Reason.MISSING_FIELD, "units", message)
    amount = number(record, "glucose", texts=True)
    unit = _UNITS.get(said.casefold(), said)
    value: dict[str, Any] = {"mg_dl": in_field("glucose", "mg_dl", amount, unit)}
    specimen = _SPECIMENS.get((text_or_none(record, "glucoseType") or "").casefold())
    if specimen:
        value["specimen"] = specimen
    return value
