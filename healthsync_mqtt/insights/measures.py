"""What insights speak of: a number of days, its name for people, and how exact it is."""

from dataclasses import dataclass
from typing import Final

from healthsync_mqtt.insights.recent_days import RecentDays


@dataclass(frozen=True, slots=True, kw_only=True)
class DayMeasure:
    """A number of a type. ``paths``: where it is in the figures of a day; the first that is there counts.

    ``least``: a usual spread below this is taken for this. ``scale`` and ``digits`` are for people: seconds as hours.
    """

    type: str
    name: str
    unit: str
    paths: tuple[tuple[str, ...], ...]
    least: float
    scale: float = 1.0
    digits: int = 0

    def series(self, recent: RecentDays) -> dict[int, float]:
        """By day, in order, as people see it."""
        found: dict[int, float] = {}
        for path in reversed(self.paths):
            found |= recent.series(self.type, *path)
        return {day: found[day] / self.scale for day in sorted(found)}

    def said(self, number: float) -> str:
        """``61 beats a minute``"""
        return f"{number:.{self.digits}f} {self.unit}"


RESTING: Final = DayMeasure(
    type="resting_heart_rate",
    name="resting heart rate",
    unit="beats a minute",
    paths=(("bpm",), ("resting_heart_rate",)),
    least=1.0,
)
SLEEP: Final = DayMeasure(
    type="sleep",
    name="sleep",
    unit="hours",
    paths=(("total_asleep_s",), ("duration_s",)),
    least=0.3,
    scale=3600.0,
    digits=1,
)
WEIGHT: Final = DayMeasure(type="weight", name="weight", unit="kg", paths=(("kg",),), least=0.2, digits=1)


def _of_days(name: str, unit: str, least: float, digits: int, fields: dict[str, str]) -> tuple[DayMeasure, ...]:
    """The same measure as several types have it, each with its field."""
    return tuple(
        DayMeasure(type=type_name, name=name, unit=unit, paths=((field,),), least=least, digits=digits)
        for type_name, field in fields.items()
    )


VARIABILITY: Final = _of_days(
    "heart rate variability",
    "ms",
    2.0,
    0,
    {"daily_hrv_rmssd": "ms", "hrv_rmssd": "mean", "daily_hrv_sdnn": "ms", "hrv_sdnn": "mean"},
)
BREATHING: Final = _of_days(
    "breathing rate",
    "breaths a minute",
    0.3,
    1,
    {"daily_respiratory_rate": "breaths_per_minute", "respiratory_rate": "mean"},
)
SKIN: Final = (
    *_of_days("skin temperature", "°C from its norm", 0.1, 1, {"skin_temperature_delta": "celsius"}),
    *_of_days("skin temperature", "°C", 0.1, 1, {"skin_temperature": "mean"}),
)
STEPS: Final = _of_days("steps", "steps a day", 300.0, 0, {"steps": "steps", "daily_steps": "steps"})
