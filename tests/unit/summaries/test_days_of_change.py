"""The two days of a year on which clocks are changed: one of 25 hours, one of 23, and a night over each."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from healthsync_mqtt.model.times import iso, micros
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.summaries.day import day_dict, day_number
from healthsync_mqtt.summaries.file import SummaryFile
from tests.unit.summaries.test_histories import read_on, stored

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)


class Change(NamedTuple):
    """A day of change: its date, how many hours it has, how long a night from 23:00 to 07:00 over it is, and after it
    how far the clock is ahead of UTC."""

    day: str
    hours: int
    night_hours: int
    offset_s: int


CHANGES = (Change("2026-10-25", 25, 9, 3600), Change("2026-03-29", 23, 7, 7200))

every_change = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.day)


def midnight(day: str) -> datetime:
    """When it begins in Berlin, in UTC."""
    return datetime.fromisoformat(day).replace(tzinfo=BERLIN).astimezone(UTC)


def at(when: datetime, **more: Any) -> dict[str, Any]:
    """An event of a watch that knows where it is: its offset is the one of its start."""
    offset = when.astimezone(BERLIN).utcoffset()
    assert offset is not None
    return {"start_time": iso(micros(when)), "utc_offset": int(offset.total_seconds()), "device_id": "watch", **more}


def hourly(first: datetime, hours: int) -> Iterator[dict[str, Any]]:
    """Each hour 100 steps, and a heart rate at its beginning."""
    for number in range(hours):
        begin = first + number * HOUR
        end = {"end_time": iso(micros(begin + HOUR))}
        yield at(begin, id=f"steps-{number}", type="steps", value={"steps": 100}, **end)
        yield at(begin, id=f"rate-{number}", type="heart_rate", value={"bpm": 60})


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SummaryFile]:
    found = SummaryFile.open(tmp_path / "summaries.db")
    yield found
    found.close()


def told(file: SummaryFile, events: list[dict[str, Any]], day: str) -> dict[int, dict[str, Any]]:
    """The day before, the day and the day after, by how far they are from it."""
    log = MemoryEventLog()
    for each in events:
        stored(log, each)
    read_on(file, log, 10)
    while file.waiting:
        file.work_out(7, lambda _user, _type: 0)
    number = day_number(day)
    found = file.days("alice", number - 3, number + 3)
    return {which - number: day_dict(which, types, user="alice") for which, types in found.items()}


@every_change
def test_a_day_of_change_has_the_hours_that_it_has(file: SummaryFile, change: Change) -> None:
    before = midnight(change.day) - 24 * HOUR
    days = told(file, [*hourly(before, 24 + change.hours + 24)], change.day)
    assert {which: each["types"]["steps"]["steps"] for which, each in days.items()} == {
        -1: 2400, 0: change.hours * 100, 1: 2400,
    }  # fmt: skip
    assert {which: each["types"]["heart_rate"]["count"] for which, each in days.items()} == {
        -1: 24, 0: change.hours, 1: 24,
    }  # fmt: skip
    assert days[0]["utc_offset"] == days[1]["utc_offset"] == change.offset_s
    assert days[-1]["utc_offset"] != change.offset_s


@every_change
@pytest.mark.parametrize("known", ["at the start", "at the end"])
def test_a_night_over_the_change_is_as_long_as_it_was_and_of_the_day_of_waking(
    file: SummaryFile, change: Change, known: str
) -> None:
    begin = midnight(change.day) - HOUR
    end = begin + change.night_hours * HOUR
    assert [each.astimezone(BERLIN).hour for each in (begin, end)] == [23, 7]
    offset = at(begin if known == "at the start" else end)["utc_offset"]
    night = at(begin, id="night", type="sleep", end_time=iso(micros(end)), value={}) | {"utc_offset": offset}
    days = told(file, [night], change.day)
    assert days.keys() == {0}
    assert days[0]["types"] == {
        "sleep": {
            "start_time": iso(micros(begin)), "end_time": iso(micros(end)),
            "duration_s": change.night_hours * 3600, "sources": ["watch"],
        }
    }  # fmt: skip


@every_change
def test_what_lasts_over_the_change_is_of_one_day_and_over_its_midnights_of_two(
    file: SummaryFile, change: Change
) -> None:
    begin = midnight(change.day)
    end = begin + change.hours * HOUR
    changed = datetime.fromisoformat(f"{change.day}T01:00:00Z")  # all of Europe at once
    events = [
        at(when - HOUR, id=name, type="steps", end_time=iso(micros(when + HOUR)), value={"steps": 800})
        for name, when in (("in", begin), ("over", changed), ("out", end))
    ]
    days = told(file, events, change.day)
    assert {which: each["types"]["steps"]["steps"] for which, each in days.items()} == {-1: 400, 0: 1600, 1: 400}
