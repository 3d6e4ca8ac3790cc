"""Measure groups of Withings: what one standing on a scale, or one cuff, came to."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple

from healthsync_mqtt.formats.port import Event
from healthsync_mqtt.formats.reading.amount import first_field, in_field
from healthsync_mqtt.formats.reading.document import Record, as_record, inside, items, text_or_none, whole
from healthsync_mqtt.formats.reading.moment import Moment, in_zone, of_epoch
from healthsync_mqtt.formats.reading.scribe import Scribe
from healthsync_mqtt.model.reasons import Reason, RefusedError


class Measure(NamedTuple):
    """Our type of a measure, and the unit that Withings gives it in."""

    type: str
    unit: str


MEASURES: Final = {
    1: Measure("weight", "kg"),
    4: Measure("height", "m"),
    5: Measure("lean_mass", "kg"),
    6: Measure("body_fat_percentage", "%"),
    8: Measure("fat_mass", "kg"),
    11: Measure("heart_rate", "/min"),
    12: Measure("body_temperature", "Cel"),
    54: Measure("spo2", "%"),
    71: Measure("body_temperature", "Cel"),
    73: Measure("skin_temperature", "Cel"),
    76: Measure("muscle_mass", "kg"),
    # Withings calls it hydration: water that is in a body, not what was drunk.
    77: Measure("body_water", "kg"),
    88: Measure("bone_mass", "kg"),
    91: Measure("pulse_wave_velocity", "m/s"),
    123: Measure("vo2_max", "mL/kg/min"),
    155: Measure("vascular_age", "a"),
    170: Measure("visceral_fat", "1"),
    226: Measure("basal_metabolic_rate", "kcal/d"),
}
"""By their numbers. Those that are not here have no type of ours: segments of a body, intervals of an ECG, minerals."""

_SYSTOLIC: Final = 10
_DIASTOLIC: Final = 9
_PULSE: Final = 11
_FIBRILLATION: Final = 130
_WHOLE_BODY: Final = frozenset({None, 7})
"""Positions that are not a part of the body."""
_AMBIGUOUS: Final = 1
_GOAL: Final = 2
_MANUAL: Final = frozenset({2, 4})
_MOST_DIGITS: Final = 18

_RHYTHMS: Final = {
    1: {"classification": "atrial_fibrillation"},
    2: {"classification": "inconclusive"},
    # What is no fibrillation is not said to be a sinus rhythm.
    0: {"classification": "unknown", "label": "no atrial fibrillation"},
}
"""Of Withings' result of an ECG."""


def code(record: Record, field: str) -> int | None:
    """A number that stands for a word; None where there is none, or something else."""
    found = record.get(field)
    return found if type(found) is int else None


def recorded(record: Record) -> dict[str, Any]:
    """How it came to be: by hand where ``attrib`` says so."""
    return {"recording": "manual"} if code(record, "attrib") in _MANUAL else {}


def made_by(record: Record) -> dict[str, Any]:
    """The device, where its model has a name."""
    model = text_or_none(record, "model")
    return {"model": model[:64]} if model else {}


def version_of(record: Record) -> Any:
    """When it was last changed, in seconds; the order of arrival where it does not say."""
    modified = record.get("modified")
    return modified if type(modified) is int and 0 < modified < 2**53 else "latest"


def rhythm(result: int | None) -> dict[str, Any]:
    """What a result of an ECG says."""
    return dict(
        _RHYTHMS.get(result, {"classification": "unknown"}) if result is not None else {"classification": "unknown"}
    )


def at_second(scribe: Scribe, record: Record, field: str) -> Moment:
    """A moment in seconds, by the clock of its zone. Raises RefusedError."""
    found = record.get(field)
    if found is None:
        raise RefusedError(Reason.MISSING_FIELD, field, f"{field} is missing")
    return in_zone(of_epoch(found, field), scribe.message.declared.zone)


def group_events(scribe: Scribe, group: Record) -> Iterator[Event]:
    """Every measure of a group that has a type, and its blood pressure as one."""
    if code(group, "attrib") == _AMBIGUOUS or code(group, "category") == _GOAL:
        return
    at, name = at_second(scribe, group, "date"), group.get("grpid")
    if type(name) not in {int, str}:
        raise RefusedError(Reason.MISSING_FIELD, "grpid", "the group has no number")
    found = _measured(group)

    def event(type_: str, value: dict[str, Any], of: object, end: Moment | None = None) -> Event:
        return scribe.event(
            type_,
            value,
            at,
            end,
            key=("group", name, of),
            version=version_of(group),
            source=recorded(group),
            device=made_by(group),
        )

    if _SYSTOLIC in found and _DIASTOLIC in found:
        value = {"systolic": found[_SYSTOLIC], "diastolic": found[_DIASTOLIC]}
        if found.get(_PULSE):
            value["pulse"] = found[_PULSE]
        yield event("blood_pressure", value, "pressure")
    elif _SYSTOLIC in found or _DIASTOLIC in found:
        raise RefusedError(Reason.MISSING_FIELD, "measures", "a blood pressure of which one half is missing")
    if _FIBRILLATION in found:
        rate = {"bpm": found[_PULSE]} if found.get(_PULSE) else {}
        # How long it was is not said.
        yield event("ecg", rhythm(int(found[_FIBRILLATION])) | rate, _FIBRILLATION, at)
    for number, amount in found.items():
        of = MEASURES.get(number)
        if of is None or (number == _PULSE and (_SYSTOLIC in found or not amount)):
            continue
        field = first_field(of.type)
        yield event(of.type, {field: in_field(of.type, field, amount, of.unit)}, number)


def _measured(group: Record) -> dict[int, float]:
    """The amounts of a whole body by the numbers of their measures; what is there twice is there once."""
    found: dict[int, float] = {}
    for place, each in enumerate(items(group, "measures")):
        with inside(f"measures[{place}]"):
            measure = as_record(each)
            number = code(measure, "type")
            if number is not None and code(measure, "position") in _WHOLE_BODY:
                found.setdefault(number, _amount(measure))
    return found


def _amount(measure: Record) -> float:
    """``value`` times ten to the power of ``unit``, exactly."""
    value, unit = measure.get("value"), measure.get("unit")
    if type(value) is not int or type(unit) is not int:
        missing = "value" if value is None else "unit" if unit is None else None
        if missing:
            raise RefusedError(Reason.MISSING_FIELD, missing, f"{missing} is missing")
        wrong = "unit" if type(value) is int else "value"
        raise RefusedError(Reason.WRONG_TYPE, wrong, f"{wrong} must be an integer")
    if abs(unit) > _MOST_DIGITS or abs(value) > 2**53:
        raise RefusedError(Reason.BAD_NUMBER, "value", "the number is beyond 2^53")
    return whole(float(Decimal(value).scaleb(unit)))
