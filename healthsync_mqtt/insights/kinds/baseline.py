"""Whether the last days are unlike the weeks before: each person's own middle and spread, not anybody else's.

One day is nothing: it is said when the day and the one before it that has a number, at most three days earlier, are
both far out on the same side. The days just before are not in what is usual, so that a change does not hide itself.
"""

from typing import Final

from healthsync_mqtt.insights.capability import InsightCapability
from healthsync_mqtt.insights.finding import Basis, InsightFinding
from healthsync_mqtt.insights.measures import BREATHING, RESTING, SKIN, SLEEP, VARIABILITY, DayMeasure
from healthsync_mqtt.insights.port import Insight
from healthsync_mqtt.insights.recent_days import RecentDays
from healthsync_mqtt.insights.robust_statistics import UsualRange

_MEASURES: Final = (RESTING, *VARIABILITY, SLEEP, *BREATHING, *SKIN)
_DAYS: Final = 45
_APART: Final = 5
"""The last days, which are not in what is usual."""
_LEAST: Final = 14
_FAR: Final = 3.5
_BEFORE: Final = 3

CAPABILITY: Final = InsightCapability(
    kind="baseline",
    title="Unlike your usual days",
    types=frozenset(each.type for each in _MEASURES),
    days=_DAYS,
    about="Two days far from the median of the six weeks before (more than three and a half of its spreads).",
)


def find(recent: RecentDays) -> list[InsightFinding]:
    """At most one finding for each type."""
    return [finding for measure in _MEASURES if (finding := _of(measure, recent)) is not None]


def _of(measure: DayMeasure, recent: RecentDays) -> InsightFinding | None:
    series = measure.series(recent)
    today = series.get(recent.day)
    before = next((series[day] for day in range(recent.day - 1, recent.day - 1 - _BEFORE, -1) if day in series), None)
    usual_days = [day for day in series if day <= recent.day - _APART]
    if today is None or before is None or len(usual_days) < _LEAST:
        return None
    usual = UsualRange.of((series[day] for day in usual_days), least=measure.least)
    far, earlier = usual.distance(today), usual.distance(before)
    if min(abs(far), abs(earlier)) < _FAR or (far > 0) != (earlier > 0):
        return None
    side = "above" if far > 0 else "below"
    return InsightFinding(
        subject=measure.type,
        what=side,
        sentence=(
            f"Your {measure.name} was {measure.said(today)}, and {measure.said(before)} the time before: {side} your"
            f" usual {measure.said(usual.middle)}, which comes from {usual.count} days."
        ),
        basis=Basis(
            types=(measure.type,),
            first_day=usual_days[0],
            last_day=recent.day,
            days=len(series),
            readings=len(series),
        ),
        figures={
            "value": round(today, 3),
            "before": round(before, 3),
            "usual": round(usual.middle, 3),
            "spread": round(usual.spread, 3),
        },
    )


def register() -> Insight:
    """The kind."""
    return Insight(CAPABILITY, find)
