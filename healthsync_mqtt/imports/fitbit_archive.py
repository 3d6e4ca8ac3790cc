"""Fitbit's account archive, from Fitbit or in a Google Takeout: a folder of JSON, and newer ones of CSV.

Minutes (heart rate, steps, distance, calories) are in UTC there; nights, exercises and weights are told by the wall
clock of the person, whose zone has to be declared. The CSV of newer archives says its offset in each row.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from healthsync_mqtt.formats.port import Event
from healthsync_mqtt.formats.reading.amount import first_field, in_field
from healthsync_mqtt.formats.reading.document import (
    Record,
    as_record,
    inner,
    is_number,
    items,
    number,
    read_document,
    text,
    text_or_none,
    whole,
)
from healthsync_mqtt.formats.reading.moment import Moment, day, moment
from healthsync_mqtt.formats.reading.scribe import Scribe
from healthsync_mqtt.imports.port import LeftOut, PassedOver, Read, Reading, Whose
from healthsync_mqtt.imports.rows import header_of, number_in, rows_of, time_in
from healthsync_mqtt.imports.source import Member, UnreadableError
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.types.workout import ACTIVITY

_DATE: Final = re.compile(r"(\d\d)/(\d\d)/(\d\d)(?: (\d\d:\d\d(?::\d\d)?))?")
_FILE: Final = re.compile(r"(?:^|/)(?P<of>[a-z_]+(?:[a-z0-9_]*[a-z])?)[-_ ]?[\d_-]*\.json$", re.IGNORECASE)
_UTC: Final = "UTC"
_MINUTE_S: Final = 60


class _Minutes(NamedTuple):
    """A series of minutes: our type, and the unit of its numbers."""

    type: str
    unit: str


_MINUTES: Final = {
    "steps": _Minutes("steps", "{steps}"),
    "distance": _Minutes("distance", "cm"),
    "calories": _Minutes("energy_total", "kcal"),
}
_DAYS: Final = {
    "sedentary_minutes": "sedentary_time",
    "lightly_active_minutes": "active_minutes_light",
    "moderately_active_minutes": "active_minutes_moderate",
    "very_active_minutes": "active_minutes_vigorous",
}
_STAGES: Final = {
    "wake": "awake", "awake": "awake", "restless": "awake_in_bed", "light": "light", "deep": "deep", "rem": "rem",
    "asleep": "asleep",
}  # fmt: skip
_NIGHT: Final = (
    ("minutesAsleep", "total_asleep_s", 60), ("minutesAwake", "awake_s", 60), ("minutesToFallAsleep", "latency_s", 60),
    ("timeInBed", "in_bed_s", 60), ("efficiency", "efficiency_percent", 1),
)  # fmt: skip
_ACTIVITIES: Final = {
    "walk": "walking", "run": "running", "bike": "cycling", "outdoor bike": "cycling", "spinning": "indoor_cycling",
    "swim": "swimming", "hike": "hiking", "weights": "weightlifting", "interval workout":
    "high_intensity_interval_training", "stairclimber": "stair_climbing", "circuit training": "cross_training",
}  # fmt: skip
#: The columns of a newer table after its time: our type, their unit, and whether a row is of a minute.
_COLUMNS: Final = {
    "steps": ("steps", "{steps}", True),
    "beats per minute": ("heart_rate", "/min", False),
    "distance": ("distance", "m", True),
    "calories": ("energy_total", "kcal", True),
    "floors": ("floors", "{flights}", True),
    "weight grams": ("weight", "g", False),
    "height millimeters": ("height", "mm", False),
    "body fat percentage": ("body_fat_percentage", "%", False),
    "oxygen saturation percentage": ("spo2", "%", False),
    "respiratory rate": ("respiratory_rate", "/min", False),
    "breaths per minute": ("respiratory_rate", "/min", False),
    "root mean square of successive differences milliseconds": ("hrv_rmssd", "ms", False),
    "standard deviation milliseconds": ("hrv_sdnn", "ms", False),
    "temperature celsius": ("skin_temperature", "Cel", False),
}
_OF_A_DAY: Final = {"beats per minute": "resting_heart_rate", "oxygen saturation percentage": "daily_spo2",
                    "root mean square of successive differences milliseconds": "daily_hrv_rmssd",
                    "breaths per minute": "daily_respiratory_rate"}  # fmt: skip


class FitbitArchive:
    """The files of an archive (``port.Archive``)."""

    name = "fitbit_archive"
    summary = "Fitbit's account archive, and Fitbit in a Google Takeout (JSON, CSV)"

    def recognises(self, member: Member, head: bytes) -> bool:
        """A list whose records have what Fitbit's have; or a table that begins with a timestamp and a known column."""
        names = header_of(head)
        if names[:1] == ["timestamp"] and any(each in _COLUMNS for each in names[1:]):
            return True
        start = head[:4096].lstrip()
        if not start.startswith(b"["):
            return False
        of = _of(member)
        return (b'"logId"' in start or b'"dateTime"' in start) and (
            of in _READS or b'"dateOfSleep"' in start or b'"activityName"' in start or b'"bmi"' in start
        )

    def read(self, members: list[Member], whose: Whose) -> Reading:
        """All files."""
        archive = _ArchiveFiles(Scribe("fitbit_archive", whose.message(b""), "fitbit"))
        for member in members:
            reads = _table(member, archive) if header_of(member.head())[:1] == ["timestamp"] else _list(member, archive)
            try:
                for place, make in reads:
                    try:
                        for event in make():
                            yield Read(event, place)
                    except RefusedError as refusal:
                        yield LeftOut(refusal.code, place, str(refusal))
                    except (ArithmeticError, ValueError):
                        yield LeftOut(Reason.BAD_NUMBER, place, "a number that cannot be reckoned with")
            except RefusedError as refusal:
                yield LeftOut(refusal.code, member.shown, str(refusal))
            except UnreadableError as error:
                yield LeftOut(PassedOver.DAMAGED, member.shown, str(error))


_Make = Callable[[], Iterator[Event]]


def _of(member: Member) -> str:
    """What a file is of, by the beginning of its name."""
    found = _FILE.search(member.name)
    return found["of"].lower().rstrip("_- ") if found else ""


def _list(member: Member, archive: "_ArchiveFiles") -> Iterator[tuple[str, _Make]]:
    records = read_document(member.whole())
    if not isinstance(records, list):
        raise RefusedError(Reason.MALFORMED, None, "no list of records")
    of = _of(member)
    for place, record in enumerate(records):
        yield f"{member.shown}[{place}]", partial(archive.record, of, record)


def _table(member: Member, archive: "_ArchiveFiles") -> Iterator[tuple[str, _Make]]:
    daily = "daily_" in member.name.rpartition("/")[2].lower()
    for row in rows_of(member):
        yield f"{member.shown}:{row.line}", partial(archive.row, row.cells, daily=daily)


class _ArchiveFiles:
    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe
        self._zone = scribe.message.declared.zone

    def record(self, of: str, record: Any) -> Iterator[Event]:
        """One record of a list."""
        record = as_record(record)
        if "dateOfSleep" in record:
            yield from self._sleep(record)
        elif "activityName" in record:
            yield from self._exercise(record)
        elif "bmi" in record and "weight" in record:
            yield from self._weight(record)
        elif of in _READS:
            yield from _READS[of](self, of, record)
        else:
            raise RefusedError(Reason.UNKNOWN_TYPE, None, f"{of or 'it'} is nothing that has a type here")

    def row(self, cells: dict[str, str], *, daily: bool) -> Iterator[Event]:
        """One row of a newer table."""
        at = time_in(cells, "timestamp", self._zone or _UTC)
        for name, (type_, unit, of_a_minute) in _COLUMNS.items():
            amount = number_in(cells, name)
            if amount is None or (of_a_minute and not amount):
                continue
            told = _OF_A_DAY.get(name) if daily else type_
            if told is None:
                continue
            value = {first_field(told): in_field(told, first_field(told), amount, unit, place=name)}
            yield self._scribe.event(told, value, at, at.later(_MINUTE_S) if of_a_minute and not daily else None)

    def heart_rate(self, _of: str, record: Record) -> Iterator[Event]:
        """A rate, and how sure the watch is of it: nought says that it is not at all."""
        said = inner(record, "value")
        bpm = number(said, "bpm")
        if bpm and said.get("confidence") != 0:
            yield self._scribe.event("heart_rate", {"bpm": whole(bpm)}, self._utc(record))

    def resting(self, _of: str, record: Record) -> Iterator[Event]:
        """The rate of a day; nought where there is none."""
        said = inner(record, "value")
        date = text_or_none(said, "date")
        if date is not None and is_number(said.get("value")) and said["value"]:
            of_day = day(_iso(date), "value.date", self._zone or _UTC)
            yield self._scribe.event("resting_heart_rate", {"bpm": round(said["value"], 2)}, of_day)

    def minutes(self, of: str, record: Record) -> Iterator[Event]:
        """An amount of a minute; nought is no event."""
        minutes = _MINUTES[of]
        amount = number(record, "value", texts=True)
        if amount:
            at = self._utc(record)
            field = first_field(minutes.type)
            value = {field: in_field(minutes.type, field, amount, minutes.unit)}
            yield self._scribe.event(minutes.type, value, at, at.later(_MINUTE_S))

    def of_a_day(self, of: str, record: Record) -> Iterator[Event]:
        """Minutes of a day."""
        type_ = _DAYS[of]
        date = day(_iso(text(record, "dateTime"))[:10], "dateTime", self._zone)
        amount = number(record, "value", texts=True)
        yield self._scribe.event(type_, {first_field(type_): whole(amount)}, date)

    def _utc(self, record: Record) -> Moment:
        return moment(_iso(text(record, "dateTime")), "dateTime", _UTC)

    def _weight(self, record: Record) -> Iterator[Event]:
        at = moment(_iso(f"{text(record, 'date')} {text(record, 'time')}"), "time", self._zone)
        unit = self._scribe.message.declared.unit
        if unit is None:
            raise RefusedError(Reason.UNKNOWN_UNIT, "weight", "no file says its units: declare lb or kg (--unit)")
        key = ("log", str(record.get("logId", at.text))[:64])
        kilograms = in_field("weight", "kg", number(record, "weight"), unit, place="weight")
        yield self._scribe.event("weight", {"kg": kilograms}, at, key=key)
        for theirs, type_ in (("bmi", "bmi"), ("fat", "body_fat_percentage")):
            if is_number(record.get(theirs)) and record[theirs]:
                yield self._scribe.event(type_, {first_field(type_): whole(record[theirs])}, at, key=key)

    def _sleep(self, record: Record) -> Iterator[Event]:
        start, end = (moment(text(record, each), each, self._zone) for each in ("startTime", "endTime"))
        value: dict[str, Any] = {"stages": list(self._stages(inner(record, "levels"), end))}
        for theirs, ours, scale in _NIGHT:
            if is_number(record.get(theirs)) and record[theirs] >= 0:
                value[ours] = whole(record[theirs] * scale)
        if isinstance(record.get("mainSleep"), bool):
            value["nap"] = not record["mainSleep"]
        yield self._scribe.event("sleep", value, start, end, key=("log", str(record.get("logId", start.text))[:64]))

    def _stages(self, levels: Record, end: Moment) -> Iterator[dict[str, Any]]:
        for array in ("data", "shortData"):
            for each in items(levels, array):
                stage = as_record(each)
                begin = moment(text(stage, "dateTime"), "dateTime", self._zone)
                until = begin.later(number(stage, "seconds"))
                until = min(until, end, key=lambda moment: moment.us)
                word = _STAGES.get((text_or_none(stage, "level") or "").casefold(), "unknown")
                yield {"stage": word, "start_time": begin.text, "end_time": until.text}

    def _exercise(self, record: Record) -> Iterator[Event]:
        start = moment(_iso(text(record, "startTime")), "startTime", self._zone)
        end = start.later(number(record, "duration") / 1000)
        name = text(record, "activityName")
        word = _ACTIVITIES.get(name.casefold(), "_".join(name.casefold().split()))
        value: dict[str, Any] = {"activity": word if word in ACTIVITY.words else "other", "name": name[:256]}
        for theirs, ours in (
            ("calories", "energy_total_kcal"), ("steps", "steps"), ("averageHeartRate", "heart_rate_mean_bpm"),
        ):  # fmt: skip
            if is_number(record.get(theirs)) and record[theirs]:
                value[ours] = whole(record[theirs])
        if is_number(record.get("activeDuration")):
            value["active_s"] = whole(record["activeDuration"] / 1000)
        unit = {"Kilometer": "km", "Mile": "mi"}.get(str(record.get("distanceUnit")))
        if unit and is_number(record.get("distance")):
            value["distance_m"] = in_field("workout", "distance_m", record["distance"], unit)
        yield self._scribe.event("workout", value, start, end, key=("log", str(record.get("logId", start.text))[:64]))


_READS: Final[dict[str, Callable[[_ArchiveFiles, str, Record], Iterator[Event]]]] = {
    "heart_rate": _ArchiveFiles.heart_rate,
    "resting_heart_rate": _ArchiveFiles.resting,
    **dict.fromkeys(_MINUTES, _ArchiveFiles.minutes),
    **dict.fromkeys(_DAYS, _ArchiveFiles.of_a_day),
}


def _iso(written: str) -> str:
    """A date as archives write it, ``01/31/20 08:00:05``: the month first."""
    found = _DATE.fullmatch(written)
    if found is None:
        return written
    month, date, year, clock = found.groups()
    return f"20{year}-{month}-{date}" + (f" {clock}" if clock else "")
