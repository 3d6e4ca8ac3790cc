"""Whether readings of one part of the day are unlike those of every other, over four weeks. Pure.

The difference has to be large enough to mean something, and much larger than chance would make it of so many readings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from healthsync_mqtt.insights.capability import InsightCapability
from healthsync_mqtt.insights.finding import Basis, InsightFinding
from healthsync_mqtt.insights.port import Insight
from healthsync_mqtt.insights.recent_days import RecentDays
from healthsync_mqtt.insights.robust_statistics import UsualRange
from healthsync_mqtt.insights.week import is_sunday
from healthsync_mqtt.summaries.reader import TimedReading


class DayPart(NamedTuple):
    """Hours of the local day, and how people call them."""

    first: int
    last: int
    words: str


_PARTS: Final = (
    DayPart(0, 6, "at night"),
    DayPart(6, 12, "in the morning"),
    DayPart(12, 18, "in the afternoon"),
    DayPart(18, 24, "in the evening"),
)
_DAYS: Final = 28
_LEAST: Final = 8
_LEAST_DAYS: Final = 6
_OF_CHANCE: Final = 1.25
"""How far a median is off by chance: this times the spread, by the root of the number of readings."""
_BEYOND_CHANCE: Final = 4.0


class _Contrast(NamedTuple):
    """A part that is above all others (or below), by at least ``by``, and the nearest of them."""

    by: float
    higher: bool
    part: DayPart
    nearest: DayPart


@dataclass(frozen=True, slots=True, kw_only=True)
class DaytimePattern:
    """What is read, where its number is among the reading's, its words, and a difference that means something."""

    kind: str
    title: str
    type: str
    name: str
    unit: str
    place: int
    least: float
    exact: float

    def insight(self) -> Insight:
        """The kind."""
        capability = InsightCapability(
            kind=self.kind,
            title=self.title,
            types=frozenset(),
            readings=frozenset({self.type}),
            days=_DAYS,
            about=(
                f"A part of the day whose median is {self.least:.0f} {self.unit} or more from that of every other part,"
                " over four weeks; looked for on Sundays."
            ),
        )
        return Insight(capability, self.find)

    def find(self, recent: RecentDays) -> list[InsightFinding]:
        """The part of the day that is furthest from the others, if any is far enough."""
        if not is_sunday(recent.day):
            return []
        said = [each for each in recent.readings[self.type] if each.numbers[self.place] is not None]
        known = {part: usual for part in _PARTS if (usual := self._usual(said, part)) is not None}
        found = max((each for part in known if (each := self._contrast(part, known)) is not None), default=None)
        if found is None:
            return []
        here, other = known[found.part], known[found.nearest]
        days = sorted({each.day for each in said})
        what = "higher" if found.higher else "lower"
        return [
            InsightFinding(
                subject=f"{self.type}_{found.part.first:02}",
                what=what,
                sentence=(
                    f"Your {self.name} was {what} {found.part.words} than at any other time: about {here.middle:.0f}"
                    f" {self.unit}, and {other.middle:.0f} {found.nearest.words}, from {here.count} and {other.count}"
                    " readings of four weeks."
                ),
                basis=Basis(
                    types=(self.type,), first_day=days[0], last_day=days[-1], days=len(days), readings=len(said)
                ),
                figures={
                    "middle": round(here.middle, 1),
                    "nearest": round(other.middle, 1),
                    "off": round(found.by, 1),
                },
            )
        ]

    def _contrast(self, part: DayPart, known: Mapping[DayPart, UsualRange]) -> _Contrast | None:
        here = known[part]
        off = {other: here.middle - usual.middle for other, usual in known.items() if other != part}
        if not off:
            return None
        nearest = min(off, key=lambda other: abs(off[other]))
        by, higher = abs(off[nearest]), off[nearest] > 0
        if any((each > 0) is not higher for each in off.values()):
            return None
        chance = max(_chance(here, known[other]) for other in off)
        return _Contrast(by, higher, part, nearest) if by >= max(self.least, _BEYOND_CHANCE * chance) else None

    def _usual(self, said: Sequence[TimedReading], part: DayPart) -> UsualRange | None:
        own = [each for each in said if part.first <= each.hour < part.last]
        if len(own) < _LEAST or len({each.day for each in own}) < _LEAST_DAYS:
            return None
        return UsualRange.of((each.numbers[self.place] or 0.0 for each in own), least=self.exact)


def _chance(one: UsualRange, other: UsualRange) -> float:
    return _OF_CHANCE * float((one.spread**2 / one.count + other.spread**2 / other.count) ** 0.5)
