"""A simulated watch: a plausible day of one person, the same for the same seed and day.

Everything comes from ``Random(seed, device, day)`` alone, so that a run can be repeated and a repeated run stores
nothing new. Days go backwards from the first, because a reading of the future would be refused.
"""

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any

Event = dict[str, Any]

_MEALS = (("breakfast", 7.5, "Porridge", 420), ("lunch", 12.5, "Lentil soup", 610), ("dinner", 19.0, "Pasta", 740))
_STAGES = ("light", "deep", "light", "rem")


def simulated_events(seed: int, device: str, day: datetime) -> Iterator[Event]:
    """Events without end: those of ``day`` (midnight, UTC), in order of time, then those of the day before, …"""
    for back in count():
        yield from simulated_day(seed, device, day - timedelta(days=back))


def simulated_day(seed: int, device: str, day: datetime) -> list[Event]:
    """The events of one day, by start time: heart rate every minute, steps while awake, a night, meals, a weight, …"""
    return _Day(seed, device, day).events()


class _Day:
    def __init__(self, seed: int, device: str, day: datetime) -> None:
        self._rng = Random(f"{seed}/{device}/{day:%Y-%m-%d}")  # noqa: S311  # plausible, not secret
        self._name = f"sim-{seed}-{device}-{day:%Y%m%d}"
        self._day = day
        self._resting = 52 + self._rng.random() * 16
        self._wakes = 6.0 + self._rng.random() * 1.5
        self._sleeps = 22.5 + self._rng.random()
        self._runs = 17.0 + self._rng.random() * 1.5
        self._events: list[Event] = []

    def events(self) -> list[Event]:
        self._night()
        for minute in range(24 * 60):
            self._add("heart_rate", minute / 60, {"bpm": self._heart_rate(minute / 60)})
        for quarter in range(24 * 4):
            self._walk(quarter / 4)
        self._once()
        self._events.sort(key=lambda event: (event["start_time"], event["id"]))
        return self._events

    def _add(self, type_: str, hour: float, value: dict[str, Any], *, hours: float | None = None) -> None:
        start = self._day + timedelta(seconds=round(hour * 3600))
        event: Event = {
            "id": f"{self._name}-{len(self._events)}",
            "type": type_,
            "start_time": _text(start),
            "value": value,
            "device": {"platform": "simulated", "model": "Watch S"},
        }
        if hours is not None:
            event["end_time"] = _text(start + timedelta(seconds=round(hours * 3600)))
        self._events.append(event)

    def _heart_rate(self, hour: float) -> int:
        rng = self._rng
        if hour < self._wakes or hour >= self._sleeps:
            return round(self._resting + rng.gauss(0, 1.5))
        daily = 14 + 6 * math.sin((hour - 9) / 24 * 2 * math.pi)
        running = 70 * math.exp(-(((hour - self._runs - 0.4) / 0.3) ** 2))
        return round(min(195, self._resting + daily + running + rng.gauss(0, 4)))

    def _walk(self, hour: float) -> None:
        if hour < self._wakes or hour >= self._sleeps:
            return
        running = abs(hour - self._runs - 0.4) < 0.4
        steps = round(abs(self._rng.gauss(2400 if running else 160, 120)))
        if not steps:
            return
        self._add("steps", hour, {"steps": steps}, hours=0.25)
        self._add("distance", hour, {"meters": round(steps * (1.05 if running else 0.72), 1)}, hours=0.25)
        self._add("energy_active", hour, {"kcal": round(steps * 0.045, 1)}, hours=0.25)

    def _night(self) -> None:
        stages = []
        at: float = 0.25
        end = self._wakes
        for number in count():
            until = min(end, at + 0.3 + self._rng.random() * 0.9)
            start, stop = (self._day + timedelta(seconds=round(hour * 3600)) for hour in (at, until))
            stages.append({"stage": _STAGES[number % 4], "start_time": _text(start), "end_time": _text(stop)})
            if until >= end:
                break
            at = until
        self._add("sleep", 0.25, {"stages": stages}, hours=end - 0.25)

    def _once(self) -> None:
        rng, wakes = self._rng, self._wakes
        self._add("resting_heart_rate", wakes, {"bpm": round(self._resting)})
        self._add("hrv_rmssd", wakes, {"ms": round(35 + rng.random() * 40, 1)})
        self._add("weight", wakes + 0.2, {"kg": round(71 + rng.gauss(0, 0.4), 1)})
        systolic = round(118 + rng.gauss(0, 6))
        self._add("blood_pressure", wakes + 0.3, {"systolic": systolic, "diastolic": systolic - 41, "pulse": 63})
        self._add("body_temperature", wakes + 0.4, {"celsius": round(36.6 + rng.gauss(0, 0.15), 1)})
        for hour in (1.0, 3.0, 5.0, 12.0, 18.0):
            self._add("spo2", hour, {"percent": round(min(100, 97 + rng.gauss(0, 0.8)), 1)})
            self._add("respiratory_rate", hour, {"breaths_per_minute": round(14 + rng.gauss(0, 1), 1)})
        self._add("floors", 12.0, {"floors": rng.randint(2, 14)}, hours=1.0)
        self._add("glucose", wakes + 0.1, {"mg_dl": round(92 + rng.gauss(0, 5))})
        for meal, hour, dish, kcal in _MEALS:
            item = {"name": dish, "energy_kcal": round(kcal * (0.85 + 0.3 * rng.random()))}
            self._add("food", hour + rng.random() / 2, {"meal": meal, "items": [item]})


def _text(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%S}Z"
