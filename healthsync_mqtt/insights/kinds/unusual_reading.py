"""Readings far from a person's own, with a second look: nothing is said of one until the next one is as far out.

Whoever measures something odd measures again, or the device does. When the next reading, at most a day later, is what
it always is, the first was a slipped cuff or a cold sensor, and there is nothing to say.
"""

from itertools import pairwise
from typing import Final

from healthsync_mqtt.insights.capability import InsightCapability
from healthsync_mqtt.insights.finding import Basis, InsightFinding
from healthsync_mqtt.insights.port import Insight
from healthsync_mqtt.insights.recent_days import RecentDays
from healthsync_mqtt.insights.robust_statistics import UsualRange
from healthsync_mqtt.summaries.reader import TimedReading

_DAYS: Final = 30
_APART: Final = 1
"""The days before this one that are not in what is usual."""
_LEAST: Final = 20
_FAR: Final = 4.0
_TOGETHER_US: Final = 86_400_000_000
_OFTEN: Final = 0.01
"""What so many of the usual readings are beyond is not unusual."""
_READ: Final = (
    ("spo2", "blood oxygen", "%", 1.0, 0),
    ("body_temperature", "body temperature", "°C", 0.2, 1),
    ("blood_pressure", "upper blood pressure", "mmHg", 4.0, 0),
    ("glucose", "glucose", "mg/dL", 8.0, 0),
)
"""Type, name, unit, the spread that is taken at least, digits; the first number of a reading counts."""

CAPABILITY: Final = InsightCapability(
    kind="unusual_reading",
    title="Readings far from your own",
    types=frozenset(),
    readings=frozenset(name for name, *_ in _READ),
    days=_DAYS,
    about="Two readings in a row, at most a day apart, each more than four spreads from those of four weeks.",
)


def find(recent: RecentDays) -> list[InsightFinding]:
    """At most one finding for each type."""
    found = []
    for name, words, unit, exact, digits in _READ:
        said = [each for each in recent.readings[name] if each.numbers and each.numbers[0] is not None]
        usual = [_number(each) for each in said if each.day < recent.day - _APART]
        if len(usual) < _LEAST:
            continue
        known = UsualRange.of(usual, least=exact)
        pairs = (two for two in pairwise(said) if two[1].day == recent.day)
        pair = next((two for two in pairs if _both_far(two, known, usual)), None)
        if pair is None:
            continue
        first, second = map(_number, pair)
        side = "above" if first > known.middle else "below"
        found.append(
            InsightFinding(
                subject=name,
                what=side,
                sentence=(
                    f"Two readings of your {words} in a row, {first:.{digits}f} and {second:.{digits}f} {unit}, were"
                    f" far {side} your usual {known.middle:.{digits}f} {unit} ({known.count} readings of four weeks)."
                ),
                basis=Basis(
                    types=(name,),
                    first_day=said[0].day,
                    last_day=recent.day,
                    days=len({each.day for each in said}),
                    readings=len(said),
                ),
                figures={"first": first, "second": second, "usual": round(known.middle, 2)},
            )
        )
    return found


def _both_far(pair: tuple[TimedReading, TimedReading], known: UsualRange, usual: list[float]) -> bool:
    first, second = pair
    if second.at_us - first.at_us > _TOGETHER_US:
        return False
    sign = 1 if _number(first) > known.middle else -1
    nearer = min(sign * (_number(each) - known.middle) for each in pair)
    beyond = sum(sign * (each - known.middle) >= nearer for each in usual)
    return nearer >= _FAR * known.spread and beyond <= _OFTEN * len(usual)


def _number(reading: TimedReading) -> float:
    number = reading.numbers[0]
    assert number is not None
    return number


def register() -> Insight:
    """The kind."""
    return Insight(CAPABILITY, find)
