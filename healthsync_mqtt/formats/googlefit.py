"""Google Fit: the points of a data set, as its REST interface gave them (it takes no new users; archives remain).

A point has no id: it is known by its type, its times and the stream that it comes from. Times are nanoseconds in texts,
and no offset is known but that of the login's zone. Energy that Fit has from somebody's size alone is basal, all other
has the basal part in it. What was done standing still or in a car is no workout.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from healthsync_mqtt.formats.port import AppMessage, Event, Fold, FormatEntry, Outcome
from healthsync_mqtt.formats.reading.amount import first_field, in_field
from healthsync_mqtt.formats.reading.document import Record, as_record, inside, items, number, read_object, text_or_none
from healthsync_mqtt.formats.reading.moment import Moment, in_zone, of_epoch
from healthsync_mqtt.formats.reading.scribe import Records, Scribe
from healthsync_mqtt.formats.reading.stages import Stage, as_written, checked, end_of, nights
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable


class _Number(NamedTuple):
    """A data type that is one number: our type, and the unit that Fit gives it in."""

    type: str
    unit: str


_NUMBERS: Final = {
    "com.google.step_count.delta": _Number("steps", "{steps}"),
    "com.google.distance.delta": _Number("distance", "m"),
    "com.google.calories.expended": _Number("energy_total", "kcal"),
    "com.google.calories.bmr": _Number("basal_metabolic_rate", "kcal/d"),
    "com.google.heart_rate.bpm": _Number("heart_rate", "/min"),
    "com.google.speed": _Number("speed", "m/s"),
    "com.google.power.sample": _Number("power", "W"),
    "com.google.weight": _Number("weight", "kg"),
    "com.google.height": _Number("height", "m"),
    "com.google.body.fat.percentage": _Number("body_fat_percentage", "%"),
    "com.google.hydration": _Number("hydration", "L"),
}
_FROM_SIZE: Final = ":from_bmr"
_BASAL: Final = _Number("energy_basal", "kcal")
_SLEEP: Final = "com.google.sleep.segment"
_ACTIVITY: Final = "com.google.activity.segment"
_PLACE: Final = "com.google.location.sample"
_STAGES: Final = {1: "awake", 2: "asleep", 3: "out_of_bed", 4: "light", 5: "deep", 6: "rem"}
_STAGES_AS_ACTIVITIES: Final = {72: "asleep", 109: "light", 110: "deep", 111: "rem", 112: "awake"}
_NO_WORKOUT: Final = frozenset({0, 3, 4, 5, 117, 118})
"""In a vehicle, still, unknown, tilting; lift and escalator."""
ACTIVITIES: Final = {
    1: "cycling", 2: "walking", 7: "walking", 8: "running", 10: "badminton", 11: "baseball", 12: "basketball",
    13: "cross_country_skiing", 14: "hand_cycling", 15: "mountain_biking", 16: "cycling", 17: "indoor_cycling",
    18: "indoor_cycling", 19: "cycling", 20: "boxing", 21: "calisthenics", 22: "cross_training", 23: "cricket",
    24: "dance", 25: "elliptical", 26: "fencing", 27: "american_football", 28: "australian_football", 29: "soccer",
    30: "disc_sports", 32: "golf", 33: "gymnastics", 34: "handball", 35: "hiking", 36: "hockey",
    37: "equestrian_sports", 39: "jump_rope", 40: "paddle_sports", 41: "strength_training", 42: "kickboxing",
    43: "water_sports", 44: "martial_arts", 45: "mind_and_body", 46: "martial_arts", 48: "paragliding", 49: "pilates",
    51: "racquetball", 52: "climbing", 53: "rowing", 54: "indoor_rowing", 55: "rugby", 56: "running", 57: "running",
    58: "treadmill", 59: "sailing", 60: "scuba_diving", 61: "skateboarding", 62: "skating", 63: "skating",
    64: "skating", 65: "skiing", 66: "skiing", 67: "cross_country_skiing", 68: "downhill_skiing", 69: "snow_sports",
    70: "skiing", 71: "snow_sports", 73: "snowboarding", 74: "snow_sports", 75: "snowshoeing", 76: "squash",
    77: "stair_climbing", 78: "stair_climbing", 79: "paddle_sports", 80: "strength_training", 81: "surfing",
    82: "swimming", 83: "pool_swimming", 84: "open_water_swimming", 85: "table_tennis", 87: "tennis", 88: "treadmill",
    89: "volleyball", 90: "volleyball", 91: "volleyball", 92: "water_sports", 93: "walking", 94: "walking",
    95: "treadmill", 96: "water_polo", 97: "weightlifting", 98: "wheelchair", 99: "water_sports", 100: "yoga",
    101: "dance", 102: "underwater_diving", 104: "ice_skating", 105: "skating", 106: "curling",
    113: "cross_training", 114: "high_intensity_interval_training", 115: "high_intensity_interval_training",
    116: "walking", 119: "archery", 120: "softball",
}  # fmt: skip
"""The numbers of Fit for what was done."""

_ORIGIN_PARTS: Final = 7
"""Of a stream on a device: kind, data type, app, maker, model, number, name."""
_BIGGEST: Final = 2**53


class GoogleFit:
    """Data sets of Google Fit (``port.Format``)."""

    name = "googlefit"
    summary = "Google Fit: data sets of its REST interface"
    roots = ()
    remembers: frozenset[str] = frozenset()

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        for name, of in _NUMBERS.items():
            of_rest = ("energy_total, energy_basal", "energy_basal where it is from_bmr")
            yield FormatEntry(name, *(of_rest if of.type == "energy_total" else (of.type, "")))
        yield FormatEntry(_ACTIVITY, "workout", "sleeping and its stages are sleep")
        yield FormatEntry(_SLEEP, "sleep")

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """Each point becomes an event or a refusal; stages are gathered to nights."""
        root = read_object(message.payload)
        if not {"point", "dataSourceId"} & root.keys():
            raise RefusedError(Reason.MALFORMED, None, "no data set: it has neither points nor a dataSourceId")
        yield from _DataSet(Scribe(self.name, message, "google_fit"), root).outcomes()
        return state


class _DataSet:
    """One data set while it is read."""

    def __init__(self, scribe: Scribe, root: Record) -> None:
        self._scribe = scribe
        self._root = root
        self._records = Records()
        self._stages: dict[str, list[Stage]] = {}
        self._places: dict[str, str] = {}

    def outcomes(self) -> Iterator[Outcome]:
        """Everything in it; nights last."""
        for place, point in enumerate(items(self._root, "point")):
            where = f"point[{place}]"
            kind = point.get("dataTypeName") if isinstance(point, dict) else None
            # Where somebody was is kept, refused or not, by the consent to that alone.
            type_ = "workout_route" if kind == _PLACE else None
            yield from self._records.read(where, point, partial(self._point, where), type_)
        for origin, stages in self._stages.items():
            for night in nights(stages):
                make = partial(self._night, origin, night)
                yield from self._records.read(self._places[origin], {"originDataSourceId": origin}, make, "sleep")

    def _point(self, place: str, point: Record) -> Iterator[Event]:
        kind = text_or_none(point, "dataTypeName") or _data_type(text_or_none(self._root, "dataSourceId") or "")
        origin = text_or_none(point, "originDataSourceId") or text_or_none(self._root, "dataSourceId") or ""
        if kind in _NUMBERS:
            of = _BASAL if kind == "com.google.calories.expended" and origin.endswith(_FROM_SIZE) else _NUMBERS[kind]
            start, end = self._times(point)
            field = first_field(of.type)
            value = {field: in_field(of.type, field, _first(point), of.unit)}
            yield self._event(of.type, value, start, end, origin, version=_version(point))
        elif kind in {_SLEEP, _ACTIVITY}:
            yield from self._segment(place, kind, origin, point)
        else:
            raise RefusedError(Reason.UNKNOWN_TYPE, "dataTypeName", f"{printable(kind)} has no type here")

    def _segment(self, place: str, kind: str, origin: str, point: Record) -> Iterator[Event]:
        number_ = _first(point)
        stage = (_STAGES if kind == _SLEEP else _STAGES_AS_ACTIVITIES).get(int(number_))
        start, end = self._times(point)
        if stage is not None or kind == _SLEEP:
            found = checked(Stage(start, end or start, stage or "unknown"), "endTimeNanos")
            self._stages.setdefault(origin, []).append(found)
            self._places.setdefault(origin, place)
        elif number_ not in _NO_WORKOUT:
            if end is None:
                raise RefusedError(Reason.BAD_INTERVAL, "endTimeNanos", "what was done has no length")
            value = {"activity": ACTIVITIES.get(int(number_), "other")}
            yield self._event("workout", value, start, end, origin, version=_version(point))

    def _night(self, origin: str, night: list[Stage], _: Record) -> Iterator[Event]:
        """Stages come in several answers: a night that has grown is the same by its beginning."""
        start = night[0].start
        yield self._event(
            "sleep", {"stages": as_written(night)}, start, end_of(night), origin, ("night", Moment(start.us).text)
        )

    def _times(self, point: Record) -> tuple[Moment, Moment | None]:
        """When it was; an end only where that is another moment. 0 is no beginning."""
        zone = self._scribe.message.declared.zone
        end = _nanoseconds(point, "endTimeNanos")
        start = _nanoseconds(point, "startTimeNanos") if point.get("startTimeNanos") not in (None, "0", 0) else end
        if end.us < start.us:
            raise RefusedError(Reason.BAD_INTERVAL, "endTimeNanos", "the point ends before it starts")
        return in_zone(start, zone), None if end.us == start.us else in_zone(end, zone)

    def _event(  # noqa: PLR0917  # made by the three above
        self,
        type_: str,
        value: Mapping[str, Any],
        start: Moment,
        end: Moment | None,
        origin: str,
        key: tuple[object, ...] = (),
        version: int | Literal["latest"] = "latest",
    ) -> Event:
        parts = origin.split(":")
        app = parts[2] if len(parts) > 2 else ""  # kind, data type, app
        device: dict[str, str] = {}
        if len(parts) >= _ORIGIN_PARTS:
            device = {field: said[:64] for field, said in (("manufacturer", parts[3]), ("model", parts[4])) if said}
        key = key or ("point", Moment(start.us).text, "" if end is None else Moment(end.us).text)
        return self._scribe.event(
            type_,
            value,
            start,
            end,
            app=app[:128] or None,
            key=(*key, origin),
            version=version,
            source={"recording": "manual"} if parts[-1] == "user_input" else {},
            device=device,
        )


def _data_type(source: str) -> str:
    """The data type in the name of a stream."""
    parts = source.split(":")
    return parts[1] if len(parts) > 1 else ""


def _first(point: Record) -> float:
    """The number of a point: an integer or a float of Fit's."""
    values = items(point, "value")
    with inside("value[0]"):
        value = as_record(values[0] if values else {})
        return number(value, "intVal" if "intVal" in value else "fpVal")


def _nanoseconds(point: Record, field: str) -> Moment:
    found = point.get(field)
    if found is None:
        raise RefusedError(Reason.MISSING_FIELD, field, f"{field} is missing")
    if isinstance(found, str) and found.isascii() and found.isdecimal() and len(found) <= 20:  # of 2262
        found = int(found)
    if type(found) is not int:
        raise RefusedError(Reason.BAD_TIME, field, f"{field} is no number of nanoseconds")
    return of_epoch(found // 1000, field, scale=1_000_000)


def _version(point: Record) -> int | Literal["latest"]:
    """When it was last changed, in milliseconds; the order of arrival where it does not say."""
    found = point.get("modifiedTimeMillis")
    if isinstance(found, str) and found.isascii() and found.isdecimal() and len(found) < 17:  # below 2^53
        found = int(found)
    return found if type(found) is int and 0 < found < _BIGGEST else "latest"
