"""Whether a week had far more training than the weeks before it: their sums, Monday to Sunday, looked at on Sundays.

Only more is said. A week with less may be one in which the watch lay on a table.
"""

from collections.abc import Callable
from statistics import median
from typing import Final

from healthsync_mqtt.insights.capability import InsightCapability
from healthsync_mqtt.insights.finding import Basis, InsightFinding
from healthsync_mqtt.insights.port import Insight
from healthsync_mqtt.insights.recent_days import RecentDays
from healthsync_mqtt.insights.week import is_sunday

_WEEKS: Final = 6
_LEAST_WEEKS: Final = 4
_TIMES: Final = 1.5
_BEYOND: Final = 1.3
"""Times the greatest of the weeks before."""

Load = Callable[[RecentDays], dict[int, float]]


def _minutes(recent: RecentDays) -> dict[int, float]:
    return recent.series("exercise_time", "minutes")


def _active_minutes(recent: RecentDays) -> dict[int, float]:
    """A hard minute counts for two, as the recommendations for adults have it."""
    found = recent.series("active_minutes_moderate", "minutes")
    for day, minutes in recent.series("active_minutes_vigorous", "minutes").items():
        found[day] = found.get(day, 0.0) + 2 * minutes
    return found


def _strain(recent: RecentDays) -> dict[int, float]:
    return recent.series("strain", "score")


_LOADS: Final[tuple[tuple[tuple[str, ...], str, float, Load], ...]] = (
    (("exercise_time",), "minutes of exercise", 60.0, _minutes),
    (("active_minutes_moderate", "active_minutes_vigorous"), "active minutes", 60.0, _active_minutes),
    (("strain",), "points of strain", 20.0, _strain),
)
"""Types, in words, the least week that is worth a word, and how it is added up. The first that is known counts."""

CAPABILITY: Final = InsightCapability(
    kind="training_load",
    title="A week of far more training",
    types=frozenset(name for types, *_ in _LOADS for name in types),
    days=7 * (_WEEKS + 1),
    about="A week with one and a half times the usual of the six before, and far more than each; on Sundays.",
)


def find(recent: RecentDays) -> list[InsightFinding]:
    """At most one finding."""
    if not is_sunday(recent.day):
        return []
    for types, words, least, load in _LOADS:
        series = load(recent)
        weeks = [_week(series, recent.day - 7 * back) for back in range(_WEEKS + 1)]
        now, known = weeks[0], [each for each in weeks[1:] if each is not None]
        if now is None or len(known) < _LEAST_WEEKS:
            continue
        usual = median(known)
        if now < max(least, _TIMES * usual, _BEYOND * max(known)):
            return []
        return [
            InsightFinding(
                subject=types[0],
                what="more",
                sentence=(
                    f"This week had {now:.0f} {words}; the {len(known)} weeks before it had about {usual:.0f} each."
                ),
                basis=Basis(
                    types=types,
                    first_day=min(series),
                    last_day=max(series),
                    days=len(series),
                    readings=len(series),
                ),
                figures={"week": round(now, 1), "usual_week": round(usual, 1)},
            )
        ]
    return []


def _week(series: dict[int, float], sunday: int) -> float | None:
    said = [series[day] for day in range(sunday - 6, sunday + 1) if day in series]
    return sum(said) if said else None


def register() -> Insight:
    """The kind."""
    return Insight(CAPABILITY, find)
