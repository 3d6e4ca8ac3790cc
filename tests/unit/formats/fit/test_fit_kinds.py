"""FIT files by the kinds of what goes wrong in them, and by the kinds of what they measure."""

import gzip
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.formats.fit import read_fit
from healthsync_mqtt.formats.fit.counters import DayBook, runs
from healthsync_mqtt.formats.fit.file_events import read_items
from healthsync_mqtt.formats.fit.part import FitAside, FitNote
from healthsync_mqtt.formats.port import AppMessage, Made
from tests.support.fit_files import (
    BEGIN,
    BYTES,
    ENUM,
    FLOAT,
    S8,
    S16,
    U8,
    U16,
    U32,
    Message,
    file_id,
    fit_file,
    monitoring_info,
    record,
    session,
    steps,
)  # fmt: skip

HOUR = 3600


class Said:
    """What a file comes to."""

    def __init__(self, content: bytes, book: DayBook | None = None, **declared: Any) -> None:
        message = AppMessage(content, "alice")
        if declared:
            message = message._replace(declared=message.declared._replace(**declared))
        self.items = list(read_items(content, message, book if book is not None else DayBook()))
        self.events = [each.event for each in self.items if isinstance(each, Made)]
        self.left = Counter[str]()
        for each in self.items:
            if isinstance(each, FitAside):
                self.left[each.reason.value] += each.count
        self.notes = [each.text for each in self.items if isinstance(each, FitNote)]

    def of(self, type_: str) -> list[dict[str, Any]]:
        return [each for each in self.events if each["type"] == type_]

    def values(self, type_: str, field: str) -> list[Any]:
        return [each["value"][field] for each in self.of(type_)]

    def total(self, type_: str, field: str) -> float:
        return round(sum(self.values(type_, field)), 2)


def meters(content: bytes) -> float:
    return Said(content).total("distance", "meters")


# The cases that were given, word for word.


def case(shared: Path, name: str) -> bytes:
    (found,) = (shared.parent / "cases").glob(f"{name}*")
    return (found / "input.fit").read_bytes()


@pytest.mark.shared_data
def test_the_cases_that_were_given(shared_data: Path) -> None:
    assert meters(case(shared_data, "01")) == 100
    jumped = Said(case(shared_data, "02"))
    assert (jumped.total("distance", "meters"), jumped.values("heart_rate", "bpm")) == (25, [100, 101, 103, 104, 105])
    assert jumped.left == {"time_far_off": 1}
    assert Said(case(shared_data, "03")).values("heart_rate", "bpm") == [71, 72, 73, 74, 75, 76, 77, 78]
    day = Said(case(shared_data, "04"))
    assert (day.values("heart_rate", "bpm"), day.values("steps", "steps")) == ([61, 62, 63, 64], [500])
    assert [each["start_time"][11:19] for each in day.of("heart_rate")] == [
        "17:34:44", "17:35:44", "17:36:44", "17:37:44",
    ]  # fmt: skip
    assert Said(case(shared_data, "05")).values("steps", "steps") == [500, 1000, 1500]
    after = Said(case(shared_data, "07"))
    assert (len(after.of("heart_rate")), after.total("distance", "meters"), after.left) == (6, 25, {"after_the_end": 1})
    assert Said(case(shared_data, "09a")).left == {"clock_not_set": 1}
    late = Said(case(shared_data, "09b"))
    assert (len(late.of("heart_rate")), late.left) == (3, {"clock_not_set": 1})


@pytest.mark.shared_data
def test_a_part_and_the_whole_are_the_same_events(shared_data: Path) -> None:
    folder = shared_data.parent / "cases/08-salvage-then-whole"
    part = read_fit(folder / "part.fit", user="alice", salvage=True).events
    whole = {each["id"]: each for each in read_fit(folder / "whole.fit", user="alice").events}
    assert len(part) == 7
    assert all(whole[each["id"]] == each for each in part)
    assert Counter(each["type"] for each in whole.values()) == {"heart_rate": 6, "distance": 5}


@pytest.mark.shared_data
def test_a_gzip_is_what_is_in_it(shared_data: Path) -> None:
    folded = shared_data.parent / "cases/10-fit-gz/input.fit.gz"
    assert len(read_fit(folded, user="alice").events) == 11


def test_a_gzip_that_is_damaged_or_grows_too_far_is_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.fit.gz"
    bomb.write_bytes(gzip.compress(bytes(80 * 1024 * 1024)))
    with pytest.raises(InputError, match="unfolds"):
        read_fit(bomb, user="alice")
    bomb.write_bytes(gzip.compress(fit_file(record(BEGIN, bpm=70)))[:-12])
    with pytest.raises(InputError, match="damaged"):
        read_fit(bomb, user="alice")


# Distances.


def ride(*values: float, start: int = BEGIN, step: int = 1) -> list[Message]:
    return [record(start + place * step, meters=value) for place, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "total"),
    [
        ((0, 5, 10, 15, 20), 20),
        ((0, 5, 10, 9999, 15, 20, 25), 25),  # a leap up and back
        ((0, 5, 10, 9999, 9999.5, 15, 20, 25, 30), 30),
        ((0, 50, 100, 3, 150, 200), 200),  # a fall and back
        ((0, 50, 100, 98, 150, 149, 200), 200),
        ((0, 100, 200, 300, 0, 50, 100, 150), 450),  # it was set back
        ((0, 100, 200, 300, 2, 50, 100, 150), 450),
        ((0, 5, 5, 5, 5), 5),
    ],
)
def test_a_counter_is_read_as_it_must_have_been(values: tuple[float, ...], total: float) -> None:
    assert meters(fit_file(*ride(*values))) == total


@pytest.mark.parametrize("seed", range(50))
def test_one_wrong_reading_changes_nothing_of_the_rest(seed: int) -> None:
    chance = random.Random(seed)
    read: list[float] = [100 + 7 * each for each in range(40)]
    place = chance.randrange(2, 37)
    read[place] = chance.choice((90_000, read[place] // 2, 0, read[place] + 50))
    (run,) = runs(read)
    assert read[run[-1]] - read[run[0]] == 7 * 39
    assert len(run) >= 32


def test_the_first_interval_counts_from_where_the_activity_began() -> None:
    pool = ride(25, 50, 75, start=BEGIN + 30, step=30)
    assert meters(fit_file(*pool, session(BEGIN, BEGIN + 95, meters=75))) == 75
    lap = (19, [(253, U32, BEGIN + 95), (2, U32, BEGIN)])
    begun = (21, [(253, U32, BEGIN), (0, ENUM, 0), (1, ENUM, 0)])
    assert meters(fit_file(*pool, lap)) == 75
    assert meters(fit_file(begun, *pool)) == 75
    nothing = Said(fit_file(*pool, first=file_id(created=5000)))
    assert (nothing.total("distance", "meters"), nothing.left) == (50, {"no_start": 1})


def test_activities_that_are_chained_each_begin_anew() -> None:
    first = fit_file(*ride(25, 50, start=BEGIN + 30, step=30), session(BEGIN, BEGIN + 60, meters=50))
    later = BEGIN + 600
    second = fit_file(*ride(25, 50, start=later + 30, step=30), session(later, later + 60, meters=50))
    assert meters(first + second) == 100
    swim = [*ride(25, 50, start=BEGIN + 30, step=30), *ride(10, 200, start=later + 10, step=60)]
    both = fit_file(*swim, session(BEGIN, BEGIN + 60, meters=50), session(later, later + 70, meters=200, sport=2))
    said = Said(both)
    assert (said.total("distance", "meters"), said.notes) == (250, [])
    assert [each["value"]["activity"] for each in said.of("workout")] == ["running", "cycling"]


def length(start: int, *, active: int = 1, number: int = 0) -> Message:
    return 101, [(254, U16, number), (253, U32, start + 30), (2, U32, start), (3, U32, 30_000), (12, ENUM, active)]


def test_lengths_of_a_pool_tell_the_way_where_records_do_not() -> None:
    lengths = [length(BEGIN), length(BEGIN + 30), length(BEGIN + 60, active=0), length(BEGIN + 90)]
    said = Said(fit_file(*lengths, session(BEGIN, BEGIN + 120, meters=75, sport=5, more=[(44, U16, 2500)])))
    assert said.values("distance", "meters") == [25, 25, 25]
    assert said.of("distance")[2]["start_time"] > said.of("distance")[1]["end_time"]
    timeless: list[Message] = [(20, [(5, U32, each * 2500)]) for each in range(1, 4)]
    said = Said(fit_file(*timeless, *lengths, session(BEGIN, BEGIN + 120, meters=75, sport=5, more=[(44, U16, 2500)])))
    assert said.total("distance", "meters") == 75
    alone = Said(fit_file(session(BEGIN, BEGIN + 120, meters=75, sport=5)))
    assert alone.values("distance", "meters") == [75]


def test_where_session_and_records_differ_both_figures_are_told() -> None:
    said = Said(fit_file(*ride(0, 50, 100), session(BEGIN, BEGIN + 3, meters=220)))
    assert said.notes == ["its sessions say 220.00 m, its records come to 100.00 m"]
    assert Said(fit_file(*ride(0, 50, 100), session(BEGIN, BEGIN + 3, meters=102))).notes == []


# Times.


@pytest.mark.parametrize("place", range(8))
@pytest.mark.parametrize("away", [-40_000_000, -90_000, -5000, 5000, 90_000, 40_000_000])
def test_one_record_with_a_time_far_off_costs_itself_only(place: int, away: int) -> None:
    records = [record(BEGIN + each, bpm=100 + each, meters=5.0 * each) for each in range(8)]
    records[place] = record(BEGIN + place + away, bpm=99, meters=5.0 * place)
    said = Said(fit_file(*records))
    bpm = said.values("heart_rate", "bpm")
    if abs(away) < 6 * HOUR and place == (0 if away < 0 else 7):
        return  # a short while before the first, or after the last: nothing says that it is wrong
    assert bpm == [100 + each for each in range(8) if each != place]
    assert said.left == {"time_far_off": 1}


def test_a_clock_that_was_never_set_costs_what_it_timed() -> None:
    said = Said(fit_file(record(5000, bpm=70), record(5001, bpm=71), record(BEGIN, bpm=72), record(BEGIN + 1, bpm=73)))
    assert (said.values("heart_rate", "bpm"), said.left) == ([72, 73], {"clock_not_set": 2})
    began = session(4000, BEGIN + 60, meters=100, more=[(7, U32, 60_000)])
    told = Said(fit_file(*ride(0, 100, step=60), began))
    assert told.of("workout")[0]["start_time"] == "2024-11-08T11:33:20.000000Z"
    assert "before the clock was set" in told.notes[0]


# The heart, beside records.


def test_a_straps_rates_in_packed_times() -> None:
    ticks = [1000 * 1024 + 900 * each for each in range(9)]
    packed = bytearray()
    for low, high in zip((each & 0xFFF for each in ticks[1::2]), (each & 0xFFF for each in ticks[2::2]), strict=True):
        packed += bytes((low & 0xFF, low >> 8 | (high & 0xF) << 4, high >> 4))
    anchor: Message = (132, [(253, U32, BEGIN), (9, U32, ticks[0]), (6, U8, 60)])
    rates: Message = (132, [(10, BYTES, tuple(packed)), (6, U8, tuple(range(61, 69)))])
    said = Said(fit_file(anchor, rates))
    assert said.values("heart_rate", "bpm") == list(range(60, 69))
    assert said.of("heart_rate")[8]["start_time"] == "2024-11-08T11:33:27.031250Z"
    assert Said(fit_file(rates)).left == {"no_start": 8}


@pytest.mark.parametrize("first", [65_400, 65_500, 65_535, 10, 40_000])
def test_the_lower_half_of_a_time_passes_its_border(first: int) -> None:
    base = (BEGIN & ~0xFFFF) + first
    readings: list[Message] = [
        (55, [(26, U16, (base + 60 * each) & 0xFFFF), (27, U8, 60 + each)]) for each in range(1, 30)
    ]
    said = Said(fit_file((55, [(253, U32, base), (27, U8, 60)]), *readings))
    assert said.values("heart_rate", "bpm") == list(range(60, 90))
    times = [each["start_time"] for each in said.of("heart_rate")]
    assert times == sorted(times)
    assert times[0][:13] == times[-1][:13] or first > 65_000 or times[0] < times[-1]


# Counters of days.

OFFSET = 2 * HOUR
MIDNIGHT = (BEGIN + 631_065_600 + OFFSET) // 86_400 * 86_400 - OFFSET - 631_065_600


def day(*readings: tuple[float, int], activity: int = 6, serial: int = 7, begin: int = MIDNIGHT) -> bytes:
    """Readings of a counter at hours of a day."""
    messages = [steps(begin + round(hour * HOUR), count, activity=activity) for hour, count in readings]
    first = file_id(32, created=begin, serial=serial)
    return fit_file(monitoring_info(begin + round(readings[0][0] * HOUR) - 60, OFFSET), *messages, first=first)


def final(*said: Said) -> dict[str, float]:
    """What the log holds at the end: of each id the highest version."""
    held: dict[str, tuple[int, float]] = {}
    for each in said:
        for event in each.of("steps"):
            known = held.get(event["id"])
            if known is None or event.get("version", 0) > known[0]:
                held[event["id"]] = event.get("version", 0), event["value"]["steps"]
    return {name: value for name, (_, value) in held.items()}


FILES = [day((1, 100), (2, 350), (5, 900)), day((6, 1000), (9, 4000)), day((12, 4100), (23.9, 7000), (24, 7100))]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0), (0, 1, 2, 0, 1, 2), (2, 2, 0, 1, 1)])
def test_counters_since_midnight_are_differences_across_files_in_any_order(order: tuple[int, ...]) -> None:
    book = DayBook()
    said = []
    for place in order:
        said.append(Said(FILES[place], book))
        book = DayBook(book.state)
    assert sum(final(*said).values()) == 7100
    assert len(final(*said)) == 8


def test_each_activity_and_each_watch_has_its_own_counter() -> None:
    book = DayBook()
    walked, ran = Said(day((8, 500), (9, 800)), book), Said(day((8.5, 300), (9, 900), activity=1), book)
    other = Said(day((8, 60), (9, 70), serial=8), book)
    assert sum(final(walked, ran).values()) == 1700
    assert sum(final(other).values()) == 70
    assert final(walked).keys().isdisjoint(final(other))


def test_a_new_day_begins_at_nought_and_midnight_belongs_to_the_day_before() -> None:
    said = Said(day((20, 900), (24, 1000), (24.5, 20), (33, 700)))
    assert said.values("steps", "steps") == [900, 100, 20, 680]
    assert said.of("steps")[2]["start_time"] == said.of("steps")[1]["end_time"]


def test_a_counter_that_leaps_costs_its_leap() -> None:
    said = Said(day((8, 500), (9, 90_000), (10, 900), (11, 700), (12, 1200)))
    assert sum(final(said).values()) == 1200
    assert said.left["counter_jumped"] >= 1


def test_where_the_day_begins_is_told_by_how_long_it_counts() -> None:
    messages = [steps(BEGIN + 90 + 60 * each, 100 * each, minutes=300 + each) for each in range(1, 5)]
    said = Said(fit_file(*messages))
    assert sum(final(said).values()) == 400
    assert len(said.of("steps")) == 4


def test_without_a_zone_a_day_is_that_of_its_file_or_of_the_declared_zone() -> None:
    readings = [steps(MIDNIGHT + 8 * HOUR, 500), steps(MIDNIGHT + 30 * HOUR, 100)]
    content = fit_file(*readings, first=file_id(32, created=BEGIN - 40_000_000))
    assert Said(content).left == {"no_start": 2}
    said = Said(content, zone="Europe/Helsinki")
    assert said.values("steps", "steps") == [500, 100]
    assert said.of("steps")[0]["start_time"] == "2024-11-07T22:00:00.000000Z"


# The bytes.


def test_what_can_be_read_of_damaged_bytes_is_read() -> None:
    good = fit_file(record(BEGIN, bpm=70), record(BEGIN + 1, bpm=71), record(BEGIN + 2, bpm=72))
    assert Said(fit_file(record(BEGIN, bpm=70), size=0)).values("heart_rate", "bpm") == [70]
    assert Said(good[:-2]).values("heart_rate", "bpm") == [70, 71, 72]
    assert Said(good[:-2]).left == {}
    assert Said(good[:-5]).left == {"damaged": 1}
    assert Said(good + good).values("heart_rate", "bpm") == [70, 71, 72] * 2
    assert Said(good + b"\0" * 700).left == {"after_the_end": 1}
    changed = bytearray(good)
    changed[-8] ^= 1
    assert Said(bytes(changed)).left["damaged"] == 1
    assert Said(b"x" * 9 + good).values("heart_rate", "bpm") == [70, 71, 72]
    assert Said(b"").events == []


def test_fields_of_no_size_and_messages_that_nobody_knows_are_passed_by() -> None:
    strange: Message = (0xFF00, [(1, U8, 3), (2, S8, -1), (200, FLOAT, 1.5)])
    assert Said(fit_file(strange, record(BEGIN, bpm=70), order=">")).values("heart_rate", "bpm") == [70]
    content = bytearray(fit_file(record(BEGIN, bpm=70, meters=5)))
    place = content.rfind(bytes((5, 4, U32)))
    content[place + 1] = 0  # the distance has no bytes: its data are one message less
    assert isinstance(Said(bytes(content)).items, list)


@pytest.mark.parametrize("seed", range(60))
def test_no_bytes_raise_anything(seed: int) -> None:
    chance = random.Random(seed)
    content = bytearray(day((1, 100), (2, 350)) + fit_file(*ride(0, 5, 10), session(BEGIN, BEGIN + 5, meters=10)))
    for _ in range(chance.randrange(1, 12)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    Said(bytes(content[: chance.randrange(len(content))] if seed % 2 else content))


# Whatever else it measures.


def test_nights_stress_blood_and_scales() -> None:
    night = [
        (275, [(253, U32, BEGIN + 600 * place), (0, ENUM, level)]) for place, level in enumerate((1, 2, 3, 3, 4, 1))
    ]
    said = Said(
        fit_file(
            *night,
            (346, [(6, U8, 81), (11, U8, 2)]),
            (227, [(0, S16, 31), (1, U32, BEGIN)]),
            (227, [(0, S16, -1), (1, U32, BEGIN + 180)]),
            (269, [(253, U32, BEGIN), (0, U8, 96)]),
            (297, [(253, U32, BEGIN), (0, S16, 1425)]),
            (371, [(253, U32, BEGIN), (0, U16, 42 * 128)]),
            (370, [(253, U32, BEGIN), (1, U16, 44 * 128)]),
            (211, [(253, U32, BEGIN), (0, U8, 50), (1, U8, 48)]),
            (229, [(0, U32, BEGIN), (2, U16, 485)]),
            (51, [(253, U32, BEGIN), (0, U16, 121), (1, U16, 79), (6, U8, 64)]),
            (30, [(253, U32, BEGIN), (0, U16, 7610), (1, U16, 2150), (13, U16, 234)]),
            (78, [(0, U16, (800, 900, 0xFFFF))]),
            first=file_id(49),
        )
    )
    (sleep,) = said.of("sleep")
    assert [each["stage"] for each in sleep["value"]["stages"]] == ["awake", "light", "deep", "rem"]
    assert (sleep["value"]["awakenings"], sleep["value"]["scores"][0]["points"]) == (2, 81)
    assert {each["type"]: each["value"] for each in said.events if each["type"] != "sleep"} == {
        "stress": {"score": 31}, "spo2": {"percent": 96}, "respiratory_rate": {"breaths_per_minute": 14.25},
        "hrv_rmssd": {"ms": 42.0}, "daily_hrv_rmssd": {"ms": 44.0}, "resting_heart_rate": {"bpm": 48},
        "vo2_max": {"ml_per_kg_min": 48.5}, "blood_pressure": {"systolic": 121, "diastolic": 79, "pulse": 64},
        "weight": {"kg": 76.1}, "body_fat_percentage": {"percent": 21.5}, "bmi": {"kg_m2": 23.4},
    }  # fmt: skip
    assert said.left == {"not_measured": 1, "summary": 1}


def test_a_workout_has_its_laps_and_pauses() -> None:
    laps: list[Message] = [
        (19, [(253, U32, BEGIN + 60 * each + 60), (2, U32, BEGIN + 60 * each), (9, U32, 20_000)]) for each in range(2)
    ]
    timer: list[Message] = [
        (21, [(253, U32, BEGIN + at), (0, ENUM, 0), (1, ENUM, kind)])
        for at, kind in ((0, 0), (40, 4), (70, 0), (120, 4))
    ]
    figures = [(8, U32, 90_000), (11, U16, 31), (16, U8, 150), (17, U8, 171), (10, U32, 150), (18, U8, 84)]
    said = Said(fit_file(*timer, *laps, session(BEGIN, BEGIN + 120, meters=400, more=figures)))
    (workout,) = said.of("workout")
    value = workout["value"]
    assert [each["distance_m"] for each in value["laps"]] == [200, 200]
    assert value["pauses"] == [{"start_time": "2024-11-08T11:34:00.000000Z", "end_time": "2024-11-08T11:34:30.000000Z"}]
    assert {key: value[key] for key in ("active_s", "energy_kcal", "heart_rate_mean_bpm", "distance_m", "steps")} == {
        "active_s": 90, "energy_kcal": 31, "heart_rate_mean_bpm": 150, "distance_m": 400, "steps": 300,
    }  # fmt: skip


def test_of_several_people_on_a_scale_the_declared_one_is_meant() -> None:
    weights: list[Message] = [
        (30, [(253, U32, BEGIN + each), (0, U16, 7000 + 100 * each), (12, U16, each)]) for each in (0, 1)
    ]
    assert Said(fit_file(*weights)).left == {"of_others": 2}
    said = Said(fit_file(*weights), slot="1")
    assert (said.values("weight", "kg"), said.left) == ([71.0], {"of_others": 1})
