"""A user's recent days, as frozen values: all that a module of insights is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from healthsync_mqtt.summaries.reader import DayValue, TimedReading


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentDays:
    """The day that is asked about, ``first`` of those before it, and what they came to. None is later than ``day``."""

    day: int
    first: int
    values: Mapping[int, Mapping[str, DayValue]]
    readings: Mapping[str, Sequence[TimedReading]]

    def of(self, type_name: str) -> dict[int, DayValue]:
        """The days of one type, in order."""
        return {day: self.values[day][type_name] for day in sorted(self.values) if type_name in self.values[day]}

    def series(self, type_name: str, *path: str) -> dict[int, float]:
        """One number of each day that has it: ``series("hrv_rmssd", "mean")``."""
        found = {}
        for day, value in self.of(type_name).items():
            number: object = value.figures
            for name in path:
                number = number.get(name) if isinstance(number, Mapping) else None
            if isinstance(number, int | float):
                found[day] = float(number)
        return found
