"""Synthetic lives: days of a person who never was, from a seed, with the changes that were put into them.

A night is somewhat like the one before it, weekends are other days, now and then a device says something odd or
nothing. What is planted is as large as what people would want to hear of, in their own spread.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, NamedTuple

from healthsync_mqtt.model.times import iso
from healthsync_mqtt.summaries.reader import DayValue, TimedReading

FIRST: Final = 20_000  # 2024-10-04
YEAR: Final = 365
DAY_US: Final = 86_400_000_000
HOUR_US: Final = 3_600_000_000
_OFFSET_US: Final = HOUR_US
_WATCH: Final = "watch"


class Planted(NamedTuple):
    """A change that was put in: what has to be found of which subject between two days."""

    kind: str
    subject: str
    what: str
    first: int
    last: int


class Course(NamedTuple):
    """How a number goes from day to day: a middle that differs between people, and a spread."""

    type: str
    path: tuple[str, ...]
    low: float
    high: float
    spread: float
    weekend: float = 0.0
    source: str = _WATCH


class Measuring(NamedTuple):
    """Readings at some hours of a day: a middle that differs between people, a spread, how often one is left out."""

    type: str
    hours: tuple[float, ...]
    low: float
    high: float
    spread: float
    left_out: float
    #: by how much one part of the day is off, where that is planted, and the subject of it by its first hour
    pattern: float = 0.0


COURSES: Final = (
    Course("resting_heart_rate", ("bpm",), 48, 72, 1.8, 0.8),
    Course("hrv_rmssd", ("mean",), 30, 80, 5.0, -1.0),
    Course("daily_respiratory_rate", ("breaths_per_minute",), 12, 17, 0.5),
    Course("skin_temperature_delta", ("celsius",), -0.1, 0.1, 0.18),
    Course("weight", ("kg",), 55, 95, 0.5, source="scale"),
    Course("steps", ("steps",), 5_000, 11_000, 1_800.0, -600.0, source="phone"),
)
READ: Final = (
    Measuring("blood_pressure", (7.5, 14.0, 20.5), 110, 140, 6.0, 0.25, 15.0),
    Measuring("glucose", (7.0, 10.0, 13.0, 18.5, 22.0), 85, 125, 12.0, 0.2, 32.0),
    Measuring("spo2", (1.0, 4.0, 12.0), 96, 98, 0.8, 0.1),
    Measuring("body_temperature", (7.0, 21.0), 36.4, 36.8, 0.2, 0.3),
)
_LIKE_BEFORE: Final = 0.35
_ODD: Final = 0.01
_MISSING: Final = 0.04
_SETTLING: Final = 60
"""Days before the first change: what is usual has to be known."""


@dataclass
class Life:
    """A year of one person."""

    seed: int
    values: dict[int, dict[str, DayValue]] = field(default_factory=lambda: defaultdict(dict))
    readings: dict[str, list[TimedReading]] = field(default_factory=lambda: defaultdict(list))
    planted: list[Planted] = field(default_factory=list)

    @property
    def days(self) -> range:
        """All of them."""
        return range(FIRST, FIRST + YEAR)

    def put(self, day: int, type_name: str, figures: dict[str, Any], source: str) -> None:
        """What a type came to on a day."""
        self.values[day][type_name] = DayValue({**figures, "sources": [source]}, _OFFSET_US)

    def read(self, type_name: str, day: int, hour: float, number: float) -> None:
        """A reading on the local clock."""
        at_us = int(day * DAY_US + hour * HOUR_US) - _OFFSET_US
        numbers = (number, number - 45.0, None) if type_name == "blood_pressure" else (number,)
        self.readings[type_name].append(TimedReading(at_us, _OFFSET_US, numbers))


class Spans:
    """Stretches of time that do not meet."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._taken: dict[str, list[tuple[int, int]]] = defaultdict(list)

    def free(self, what: str, length: int, *, apart: int, beside: str = "") -> tuple[int, int] | None:
        """A stretch of this length that is ``apart`` from others of the same thing, and in none of those of another.

        None: there was no room.
        """
        for _ in range(80):
            first = self._rng.randrange(FIRST + _SETTLING, FIRST + YEAR - length - 12)
            last = first + length - 1
            own = ((begin - apart, end + apart) for begin, end in self._taken[what])
            if all(last < begin or end < first for begin, end in (*own, *self._taken[beside])):
                self._taken[what].append((first, last))
                return first, last
        return None

    def holds(self, what: str, day: int) -> bool:
        """Whether a day is in one of them."""
        return any(first <= day <= last for first, last in self._taken[what])


def life(seed: int) -> Life:
    """The same one for the same seed."""
    made, rng = Life(seed), Random(seed)
    spans = Spans(rng)
    for _ in range(2):
        if (silent := spans.free(_WATCH, rng.randint(5, 9), apart=60)) is not None:
            made.planted.append(Planted("gap", _WATCH, "silent", *silent))
    for course in COURSES:
        _course(made, course, rng, spans)
    _nights(made, rng, spans)
    _training(made, rng, spans)
    for measuring in READ:
        _measure(made, measuring, rng, spans)
    for each in made.readings.values():
        each.sort()
    return made


def _course(made: Life, course: Course, rng: Random, spans: Spans) -> None:
    middle, shifts = rng.uniform(course.low, course.high), defaultdict[int, float](float)
    least: dict[int, float] = {}
    if course.source == _WATCH:
        for _ in range(2):
            _plant_shift(made, course, rng, spans, shifts)
    if course.type != "skin_temperature_delta" and rng.random() < 0.7:
        _plant_trend(made, course, rng, spans, shifts)
    if course.type == "steps":
        for _ in range(2):
            _plant_streak(made, course, rng, spans, least)
    noise = 0.0
    for day in made.days:
        noise = _LIKE_BEFORE * noise + rng.gauss(0, 1) * (1 - _LIKE_BEFORE**2) ** 0.5
        number = middle + max(noise, least.get(day, noise)) * course.spread + shifts[day]
        number += course.weekend if (day - 4) % 7 > 4 and day not in least else 0.0
        if rng.random() < _ODD:
            number += rng.choice((-1, 1)) * rng.uniform(4, 8) * course.spread
        missing = rng.random() < _MISSING or (course.source == _WATCH and spans.holds(_WATCH, day))
        if day in least or not missing:
            figures: dict[str, Any] = {course.path[0]: max(0.0, number) if course.type == "steps" else number}
            made.put(day, course.type, figures, course.source)


def _plant_shift(made: Life, course: Course, rng: Random, spans: Spans, shifts: dict[int, float]) -> None:
    """Some days far from what is usual: an illness, a bad week."""
    found = spans.free(course.type, rng.randint(4, 9), apart=50, beside=_WATCH)
    if found is None:
        return
    sign = rng.choice((-1, 1))
    size = sign * rng.uniform(5.0, 8.0) * course.spread
    for day in range(found[0], found[1] + 1):
        shifts[day] += size
    made.planted.append(Planted("baseline", course.type, "above" if sign > 0 else "below", *found))


def _plant_trend(made: Life, course: Course, rng: Random, spans: Spans, shifts: dict[int, float]) -> None:
    """Weeks in which the middle moves, and stays where it is then."""
    found = spans.free(course.type, rng.randint(56, 80), apart=50)
    if found is None:
        return
    sign = rng.choice((-1, 1))
    size = sign * rng.uniform(3.5, 6.0) * course.spread
    first, last = found
    for day in range(first, FIRST + YEAR):
        shifts[day] += size * min(1.0, (day - first) / (last - first))
    made.planted.append(Planted("trend", course.type, "rising" if sign > 0 else "falling", first, last))


def _plant_streak(made: Life, course: Course, rng: Random, spans: Spans, least: dict[int, float]) -> None:
    """Days on end that are all well above the middle."""
    found = spans.free(course.type, rng.randint(8, 16), apart=50)
    if found is None:
        return
    for day in range(found[0], found[1] + 1):
        least[day] = rng.uniform(1.2, 2.5)
    made.planted.append(Planted("streak", course.type, "more", *found))


def _nights(made: Life, rng: Random, spans: Spans) -> None:
    """A night each day, its middle somewhere around the person's own; weeks without any rhythm."""
    middle, spread = rng.uniform(2.5, 4.5), rng.uniform(0.3, 0.6)
    loose = [span for _ in range(2) if (span := spans.free("sleep", rng.randint(18, 30), apart=60)) is not None]
    made.planted += [Planted("sleep_regularity", "sleep", "less_regular", *span) for span in loose]
    for day in made.days:
        wide = 4.0 if any(first <= day <= last for first, last in loose) else 1.0
        hour = middle + rng.gauss(0, spread) * wide + (0.5 if (day - 4) % 7 > 4 else 0.0)
        length = rng.gauss(7.3, 0.5)
        start_us = int(day * DAY_US + (hour - length / 2) * HOUR_US) - _OFFSET_US
        end_us = start_us + int(length * HOUR_US)
        if rng.random() >= _MISSING and not spans.holds(_WATCH, day):
            figures = {"start_time": iso(start_us), "end_time": iso(end_us), "duration_s": length * 3600}
            made.put(day, "sleep", figures, _WATCH)


def _training(made: Life, rng: Random, spans: Spans) -> None:
    """Some days a week, nearly always the same ones; weeks of a camp."""
    days, minutes = rng.sample(range(7), 4), rng.uniform(35, 60)
    camps = [span for _ in range(2) if (span := spans.free("training", 14, apart=60, beside=_WATCH)) is not None]
    made.planted += [Planted("training_load", "exercise_time", "more", *span) for span in camps]
    for day in made.days:
        times = rng.uniform(2.0, 2.6) if any(first <= day <= last for first, last in camps) else 1.0
        trains = (day - 4) % 7 in days and rng.random() < 0.9
        if trains and not spans.holds(_WATCH, day):
            made.put(day, "exercise_time", {"minutes": max(10.0, rng.gauss(minutes, 9)) * times}, _WATCH)


def _measure(made: Life, measuring: Measuring, rng: Random, spans: Spans) -> None:
    middle, own = rng.uniform(measuring.low, measuring.high), dict.fromkeys(measuring.hours, 0.0)
    for hour in own:
        own[hour] = rng.gauss(0, measuring.spread / 4)
    pattern, part = None, 0.0
    if measuring.pattern and rng.random() < 0.8:
        pattern = spans.free(measuring.type, rng.randint(40, 60), apart=40)
        part = rng.choice(measuring.hours)
        if pattern is not None:
            first_hour = int(part // 6) * 6
            subject = f"{measuring.type}_{first_hour:02}"
            made.planted.append(Planted(measuring.type, subject, "higher", *pattern))
    bouts = dict[int, float]()
    for _ in range(2):
        span = spans.free(measuring.type, 1, apart=40)
        if span is not None:
            bouts[span[0]] = rng.choice((-1, 1)) * rng.uniform(7, 11) * measuring.spread
            side = "above" if bouts[span[0]] > 0 else "below"
            made.planted.append(Planted("unusual_reading", measuring.type, side, *span))
    for day in made.days:
        for hour in measuring.hours:
            number = middle + own[hour] + rng.gauss(0, measuring.spread)
            if pattern is not None and pattern[0] <= day <= pattern[1] and part // 6 == hour // 6:
                number += measuring.pattern
            if day in bouts:  # measured again soon after
                for minutes in (0, 20):
                    made.read(measuring.type, day, hour + minutes / 60, number + bouts[day])
                continue
            if rng.random() < measuring.left_out:
                continue
            if rng.random() < _ODD:  # a slipped cuff: the next one, soon after, is what it always is
                odd = rng.choice((-1, 1)) * rng.uniform(7, 12) * measuring.spread
                made.read(measuring.type, day, hour - 0.2, number + odd)
            made.read(measuring.type, day, hour, number)
