"""Fitbit: what its Web API answered (it ended in November 2026; archives remain).

Times are those of the account's wall: the login's zone says which. Weights and distances are in the units that were
asked for, which no answer says: the login does (``--unit metric``, ``en_US``, ``en_GB``, as Fitbit calls them).
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from healthsync_mqtt.formats.port import AppMessage, Event, Fold, FormatEntry, Outcome
from healthsync_mqtt.formats.reading.amount import first_field, in_field
from healthsync_mqtt.formats.reading.document import (
    Record,
    as_record,
    inner,
    inside,
    is_number,
    items,
    number,
    number_or_none,
    read_object,
    text,
    text_or_none,
    whole,
)
from healthsync_mqtt.formats.reading.moment import Day, Moment, day, moment
from healthsync_mqtt.formats.reading.scribe import Records, Scribe
from healthsync_mqtt.model.reasons import Reason, RefusedError

_SYSTEMS: Final = {
    "metric": {"weight": "kg", "distance": "km", "elevation": "m"},
    "en_US": {"weight": "lb", "distance": "mi", "elevation": "ft"},
    "en_GB": {"weight": "st", "distance": "km", "elevation": "m"},
}
"""Fitbit's systems of units."""


class _DayCount(NamedTuple):
    """Our type of what is counted in a day; its unit, or the kind of unit that the account's system says."""

    type: str
    unit: str


_DAYS: Final = {
    "steps": _DayCount("daily_steps", "{steps}"),
    "distance": _DayCount("daily_distance", "distance"),
    "floors": _DayCount("daily_floors", "{flights}"),
    "elevation": _DayCount("daily_elevation_gain", "elevation"),
    "calories": _DayCount("daily_energy_total", "kcal"),
    "caloriesBMR": _DayCount("daily_energy_basal", "kcal"),
    "minutesSedentary": _DayCount("sedentary_time", "min"),
    "minutesLightlyActive": _DayCount("active_minutes_light", "min"),
    "minutesFairlyActive": _DayCount("active_minutes_moderate", "min"),
    "minutesVeryActive": _DayCount("active_minutes_vigorous", "min"),
}
"""Time series ``activities-…``. What Fitbit calls activity calories has a basal part in it and is nothing of ours."""
_SUMMARY: Final = {
    "steps": "steps",
    "floors": "floors",
    "elevation": "elevation",
    "caloriesOut": "calories",
    "caloriesBMR": "caloriesBMR",
    "sedentaryMinutes": "minutesSedentary",
    "lightlyActiveMinutes": "minutesLightlyActive",
    "fairlyActiveMinutes": "minutesFairlyActive",
    "veryActiveMinutes": "minutesVeryActive",
}
"""The same in the summary of a day."""
_MINUTES: Final = {
    "steps": _DayCount("steps", "{steps}"),
    "distance": _DayCount("distance", "distance"),
    "floors": _DayCount("floors", "{flights}"),
    "elevation": _DayCount("elevation_gain", "elevation"),
    "calories": _DayCount("energy_total", "kcal"),
}
_STAGES: Final = {
    "wake": "awake", "awake": "awake", "restless": "awake_in_bed", "light": "light", "deep": "deep", "rem": "rem",
    "asleep": "asleep",
}  # fmt: skip
_STEPS_S: Final = {"second": 1, "minute": 60}
_ACTIVITIES: Final = {
    "walk": "walking", "walking": "walking", "run": "running", "running": "running", "treadmill": "treadmill",
    "bike": "cycling", "biking": "cycling", "bicycling": "cycling", "outdoor bike": "cycling",
    "spinning": "indoor_cycling", "swim": "swimming", "swimming": "swimming", "hike": "hiking", "hiking": "hiking",
    "yoga": "yoga", "pilates": "pilates", "weights": "weightlifting", "elliptical": "elliptical", "tennis": "tennis",
    "golf": "golf", "martial arts": "martial_arts", "kickboxing": "kickboxing", "rowing": "rowing",
    "rowing machine": "indoor_rowing", "circuit training": "cross_training",
    "interval workout": "high_intensity_interval_training", "stairclimber": "stair_climbing",
}  # fmt: skip
"""The names of what was done, in English; any other is a label."""
_RESTING: Final = "restingHeartRate"
_SERIES: Final = "activities-"
_INTRADAY: Final = "-intraday"


class Fitbit:
    """Answers of the Fitbit Web API (``port.Format``)."""

    name = "fitbit"
    summary = "Fitbit: answers of its Web API (activities, heart rates, weights, nights)"
    roots = ()
    remembers: frozenset[str] = frozenset()

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        yield FormatEntry("activities", "workout")
        for name, counted in _DAYS.items():
            yield FormatEntry(f"{_SERIES}{name}", counted.type, "of a day")
        for name, counted in _MINUTES.items():
            yield FormatEntry(f"{_SERIES}{name}{_INTRADAY}", counted.type)
        yield FormatEntry(f"{_SERIES}heart", "resting_heart_rate")
        yield FormatEntry(f"{_SERIES}heart{_INTRADAY}", "heart_rate", "means of minutes, or seconds")
        yield FormatEntry("weight", "weight", "with bmi and body_fat_percentage")
        yield FormatEntry("fat", "body_fat_percentage")
        yield FormatEntry("sleep", "sleep")
        yield FormatEntry("summary", "of a day", "whose date ends the topic")

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """One answer."""
        root = read_object(message.payload)
        known = {"activities", "weight", "fat", "sleep", "summary"}
        if not known & root.keys() and not any(each.startswith(_SERIES) for each in root):
            raise RefusedError(Reason.MALFORMED, None, "nothing that Fitbit answers with")
        yield from _FitbitAnswer(Scribe(self.name, message, "fitbit"), root).outcomes()
        return state


class _FitbitAnswer:
    """One answer while it is read."""

    def __init__(self, scribe: Scribe, root: Record) -> None:
        self._scribe = scribe
        self._root = root
        self._records = Records()
        self._zone = scribe.message.declared.zone

    def outcomes(self) -> Iterator[Outcome]:
        """Everything in it, by its arrays."""
        for array, make in (
            ("activities", self._workout),
            ("weight", self._weight),
            ("fat", self._fat),
            ("sleep", self._sleep),
        ):
            records = yield from self._records.listed(array, self._root, array)
            for place, record in enumerate(records):
                yield from self._records.read(f"{array}[{place}]", record, make)
        if "summary" in self._root and "sleep" not in self._root:
            yield from self._records.read("summary", self._root["summary"], self._summary)
        for name in self._root:
            if name.startswith(_SERIES) and not name.endswith(_INTRADAY):
                yield from self._series(name)

    def _series(self, name: str) -> Iterator[Outcome]:
        """Days of a time series; where minutes are beside it, its total is of what was asked for and not of a day."""
        of = name.removeprefix(_SERIES)
        minutes = self._root.get(f"{name}{_INTRADAY}")
        days = yield from self._records.listed(name, self._root, name)
        if of == "heart":
            for place, record in enumerate(days):
                yield from self._records.read(f"{name}[{place}]", record, self._resting)
        elif of not in _DAYS:
            refusal = RefusedError(Reason.UNKNOWN_TYPE, None, "the series has no type here")
            yield self._records.refuse(name, None, refusal)
        elif minutes is None:
            for place, record in enumerate(days):
                yield from self._records.read(f"{name}[{place}]", record, partial(self._day, of))
        if minutes is not None:
            yield from self._intraday(name, of, as_record(minutes), days)

    def _intraday(self, name: str, of: str, minutes: Record, days: list[Any]) -> Iterator[Outcome]:
        date = text_or_none(days[0], "dateTime") if len(days) == 1 and isinstance(days[0], dict) else None
        step_s = _STEPS_S.get(str(minutes.get("datasetType")), 0) * int(number_or_none(minutes, "datasetInterval") or 0)
        for place, record in enumerate(items(minutes, "dataset")):
            where = f"{name}{_INTRADAY}.dataset[{place}]"
            yield from self._records.read(where, record, partial(self._minute, of, date, step_s))

    # -- one record

    def _minute(self, of: str, date: str | None, step_s: int, record: Record) -> Iterator[Event]:
        if date is None:
            raise RefusedError(Reason.MISSING_FIELD, "time", "a time of a day, and no one day beside it")
        if step_s <= 0:
            raise RefusedError(Reason.MISSING_FIELD, "datasetInterval", "how long it was counted is not said")
        start = moment(f"{date} {text(record, 'time')}", "time", self._zone)
        amount = number(record, "value")
        end = start.later(step_s)
        if of == "heart":
            value = {"bpm": whole(amount)}
            mean = step_s > 1
            source = {"statistic": "mean"} if mean else {}
            yield self._scribe.event("heart_rate", value, start, end if mean else None, source=source)
            return
        if of not in _MINUTES:
            raise RefusedError(Reason.UNKNOWN_TYPE, None, f"{of} of minutes has no type here")
        counted = _MINUTES[of]
        yield self._scribe.event(counted.type, self._value(counted, amount, "value"), start, end)

    def _day(self, of: str, record: Record) -> Iterator[Event]:
        date = day(record.get("dateTime"), "dateTime", self._zone)
        yield self._of_a_day(_DAYS[of], number(record, "value", texts=True), date, "value")

    def _resting(self, record: Record) -> Iterator[Event]:
        """The resting rate of a day. A number instead of an object is a mean of what was asked for: not of a day."""
        value = record.get("value")
        rate = value.get(_RESTING) if isinstance(value, dict) else None
        if rate is None:
            return
        with inside("value"):
            found = number({_RESTING: rate}, _RESTING)
        date = day(record.get("dateTime"), "dateTime", self._zone)
        yield self._scribe.event("resting_heart_rate", {"bpm": whole(found)}, date, key=("day", date.date))

    def _summary(self, record: Record) -> Iterator[Event]:
        """The totals of a day, whose date an answer leaves to its address."""
        said = self._scribe.message.topic.strip("/").rpartition("/")[2]
        if not said:
            message = "whose day the totals are is in the address alone: let the topic end with the date"
            raise RefusedError(Reason.MISSING_FIELD, "date", message)
        date = day(said, "date", self._zone)
        for theirs, ours in _SUMMARY.items():
            amount = number_or_none(record, theirs)
            if amount is not None:
                yield self._of_a_day(_DAYS[ours], amount, date, theirs)
        for place, each in enumerate(items(record, "distances")):
            if isinstance(each, dict) and each.get("activity") == "total":
                with inside(f"distances[{place}]"):
                    amount = number(each, "distance")
                    yield self._of_a_day(_DAYS["distance"], amount, date, "distance")

    def _of_a_day(self, counted: _DayCount, amount: float, date: Day, place: str) -> Event:
        return self._scribe.event(counted.type, self._value(counted, amount, place), date, key=("day", date.date))

    def _value(self, counted: _DayCount, amount: float, place: str) -> dict[str, float]:
        field = first_field(counted.type)
        unit = self._unit(counted.unit, place) if counted.unit in _SYSTEMS["metric"] else counted.unit
        return {field: in_field(counted.type, field, amount, unit, place=place)}

    def _unit(self, of: str, place: str) -> str:
        """The unit of a weight or distance in the declared system. Raises RefusedError."""
        declared = self._scribe.message.declared.unit
        if declared not in _SYSTEMS:
            message = f"no answer says its units: declare {', '.join(_SYSTEMS)} with the login (--unit)"
            raise RefusedError(Reason.UNKNOWN_UNIT, place, message)
        return _SYSTEMS[declared][of]

    def _workout(self, record: Record) -> Iterator[Event]:
        if record.get("hasStartTime") is False:
            raise RefusedError(Reason.MISSING_FIELD, "startTime", "it was entered without its time")
        date = text(record, "startDate")
        start = moment(f"{date} {text(record, 'startTime')}", "startTime", self._zone)
        end = start.later(number(record, "duration") / 1000)
        name = text_or_none(record, "name") or text_or_none(record, "activityParentName")
        value: dict[str, Any] = {"activity": _ACTIVITIES.get((name or "").casefold(), "other")}
        if name:
            value["name"] = name[:256]
        for theirs, unit, ours in (("calories", "kcal", "energy_total_kcal"), ("steps", "{steps}", "steps")):
            amount = number_or_none(record, theirs)
            if amount is not None:
                value[ours] = in_field("workout", ours, amount, unit, place=theirs)
        distance = number_or_none(record, "distance")
        if distance is not None:
            value["distance_m"] = in_field("workout", "distance_m", distance, self._unit("distance", "distance"))
        yield self._logged("workout", value, record, start, end, version=_modified(self._scribe, record))

    def _weight(self, record: Record) -> Iterator[Event]:
        at = self._at(record)
        amount = in_field("weight", "kg", number(record, "weight"), self._unit("weight", "weight"), place="weight")
        yield self._logged("weight", {"kg": amount}, record, at)
        bmi, fat = number_or_none(record, "bmi"), number_or_none(record, "fat")
        if bmi:
            yield self._logged("bmi", {"kg_m2": whole(bmi)}, record, at)
        if fat:
            yield self._logged("body_fat_percentage", {"percent": whole(fat)}, record, at)

    def _fat(self, record: Record) -> Iterator[Event]:
        yield self._logged("body_fat_percentage", {"percent": whole(number(record, "fat"))}, record, self._at(record))

    def _at(self, record: Record) -> Moment:
        return moment(f"{text(record, 'date')} {text(record, 'time')}", "time", self._zone)

    def _sleep(self, record: Record) -> Iterator[Event]:
        start, end = self._scribe.moment_in(record, "startTime"), self._scribe.moment_in(record, "endTime")
        with inside("levels"):
            stages = self._stages(inner(record, "levels"))
        value: dict[str, Any] = {"stages": stages} if stages else {}
        for theirs, unit, ours in (
            ("minutesAsleep", "min", "total_asleep_s"),
            ("minutesAwake", "min", "awake_s"),
            ("minutesToFallAsleep", "min", "latency_s"),
            ("timeInBed", "min", "in_bed_s"),
            ("efficiency", "%", "efficiency_percent"),
        ):
            amount = number_or_none(record, theirs)
            if amount is not None:
                value[ours] = in_field("sleep", ours, amount, unit, place=theirs)
        if isinstance(record.get("isMainSleep"), bool):
            value["nap"] = not record["isMainSleep"]
        yield self._logged("sleep", value, record, start, end)

    def _stages(self, levels: Record) -> list[dict[str, Any]]:
        """The stages, with the short awakenings that Fitbit lays over them."""
        found = []
        for array in ("data", "shortData"):
            for place, each in enumerate(items(levels, array)):
                with inside(f"{array}[{place}]"):
                    stage = as_record(each)
                    start = self._scribe.moment_in(stage, "dateTime")
                    end = start.later(number(stage, "seconds"))
                    word = _STAGES.get((text_or_none(stage, "level") or "").casefold(), "unknown")
                    found.append({"stage": word, "start_time": start.text, "end_time": end.text})
        return found

    def _logged(  # noqa: PLR0917  # made by those above
        self,
        type_: str,
        value: Mapping[str, Any],
        record: Record,
        at: Moment,
        end: Moment | None = None,
        version: int | Literal["latest"] = "latest",
    ) -> Event:
        """An event of a record that Fitbit has a number for."""
        own = record.get("logId")
        if not is_number(own) and not (isinstance(own, str) and own):
            raise RefusedError(Reason.MISSING_FIELD, "logId", "the record has no number")
        return self._scribe.event(type_, value, at, end, key=("log", str(own)[:64]), version=version)


def _modified(scribe: Scribe, record: Record) -> int | Literal["latest"]:
    found = text_or_none(record, "lastModified")
    return scribe.moment_in(record, "lastModified").us // 1000 if found else "latest"
