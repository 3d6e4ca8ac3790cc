"""The workouts of an export: figures that stand in attributes or in statistics, pauses, laps; and where they were."""

from collections.abc import Iterator
from typing import Any, Final
from xml.parsers import expat

from healthsync_mqtt.formats.port import event_id
from healthsync_mqtt.formats.reading.moment import Moment, moment
from healthsync_mqtt.imports.apple import names
from healthsync_mqtt.imports.apple.markup import Attributes, Element
from healthsync_mqtt.imports.apple.records import FORM, AppleRecords, amount_in, refused
from healthsync_mqtt.imports.port import Event, Item, LeftOut, PassedOver, Read
from healthsync_mqtt.imports.source import Member, UnreadableError
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.types.workout import ACTIVITY

_QUANTITY: Final = "HKQuantityTypeIdentifier"
#: A statistic by its quantity: which of its numbers is which figure.
_STATISTICS: Final = {
    "DistanceWalkingRunning": (("sum", "distance_m"),),
    "DistanceCycling": (("sum", "distance_m"),),
    "DistanceSwimming": (("sum", "distance_m"),),
    "DistanceWheelchair": (("sum", "distance_m"),),
    "DistanceDownhillSnowSports": (("sum", "distance_m"),),
    "ActiveEnergyBurned": (("sum", "energy_kcal"),),
    "StepCount": (("sum", "steps"),),
    "SwimmingStrokeCount": (("sum", "strokes"),),
    "FlightsClimbed": (("sum", "floors"),),
    "HeartRate": (
        ("average", "heart_rate_mean_bpm"),
        ("minimum", "heart_rate_low_bpm"),
        ("maximum", "heart_rate_high_bpm"),
    ),
    "RunningSpeed": (("average", "speed_mean_m_s"), ("maximum", "speed_high_m_s")),
    "CyclingSpeed": (("average", "speed_mean_m_s"), ("maximum", "speed_high_m_s")),
    "RunningPower": (("average", "power_mean_w"), ("maximum", "power_high_w")),
    "CyclingPower": (("average", "power_mean_w"), ("maximum", "power_high_w")),
    "CyclingCadence": (("average", "cadence_revolutions_per_minute"),),
}
_COUNTED: Final = frozenset({"steps", "strokes", "floors"})
_ATTRIBUTES: Final = (
    ("duration", "durationUnit", "active_s"),
    ("totalDistance", "totalDistanceUnit", "distance_m"),
    ("totalEnergyBurned", "totalEnergyBurnedUnit", "energy_kcal"),
)
_METADATA: Final = {
    "HKElevationAscended": "elevation_gain_m",
    "HKElevationDescended": "elevation_loss_m",
    "HKWeatherTemperature": "temperature_celsius",
    "HKAverageSpeed": "speed_mean_m_s",
    "HKMaximumSpeed": "speed_high_m_s",
    "HKAverageMETs": "met_mean",
}
_PAUSES: Final = frozenset({"HKWorkoutEventTypePause", "HKWorkoutEventTypeMotionPaused"})
_RESUMES: Final = frozenset({"HKWorkoutEventTypeResume", "HKWorkoutEventTypeMotionResumed"})
_LAP: Final = "HKWorkoutEventTypeLap"
_SECONDS_OF: Final = {"min": 60, "s": 1, "hr": 3600}
_MOST_PARTS: Final = 2000
_MOST_PLACES: Final = 15_000
"""Of one event: a message has to hold it. A longer route is several."""
_CHUNK: Final = 1 << 18


class AppleWorkouts:
    """Reads workouts with the records' clock and sources."""

    def __init__(self, user: str, records: AppleRecords) -> None:
        self._user = user
        self._records = records
        #: the names of routes that a workout has
        self.routes: set[str] = set()

    def read(self, element: Element, place: str, export: Member) -> Iterator[Item]:
        """A workout and its routes, which are files beside the export."""
        try:
            event = self._workout(element)
        except (RefusedError, KeyError, ValueError) as error:
            yield refused(error, place)
            return
        yield Read(event, place)
        for _, name, said in element.parts:
            if name == "FileReference":
                yield from self._route(event, said.get("path", ""), export)

    def _workout(self, element: Element) -> Event:
        said = element.attributes
        metadata = {each.get("key", ""): each.get("value", "") for depth, name, each in element.parts
                    if name == "MetadataEntry" and depth == 1}  # fmt: skip
        indoor = {"1": True, "0": False}.get(metadata.get("HKIndoorWorkout", ""))
        value: dict[str, Any] = {"activity": names.activity_of(said["workoutActivityType"], indoor=indoor)}
        if value["activity"] not in ACTIVITY.words:
            value |= {"activity": "other", "name": said["workoutActivityType"][:256]}
        if indoor is not None:
            value["indoor"] = indoor
        for depth, name, each in element.parts:
            if name == "WorkoutStatistics" and depth == 1:
                for number, field in _STATISTICS.get(each.get("type", "").removeprefix(_QUANTITY), ()):
                    _figure(value, field, each.get(number), each.get("unit"))
        for number, unit, field in _ATTRIBUTES:
            if field not in value:
                _figure(value, field, said.get(number), said.get(unit))
        for key, field in _METADATA.items():
            number, _, unit = metadata.get(key, "").partition(" ")
            if number and field not in value:
                _figure(value, field, number, unit)
        humidity = metadata.get("HKWeatherHumidity", "").partition(" ")[0]
        if humidity.isdecimal():
            value["humidity_percent"] = int(humidity) / 100  # hundredths of a percent
        event = self._records.framed("workout", value, said, value["activity"])
        start: str = event["start_time"]
        end: str = event.get("end_time", start)
        event["end_time"] = end
        pauses, laps = self._events(element, start, end)
        value |= {name: found[:_MOST_PARTS] for name, found in (("pauses", pauses), ("laps", laps)) if found}
        zone = metadata.get("HKTimeZone")
        if zone:
            self._records.placed(event, zone)
        return event

    def _events(self, element: Element, start: str, end: str) -> tuple[list[Attributes], list[Attributes]]:
        """Pauses and laps, as far as they lie in the workout."""
        pauses: list[Attributes] = []
        laps: list[Attributes] = []
        since: str | None = None
        for depth, name, said in element.parts:
            if name != "WorkoutEvent" or depth != 1 or "date" not in said:
                continue
            at, kind = self._records.clock.read(said["date"])[0], said.get("type")
            if kind in _PAUSES:
                since = since or at
            elif kind in _RESUMES:
                if since is not None and start <= since < at <= end:
                    pauses.append({"start_time": since, "end_time": at})
                since = None
            elif kind == _LAP:
                lasted = _seconds(said)
                until = moment(at).later(lasted).text if lasted else at
                if start <= at < until <= end:
                    laps.append({"start_time": at, "end_time": until})
        return pauses, laps

    def _route(self, workout: Event, path: str, export: Member) -> Iterator[Item]:
        folder = export.name.rpartition("/")[0]
        name = path.lstrip("/")
        member = export.find(f"{folder}/{name}" if folder and not export.name.endswith(f"{name}") else name)
        member = member or export.find(name)
        if member is None:
            yield LeftOut(PassedOver.DAMAGED, name or "route", "the route of a workout is not in the export")
            return
        self.routes.add(member.name)
        try:
            places = _places(member)
        except UnreadableError as error:
            yield LeftOut(PassedOver.DAMAGED, member.shown, str(error))
            return
        except RefusedError as refusal:
            yield LeftOut(refusal.code, member.shown, str(refusal))
            return
        for number, first in enumerate(range(0, len(places), _MOST_PLACES)):
            some = places[first : first + _MOST_PLACES]
            began = some[0][0]
            value = {
                "places": [[(us - began) / 1_000_000, *where] for us, *where in some],
                "workout_id": workout["id"],
            }
            start, end = Moment(began).text, Moment(some[-1][0]).text
            known = event_id(self._user, FORM, "workout_route", workout["id"], number)
            yield Read(
                {
                    "id": known, "type": "workout_route", "start_time": start, "end_time": end, "value": value,
                    "utc_offset": workout["utc_offset"], "source": workout["source"],
                },
                member.shown,
            )  # fmt: skip


def _figure(value: dict[str, Any], field: str, number: str | None, unit: str | None) -> None:
    """A figure of a workout; one that cannot be read is none, and the rest of the workout is."""
    if not number:
        return
    try:
        found = float(number) if field in _COUNTED and unit == "count" else amount_in("workout", field, number, unit)
    except (RefusedError, ValueError):
        return
    if found or field in {"active_s", "distance_m"}:
        value[field] = int(found) if float(found).is_integer() else round(found, 6)


def _seconds(said: Attributes) -> float:
    try:
        return float(said.get("duration", "0")) * _SECONDS_OF.get(said.get("durationUnit", "min"), 60)
    except ValueError:
        return 0


def _places(member: Member) -> list[tuple[int, float, float, float | None]]:
    """The points of a track: when, latitude, longitude, height. Raises RefusedError, UnreadableError."""
    found: list[tuple[int, float, float, float | None]] = []
    point: dict[str, str] = {}
    text: list[str] = []

    def start(name: str, attributes: Attributes) -> None:
        text.clear()
        if name == "trkpt":
            point.clear()
            point.update(attributes)

    def end(name: str) -> None:
        if name in {"ele", "time"}:
            point[name] = "".join(text).strip()
        elif name == "trkpt" and point.get("time"):
            height = float(point["ele"]) if point.get("ele") else None
            found.append((moment(point["time"]).us, float(point["lat"]), float(point["lon"]), height))
            if len(found) > 2_000_000:
                raise UnreadableError("a route of more than two million places")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text.append
    parser.StartDoctypeDeclHandler = _no_type
    try:
        with member.open() as file:
            while chunk := file.read(_CHUNK):
                parser.Parse(chunk)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        if not found:
            raise UnreadableError(f"{expat.ErrorString(error.code)}") from None
    except (ValueError, KeyError):
        raise RefusedError(Reason.WRONG_TYPE, "trkpt", "a place without numbers") from None
    if not found:
        raise RefusedError(Reason.MISSING_FIELD, "trkpt", "a route without places that have a time")
    return sorted(found, key=lambda each: each[0])


def _no_type(*_: object) -> None:
    raise UnreadableError("it declares a document type")
