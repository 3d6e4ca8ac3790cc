"""Workouts of Withings."""

from collections.abc import Iterator
from typing import Any, Final

from healthsync_mqtt.formats.port import Event
from healthsync_mqtt.formats.reading.amount import in_field
from healthsync_mqtt.formats.reading.document import Record, inner, inside, number_or_none, whole
from healthsync_mqtt.formats.reading.scribe import Scribe
from healthsync_mqtt.formats.withings.measures import at_second, code, made_by, recorded, version_of
from healthsync_mqtt.model.reasons import Reason, RefusedError

#: The numbers of Withings for what was done.
ACTIVITIES: Final = {
    1: "walking", 2: "running", 3: "hiking", 4: "skating", 5: "cycling", 6: "cycling", 7: "swimming", 8: "surfing",
    9: "water_sports", 10: "water_sports", 11: "water_sports", 12: "tennis", 13: "table_tennis", 14: "squash",
    15: "badminton", 16: "weightlifting", 17: "cross_training", 18: "elliptical", 19: "pilates", 20: "basketball",
    21: "soccer", 22: "american_football", 23: "rugby", 24: "volleyball", 25: "water_polo", 26: "equestrian_sports",
    27: "golf", 28: "yoga", 29: "dance", 30: "boxing", 31: "fencing", 32: "wrestling", 33: "martial_arts",
    34: "skiing", 35: "snowboarding", 187: "rowing", 188: "dance", 191: "baseball", 192: "handball", 193: "hockey",
    194: "ice_hockey", 195: "climbing", 196: "ice_skating", 272: "multisport", 306: "indoor_walking",
    307: "indoor_running", 308: "indoor_cycling",
}  # fmt: skip

#: A figure of theirs, where it is 0 for "not measured", its unit and ours.
_FIGURES: Final = (
    ("calories", "kcal", "energy_kcal"),
    ("distance", "m", "distance_m"),
    ("steps", "{steps}", "steps"),
    ("elevation", "m", "elevation_gain_m"),
    ("strokes", "{strokes}", "strokes"),
)
_RATES: Final = (
    ("hr_average", "/min", "heart_rate_mean_bpm"),
    ("hr_min", "/min", "heart_rate_low_bpm"),
    ("hr_max", "/min", "heart_rate_high_bpm"),
    ("manual_calories", "kcal", "energy_kcal"),
    ("manual_distance", "m", "distance_m"),
)
"""Of these 0 says that there is none; what was entered by hand stands where nothing was measured."""
_ZONES: Final = ("hr_zone_0", "hr_zone_1", "hr_zone_2", "hr_zone_3")


def workout(scribe: Scribe, record: Record) -> Iterator[Event]:
    """One workout."""
    start, end = at_second(scribe, record, "startdate"), at_second(scribe, record, "enddate")
    name = record.get("id")
    if type(name) not in {int, str}:
        raise RefusedError(Reason.MISSING_FIELD, "id", "the workout has no number")
    value: dict[str, Any] = {"activity": ACTIVITIES.get(code(record, "category") or 0, "other")}
    with inside("data"):
        value |= _figures(inner(record, "data"), (end.us - start.us) / 1_000_000)
    yield scribe.event(
        "workout",
        value,
        start,
        end,
        key=("workout", name),
        version=version_of(record),
        source=recorded(record),
        device=made_by(record),
    )


def _figures(data: Record, lasted_s: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for theirs, unit, ours in _FIGURES:
        amount = number_or_none(data, theirs)
        if amount is not None:
            found[ours] = in_field("workout", ours, amount, unit, place=theirs)
    for theirs, unit, ours in _RATES:
        amount = number_or_none(data, theirs)
        if amount:
            found.setdefault(ours, in_field("workout", ours, amount, unit, place=theirs))
    paused_s = number_or_none(data, "pause_duration")
    if paused_s is not None and 0 <= paused_s <= lasted_s:
        found["active_s"] = whole(lasted_s - paused_s)
    zones = [number_or_none(data, each) for each in _ZONES]
    if any(zones):
        found["zones"] = [{"of": "heart_rate", "seconds": each} for each in zones if each is not None]
    return found
