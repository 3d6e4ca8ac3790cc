"""Watches with Zepp OS through zepp2hass: a snapshot a minute, with a time of the day and no date.

The date is that of the arrival, by the clock of the login's zone. Totals are of that day; what was measured at a moment
of another day is of an earlier snapshot. Sleep is in minutes from the midnight before yesterday's evening, and the same
all day long: a night that is said again after the next midnight is still the night that it was. Nought says "no
sensor".
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from hashlib import blake2b
from typing import Any, Final

import msgspec

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
from healthsync_mqtt.formats.reading.moment import Day, Moment, at_wall, day_of, in_zone, of_epoch
from healthsync_mqtt.formats.reading.scribe import Records, Scribe
from healthsync_mqtt.formats.reading.stages import Stage, as_written, checked
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

_TOTALS: Final = (
    ("steps", "daily_steps", "{steps}"),
    ("distance", "daily_distance", "m"),
    ("calorie", "daily_energy_active", "kcal"),
)
_STAGES: Final = {"WAKE_STAGE": "awake", "REM_STAGE": "rem", "LIGHT_STAGE": "light", "DEEP_STAGE": "deep"}
_AHEAD_US: Final = 300_000_000
"""How far a watch's clock may be ahead of the arrival."""
_HUNDREDTHS: Final = 100
"""What is beyond is a temperature in hundredths: no body is so warm."""
_LONGEST_MIN: Final = 4320


class _KnownSleep(msgspec.Struct):
    """The newest night: what was said of it, and the day on which it ended."""

    said: str
    day: str


_decode = msgspec.json.Decoder(_KnownSleep).decode


class Zepp:
    """Snapshots of zepp2hass (``port.Format``)."""

    name = "zepp"
    summary = "Zepp OS watches (Amazfit) through zepp2hass: snapshots of the day and the night"
    roots = ()
    remembers: frozenset[str] = frozenset({"sleep"})

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        for name, type_, _ in _TOTALS:
            yield FormatEntry(f"{name}.current", type_, "of the day so far")
        yield FormatEntry("heart_rate.last", "heart_rate", "and the highest of the day, at its time")
        yield FormatEntry("heart_rate.resting", "resting_heart_rate")
        yield FormatEntry("blood_oxygen", "spo2")
        yield FormatEntry("body_temperature.current", "body_temperature")
        yield FormatEntry("sleep", "sleep", "with its stages; naps beside it")

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """One snapshot; what is remembered is the night that it says."""
        root = read_object(message.payload)
        if message.retained:
            raise RefusedError(Reason.MISSING_FIELD, "record_time", "a retained message says no date: when was it?")
        if "record_time" not in root:
            raise RefusedError(Reason.MISSING_FIELD, "record_time", "no snapshot: it says no time of the day")
        snapshot = _Snapshot(Scribe(self.name, message, "zepp"), root, _decode(state) if state else None)
        yield from snapshot.outcomes()
        return snapshot.state


class _Snapshot:
    """One snapshot while it is read."""

    def __init__(self, scribe: Scribe, root: Record, known: _KnownSleep | None) -> None:
        self._scribe = scribe
        self._root = root
        self._known = known
        self._zone = scribe.message.declared.zone
        self._now = _now(text(root, "record_time"), scribe.message.at_us, self._zone)
        self._day = _day_at(self._now, self._zone)
        model = text_or_none(inner(root, "device"), "deviceName") if isinstance(root.get("device"), dict) else None
        self._device = {"model": model[:64]} if model else {}

    @property
    def state(self) -> bytes:
        """To be remembered."""
        return b"" if self._known is None else msgspec.json.encode(self._known)

    def outcomes(self) -> Iterator[Outcome]:
        """Everything in it."""
        records = Records()
        readers: dict[str, Callable[[Record], Iterator[Event]]] = {
            **{name: partial(self._total, type_, unit) for name, type_, unit in _TOTALS},
            "heart_rate": self._heart,
            "blood_oxygen": self._oxygen,
            "body_temperature": self._temperature,
            "sleep": self._sleep,
        }
        for part, make in readers.items():
            if isinstance(self._root.get(part), dict):
                yield from records.read(part, self._root[part], make)

    def _total(self, type_: str, unit: str, record: Record) -> Iterator[Event]:
        amount = number_or_none(record, "current")
        if amount is not None:
            field = first_field(type_)
            value = {field: in_field(type_, field, amount, unit, place="current")}
            yield self._event(type_, value, self._day, key=("day", self._day.date))

    def _heart(self, record: Record) -> Iterator[Event]:
        last, resting = number_or_none(record, "last"), number_or_none(record, "resting")
        if last:
            yield self._event("heart_rate", {"bpm": whole(last)}, self._now)
        if resting:
            yield self._event("resting_heart_rate", {"bpm": whole(resting)}, self._day, key=("day", self._day.date))
        with inside("summary.maximum"):
            highest = _object(_object(record, "summary"), "maximum")
            yield from self._at_its_time("heart_rate", "bpm", highest, "hr_value")

    def _oxygen(self, record: Record) -> Iterator[Event]:
        with inside("current"):
            yield from self._at_its_time("spo2", "percent", _object(record, "current"), "value")
        for array in ("few_hours", "last_day"):
            for place, each in enumerate(items(record, array)):
                with inside(f"{array}[{place}]"):
                    yield from self._at_its_time("spo2", "percent", as_record(each), "spo2")

    def _temperature(self, record: Record) -> Iterator[Event]:
        with inside("current"):
            yield from self._at_its_time("body_temperature", "celsius", _object(record, "current"), "value")

    def _at_its_time(self, type_: str, field: str, record: Record, name: str) -> Iterator[Event]:
        """What says when it was: of this day, as that of another is what an earlier snapshot said."""
        amount, when = number_or_none(record, name), record.get("time", record.get("timestamp"))
        if not amount or when is None:
            return
        if type_ == "body_temperature" and amount > _HUNDREDTHS:
            amount = round(amount / _HUNDREDTHS, 2)
        at = in_zone(of_epoch(when, "time"), self._zone)
        if self._day.start.us <= at.us < self._day.end.us:
            yield self._event(type_, {field: whole(amount)}, at)

    # -- sleep

    def _sleep(self, record: Record) -> Iterator[Event]:
        info = record.get("info")
        if isinstance(info, dict) and (number_or_none(info, "endTime") or 0) > 0:
            yield from self._night(info, record)
        for place, each in enumerate(items(record, "nap")):
            with inside(f"nap[{place}]"):
                nap = as_record(each)
                start, end = self._minute(nap, "start", self._ended), self._minute(nap, "stop", self._ended)
                yield self._event("sleep", {"nap": True}, start, end, key=("nap", Moment(start.us).text))

    @property
    def _ended(self) -> date:
        """The day on which the night ended that is told now."""
        return date.fromisoformat(self._known.day if self._known is not None else self._day.date)

    def _night(self, info: Record, record: Record) -> Iterator[Event]:
        said = blake2b(msgspec.json.encode([info, record.get("stage")]), digest_size=12).hexdigest()
        if self._known is None or self._known.said != said:
            ended = date.fromisoformat(self._day.date)
            with inside("info"):
                if self._minute(info, "endTime", ended).us > self._now.us + _AHEAD_US:
                    ended -= timedelta(days=1)  # it is after midnight, and the night is still that before
            self._known = _KnownSleep(said, ended.isoformat())
        ended = self._ended
        with inside("info"):
            start, end = self._minute(info, "startTime", ended), self._minute(info, "endTime", ended)
        value: dict[str, Any] = {"stages": self._stages(record, ended)}
        total, score = number_or_none(info, "totalTime"), number_or_none(info, "score")
        if total:
            value["total_asleep_s"] = in_field("sleep", "total_asleep_s", total, "min", place="info.totalTime")
        if score:
            value["scores"] = [{"provider": "zepp", "name": "sleep_score", "points": score}]
        yield self._event("sleep", value, start, end, key=("night", ended.isoformat()))

    def _stages(self, record: Record, ended: date) -> list[dict[str, Any]]:
        words = {
            found: word for name, word in _STAGES.items() if is_number(found := _object(record, "stg_list").get(name))
        }
        stages = []
        for place, each in enumerate(items(record, "stage")):
            with inside(f"stage[{place}]"):
                stage = as_record(each)
                model = stage.get("model")
                word = words.get(model, "unknown") if is_number(model) else "unknown"
                start, end = self._minute(stage, "start", ended), self._minute(stage, "stop", ended)
                stages.append(checked(Stage(start, end, word), "stop"))
        return as_written(stages)

    def _minute(self, record: Record, field: str, ended: date) -> Moment:
        """A moment in minutes from the midnight that began the day before the night's end."""
        minutes = number(record, field)
        if not 0 <= minutes <= _LONGEST_MIN:
            raise RefusedError(Reason.BAD_TIME, field, f"{field} is no minute of two days")
        wall = datetime(ended.year, ended.month, ended.day, tzinfo=UTC) + timedelta(days=-1, minutes=minutes)
        return at_wall(wall.replace(tzinfo=None), self._zone)

    def _event(
        self,
        type_: str,
        value: Mapping[str, Any],
        at: Moment | Day,
        end: Moment | None = None,
        key: tuple[object, ...] = (),
    ) -> Event:
        return self._scribe.event(type_, value, at, end, key=key, device=self._device)


def _object(record: Record, field: str) -> Record:
    """An object; empty where the sensor is missing, which is also written as 0 or []."""
    found = record.get(field)
    return found if isinstance(found, dict) else {}


def _now(said: str, at_us: int, zone: str | None) -> Moment:
    """The newest moment at which a clock in the zone said so, as seen from the arrival. Raises RefusedError."""
    hour, _, minute = said.partition(":")
    if not (hour.isdecimal() and minute.isdecimal() and int(hour) < 24 and int(minute) < 60):  # a clock
        raise RefusedError(Reason.BAD_TIME, "record_time", f"{printable(said)} is no time of a day")
    arrived = in_zone(Moment(at_us), zone)
    if zone is None or arrived.offset_s is None:
        message = "whose clock that is needs a zone: declare one (--zone)"
        raise RefusedError(Reason.NAIVE_TIME, "record_time", message)
    there = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=arrived.us, seconds=arrived.offset_s)
    wall = there.replace(tzinfo=None, hour=int(hour), minute=int(minute), second=0, microsecond=0)
    at = at_wall(wall, zone)
    return at if at.us <= at_us + _AHEAD_US else at_wall(wall - timedelta(days=1), zone)


def _day_at(at: Moment, zone: str | None) -> Day:
    there = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at.us, seconds=at.offset_s or 0)
    return day_of(there.date(), zone)
