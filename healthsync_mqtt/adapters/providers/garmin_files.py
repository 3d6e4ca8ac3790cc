"""Garmin's files of activities (FIT): the workout that a push tells of, under the same ids, with the heart beside it.

A push, its details and the file are one workout, whatever of them comes, and the newest holds. Steps and distances of a
file are in the day and its epochs already.
"""

from collections.abc import Iterator
from typing import Final

from healthsync_mqtt.adapters.mapping.answers import AnswerReading, Written
from healthsync_mqtt.adapters.mapping.rules import FieldRow
from healthsync_mqtt.formats.fit.counters import DayBook
from healthsync_mqtt.formats.fit.file_events import FitAside, read_items
from healthsync_mqtt.formats.fit.wire import is_fit
from healthsync_mqtt.formats.omissions import PassedOver
from healthsync_mqtt.formats.port import Event, Made, Outcome
from healthsync_mqtt.formats.reading.moment import Moment, moment
from healthsync_mqtt.formats.reading.scribe import Records
from healthsync_mqtt.model.reasons import Reason, RefusedError

_PLACE: Final = "activityFiles"
_EPOCHS: Final = frozenset({"steps", "distance"})
_BROKEN: Final = frozenset({PassedOver.DAMAGED, PassedOver.CLOCK_NOT_SET, PassedOver.TIME_FAR_OFF})


def file_items(reading: AnswerReading, name: str, heart: FieldRow) -> Iterator[Outcome]:
    """The events of a file of the activity ``name``; what is wrong in it is named by its place. RefusedError."""
    if not is_fit(reading.scribe.message.payload):
        raise RefusedError(Reason.MALFORMED, None, "this is no FIT file")
    records = Records()
    made: list[Event] = []
    for item in read_items(reading.scribe.message.payload, reading.scribe.message, DayBook()):
        if isinstance(item, Made):
            made.append(item.event)
        elif isinstance(item, FitAside) and item.reason in _BROKEN:
            why = RefusedError(Reason.MALFORMED, None, f"{item.reason.value}: {item.text}")
            yield records.refuse(f"{_PLACE}: {item.place}", None, why)
    if not made:
        nothing = RefusedError(Reason.MALFORMED, None, "the file holds nothing that was measured")
        yield records.refuse(_PLACE, None, nothing)
    yield from records.read(_PLACE, {}, lambda _: _activity(reading, name, heart, made))


def _activity(reading: AnswerReading, name: str, heart: FieldRow, made: list[Event]) -> Iterator[Written]:
    record, source = f"activity {name}", {"record_id": name}
    workouts = [each for each in made if each["type"] == "workout"]
    for number, each in enumerate(workouts):
        start, end = _moment(each, "start_time"), _moment(each, "end_time")
        if number == 0:
            reading.memory.put(record, (end.us - start.us) // 1_000_000)
        part = str(number) if number else ""  # a triathlon is several
        model = each.get("device", {}).get("model", "")
        yield reading.event("workout", each["value"], start, end, record=record, part=part, source=source, model=model)
    rates = [each for each in made if each["type"] == "heart_rate"]
    if rates:
        start = _moment(workouts[0] if workouts else rates[0], "start_time")
        samples = [((_moment(each, "start_time").us - start.us) / 1e6, each["value"]["bpm"]) for each in rates]
        yield from reading.series(
            heart, [each for each in samples if each[0] >= 0], start, record=record, source=source
        )
    known = {"workout", "heart_rate"} | _EPOCHS
    for each in made:
        if each["type"] not in known:
            yield each


def _moment(event: Event, field: str) -> Moment:
    return Moment(moment(event[field]).us, event.get("utc_offset"))
