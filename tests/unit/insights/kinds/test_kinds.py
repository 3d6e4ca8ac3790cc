"""Each kind at its edges: what it says, and where it keeps quiet."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from healthsync_mqtt.insights.catalogue import SHIPPED, known
from healthsync_mqtt.insights.finding import InsightFinding
from healthsync_mqtt.insights.recent_days import RecentDays
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.summaries.reader import DayValue, TimedReading

DAY = 20_784  # 2026-11-27
SUNDAY = 20_779  # 2026-11-22
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
KINDS = known().insights
Days = Mapping[int, Mapping[str, Mapping[str, Any]]]


def asked(
    kind: str, day: int, days: Days | None = None, readings: Mapping[str, Sequence[TimedReading]] | None = None
) -> list[InsightFinding]:
    """What a kind finds on a day, of days by type, all of them of the watch."""
    capability = KINDS[kind].capability
    first = day - capability.days + 1
    values = {
        at: {name: DayValue({"sources": ["watch"], **figures}, 0) for name, figures in types.items()}
        for at, types in (days or {}).items()
        if first <= at <= day
    }
    shown = {
        name: [each for each in (readings or {}).get(name, ()) if first <= each.day <= day]
        for name in capability.readings
    }
    return list(KINDS[kind].find(RecentDays(day=day, first=first, values=values, readings=shown)))


def read(day: int, hour: float, number: float, offset_h: int = 0) -> TimedReading:
    return TimedReading(
        int(day * DAY_US + (hour - offset_h) * HOUR_US), offset_h * HOUR_US, (number, number - 40, None)
    )


@pytest.mark.parametrize("kind", SHIPPED)
def test_of_nothing_nothing_is_said(kind: str) -> None:
    for day in (SUNDAY, DAY):
        assert asked(kind, day) == []


# -- unusual readings


def temperatures(*last: TimedReading) -> dict[str, list[TimedReading]]:
    usual = [read(day, 7, 36.5 + day % 3 / 10) for day in range(DAY - 25, DAY - 1)]
    return {"body_temperature": [*usual, *last]}


def test_two_readings_in_a_row_are_said() -> None:
    (found,) = asked("unusual_reading", DAY, readings=temperatures(read(DAY, 7, 39.0), read(DAY, 8, 39.2)))
    assert (found.subject, found.what) == ("body_temperature", "above")
    assert "39.0 and 39.2 °C" in found.sentence


def test_one_reading_alone_is_not() -> None:
    assert asked("unusual_reading", DAY, readings=temperatures(read(DAY, 7, 39.0))) == []


def test_one_that_the_next_does_not_confirm_is_not() -> None:
    said = temperatures(read(DAY, 7, 39.0), read(DAY, 7.1, 36.6), read(DAY, 8, 39.1))
    assert asked("unusual_reading", DAY, readings=said) == []


def test_two_on_different_sides_are_not() -> None:
    assert asked("unusual_reading", DAY, readings=temperatures(read(DAY, 7, 39.0), read(DAY, 8, 34.0))) == []


def test_the_second_may_be_of_the_next_day_and_not_of_the_one_after() -> None:
    evening = read(DAY - 1, 22, 39.0)
    assert len(asked("unusual_reading", DAY, readings=temperatures(evening, read(DAY, 7, 39.1)))) == 1
    assert asked("unusual_reading", DAY, readings=temperatures(evening, read(DAY, 22.1, 39.1))) == []


# -- gaps


def worn(last: int, *, every: int = 1) -> Days:
    return {day: {"resting_heart_rate": {"bpm": 60}} for day in range(last, last - 40, -every)}


@pytest.mark.parametrize(("silent", "said"), [(1, False), (2, False), (3, True), (9, True), (10, False)])
def test_a_gap_is_said_from_its_third_whole_day_for_a_week(silent: int, said: bool) -> None:
    assert bool(asked("gap", DAY, worn(DAY - silent - 1))) is said


def test_what_never_sent_every_day_has_no_gap() -> None:
    assert asked("gap", DAY, worn(DAY - 4, every=3)) == []


# -- streaks


def walked(days: int, steps: float = 15_000) -> Days:
    usual = {day: {"steps": {"steps": 8_000 + day % 5 * 400}} for day in range(DAY - 100, DAY - days + 1)}
    return usual | {day: {"steps": {"steps": steps}} for day in range(DAY - days + 1, DAY + 1)}


@pytest.mark.parametrize(("days", "said"), [(6, None), (7, 7), (8, None), (14, 14), (21, 21)])
def test_a_streak_is_said_at_each_whole_week(days: int, said: int | None) -> None:
    assert [each.figures["days"] for each in asked("streak", DAY, walked(days))] == ([] if said is None else [said])


def test_a_streak_that_is_about_as_usual_is_none() -> None:
    assert asked("streak", DAY, walked(7, steps=9_000)) == []


# -- nights


def slept(spread_h: float, offset_h: int = 0) -> dict[str, Any]:
    def night(day: int, middle_h: float) -> dict[str, Any]:
        at_us = int(day * DAY_US + (middle_h - offset_h) * HOUR_US)
        return {"start_time": iso(at_us - 4 * HOUR_US), "end_time": iso(at_us + 4 * HOUR_US), "sources": ["watch"]}

    nights = {day: night(day, 3 + (day % 3 - 1) * 0.3) for day in range(SUNDAY - 60, SUNDAY - 13)}
    return nights | {day: night(day, 3 + (day % 3 - 1) * spread_h) for day in range(SUNDAY - 13, SUNDAY + 1)}


@pytest.mark.parametrize(("spread_h", "said"), [(0.3, False), (0.6, False), (2.0, True)])
def test_nights_that_lost_their_rhythm_are_said(spread_h: float, said: bool) -> None:
    nights = {day: {"sleep": figures} for day, figures in slept(spread_h).items()}
    assert bool(asked("sleep_regularity", SUNDAY, nights)) is said
    assert asked("sleep_regularity", SUNDAY - 1, nights) == [], "on Sundays"


def test_who_travels_sleeps_on_another_clock_and_no_less_regularly() -> None:
    here, away = slept(0.3), slept(0.3, offset_h=9)
    values = {
        day: {"sleep": DayValue(figures, 0)} if day < SUNDAY - 6 else {"sleep": DayValue(away[day], 9 * HOUR_US)}
        for day, figures in here.items()
    }
    days = KINDS["sleep_regularity"].capability.days
    recent = RecentDays(day=SUNDAY, first=SUNDAY - days + 1, values=values, readings={})
    assert KINDS["sleep_regularity"].find(recent) == []


# -- training


def trained(minutes: float) -> Days:
    before = {day: {"exercise_time": {"minutes": 40}} for day in range(SUNDAY - 55, SUNDAY - 6, 2)}
    return before | {day: {"exercise_time": {"minutes": minutes}} for day in range(SUNDAY - 6, SUNDAY + 1, 2)}


@pytest.mark.parametrize(("minutes", "said"), [(40, False), (50, False), (90, True), (5, False)])
def test_only_a_week_with_far_more_is_said(minutes: float, said: bool) -> None:
    assert bool(asked("training_load", SUNDAY, trained(minutes))) is said


# -- times of day


def pressures(morning: float, evening: float, offset_h: int = 0) -> dict[str, list[TimedReading]]:
    found = []
    for day in range(SUNDAY - 20, SUNDAY + 1):
        found += [read(day, 7, morning + day % 3, offset_h), read(day, 21, evening + day % 3, offset_h)]
    return {"blood_pressure": found}


def test_a_morning_that_is_higher_is_said_on_the_local_clock() -> None:
    (found,) = asked("blood_pressure", SUNDAY, readings=pressures(140, 125, offset_h=-8))
    assert (found.subject, found.what) == ("blood_pressure_06", "higher")
    assert "in the morning" in found.sentence


@pytest.mark.parametrize(("morning", "evening"), [(128, 125), (125, 125)])
def test_a_small_difference_is_not(morning: float, evening: float) -> None:
    assert asked("blood_pressure", SUNDAY, readings=pressures(morning, evening)) == []


# -- trends and baselines


def test_a_slow_rise_is_a_trend_and_a_week_of_illness_is_none() -> None:
    rising = {SUNDAY - n: {"resting_heart_rate": {"bpm": 66 - n / 8 + n % 2}} for n in range(56)}
    (found,) = asked("trend", SUNDAY, rising)
    assert (found.what, found.basis.days) == ("rising", 56)
    ill = {SUNDAY - n: {"resting_heart_rate": {"bpm": 60 + n % 2 + (15 if n < 7 else 0)}} for n in range(56)}
    assert asked("trend", SUNDAY, ill) == []
    assert [each.what for each in asked("baseline", SUNDAY - 3, ill)] == ["above"]


def test_too_few_days_are_no_baseline() -> None:
    few = {DAY - n: {"resting_heart_rate": {"bpm": 60}} for n in range(5, 17)}
    far = {DAY: {"resting_heart_rate": {"bpm": 90}}, DAY - 1: {"resting_heart_rate": {"bpm": 90}}}
    assert asked("baseline", DAY, few | far) == []
    more = {DAY - n: {"resting_heart_rate": {"bpm": 60}} for n in range(5, 19)}
    assert len(asked("baseline", DAY, more | far)) == 1
