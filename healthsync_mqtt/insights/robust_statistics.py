"""Numbers of days in a way that a few odd days do not change: medians, and how far from them days usually are. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

_TO_SIGMA: Final = 1.4826
"""The median distance from the median, as a standard deviation of what is spread normally."""


@dataclass(frozen=True, slots=True)
class UsualRange:
    """``middle``: the median; ``spread``: how far from it is usual; ``count`` numbers say so."""

    middle: float
    spread: float
    count: int

    @classmethod
    def of(cls, numbers: Iterable[float], *, least: float) -> "UsualRange":
        """``least``: a spread below it is taken for this; what is measured is never more exact. At least one number."""
        said = list(numbers)
        middle = median(said)
        return cls(middle, max(least, _TO_SIGMA * median(abs(each - middle) for each in said)), len(said))

    def distance(self, number: float) -> float:
        """How many spreads a number is above the middle; below: negative."""
        return (number - self.middle) / self.spread


@dataclass(frozen=True, slots=True)
class Slope:
    """The line through days: ``a_day`` is how much it rises; ``agreement`` 1 where every later day is higher, -1 lower.

    ``spread`` is how far days are from the line.
    """

    a_day: float
    agreement: float
    spread: float

    @classmethod
    def of(cls, series: Mapping[int, float], *, least: float) -> "Slope":
        """Theil and Sen's line, Kendall's agreement. At least two days."""
        days = sorted(series)
        slopes = _slopes(days, series)
        a_day = median(slopes)
        level = median(series[day] - a_day * day for day in days)
        off = (abs(series[day] - level - a_day * day) for day in days)
        signs = sum((each > 0) - (each < 0) for each in slopes)
        return cls(a_day, signs / len(slopes), max(least, _TO_SIGMA * median(off)))


def _slopes(days: Sequence[int], series: Mapping[int, float]) -> list[float]:
    return [
        (series[later] - series[earlier]) / (later - earlier)
        for place, earlier in enumerate(days)
        for later in days[place + 1 :]
    ]
