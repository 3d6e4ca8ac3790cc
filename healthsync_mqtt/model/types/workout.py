"""Workouts: what was done, in which laps and zones; and where, which is asked for by name."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from healthsync_mqtt.model.event_type import Daily, EventType, Form, Quantity, Sensitivity, Span, Text, TimeKind, Words
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.points import US, Point, Spread, optional_floats, present, present_words
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.shapes import fields, given, in_order, in_utc, number, part, struct
from healthsync_mqtt.model.times import micros

_DAY_US: Final = 86_400_000_000
MAX_PARTS: Final = 2000

ACTIVITY = Words(
    "activity",
    (
        "american_football", "archery", "australian_football", "badminton", "barre", "baseball", "basketball",
        "bowling", "boxing", "calisthenics", "climbing", "cooldown", "core_training", "cricket", "cross_country_skiing",
        "cross_training", "curling", "cycling", "dance", "disc_sports", "downhill_skiing", "elliptical",
        "equestrian_sports", "fencing", "fishing", "fitness_gaming", "flexibility", "functional_strength_training",
        "golf", "gymnastics", "hand_cycling", "handball", "high_intensity_interval_training", "hiking", "hockey",
        "hunting", "ice_hockey", "ice_skating", "indoor_cycling", "indoor_rowing", "indoor_running", "indoor_walking",
        "jump_rope", "kickboxing", "lacrosse", "martial_arts", "mind_and_body", "mixed_cardio", "mountain_biking",
        "multisport", "open_water_swimming", "other", "paddle_sports", "padel", "paragliding", "pickleball", "pilates",
        "play", "pool_swimming", "racquetball", "rowing", "rugby", "running", "sailing", "scuba_diving",
        "skateboarding", "skating", "skiing", "snow_sports", "snowboarding", "snowshoeing", "soccer", "softball",
        "squash", "stair_climbing", "step_training", "strength_training", "stretching", "surfing", "swimming",
        "table_tennis", "tai_chi", "tennis", "track_and_field", "trail_running", "transition", "treadmill",
        "underwater_diving", "volleyball", "walking", "water_fitness", "water_polo", "water_sports", "weightlifting",
        "wheelchair", "wrestling", "yoga",
    ),
)  # fmt: skip
_NAME = Text("name")
_FIGURES = (
    Quantity("active_s", "s", 0, 700_000, "55411-3", 1830),
    Quantity("distance_m", "m", 0, 5_000_000, "55430-3", 5012, checked=False),
    Quantity("energy_kcal", "kcal", 0, 100_000, "55424-6", 320),
    Quantity("energy_total_kcal", "kcal", 0, 100_000, usual=371),
    Quantity("steps", "{steps}", 0, 500_000, "55423-8", 5400),
    Quantity("heart_rate_mean_bpm", "/min", 20, 300, "55425-3", 151),
    Quantity("heart_rate_low_bpm", "/min", 20, 300, usual=92),
    Quantity("heart_rate_high_bpm", "/min", 20, 300, "55426-1", 174),
    Quantity("speed_mean_m_s", "m/s", 0, 100, usual=2.74),
    Quantity("speed_high_m_s", "m/s", 0, 100, usual=3.9),
    Quantity("power_mean_w", "W", 0, 3000, usual=231),
    Quantity("power_high_w", "W", 0, 5000, usual=402),
    Quantity("cadence_steps_per_minute", "/min", 0, 300, usual=168),
    Quantity("cadence_revolutions_per_minute", "/min", 0, 300, usual=84),
    Quantity("elevation_gain_m", "m", 0, 50_000, usual=31),
    Quantity("elevation_loss_m", "m", 0, 50_000, usual=29),
    Quantity("floors", "{flights}", 0, 10_000, usual=4),
    Quantity("strokes", "{strokes}", 0, 200_000, usual=480),
    Quantity("met_mean", "{MET}", 0, 30, usual=8.9),
    Quantity("temperature_celsius", "Cel", -60, 60, usual=15),
    Quantity("humidity_percent", "%", 0, 100, usual=71),
)
_OF_THE_WHOLE = {
    *("energy_total_kcal", "heart_rate_low_bpm", "floors", "met_mean", "temperature_celsius", "humidity_percent"),
}
#: What a lap or split has of them.
_OF_A_PART = tuple(each for each in _FIGURES if each.field not in _OF_THE_WHOLE)
_ZONE_OF = Words("of", ("heart_rate", "power", "speed", "cadence"))
_LOW, _HIGH = Quantity("low", "1", 0, 5000), Quantity("high", "1", 0, 5000)
_SECONDS = Quantity("seconds", "s", 0, 700_000, usual=640)

_LATITUDE = Quantity("latitude", "deg", -90, 90, usual=48.1371)
_LONGITUDE = Quantity("longitude", "deg", -180, 180, usual=11.5754)
_ALTITUDE = Quantity("altitude_m", "m", -500, 20_000, usual=519)


def _timed(name: str, figures: Iterable[Quantity], *words: Words) -> Any:
    """A part of the workout: its start and end, and what it has of the figures."""
    moments = [("start_time", datetime), ("end_time", datetime)]
    return struct(name, [*moments, *fields(words, optional=True), *fields(figures, optional=True)])


def _workout() -> Form:
    """``{"activity": "running", "distance_m": 5012, "laps": [{"start_time": "…Z", "end_time": "…Z", …}], …}``."""

    def several(field: str, of: Any) -> tuple[str, Any, Any]:
        return (field, Annotated[list[of], Meta(max_length=MAX_PARTS)], msgspec.field(default_factory=list))

    zone = struct(
        "Zone", [(_ZONE_OF.field, part(_ZONE_OF)), *fields((_SECONDS,)), *fields((_LOW, _HIGH), optional=True)]
    )
    shape = struct(
        "Workout",
        [
            *fields((ACTIVITY,)),
            *fields((_NAME,), optional=True),
            ("indoor", bool | None, None),
            *fields(_FIGURES, optional=True),
            several("laps", _timed("Lap", _OF_A_PART)),
            several("splits", _timed("Split", _OF_A_PART)),
            several("pauses", _timed("Pause", ())),
            several("zones", zone),
        ],
    )
    return Form(shape, _refine_workout)


def _refine_workout(value: Any, span: Span, _limits: Limits) -> Any:
    timed = {
        field: [in_utc(each, f"{field}[{place}]", span) for place, each in enumerate(getattr(value, field))]
        for field in ("laps", "splits", "pauses")
    }
    for place, zone in enumerate(value.zones):
        if zone.low is not None and zone.high is not None and zone.low > zone.high:
            raise RefusedError(Reason.OUT_OF_RANGE, f"zones[{place}].low", "the zone begins above its end")
    return given(value, **timed)


def _workout_spread() -> Spread:
    """The workout with its figures, each lap and split with its own, and the seconds of each zone."""
    figures = tuple(each.field for each in _FIGURES)
    of_a_part = tuple(each.field for each in _OF_A_PART)
    timed = msgspec.defstruct(
        "StoredLap", [("start_time", datetime), ("end_time", datetime), *optional_floats(of_a_part)]
    )
    zone = msgspec.defstruct("StoredZone", [("of", str, ""), *optional_floats(("low", "high", "seconds"))])
    stored = msgspec.defstruct(
        "StoredWorkout",
        [
            (ACTIVITY.field, str | None, None),
            *optional_floats(figures),
            *((name, list[timed], msgspec.field(default_factory=list)) for name in ("laps", "splits")),  # type: ignore[valid-type]
            ("zones", list[zone], msgspec.field(default_factory=list)),  # type: ignore[valid-type]
        ],
        gc=False,
    )
    words = {ACTIVITY.field: ACTIVITY.words}

    def points(value: Any, start_us: int, end_us: int | None) -> list[Point]:
        whole = present_words(value, words) + present(value, figures)
        if end_us is not None:
            whole += (("duration_s", (end_us - start_us) / US),)
        found = [Point("workout", start_us, whole)] if whole else []
        for measurement, several in (("workout_lap", value.laps), ("workout_split", value.splits)):
            for each in several:
                at_us = micros(each.start_time)
                seconds = (micros(each.end_time) - at_us) / US
                found.append(Point(measurement, at_us, (*present(each, of_a_part), ("duration_s", seconds))))
        for each in value.zones:
            if each.of in _ZONE_OF.words:
                bounds = present(each, ("low", "high", "seconds"))
                found.append(Point("workout_zone", start_us, (("of", each.of), *bounds)))
        return sorted(found, key=lambda point: point.at_us)

    parts = ("workout_lap", "workout_split", "workout_zone")
    return Spread(stored=stored, points=points, parts=parts, texts=frozenset({ACTIVITY.field, _ZONE_OF.field}))


def _route() -> Form:
    """``{"places": [[0, 48.1371, 11.5754, 519], [5, 48.1372, 11.5757, null]]}``.

    Seconds after the start, degrees of latitude and longitude, metres above the sea.
    """
    altitude = number(_ALTITUDE.low, _ALTITUDE.high) | None
    place: Any = tuple[  # type: ignore[misc]
        number(0, 700_000),
        number(_LATITUDE.low, _LATITUDE.high),
        number(_LONGITUDE.low, _LONGITUDE.high),
        altitude,
    ]
    places = ("places", Annotated[list[place], Meta(min_length=1, max_length=100_000)])
    return Form(struct("Route", [places, *fields((Text("workout_id", 128),), optional=True)]), _refine_route)


def _refine_route(value: Any, span: Span, _limits: Limits) -> Any:
    places = value.places
    in_order(places, "places")
    if span.end_us is not None and span.start_us + places[-1][0] * US > span.end_us:
        raise RefusedError(Reason.BAD_INTERVAL, f"places[{len(places) - 1}][0]", "the place lies after the end")
    return value


def _route_spread() -> Spread:
    """A point for each place."""
    stored = msgspec.defstruct(
        "StoredRoute",
        [("places", list[tuple[float, float, float, float | None]], msgspec.field(default_factory=list))],
        gc=False,
    )

    def points(value: Any, start_us: int, _end_us: int | None) -> list[Point]:
        found = []
        for seconds, latitude, longitude, altitude in value.places:
            where: tuple[tuple[str, float], ...] = ((_LATITUDE.field, latitude), (_LONGITUDE.field, longitude))
            if altitude is not None:
                where += ((_ALTITUDE.field, altitude),)
            found.append(Point("workout_route", start_us + round(seconds * US), where))
        return found

    return Spread(stored=stored, points=points)


TYPES = (
    EventType(
        name="workout",
        kind=TimeKind.SESSION,
        quantities=_FIGURES,
        shapes=lambda: {ACTIVITY.field: _workout()},
        daily=Daily.NONE,
        aliases=("exercise", "exercise_session"),
        loinc="73985-4",
        max_span_us=7 * _DAY_US,
        own_spread=_workout_spread,
        example={
            "activity": "running",
            "distance_m": 5012,
            "energy_kcal": 320,
            "heart_rate_mean_bpm": 151,
            "laps": [
                {"start_time": "2026-11-22T22:00:00Z", "end_time": "2026-11-22T22:06:10Z", "distance_m": 1000},
                {"start_time": "2026-11-22T22:06:10Z", "end_time": "2026-11-22T22:12:31Z", "distance_m": 1000},
            ],
            "zones": [{"of": "heart_rate", "low": 140, "high": 160, "seconds": 640}],
        },
    ),
    EventType(
        name="workout_route",
        kind=TimeKind.SESSION,
        quantities=(_LATITUDE, _LONGITUDE, _ALTITUDE),
        shapes=lambda: {"places": _route()},
        daily=Daily.NONE,
        aliases=("route",),
        sensitivity=Sensitivity.LOCATION,
        max_span_us=7 * _DAY_US,
        own_spread=_route_spread,
        example={"places": [[0, 48.1371, 11.5754, 519], [5, 48.1372, 11.5757, None]], "workout_id": "workout-1"},
    ),
)
