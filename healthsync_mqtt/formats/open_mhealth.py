"""Open mHealth and IEEE 1752.1: data points, each a header and a body; or a body alone, which says what it is.

A statistic over a time is no reading: of numbers at a moment a mean is taken and marked as one, a lowest or a highest
is refused, and so is everything but the amount itself of what is counted from a start to an end.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from healthsync_mqtt.formats.port import AppMessage, Event, Fold, FormatEntry
from healthsync_mqtt.formats.reading.amount import in_field
from healthsync_mqtt.formats.reading.document import (
    Record,
    as_record,
    inner,
    inside,
    number,
    read_document,
    text,
    text_or_none,
)
from healthsync_mqtt.formats.reading.moment import Moment
from healthsync_mqtt.formats.reading.scribe import Records, Scribe
from healthsync_mqtt.formats.reading.words import underscored
from healthsync_mqtt.model.catalogue import CATALOGUE, TimeKind
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable
from healthsync_mqtt.model.types.workout import ACTIVITY


class _Body(NamedTuple):
    """What a body is of: our type, its fields by the names of theirs, and further spellings of our units."""

    type: str
    fields: dict[str, str]
    own: tuple[str, ...] = ()


#: The schema, and what it is of. A body is known by the first of its fields.
_BODIES: Final = {
    "heart-rate": _Body("heart_rate", {"heart_rate": "bpm"}),
    "blood-pressure": _Body(
        "blood_pressure", {"systolic_blood_pressure": "systolic", "diastolic_blood_pressure": "diastolic"}
    ),
    "body-weight": _Body("weight", {"body_weight": "kg"}),
    "body-height": _Body("height", {"body_height": "meters"}),
    "body-mass-index": _Body("bmi", {"body_mass_index": "kg_m2"}),
    "body-fat-percentage": _Body("body_fat_percentage", {"body_fat_percentage": "percent"}),
    "body-temperature": _Body("body_temperature", {"body_temperature": "celsius"}),
    "blood-glucose": _Body("glucose", {"blood_glucose": "mg_dl"}),
    "oxygen-saturation": _Body("spo2", {"oxygen_saturation": "percent"}),
    "respiratory-rate": _Body("respiratory_rate", {"respiratory_rate": "breaths_per_minute"}),
    "step-count": _Body("steps", {"step_count": "steps"}, ("steps",)),
    "calories-burned": _Body("energy_active", {"kcal_burned": "kcal"}),
    "minutes-moderate-activity": _Body("active_minutes_moderate", {"minutes_moderate_activity": "minutes"}),
    "sleep-duration": _Body("sleep", {"sleep_duration": "total_asleep_s"}),
    "total-sleep-time": _Body("sleep", {"total_sleep_time": "total_asleep_s"}),
    "sleep-episode": _Body(
        "sleep",
        {
            "total_sleep_time": "total_asleep_s",
            "latency_to_sleep_onset": "latency_s",
            "wake_after_sleep_onset": "awake_s",
            "sleep_maintenance_efficiency_percentage": "efficiency_percent",
        },
    ),
    "physical-activity": _Body("workout", {"distance": "distance_m", "kcal_burned": "energy_kcal"}),
}
_BY_FIELD: Final = {
    "activity_name": _BODIES["physical-activity"],
    "is_main_sleep": _BODIES["sleep-episode"],
    **{next(iter(body.fields)): body for body in reversed(_BODIES.values())},
}
"""What a body without a header is, by a field of it; the first that it has."""

_MODALITIES: Final = {"sensed": "auto", "self-reported": "manual"}
_MEAN: Final = "average"
_STATISTICS: Final = frozenset({
    "average", "count", "maximum", "median", "minimum", "standard deviation", "sum", "variance", "20th percentile",
    "80th percentile", "lower quartile", "upper quartile", "quartile deviation", "1st quartile", "2nd quartile",
    "3rd quartile", "4th quartile", "1st quintile", "2nd quintile", "3rd quintile", "4th quintile",
})  # fmt: skip
_RELATIONS: Final = {
    "temporal_relationship_to_physical_activity": frozenset(
        {"at rest", "active", "before exercise", "after exercise", "during exercise"}
    ),
    "temporal_relationship_to_sleep": frozenset({"before sleeping", "during sleep", "on waking"}),
}
_MEALS: Final = {
    "fasting": "fasting", "not fasting": "general", "before meal": "before_meal", "after meal": "after_meal",
    "before breakfast": "before_meal", "before lunch": "before_meal", "before dinner": "before_meal",
    "after breakfast": "after_meal", "after lunch": "after_meal", "after dinner": "after_meal",
}  # fmt: skip
_SPECIMENS: Final = underscored("interstitial fluid", "capillary blood", "plasma", "serum", "tears", "whole blood")
_POSTURES: Final = {"sitting": "sitting", "standing": "standing", "lying down": "lying", "reclining": "reclining"}
_PLACES: Final = {
    "left wrist": "left_wrist",
    "right wrist": "right_wrist",
    "left upper arm": "left_arm",
    "right upper arm": "right_arm",
}

_SECONDS: Final = {
    "ms": 0.001, "sec": 1, "s": 1, "min": 60, "h": 3600, "d": 86_400, "wk": 604_800,
}  # fmt: skip


class OpenMhealth:
    """A data point, an array of them, or a body (``port.Format``)."""

    name = "open_mhealth"
    summary = "Open mHealth and IEEE 1752.1: data points with header and body"
    roots = ()
    remembers: frozenset[str] = frozenset()

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        for schema, body in _BODIES.items():
            yield FormatEntry(schema, body.type, ", ".join(body.fields))

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """Each data point becomes an event or a refusal."""
        document = read_document(message.payload)
        if not isinstance(document, list | dict):
            raise RefusedError(Reason.MALFORMED, None, "no data point and no array of them")
        records, scribe = Records(), Scribe(self.name, message, "open_mhealth")

        def read(record: Record) -> Iterator[Event]:
            yield _event(scribe, record)

        if isinstance(document, dict):
            yield from records.read("", document, read)
            return state
        for place, each in enumerate(document):
            yield from records.read(f"[{place}]", each, read)
        return state


def _event(scribe: Scribe, record: Record) -> Event:
    if "header" not in record and "body" not in record:
        found = next((body for field, body in _BY_FIELD.items() if field in record), None)
        if found is None:
            raise RefusedError(Reason.MISSING_FIELD, "header", "neither a data point nor a body that is known")
        return _of_body(scribe, found, record, {})
    for part in ("header", "body"):
        if part not in record:
            raise RefusedError(Reason.MISSING_FIELD, part, f"{part} is missing")
    with inside("header"):
        header = _header(scribe, as_record(record["header"]))
    with inside("body"):
        return _of_body(scribe, header["body"], as_record(record["body"]), header)


def _header(scribe: Scribe, header: Record) -> dict[str, Any]:
    """What a header says: the body, an id, a version, the source."""
    own = text_or_none(header, "id") or text(header, "uuid" if "uuid" in header else "id")
    schema = inner(header, "schema_id")
    name = text(schema, "name")
    if name not in _BODIES:
        raise RefusedError(
            Reason.UNKNOWN_TYPE, "schema_id.name", f"{printable(name)} is no schema that has a type here"
        )
    provenance = inner(header, "acquisition_provenance")
    modified = None
    if provenance.get("source_last_modification_date_time") is not None:
        modified = scribe.moment_in(provenance, "source_last_modification_date_time").us // 1000
    modality = _MODALITIES.get(text_or_none(provenance, "modality") or text_or_none(header, "modality") or "")
    return {
        "body": _BODIES[name],
        "key": ("id", own),
        "version": modified,
        "app": text_or_none(provenance, "source_name"),
        "source": {"recording": modality} if modality else {},
    }


def _of_body(scribe: Scribe, of: _Body, body: Record, header: dict[str, Any]) -> Event:
    kind = CATALOGUE[of.type].kind
    statistic = _statistic(body, kind)
    value: dict[str, Any] = {}
    for name, field in of.fields.items():
        if name in body:
            found = body[name]
            if field == "efficiency_percent" and not isinstance(found, dict):
                found = {"value": found, "unit": "%"}
            value[field] = _quantity(scribe, of, name, field, found)
        elif of.type not in {"sleep", "workout"}:
            raise RefusedError(Reason.MISSING_FIELD, name, f"{name} is missing")
    value |= _about(of.type, body)
    if not value:
        raise RefusedError(Reason.MISSING_FIELD, next(iter(of.fields)), "the body has no value")
    start, end = _times(scribe, body)
    if end is None and kind in {TimeKind.INTERVAL, TimeKind.SESSION}:
        raise RefusedError(Reason.MISSING_FIELD, "effective_time_frame.time_interval", "an amount is of an interval")
    source = {**header.get("source", {}), **_said(body)}
    if statistic:
        source["statistic"] = "mean"
    version = header.get("version")
    return scribe.event(
        of.type,
        value,
        start,
        end,
        app=header.get("app"),
        key=header.get("key", ()),
        source=source,
        version="latest" if version is None else version,
    )


def _statistic(body: Record, kind: TimeKind) -> bool:
    """Whether it is a mean. Raises RefusedError for any other statistic."""
    field = "descriptive_statistic"
    word = text_or_none(body, field)
    if word is None:
        return False
    if word not in _STATISTICS:
        raise RefusedError(Reason.WRONG_TYPE, field, f"{printable(word)} is no statistic")
    if word == "sum" and kind is TimeKind.INTERVAL and "descriptive_statistic_denominator" not in body:
        return False
    if word == _MEAN and kind is TimeKind.INSTANT:
        return True
    raise RefusedError(Reason.UNKNOWN_FIELD, field, f"the {word} of a time is neither a reading nor an amount")


def _quantity(scribe: Scribe, of: _Body, name: str, field: str, found: Any) -> float:
    with inside(name):
        each = as_record(found)
        amount = number(each, "value")
        unit, declared = text_or_none(each, "unit"), scribe.message.declared.unit
        return in_field(of.type, field, amount, unit, of.own, place="unit", declared=declared)


def _about(type_: str, body: Record) -> dict[str, Any]:
    """What else the value of a type may have."""

    def word(field: str, words: dict[str, str]) -> str | None:
        return words.get((text_or_none(body, field) or "").casefold())

    found: dict[str, Any] = {}
    if type_ == "blood_pressure":
        found = {"position": word("body_posture", _POSTURES), "site": word("measurement_location", _PLACES)}
    elif type_ == "glucose":
        found = {
            "meal": word("temporal_relationship_to_meal", _MEALS),
            "specimen": word("specimen_source", _SPECIMENS),
        }
    elif type_ == "workout":
        name = text_or_none(body, "activity_name")
        if name is not None:
            activity = "_".join(name.casefold().split())
            found = {"activity": activity if activity in ACTIVITY.words else "other", "name": name[:256]}
    elif type_ == "sleep" and isinstance(body.get("number_of_awakenings"), int):
        found = {"awakenings": body["number_of_awakenings"]}
    return {field: said for field, said in found.items() if said is not None}


def _said(body: Record) -> dict[str, str]:
    """To what a reading was how. Raises RefusedError for a word that the schemas do not have."""
    found = {}
    for field, words in _RELATIONS.items():
        word = text_or_none(body, field)
        if word is None:
            continue
        if word not in words:
            raise RefusedError(Reason.WRONG_TYPE, field, f"{printable(word)} is no word of {field}")
        found[field.removeprefix("temporal_relationship_")] = word
    return found


def _times(scribe: Scribe, body: Record) -> tuple[Moment, Moment | None]:
    """The moment or the interval of a body. Raises RefusedError, also for a part of a day."""
    try:
        frame = as_record(body.get("effective_time_frame"))
    except RefusedError:
        raise RefusedError(Reason.MISSING_FIELD, "effective_time_frame", "effective_time_frame is missing") from None
    with inside("effective_time_frame"):
        if "date_time" in frame:
            return scribe.moment_in(frame, "date_time"), None
        span = inner(frame, "time_interval")
        if not span:
            raise RefusedError(Reason.MISSING_FIELD, "time_interval", "there is neither date_time nor time_interval")
        return _interval(scribe, span)


def _interval(scribe: Scribe, span: Record) -> tuple[Moment, Moment]:
    with inside("time_interval"):
        if "duration" not in span:
            return scribe.moment_in(span, "start_date_time"), scribe.moment_in(span, "end_date_time")
        lasted = inner(span, "duration")
        unit = text_or_none(lasted, "unit")
        if unit not in _SECONDS:
            raise RefusedError(Reason.UNKNOWN_UNIT, "duration.unit", "the unit of the duration is not known")
        seconds = number(lasted, "value") * _SECONDS[unit]
        if not 0 <= seconds <= _SECONDS["wk"] * 60:
            raise RefusedError(Reason.BAD_INTERVAL, "duration.value", "the duration is none")
        if "start_date_time" in span:
            start = scribe.moment_in(span, "start_date_time")
            return start, start.later(seconds)
        end = scribe.moment_in(span, "end_date_time")
        return end.later(-seconds), end
