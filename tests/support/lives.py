"""Synthetic lives: days of a person who never was, from a seed, with the changes that were put into them.

A night is somewhat like the one before it, weekends are other days, now and then a device says something odd or
nothing. What is planted is as large as what people would want to hear of, in their own spread.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, NamedTuple

from healthsync_mqtt.summaries.reader import DayValue, TimedReading

FIRST: Final = 20_000  # 2024-10-04
YEAR: Final = 365
DAY_US: Final = 86_400_000_000
_OFFSET_US: Final = 3_600_000_000


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


COURSES: Final = (
    Course("resting_heart_rate", ("bpm",), 48, 72, 1.8, 0.8),
    Course("hrv_rmssd", ("mean",), 30, 80, 5.0, -1.0),
    Course("daily_respiratory_rate", ("breaths_per_minute",), 12, 17, 0.5),
    Course("skin_temperature_delta", ("celsius",), -0.1, 0.1, 0.18),
    Course("weight", ("kg",), 55, 95, 0.5),
    Course("steps", ("steps",), 5_000, 11_000, 1_800.0, -600.0),
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

    def put(self, day: int, type_name: str, path: tuple[str, ...], number: float) -> None:
        """A figure of a day, beside what there is."""
        before = self.values[day].get(type_name)
        figures: dict[str, Any] = dict(before.figures) if before else {}
        inner = figures
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = number
        self.values[day][type_name] = DayValue(figures, _OFFSET_US)


def life(seed: int) -> Life:
    """The same one for the same seed."""
    made, rng = Life(seed), Random(seed)
    spans = Spans(rng)
    for course in COURSES:
        _course(made, course, rng, spans)
    return made


class Spans:
    """Stretches of time that do not meet."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._taken: dict[str, list[tuple[int, int]]] = defaultdict(list)

    def free(self, what: str, length: int, *, apart: int) -> tuple[int, int] | None:
        """A stretch of this length that is ``apart`` from others of the same thing; None: there was no room."""
        for _ in range(50):
            first = self._rng.randrange(FIRST + _SETTLING, FIRST + YEAR - length - 10)
            last = first + length - 1
            if all(last + apart < begin or end + apart < first for begin, end in self._taken[what]):
                self._taken[what].append((first, last))
                return first, last
        return None


def _course(made: Life, course: Course, rng: Random, spans: Spans) -> None:
    middle, shifts = rng.uniform(course.low, course.high), defaultdict(float)
    if course.type not in {"weight", "steps"}:
        for _ in range(2):
            _plant_shift(made, course, rng, spans, shifts)
    if course.type != "skin_temperature_delta" and rng.random() < 0.7:
        _plant_trend(made, course, rng, spans, shifts)
    noise = 0.0
    for day in made.days:
        noise = _LIKE_BEFORE * noise + rng.gauss(0, 1) * (1 - _LIKE_BEFORE**2) ** 0.5
        number = middle + noise * course.spread + shifts[day] + (course.weekend if (day - 4) % 7 > 4 else 0.0)
        if rng.random() < _ODD:
            number += rng.choice((-1, 1)) * rng.uniform(4, 8) * course.spread
        if rng.random() >= _MISSING:
            made.put(day, course.type, course.path, max(0.0, number) if course.type == "steps" else number)


def _plant_shift(made: Life, course: Course, rng: Random, spans: Spans, shifts: dict[int, float]) -> None:
    """Some days far from what is usual: an illness, a bad week."""
    found = spans.free(course.type, rng.randint(4, 9), apart=50)
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
