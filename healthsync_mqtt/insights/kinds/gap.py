"""Whether something that sent nearly every day has stopped: a watch that is not worn, an app that is not let in.

It is said from the third whole day without anything of it on, for a week; a day that is not over yet does not count.
"""

from typing import Final

from healthsync_mqtt.insights.capability import InsightCapability
from healthsync_mqtt.insights.finding import Basis, InsightFinding
from healthsync_mqtt.insights.port import Insight
from healthsync_mqtt.insights.recent_days import RecentDays
from healthsync_mqtt.model.catalogue import GUARDED
from healthsync_mqtt.summaries.day import date_text
from healthsync_mqtt.summaries.part import RULES

_WEEKS: Final = 28
_SILENT: Final = range(3, 10)
_MOSTLY: Final = 0.8
_LEAST: Final = 14

CAPABILITY: Final = InsightCapability(
    kind="gap",
    title="Something stopped sending",
    types=frozenset(RULES) - GUARDED,
    days=_WEEKS + _SILENT[-1] + 1,
    about="A source that measured on four of five days of its last four weeks, and on none of the last three.",
)


def find(recent: RecentDays) -> list[InsightFinding]:
    """At most one finding for each source."""
    on: dict[str, set[int]] = {}
    types: dict[str, set[str]] = {}
    for day, values in recent.values.items():
        for name, value in values.items():
            for source in value.figures.get("sources", ()):
                on.setdefault(source, set()).add(day)
                types.setdefault(source, set()).add(name)
    return [
        finding
        for source in sorted(on)
        if (finding := _of(source, on[source], tuple(sorted(types[source])), recent)) is not None
    ]


def _of(source: str, on: set[int], types: tuple[str, ...], recent: RecentDays) -> InsightFinding | None:
    last = max(on)
    silent = recent.day - last - 1  # the day itself may not be over
    usual = [day for day in on if day > last - _WEEKS]
    if silent not in _SILENT or len(usual) < max(_LEAST, _MOSTLY * min(_WEEKS, last - min(on) + 1)):
        return None
    return InsightFinding(
        subject=source,
        what="silent",
        sentence=(
            f"Nothing of {source} has been counted since {date_text(last)}; in the four weeks before that it was there"
            f" on {len(usual)} days."
        ),
        basis=Basis(types=types, first_day=min(usual), last_day=last, days=len(usual), readings=len(usual)),
        figures={"silent_days": silent, "last": date_text(last)},
    )


def register() -> Insight:
    """The kind."""
    return Insight(CAPABILITY, find)
