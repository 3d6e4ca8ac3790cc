# long: what a watch writes all day and a scale now and then, a few lines for each kind of message
"""Days of FIT: counters since midnight, the heart, stress, sleep, blood and scales."""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final, NamedTuple

from healthsync_mqtt.formats.fit import profile
from healthsync_mqtt.formats.fit.clock import EPOCH_S, from_low_half, is_set, moment_of, steady
from healthsync_mqtt.formats.fit.counters import DayBook, runs
from healthsync_mqtt.formats.fit.part import FitAside, FitItem, FitPart
from healthsync_mqtt.formats.fit.wire import TIMESTAMP, FitMessage
from healthsync_mqtt.formats.omissions import PassedOver
from healthsync_mqtt.formats.port import Made
from healthsync_mqtt.formats.reading.moment import in_zone
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.reasons import RefusedError

_DAY_S: Final = 86_400
_ALIKE_S: Final = 300
_ACTIVITY, _ACTIVITY_AND_INTENSITY, _LOW_TIME, _HEART, _MINUTES = 5, 24, 26, 27, 29
_ALL_ACTIVITIES: Final = 254
_SLEEPS: Final = 74
_NIGHT_APART_S: Final = 4 * 3600
_UNKNOWN_WEIGHT: Final = 0xFFFE


class _Reading(NamedTuple):
    """A counter at a moment, and since when it counted; None: since midnight."""

    at_s: int
    value: float
    since_s: int | None


class Monitoring:
    """The messages of days in one file."""

    def __init__(self, part: FitPart, book: DayBook) -> None:
        self._part = part
        self._book = book
        self._asides: list[FitAside] = []

    def items(self) -> Iterator[FitItem]:
        """Its events, kind by kind; then what was left out."""
        yield from self._monitoring()
        yield from self._sleep()
        for kind, at, read in _MOMENTS:
            yield from self._each(kind, at, read)
        for kind, type_, field, scale in _SERIES:
            yield from self._series(kind, type_, field, scale)
        yield from self._scales()
        yield from self._asides

    def _leave(self, reason: PassedOver, place: str, text: str, count: int = 1) -> None:
        self._asides.append(FitAside(reason, place, text, count))

    # Counters of the day, and the heart between them.

    def _monitoring(self) -> Iterator[FitItem]:
        messages = self._part.of(profile.MONITORING)
        times = self._times(messages)
        timed = [(at, message) for at, message in zip(times, messages, strict=True) if at is not None]
        lost = sum(at is None and _is_reading(message) for at, message in zip(times, messages, strict=True))
        if lost:
            text = "the clock of the device was not set: when this was, nothing says"
            self._leave(PassedOver.CLOCK_NOT_SET, "monitoring", text, lost)
        sound = steady([at for at, _ in timed])
        if len(sound) < len(timed):
            text = "a time that is days from all others"
            self._leave(PassedOver.TIME_FAR_OFF, "monitoring", text, len(timed) - len(sound))
        counters: dict[tuple[str, int], list[_Reading]] = {}
        for place, (at, message) in enumerate(timed):
            if place not in sound:
                continue
            bpm = message.fields.get(_HEART)
            if isinstance(bpm, int) and bpm:
                yield self._part.event("heart_rate", {"bpm": bpm}, at, place=message.place)
            self._count(counters, at, message.fields)
        for (type_, activity), readings in sorted(counters.items()):
            others = any(each == type_ and of != activity for each, of in counters)
            if activity != _ALL_ACTIVITIES or not others:
                in_time = sorted(readings, key=lambda each: (each.at_s, each.value))
                yield from self._differences(type_, activity, in_time)

    def _times(self, messages: list[FitMessage]) -> list[int | None]:
        """The time of each: its own, or the lower half of it after the last one that was whole."""
        infos = self._part.of(profile.MONITORING_INFO)
        stamps = [each.fields.get(TIMESTAMP) for each in infos]
        clock: int | None = next((each for each in stamps if is_set(each)), None)
        whole = [each.fields[TIMESTAMP] for each in messages if is_set(each.fields.get(TIMESTAMP))]
        sound = {whole[place] for place in steady(whole)}
        found: list[int | None] = []
        for message in messages:
            at, low = message.fields.get(TIMESTAMP), message.fields.get(_LOW_TIME)
            if is_set(at):
                found.append(at)
                if at in sound:
                    clock = at
            elif isinstance(low, int) and clock is not None:
                clock = from_low_half(low, clock)
                found.append(clock)
            else:
                found.append(None)
        return found

    def _count(self, counters: dict[tuple[str, int], list[_Reading]], at: int, fields: Mapping[int, Any]) -> None:
        activity = fields.get(_ACTIVITY)
        both = fields.get(_ACTIVITY_AND_INTENSITY)
        if not isinstance(activity, int) and isinstance(both, int):
            activity = both & 0x1F
        minutes = fields.get(_MINUTES)
        since = at - minutes * 60 if isinstance(minutes, int) and 0 < minutes <= 24 * 60 + 60 else None

        def add(type_: str, value: float) -> None:
            counters.setdefault((type_, activity if isinstance(activity, int) else -1), []).append(
                _Reading(at, value, since)
            )

        cycles = fields.get(3, fields.get(9))
        if isinstance(cycles, int) and (activity in profile.STEPS_ON or activity in {_ALL_ACTIVITIES, 0, None}):
            add("steps", cycles)
        centimeters, hectometers = fields.get(2), fields.get(8)
        way = profile.DISTANCE_ON.get(activity if isinstance(activity, int) else 0)
        if way and isinstance(centimeters, int):
            add(way, centimeters / 100)
        elif way and isinstance(hectometers, int):
            add(way, hectometers * 100)
        if isinstance(fields.get(19), int):
            add("energy_active", fields[19])
        if isinstance(fields.get(31), int):
            add("elevation_gain", fields[31] / 1000)

    def _differences(self, type_: str, activity: int, readings: list[_Reading]) -> Iterator[FitItem]:
        """What came between readings of one counter, day by day."""
        days: dict[int, list[_Reading]] = {}
        nothing = 0
        for reading in readings:
            begin = self._midnight(reading)
            if begin is None:
                nothing += 1
                continue
            # How long it counts is told in minutes.
            same = next((day for day in days if abs(day - begin) <= _ALIKE_S), begin)
            days.setdefault(same, []).append(reading)
        if nothing:
            text = "a counter since midnight, and nothing says where: declare a zone (--zone)"
            self._leave(PassedOver.NO_START, "monitoring", text, nothing)
        jumped = 0
        for begin, of_day in sorted(days.items()):
            values = [each.value for each in of_day]
            parts = runs(values)
            jumped += len(values) - sum(map(len, parts))
            for number, places in enumerate(parts):
                name = f"{type_}/{activity}/{self._part.watch}/{number}"
                # A counter that was set back in the day counts from then on.
                start = begin if not number else of_day[parts[number - 1][-1]].at_s
                told = [(of_day[place].at_s, values[place]) for place in places]
                for each in self._book.take(name, start, told):
                    amount = round(each.amount, 2)
                    yield self._part.event(
                        type_,
                        {CATALOGUE[type_].quantities[0].field: int(amount) if amount == int(amount) else amount},
                        each.start_s,
                        each.end_s,
                        key=("counter", activity),
                        version=each.known,
                    )
        if jumped:
            text = "a counter that does not fit between those before and after it"
            self._leave(PassedOver.COUNTER_JUMPED, "monitoring", text, jumped)

    def _midnight(self, reading: _Reading) -> int | None:
        """When the day of a reading began: one at midnight is the last of the day before."""
        if reading.since_s is not None:
            return reading.since_s
        offset = self._part.offset_s
        if offset is None and self._part.zone is not None:
            try:
                offset = in_zone(moment_of(reading.at_s - 1), self._part.zone).offset_s
            except RefusedError:
                offset = None
        if offset is None:
            # A file of a day is begun at its midnight.
            created = self._part.created
            if created is None or not 0 <= reading.at_s - created <= _DAY_S:
                return None
            return created
        local = reading.at_s + EPOCH_S + offset
        return (local - 1) // _DAY_S * _DAY_S - offset - EPOCH_S

    # What is told at moments.

    def _each(self, kind: int, at_field: int, read: "_Read") -> Iterator[FitItem]:
        messages = self._part.of(kind)
        sound = self._sound(messages, at_field)
        nothing = 0
        for message in sound:
            found = list(read(message.fields))
            nothing += not found
            for type_, value in found:
                yield self._part.event(type_, value, message.fields[at_field], place=message.place)
        if nothing:
            self._leave(PassedOver.NOT_MEASURED, f"message {kind}", "it says that nothing could be measured", nothing)

    def _sound(self, messages: list[FitMessage], at_field: int = TIMESTAMP) -> list[FitMessage]:
        """Those of a time that was set, and not far from all others."""
        timed = [each for each in messages if is_set(each.fields.get(at_field))]
        if len(timed) < len(messages):
            text = "the clock of the device was not set: when this was, nothing says"
            kind = messages[0].kind
            self._leave(PassedOver.CLOCK_NOT_SET, f"message {kind}", text, len(messages) - len(timed))
        return timed

    def _series(self, kind: int, type_: str, field: int, scale: int) -> Iterator[FitItem]:
        """Values at even distances from a time on, as research watches write them."""
        quantity = CATALOGUE[type_].quantities[0]
        nothing = 0
        for message in self._sound(self._part.of(kind)):
            values = message.fields.get(field)
            step = message.fields.get(0, 1)
            values = values if isinstance(values, tuple) else (values,)
            for number, raw in enumerate(values):
                if not isinstance(raw, int) or not quantity.low <= raw / scale <= quantity.high or raw <= 0:
                    nothing += 1
                    continue
                at = message.fields[TIMESTAMP] + number * step
                yield self._part.event(
                    type_, {quantity.field: raw / scale if scale > 1 else raw}, at, place=message.place
                )
        if nothing:
            self._leave(PassedOver.NOT_MEASURED, f"message {kind}", "it says that nothing could be measured", nothing)

    # The night.

    def _sleep(self) -> Iterator[FitItem]:
        levels = sorted(self._sound(self._part.of(profile.SLEEP_LEVEL)), key=lambda each: each.fields[TIMESTAMP])
        assessments = self._part.of(profile.SLEEP_ASSESSMENT)
        nights: list[list[FitMessage]] = []
        for level in levels:
            if nights and level.fields[TIMESTAMP] - nights[-1][-1].fields[TIMESTAMP] <= _NIGHT_APART_S:
                nights[-1].append(level)
            else:
                nights.append([level])
        told = 0
        for night in nights:
            event = self._night(night, assessments[0].fields if len(nights) == 1 and assessments else {})
            if event is None:
                self._leave(PassedOver.NO_START, "sleep", "one moment of a night says not how long it was", len(night))
                continue
            told += 1
            yield event
        if assessments and told != 1:
            self._leave(PassedOver.NO_START, "sleep", "scores of a night, of which nothing says when", len(assessments))

    def _night(self, levels: list[FitMessage], scores: Mapping[int, Any]) -> Made | None:
        first = levels[0].fields[TIMESTAMP]
        ends = [
            each.fields[TIMESTAMP]
            for each in self._part.of(profile.EVENT)
            if each.fields.get(0) == _SLEEPS and each.fields.get(1) == 1 and is_set(each.fields.get(TIMESTAMP))
        ]
        last = levels[-1].fields[TIMESTAMP]
        end = next((each for each in sorted(ends) if last < each <= last + _NIGHT_APART_S), last)
        if end <= first:
            return None
        stages: list[dict[str, Any]] = []
        moments = [(each.fields[TIMESTAMP], each.fields.get(0, 0)) for each in levels]
        for (start, level), (until, _) in pairwise([*moments, (end, 0)]):
            word = profile.SLEEP_LEVELS.get(level, "unknown")
            if until <= start:
                continue
            if stages and stages[-1]["stage"] == word:
                stages[-1]["end_time"] = moment_of(until).text
            else:
                began, ended = moment_of(start).text, moment_of(until).text
                stages.append({"stage": word, "start_time": began, "end_time": ended})
        value: dict[str, Any] = {"stages": stages}
        if isinstance(scores.get(11), int):
            value["awakenings"] = scores[11]
        if isinstance(scores.get(6), int):
            value["scores"] = [{"provider": "garmin", "name": "overall", "points": scores[6]}]
        return self._part.event("sleep", value, first, end, key=("night",), place=levels[0].place)

    # Scales and cuffs, which several people use.

    def _scales(self) -> Iterator[FitItem]:
        for kind, person_field, read in ((profile.WEIGHT_SCALE, 12, _scale), (profile.BLOOD_PRESSURE, 9, _pressure)):
            messages = self._sound(self._part.of(kind))
            people = {each.fields.get(person_field) for each in messages}
            slot = self._part.slot
            if len(people) > 1 and slot is None:
                text = f"measured of several people ({len(people)}); declare which of them is meant (--slot)"
                self._leave(PassedOver.OF_OTHERS, f"message {kind}", text, len(messages))
                continue
            for message in messages:
                person = message.fields.get(person_field)
                if slot is not None and len(people) > 1 and str(person) != slot:
                    self._leave(PassedOver.OF_OTHERS, f"byte {message.place}", "measured of another person")
                    continue
                for type_, value in read(message.fields):
                    yield self._part.event(type_, value, message.fields[TIMESTAMP], place=message.place)


_Read = Callable[[Mapping[int, Any]], Iterator[tuple[str, dict[str, Any]]]]


def _is_reading(message: FitMessage) -> bool:
    return any(number in message.fields for number in (2, 3, 8, 9, 19, _HEART, 31))


def _number(type_: str, number: int, scale: int = 1) -> _Read:
    """One number at a moment; what the type cannot be says that nothing was measured."""
    quantity = CATALOGUE[type_].quantities[0]

    def read(fields: Mapping[int, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        raw = fields.get(number)
        if isinstance(raw, int | float) and quantity.low <= raw / scale <= quantity.high:
            yield type_, {quantity.field: raw if scale == 1 else round(raw / scale, 3)}

    return read


def _resting(fields: Mapping[int, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    bpm = fields.get(1, fields.get(0))
    if isinstance(bpm, int) and bpm:
        yield "resting_heart_rate", {"bpm": bpm}


def _skin(fields: Mapping[int, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from ((type_, value) for type_, value in _number("skin_temperature_delta", 1)(fields))
    yield from ((type_, value) for type_, value in _number("skin_temperature", 4)(fields))


def _scale(fields: Mapping[int, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, type_, field, scale in profile.SCALE:
        raw = fields.get(number)
        quantity = CATALOGUE[type_].quantities[0]
        if isinstance(raw, int) and raw != _UNKNOWN_WEIGHT and quantity.low <= raw / scale <= quantity.high:
            yield type_, {field: raw if scale == 1 else raw / scale}


def _pressure(fields: Mapping[int, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    systolic, diastolic, pulse = fields.get(0), fields.get(1), fields.get(6)
    if isinstance(systolic, int) and isinstance(diastolic, int):
        value = {"systolic": systolic, "diastolic": diastolic}
        if isinstance(pulse, int) and pulse:
            value["pulse"] = pulse
        yield "blood_pressure", value


_MOMENTS: Final[tuple[tuple[int, int, _Read], ...]] = (
    (profile.STRESS, 1, _number("stress", 0)),
    (profile.SPO2, TIMESTAMP, _number("spo2", 0)),
    (profile.RESPIRATION, TIMESTAMP, _number("respiratory_rate", 0, 100)),
    (profile.HRV_VALUE, TIMESTAMP, _number("hrv_rmssd", 0, 128)),
    (profile.HRV_STATUS, TIMESTAMP, _number("daily_hrv_rmssd", 1, 128)),
    (profile.RESTING, TIMESTAMP, _resting),
    (profile.VO2_MAX, 0, _number("vo2_max", 2, 10)),
    (profile.SKIN_TEMPERATURE, TIMESTAMP, _skin),
)
"""Messages of which each is a moment: where its time is, and what reads it."""
_SERIES: Final = (
    (profile.HSA_HEART_RATE, "heart_rate", 2, 1),
    (profile.HSA_STRESS, "stress", 1, 1),
    (profile.HSA_SPO2, "spo2", 1, 1),
    (profile.HSA_RESPIRATION, "respiratory_rate", 1, 100),
    (profile.HSA_BODY_BATTERY, "body_battery", 1, 1),
)
