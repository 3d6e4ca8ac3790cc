"""Whether a number has been rising or falling for weeks: a line through eight of them that no odd day bends.

It is looked for once a week, on Sundays: what moves over weeks is not new each morning.
"""

from typing import Final

from healthsync_mqtt.insights.capability import InsightCapability
from healthsync_mqtt.insights.finding import Basis, InsightFinding
from healthsync_mqtt.insights.measures import BREATHING, RESTING, SLEEP, STEPS, VARIABILITY, WEIGHT, DayMeasure
from healthsync_mqtt.insights.port import Insight
from healthsync_mqtt.insights.recent_days import RecentDays
from healthsync_mqtt.insights.robust_statistics import Slope
from healthsync_mqtt.insights.week import is_sunday

_MEASURES: Final = (RESTING, *VARIABILITY, SLEEP, *BREATHING, WEIGHT, *STEPS)
_WEEKS: Final = 8
_DAYS: Final = _WEEKS * 7
_LEAST: Final = 24
_RISE: Final = 2.5
"""Spreads around the line that the line has to rise or fall by, from its first day to its last."""
_AGREEMENT: Final = 0.5

CAPABILITY: Final = InsightCapability(
    kind="trend",
    title="Rising or falling for weeks",
    types=frozenset(each.type for each in _MEASURES),
    days=_DAYS,
    about="Theil and Sen's line through eight weeks, where the days agree with it; looked for on Sundays.",
)


def find(recent: RecentDays) -> list[InsightFinding]:
    """At most one finding for each type."""
    if not is_sunday(recent.day):
        return []
    return [finding for measure in _MEASURES if (finding := _of(measure, recent)) is not None]


def _of(measure: DayMeasure, recent: RecentDays) -> InsightFinding | None:
    series = measure.series(recent)
    if len(series) < _LEAST or max(series) - min(series) < _DAYS / 2:
        return None
    slope = Slope.of(series, least=measure.least)
    days = max(series) - min(series)
    change = slope.a_day * days
    if abs(change) < _RISE * slope.spread or abs(slope.agreement) < _AGREEMENT:
        return None
    way = "rising" if change > 0 else "falling"
    return InsightFinding(
        subject=measure.type,
        what=way,
        sentence=(
            f"Your {measure.name} has been {way} for {days // 7} weeks, by about {measure.said(abs(change))} in all"
            f" ({len(series)} days)."
        ),
        basis=Basis(
            types=(measure.type,), first_day=min(series), last_day=max(series), days=len(series), readings=len(series)
        ),
        figures={"change": round(change, 3), "days": days, "agreement": round(slope.agreement, 3)},
    )


def register() -> Insight:
    """The kind."""
    return Insight(CAPABILITY, find)
