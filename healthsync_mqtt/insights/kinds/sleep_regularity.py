"""Whether nights have become less regular: how far the middle of sleep is spread over two weeks, and the weeks before.

It is looked at once a week, on Sundays, on the clock of where the person slept.
"""

from datetime import datetime
from typing import Final

from healthsync_mqtt.insights.capability import InsightCapability
from healthsync_mqtt.insights.finding import Basis, InsightFinding
from healthsync_mqtt.insights.port import Insight
from healthsync_mqtt.insights.recent_days import RecentDays
from healthsync_mqtt.insights.robust_statistics import UsualRange
from healthsync_mqtt.insights.week import is_sunday
from healthsync_mqtt.summaries.reader import DayValue

_LATELY: Final = 14
_BEFORE: Final = 42
_LEAST_LATELY: Final = 10
_LEAST_BEFORE: Final = 21
_TIMES: Final = 2.0
_EXACT_H: Final = 0.25
_FROM_H: Final = 1.0
"""A spread below it is nobody's trouble, however regular the weeks before were."""

CAPABILITY: Final = InsightCapability(
    kind="sleep_regularity",
    title="Nights less regular than before",
    types=frozenset({"sleep"}),
    days=_LATELY + _BEFORE,
    about="The middle of sleep spread over an hour and twice as far as in the six weeks before; looked for on Sundays.",
)


def find(recent: RecentDays) -> list[InsightFinding]:
    """At most one finding."""
    if not is_sunday(recent.day):
        return []
    middles = {day: hour for day, value in recent.of("sleep").items() if (hour := _middle(day, value)) is not None}
    border = recent.day - _LATELY
    lately = [hour for day, hour in middles.items() if day > border]
    before = [hour for day, hour in middles.items() if day <= border]
    if len(lately) < _LEAST_LATELY or len(before) < _LEAST_BEFORE:
        return []
    now, usual = UsualRange.of(lately, least=_EXACT_H), UsualRange.of(before, least=_EXACT_H)
    if now.spread < max(_FROM_H, _TIMES * usual.spread):
        return []
    return [
        InsightFinding(
            subject="sleep",
            what="less_regular",
            sentence=(
                f"In the last two weeks the middle of your sleep was usually {_minutes(now.spread)} minutes earlier or"
                f" later than its middle; in the six weeks before, {_minutes(usual.spread)} minutes"
                f" ({len(lately)} and {len(before)} nights)."
            ),
            basis=Basis(
                types=("sleep",),
                first_day=min(middles),
                last_day=max(middles),
                days=len(middles),
                readings=len(middles),
            ),
            figures={"spread_minutes": _minutes(now.spread), "usual_minutes": _minutes(usual.spread)},
        )
    ]


def _middle(day: int, value: DayValue) -> float | None:
    """Hours after the midnight that the night is of, before it negative, on the local clock."""
    try:
        start, end = (datetime.fromisoformat(str(value.figures[name])) for name in ("start_time", "end_time"))
    except (KeyError, ValueError):
        return None
    middle_s = (start.timestamp() + end.timestamp()) / 2 + (value.offset_us or 0) / 1e6
    return (middle_s - day * 86_400) / 3_600


def _minutes(hours: float) -> int:
    return round(hours * 60)


def register() -> Insight:
    """The kind."""
    return Insight(CAPABILITY, find)
