"""Days and minutes of Withings: what a tracker counted, and what another service had counted before it."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from healthsync_mqtt.formats.port import Event
from healthsync_mqtt.formats.reading.amount import first_field, in_field
from healthsync_mqtt.formats.reading.document import Record, number, number_or_none, text_or_none, whole
from healthsync_mqtt.formats.reading.moment import day, in_zone, of_epoch
from healthsync_mqtt.formats.reading.scribe import Scribe
from healthsync_mqtt.formats.withings.measures import made_by, version_of
from healthsync_mqtt.model.reasons import Reason, RefusedError


class Counted(NamedTuple):
    """Our type of what is counted, and the unit that Withings counts it in."""

    type: str
    unit: str


DAYS: Final = {
    "steps": Counted("daily_steps", "{steps}"),
    "distance": Counted("daily_distance", "m"),
    "elevation": Counted("daily_elevation_gain", "m"),
    "calories": Counted("daily_energy_active", "kcal"),
    "totalcalories": Counted("daily_energy_total", "kcal"),
    "soft": Counted("active_minutes_light", "s"),
    "moderate": Counted("active_minutes_moderate", "s"),
    "intense": Counted("active_minutes_vigorous", "s"),
}
MINUTES: Final = {
    "steps": Counted("steps", "{steps}"),
    "distance": Counted("distance", "m"),
    "calories": Counted("energy_active", "kcal"),
    "elevation": Counted("elevation_gain", "m"),
    "stroke": Counted("swimming_strokes", "{strokes}"),
}
MOMENTS: Final = {
    "heart_rate": Counted("heart_rate", "/min"),
    "spo2_auto": Counted("spo2", "%"),
    "rmssd": Counted("hrv_rmssd", "ms"),
    "sdnn1": Counted("hrv_sdnn", "ms"),
}

_KNOWN_TO_ANY: Final = frozenset({"steps", "distance"})
"""What another service also counts: its zeros of anything else say that it does not know."""


def day_totals(scribe: Scribe, record: Record) -> Iterator[Event]:
    """A day of one device. One that was imported from another service is told apart, and never added."""
    of = day(record.get("date"), "date", scribe.message.declared.zone)
    imported = record.get("is_tracker") is False
    whose = text_or_none(record, "deviceid") or text_or_none(record, "model") or ""
    source: dict[str, Any] = {"secondary": True} if imported else {}

    def event(type_: str, value: dict[str, float]) -> Event:
        return scribe.event(
            type_,
            value,
            of,
            app=text_or_none(record, "model") if imported else None,
            key=("day", of.date, whose),
            version=version_of(record),
            source=source,
            device={} if imported else made_by(record),
        )

    for field, counted in DAYS.items():
        amount = number_or_none(record, field)
        if amount is None or (imported and not amount and field not in _KNOWN_TO_ANY):
            continue
        own = first_field(counted.type)
        yield event(counted.type, {own: in_field(counted.type, own, amount, counted.unit)})
    mean = number_or_none(record, "hr_average")
    if mean:
        rates = {
            "mean_bpm": mean,
            "low_bpm": number_or_none(record, "hr_min"),
            "high_bpm": number_or_none(record, "hr_max"),
        }
        yield event("daily_heart_rate", {field: whole(rate) for field, rate in rates.items() if rate})


def minute(key: str, scribe: Scribe, record: Record) -> Iterator[Event]:
    """What was counted from a second on, or was so at it."""
    if not key.isdecimal():
        raise RefusedError(Reason.BAD_TIME, None, "the key is no second")
    zone, device = scribe.message.declared.zone, made_by(record)
    start = in_zone(of_epoch(int(key)), zone)
    for field, counted in MINUTES.items():
        amount = number_or_none(record, field)
        if amount is None or (not amount and field == "elevation"):
            continue
        end = in_zone(start.later(number(record, "duration")), zone)
        own = first_field(counted.type)
        yield scribe.event(
            counted.type, {own: in_field(counted.type, own, amount, counted.unit)}, start, end, device=device
        )
    for field, measured in MOMENTS.items():
        amount = number_or_none(record, field)
        if amount:
            own = first_field(measured.type)
            yield scribe.event(
                measured.type, {own: in_field(measured.type, own, amount, measured.unit)}, start, device=device
            )
