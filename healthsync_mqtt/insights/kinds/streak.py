"""Whether a person has walked more than usual for a week on end, or for two, three, …: each week of it is said once.

Usual is what it was before the streak began, so that a long one does not make itself usual.
"""

from typing import Final

from healthsync_mqtt.insights.capability import InsightCapability
from healthsync_mqtt.insights.finding import Basis, InsightFinding
from healthsync_mqtt.insights.measures import STEPS, DayMeasure
from healthsync_mqtt.insights.port import Insight
from healthsync_mqtt.insights.recent_days import RecentDays
from healthsync_mqtt.insights.robust_statistics import UsualRange

_WEEK: Final = 7
_LONGEST: Final = 8 * _WEEK
_BEFORE: Final = 42
_LEAST: Final = 21
_MORE: Final = 1.0
"""Spreads above the middle."""

CAPABILITY: Final = InsightCapability(
    kind="streak",
    title="More than usual, day after day",
    types=frozenset(each.type for each in STEPS),
    days=_LONGEST + _BEFORE,
    about="Every day of a week (two, three, …) with more steps than a spread above the six weeks before.",
)


def find(recent: RecentDays) -> list[InsightFinding]:
    """At most one finding for each type."""
    return [finding for measure in STEPS if (finding := _of(measure, recent)) is not None]


def _of(measure: DayMeasure, recent: RecentDays) -> InsightFinding | None:
    series = measure.series(recent)
    for length in range(_LONGEST, 0, -_WEEK):
        first = recent.day - length + 1
        before = [number for day, number in series.items() if first - _BEFORE <= day < first]
        streak = [series[day] for day in range(first, recent.day + 1) if day in series]
        if len(streak) < length or len(before) < _LEAST:
            continue
        usual = UsualRange.of(before, least=measure.least)
        enough = usual.middle + _MORE * usual.spread
        if min(streak) > enough >= series.get(first - 1, 0.0):
            return InsightFinding(
                subject=measure.type,
                what="more",
                sentence=(
                    f"For {length} days on end you made more {measure.name} than usual: at least"
                    f" {measure.said(min(streak))}; the {len(before)} days before had about"
                    f" {measure.said(usual.middle)}."
                ),
                basis=Basis(
                    types=(measure.type,),
                    first_day=first - _BEFORE,
                    last_day=recent.day,
                    days=len(before) + length,
                    readings=len(before) + length,
                ),
                figures={"days": length, "least": round(min(streak)), "usual": round(usual.middle)},
            )
    return None


def register() -> Insight:
    """The kind."""
    return Insight(CAPABILITY, find)
