"""The workouts of Health Auto Export, of both versions: everything in one may be absent.

A workout becomes an event with its figures; its heart rate a series within it; what comes after its end, the recovery,
another; and its route one that is a location. The steps and the energy in it are part of it and no more of the day.
"""

from collections.abc import Iterator
from typing import Any, Final

from healthsync_mqtt.formats.health_auto_export.metrics import heart_rates, source_of
from healthsync_mqtt.formats.port import Event
from healthsync_mqtt.formats.reading.amount import in_field
from healthsync_mqtt.formats.reading.document import (
    Record,
    as_record,
    inside,
    is_number,
    items,
    number,
    number_or_none,
    text_or_none,
    whole,
)
from healthsync_mqtt.formats.reading.moment import Moment
from healthsync_mqtt.formats.reading.scribe import Scribe
from healthsync_mqtt.model.reasons import Reason, RefusedError

#: A figure of ours, its names here, and how this app spells our unit beside the usual ways.
_FIGURES: Final = (
    ("energy_kcal", "activeEnergyBurned activeEnergy", ""),
    ("energy_total_kcal", "totalEnergy totalEnergyBurned", ""),
    ("distance_m", "distance", ""),
    ("met_mean", "intensity intesity", "MET kcal/hr·kg kcal/(kg·hr)"),
    ("temperature_celsius", "temperature", ""),
    ("humidity_percent", "humidity", ""),
    ("speed_mean_m_s", "avgSpeed speed", ""),
    ("speed_high_m_s", "maxSpeed", ""),
    ("elevation_gain_m", "elevationUp", ""),
    ("elevation_loss_m", "elevationDown", ""),
    ("floors", "flightsClimbed", "count"),
    ("strokes", "totalSwimmingStrokeCount swimStrokeCount", "count"),
    ("steps", "stepCount", "count steps"),
    ("cadence_steps_per_minute", "stepCadence", "count/min steps/min"),
    ("heart_rate_mean_bpm", "avgHeartRate", "count"),
    ("heart_rate_high_bpm", "maxHeartRate", "count"),
)
_RATES: Final = (("avg", "heart_rate_mean_bpm"), ("max", "heart_rate_high_bpm"), ("min", "heart_rate_low_bpm"))
_COUNTED: Final = frozenset({"steps", "floors", "strokes"})
_OF_THE_HEART: Final = frozenset({"heart_rate_mean_bpm", "heart_rate_high_bpm", "heart_rate_low_bpm"})

#: Our activity, and the names of it in English. A name in another language is a label and no activity.
_ACTIVITIES: Final = {
    "running": "outdoor run, running",
    "indoor_running": "indoor run",
    "walking": "outdoor walk, walking",
    "indoor_walking": "indoor walk",
    "cycling": "outdoor cycle, outdoor cycling, cycling",
    "indoor_cycling": "indoor cycle, indoor cycling",
    "hand_cycling": "hand cycling",
    "hiking": "hiking",
    "pool_swimming": "pool swim, pool swimming",
    "open_water_swimming": "open water swim, open water swimming",
    "swimming": "swimming",
    "strength_training": "traditional strength training, strength training",
    "functional_strength_training": "functional strength training",
    "core_training": "core training",
    "high_intensity_interval_training": "high intensity interval training, hiit",
    "mixed_cardio": "mixed cardio, mixed metabolic cardio training",
    "cross_training": "cross training",
    "elliptical": "elliptical",
    "rowing": "rowing, outdoor row",
    "indoor_rowing": "indoor row, indoor rowing",
    "stair_climbing": "stair stepper, stairs, stair climbing",
    "step_training": "step training",
    "yoga": "yoga",
    "pilates": "pilates",
    "barre": "barre",
    "dance": "dance, cardio dance, social dance",
    "flexibility": "flexibility",
    "cooldown": "cooldown",
    "mind_and_body": "mind and body",
    "tai_chi": "tai chi",
    "kickboxing": "kickboxing",
    "boxing": "boxing",
    "martial_arts": "martial arts",
    "jump_rope": "jump rope",
    "golf": "golf",
    "tennis": "tennis",
    "table_tennis": "table tennis",
    "badminton": "badminton",
    "squash": "squash",
    "pickleball": "pickleball",
    "soccer": "soccer, football",
    "american_football": "american football",
    "basketball": "basketball",
    "volleyball": "volleyball",
    "baseball": "baseball",
    "softball": "softball",
    "hockey": "hockey",
    "rugby": "rugby",
    "cricket": "cricket",
    "handball": "handball",
    "climbing": "climbing",
    "skating": "skating sports, skating",
    "cross_country_skiing": "cross country skiing",
    "downhill_skiing": "downhill skiing",
    "snowboarding": "snowboarding",
    "snow_sports": "snow sports",
    "surfing": "surfing sports, surfing",
    "sailing": "sailing",
    "paddle_sports": "paddle sports",
    "water_fitness": "water fitness",
    "water_polo": "water polo",
    "water_sports": "water sports",
    "underwater_diving": "underwater diving",
    "wheelchair": "wheelchair walk pace, wheelchair run pace",
    "equestrian_sports": "equestrian sports",
    "fishing": "fishing",
    "hunting": "hunting",
    "bowling": "bowling",
    "play": "play",
    "gymnastics": "gymnastics",
    "track_and_field": "track and field",
    "multisport": "multisport, swim bike run",
    "transition": "transition",
    "fitness_gaming": "fitness gaming",
    "disc_sports": "disc sports",
    "fencing": "fencing",
    "archery": "archery",
    "curling": "curling",
    "wrestling": "wrestling",
    "lacrosse": "lacrosse",
    "racquetball": "racquetball",
}
_ACTIVITY_OF: Final = {name: activity for activity, names in _ACTIVITIES.items() for name in names.split(", ")}

_MOST_SAMPLES: Final = 20_000
_MOST_PLACES: Final = 100_000
_DAY_US: Final = 86_400_000_000


def read_workout(scribe: Scribe, record: Record) -> Iterator[Event]:
    """A workout, its heart rate, its recovery, its route. Raises RefusedError."""
    start, end = scribe.moment_in(record, "start"), scribe.moment_in(record, "end")
    name = text_or_none(record, "name")
    own = text_or_none(record, "id")
    key: tuple[object, ...] = ("id", own.upper()) if own else ("times", start.text, end.text, name or "")
    rows = _rates(scribe, items(record, "heartRateData"), "heartRateData")
    within = [row for row in rows if start.us <= row[0] < end.us]
    after = [row for row in rows if row[0] >= end.us]
    after += _rates(scribe, items(record, "heartRateRecovery"), "heartRateRecovery")
    figures = _value(record, name, believed=bool(within) or not after)
    app = source_of(record)
    source = {"record_id": own[:128]} if own else {}
    yield scribe.event("workout", figures, start, end, app=app, key=key, source=source)
    for what, points in (("heart_rate", within), ("recovery", after)):
        if points:
            said = source | {"statistic": "mean", "context": "workout" if what == "heart_rate" else "recovery"}
            first, value = _series(points)
            yield scribe.event("heart_rate", value, Moment(first, start.offset_s), key=(what, *key), source=said)
    yield from _route(scribe, record, start, key, own)


def _value(record: Record, name: str | None, *, believed: bool) -> dict[str, Any]:
    """``believed``: the rates of the heart are of the workout; else they are those of the minutes after it."""
    value: dict[str, Any] = {"activity": _ACTIVITY_OF.get((name or "").casefold().replace("_", " "), "other")}
    if name:
        value["name"] = name[:256]
    if record.get("isIndoor") is not None:
        value["indoor"] = bool(record["isIndoor"])
    elif text_or_none(record, "location") in {"Indoor", "Outdoor"}:
        value["indoor"] = record["location"] == "Indoor"
    seconds = number_or_none(record, "duration")
    if seconds is not None:
        value["active_s"] = whole(seconds)
    for field, names, own in _FIGURES:
        for each in names.split():
            found = _quantity(record, each, field, tuple(own.split()))
            if found is not None:
                value.setdefault(field, found)
    climbed = record.get("elevation")
    if isinstance(climbed, dict):
        for each, field in (("ascent", "elevation_gain_m"), ("descent", "elevation_loss_m")):
            if is_number(climbed.get(each)):
                value.setdefault(field, _in(field, climbed[each], climbed, "elevation", ()))
    rates = record.get("heartRate")
    if isinstance(rates, dict):
        for each, field in _RATES:
            found = _quantity(rates, each, field, ("count",))
            if found is not None:
                value.setdefault(field, found)
    # Nobody has a heart rate of nought, and no steps are often written where none were counted.
    absent = {field for field in _OF_THE_HEART if not believed or not value.get(field)}
    absent |= {field for field in _COUNTED if not value.get(field)}
    return {field: found for field, found in value.items() if field not in absent}


def _quantity(record: Record, name: str, field: str, own: tuple[str, ...]) -> float | None:
    """``{"qty": 5.12, "units": "km"}``; of a series of what was done, its sum; None where there is neither."""
    found = record.get(name)
    if isinstance(found, dict) and found.get("qty") is not None:
        return _in(field, number(found, "qty"), found, name, own)
    if isinstance(found, list) and field in {"steps", "strokes", "floors", "energy_kcal"}:
        amounts = [_in(field, number(each, "qty"), each, name, own) for each in found if isinstance(each, dict)]
        return whole(round(sum(amounts), 6)) if amounts else None
    return None


def _in(field: str, amount: float, record: Record, name: str, own: tuple[str, ...]) -> float:
    return in_field("workout", field, amount, text_or_none(record, "units"), own, place=f"{name}.units")


def _rates(scribe: Scribe, rows: list[Any], field: str) -> list[tuple[int, float]]:
    found: list[tuple[int, float]] = []
    for place, row in enumerate(rows):
        with inside(f"{field}[{place}]"):
            record = as_record(row)
            at = scribe.moment_in(record, "date")
            mean, _, _ = heart_rates(record)
            unit = text_or_none(record, "units")
            found.append((at.us, in_field("heart_rate", "bpm", mean, unit, ("count",))))
    return found


def _series(points: list[tuple[int, float]]) -> tuple[int, dict[str, Any]]:
    """When a series begins, and the series."""
    ordered = sorted(set(points))
    if len(ordered) > _MOST_SAMPLES or ordered[-1][0] - ordered[0][0] > _DAY_US:
        raise RefusedError(Reason.TOO_LARGE, "heartRateData", "more heart rates than a workout has")
    first_us = ordered[0][0]
    return first_us, {"samples": [[whole((us - first_us) / 1_000_000), rate] for us, rate in ordered]}


def _route(scribe: Scribe, record: Record, start: Moment, key: tuple[object, ...], own: str | None) -> Iterator[Event]:
    rows = items(record, "route")
    if not rows:
        return
    if len(rows) > _MOST_PLACES:
        raise RefusedError(Reason.TOO_LARGE, "route", f"a route of more than {_MOST_PLACES} places")
    places: list[tuple[int, float, float, float | None]] = []
    for place, row in enumerate(rows):
        with inside(f"route[{place}]"):
            point = as_record(row)
            at = scribe.moment_in(point, "timestamp")
            short = "lat" in point
            latitude = number(point, "lat" if short else "latitude")
            longitude = number(point, "lon" if "lon" in point else "lng" if "lng" in point else "longitude")
            places.append((at.us, latitude, longitude, number_or_none(point, "altitude")))
    places.sort(key=lambda each: each[0])
    first, last = Moment(places[0][0], start.offset_s), Moment(places[-1][0])
    value: dict[str, Any] = {"places": [[whole((us - first.us) / 1_000_000), *where] for us, *where in places]}
    if own:
        value["workout_id"] = own[:128]
    yield scribe.event("workout_route", value, first, last, key=key)
