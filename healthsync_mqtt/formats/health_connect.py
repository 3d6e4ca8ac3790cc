"""What apps send that read Health Connect (Android): HC Webhook's arrays, and the records of the plugin for Tasker.

HC Webhook has no ids and sends 48 hours again and again: the same reading is the same event. The records of the plugin
do not say of which type they are; where their fields do not either, the end of the topic has to, or they are refused.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from healthsync_mqtt.formats.port import AppMessage, Event, Fold, FormatEntry
from healthsync_mqtt.formats.reading.amount import first_field, in_field
from healthsync_mqtt.formats.reading.document import (
    Record,
    as_record,
    inner,
    inside,
    is_number,
    items,
    number,
    read_object,
    text_or_none,
    whole,
)
from healthsync_mqtt.formats.reading.health_connect import ACTIVITIES, ARRAYS, STAGES, HealthRecords, taken_arrays
from healthsync_mqtt.formats.reading.moment import Moment, in_zone, of_epoch_ms
from healthsync_mqtt.formats.reading.scribe import Records, Scribe
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

_BESIDE: Final = frozenset({"timestamp", "app_version", "test", "message", "source", "pageToken"})

#: A field of the plugin's records, its unit there and ours, and the type that it is; the first that a record has.
_TASKER: Final = (
    ("weight", "kilograms", "kg", "weight"),
    ("height", "meters", "m", "height"),
    ("level", "millimolesPerLiter", "mmol/L", "glucose"),
    ("distance", "meters", "m", "distance"),
    ("volume", "liters", "L", "hydration"),
    ("elevation", "meters", "m", "elevation_gain"),
    ("basalMetabolicRate", "kilocaloriesPerDay", "kcal/d", "basal_metabolic_rate"),
)
#: The same of plain numbers.
_TASKER_PLAIN: Final = (
    ("count", "{steps}", "steps"),
    ("floors", "{flights}", "floors"),
    ("beatsPerMinute", "/min", "resting_heart_rate"),
    ("heartRateVariabilityMillis", "ms", "hrv_rmssd"),
    ("vo2MillilitersPerMinuteKilogram", "mL/kg/min", "vo2_max"),
    ("rate", "/min", "respiratory_rate"),
)
#: What fields do not tell apart: by the words of a topic, the unit there and ours.
_TASKER_BY_TOPIC: Final = {
    "body_fat": ("percentage", "value", "%", "body_fat_percentage"),
    "oxygen_saturation": ("percentage", "value", "%", "spo2"),
    "active_calories": ("energy", "kilocalories", "kcal", "energy_active"),
    "total_calories": ("energy", "kilocalories", "kcal", "energy_total"),
    "body_temperature": ("temperature", "celsius", "Cel", "body_temperature"),
    "basal_body_temperature": ("temperature", "celsius", "Cel", "basal_body_temperature"),
    "lean_body_mass": ("mass", "kilograms", "kg", "lean_mass"),
    "bone_mass": ("mass", "kilograms", "kg", "bone_mass"),
    "body_water_mass": ("mass", "kilograms", "kg", "body_water"),
}
_BIGGEST: Final = 2**53
_RECORDINGS: Final = {1: "active", 2: "auto", 3: "manual"}


class HealthConnect:
    """Messages of HC Webhook and of TaskerHealthConnect (``port.Format``)."""

    name = "health_connect"
    summary = "Health Connect (Android): HC Webhook, and the plugin TaskerHealthConnect"
    roots = ()
    remembers: frozenset[str] = frozenset()

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        yield from taken_arrays()
        yield FormatEntry("records (TaskerHealthConnect)", "by its fields", "else by the last level of the topic")

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """All arrays of a message. What the app invents for a test is refused."""
        root = read_object(message.payload)
        if root.get("test") is True:
            raise RefusedError(Reason.NOT_ALLOWED, "test", "a test of the app: what it holds is invented")
        scribe, records = Scribe(self.name, message, "health_connect"), Records()
        if "records" in root:
            read = partial(_tasker, scribe, message.topic.strip("/").rpartition("/")[2])
            for place, record in enumerate(items(root, "records")):
                yield from records.read(f"records[{place}]", record, read)
            return state
        arrays = HealthRecords(scribe)
        for array in root:
            reader = arrays.reader(array)
            if reader is None:
                if array not in _BESIDE and not array.startswith("_"):
                    message_ = f"{printable(array)} has no type here; there are: {', '.join(ARRAYS)}"
                    refusal = RefusedError(Reason.UNKNOWN_TYPE, None, message_)
                    yield records.refuse(printable(array), None, refusal)
                continue
            read_one, type_ = reader
            rows = yield from records.listed(array, root, array)
            for place, record in enumerate(rows):
                yield from records.read(f"{array}[{place}]", record, read_one, type_)
        return state


def _tasker(scribe: Scribe, topic: str, record: Record) -> Iterator[Event]:
    """A record of the plugin: what it is its fields say, or the topic."""
    if "samples" in record:
        yield from _heart_rates(scribe, record)
    elif "stages" in record:
        yield _sleep(scribe, record)
    elif "systolic" in record:
        value = {}
        for field in ("systolic", "diastolic"):
            with inside(field):
                value[field] = whole(number(inner(record, field), "millimetersOfMercury"))
        yield _made(scribe, "blood_pressure", value, record)
    elif "exerciseType" in record:
        kind = record["exerciseType"]
        value_: dict[str, Any] = {"activity": ACTIVITIES.get(kind, "other") if isinstance(kind, int) else "other"}
        title = text_or_none(record, "title")
        yield _made(scribe, "workout", value_ | ({"name": title[:256]} if title else {}), record)
    else:
        yield _quantity(scribe, topic, record)


def _quantity(scribe: Scribe, topic: str, record: Record) -> Event:
    for field, unit, type_ in _TASKER_PLAIN:
        if is_number(record.get(field)):
            amount = in_field(type_, first_field(type_), number(record, field), unit, place=field)
            return _made(scribe, type_, {first_field(type_): amount}, record)
    rows = (*_TASKER, *((_TASKER_BY_TOPIC[topic],) if topic in _TASKER_BY_TOPIC else ()))
    for field, key, unit, type_ in rows:
        if isinstance(record.get(field), dict):
            with inside(field):
                amount = number(inner(record, field), key)
            value = {first_field(type_): in_field(type_, first_field(type_), amount, unit, place=field)}
            return _made(scribe, type_, value, record)
    doubtful = next((row[0] for row in _TASKER_BY_TOPIC.values() if row[0] in record), None)
    if doubtful is not None:
        could = " or ".join(name for name, row in _TASKER_BY_TOPIC.items() if row[0] == doubtful)
        raise RefusedError(Reason.UNKNOWN_TYPE, doubtful, f"this may be {could}: let the topic end with which it is")
    raise RefusedError(Reason.UNKNOWN_TYPE, None, "the record has no field that says what it is")


def _made(scribe: Scribe, type_: str, value: dict[str, Any], record: Record, at: Moment | None = None) -> Event:
    """The event of a record, or of what it holds of one moment."""
    start, end = _times(scribe, record) if at is None else (at, None)
    said = inner(record, "metadata")
    own = text_or_none(said, "id")
    modified = said.get("lastModifiedTime")
    recording = said.get("recordingMethod")
    known = _RECORDINGS.get(recording) if isinstance(recording, int) else None
    key: tuple[object, ...] = ("record", own) if at is None else ("sample", own, at.text)
    return scribe.event(
        type_,
        value,
        start,
        end,
        app=text_or_none(inner(said, "dataOrigin"), "packageName"),
        key=key if own else (),
        version=modified if isinstance(modified, int) and 0 <= modified < _BIGGEST else "latest",
        source={"recording": known} if known else {},
    )


def _times(scribe: Scribe, record: Record) -> tuple[Moment, Moment | None]:
    zone = scribe.message.declared.zone
    if record.get("time") is not None:
        return in_zone(of_epoch_ms(number(record, "time"), "time"), zone), None
    start = of_epoch_ms(number(record, "startTime"), "startTime")
    end = of_epoch_ms(number(record, "endTime"), "endTime")
    return in_zone(start, zone), in_zone(end, zone)


def _heart_rates(scribe: Scribe, record: Record) -> Iterator[Event]:
    for place, sample in enumerate(items(record, "samples")):
        with inside(f"samples[{place}]"):
            each = as_record(sample)
            value = {"bpm": whole(number(each, "beatsPerMinute"))}
            at = in_zone(of_epoch_ms(number(each, "time"), "time"), scribe.message.declared.zone)
        yield _made(scribe, "heart_rate", value, record, at)


def _sleep(scribe: Scribe, record: Record) -> Event:
    stages = []
    for place, stage in enumerate(items(record, "stages")):
        with inside(f"stages[{place}]"):
            each = as_record(stage)
            start = of_epoch_ms(number(each, "startTime"), "startTime")
            end = of_epoch_ms(number(each, "endTime"), "endTime")
            word = STAGES.get(str(each.get("stage")), "unknown")
            stages.append({"stage": word, "start_time": start.text, "end_time": end.text})
    return _made(scribe, "sleep", {"stages": stages} if stages else {}, record)
