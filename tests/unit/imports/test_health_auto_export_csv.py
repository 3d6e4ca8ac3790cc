"""Tables of Health Auto Export come to the events that the same metrics come to as messages."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.imports.told import Told

DAYS = (
    "Date/Time,Active Energy (kcal),Step Count (count),Weight (kg),Heart Rate [Min] (count/min),"
    "Heart Rate [Max] (count/min),Heart Rate [Avg] (count/min),VO2 Max (ml/(kg·min)),Protein (g),Carbohydrates (g),"
    "Stair Speed: Up (ft/s),Sleep Analysis [Total] (hr),Sleep Analysis [In Bed] (hr),Walking + Running Distance (mi)\n"
    "2026-05-01 00:00:00,812.5,13010,91.2,48,131,63.4,44.1,90,210,1.5,0,0,3.1\n"
    "2026-05-02 00:00:00,700,9000,,,,,,,,,7.5,8,\n"
)


def put(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_days_become_what_messages_of_days_become(tmp_path: Path) -> None:
    told = Told(put(tmp_path / "days.csv", DAYS), zone="Europe/Berlin")
    assert told.types == {
        "daily_energy_active": 2, "daily_steps": 2, "weight": 1, "heart_rate": 1, "vo2_max": 1, "food": 1,
        "stair_ascent_speed": 1, "daily_distance": 1,
    }  # fmt: skip
    assert told.refused() == []
    assert told.left == {"missing_field": 1}, "a night without its times"
    assert told.asides[0].place == "days.csv:3: sleep_analysis"
    assert told.values("daily_steps") == [{"steps": 13010}, {"steps": 9000}]
    assert told.values("food") == [{"protein_g": 90, "carbohydrate_g": 210}]
    assert told.values("heart_rate") == [{"bpm": 63.4, "low_bpm": 48, "high_bpm": 131}]
    message = {"data": {"metrics": [
        {"name": "step_count", "units": "count", "data": [{"date": "2026-05-01 00:00:00 +0200", "qty": 13010}]},
        {"name": "weight_body_mass", "units": "kg", "data": [{"date": "2026-05-01 00:00:00 +0200", "qty": 91.2}]},
    ]}}  # fmt: skip
    same = Told(put(tmp_path / "m.json", json.dumps(message)), zone="Europe/Berlin", bucket_s=86_400)
    ids = {each["id"] for each in told.events}
    assert len(same.events) == 2
    assert {each["id"] for each in same.events} <= ids


@pytest.mark.parametrize(
    ("times", "declared", "found"),
    [
        (("08:00", "09:00", "11:00"), {}, {"steps": 3}),
        (("08:00", "08:01", "09:00"), {}, {"steps": 3}),
        (("08:00", "08:30"), {}, {}),
        (("08:00",), {}, {}),
        (("08:00",), {"bucket_s": 3600}, {"steps": 1}),
        (("08:00:07", "09:00:07"), {}, {}),
    ],
)
def test_a_bucket_is_declared_or_seen_in_all_rows(
    tmp_path: Path, times: tuple[str, ...], declared: dict[str, Any], found: dict[str, int]
) -> None:
    rows = "\n".join(f"2026-05-01 {time},{10 + each}" for each, time in enumerate(times))
    told = Told(put(tmp_path / "t.csv", f"Date/Time,Step Count (count)\n{rows}\n"), zone="UTC", **declared)
    assert told.types == found
    assert sum(told.left.values()) == len(times) - sum(found.values())
    if not found:
        assert "bucket" in told.asides[0].text


def test_times_without_a_zone_are_left_out_with_their_line(tmp_path: Path) -> None:
    table = "Date,Weight (kg),Body Mass Index (count)\n2026-05-01 07:00:00,91.2,24\n2026-05-02 07:00:00 +0200,91,\n"
    told = Told(put(tmp_path / "w.csv", table))
    assert (told.types, told.left) == ({"weight": 1}, {"naive_time": 2})
    assert {each.place for each in told.asides} == {"w.csv:2: weight_body_mass", "w.csv:2: body_mass_index"}


def test_semicolons_commas_in_numbers_and_columns_of_nothing_known(tmp_path: Path) -> None:
    table = (
        "\ufeffDate/Time;Weight/Body Mass (kg);Handwashing (s);Height (cm)\r\n"
        "2026-05-01 07:00:00;91,2;20;x\r\n2026-05-02 07:00:00;91;30;\r\n"
    )
    told = Told(put(tmp_path / "w.csv", table), zone="UTC")
    assert told.values("weight") == [{"kg": 91.2}, {"kg": 91}]
    assert told.left == {"unknown_type": 1, "wrong_type": 1}
    assert {each.place for each in told.asides} == {"w.csv:2: handwashing", "w.csv:2: height"}


def test_pressure_blood_sugar_and_what_needs_its_own_consent(tmp_path: Path) -> None:
    table = (
        "Date/Time,Blood Pressure [Systolic] (mmHg),Blood Pressure [Diastolic] (mmHg),Blood Glucose (mg/dL),"
        "Sexual Activity [Protection Used] (count)\n2026-05-01 07:00:00,120,80,99,1\n"
    )
    told = Told(put(tmp_path / "w.csv", table), zone="UTC")
    assert told.values("blood_pressure") == [{"systolic": 120, "diastolic": 80}]
    assert told.types == {"blood_pressure": 1, "glucose": 1, "sexual_activity": 1}
    assert told.refused() == []


def test_workouts(tmp_path: Path) -> None:
    table = (
        "Workout Type,Start,End,Duration,Active Energy (kcal),Max. Heart Rate (count/min),Avg. Heart Rate (count/min),"
        "Distance (km),Step Count\n"
        "Outdoor Run,2026-05-01 07:00,2026-05-01 07:40,00:38:30,412.5,171,139,7.2,6100\n"
        "Yoga,2026-05-02 07:00,2026-05-02 06:40,00:20:00,,,,,\n"
    )
    told = Told(put(tmp_path / "workouts.csv", table), zone="Europe/Berlin")
    run, _ = told.of("workout")
    assert run["start_time"].startswith("2026-05-01T05:00:00")
    assert run["value"]["distance_m"] == 7200
    assert run["value"]["active_s"] == 38 * 60 + 30
    assert (run["value"]["heart_rate_mean_bpm"], run["value"]["heart_rate_high_bpm"]) == (139, 171)
    assert run["value"]["steps"] == 6100
    assert [each.split(":")[0] for each in told.refused()] == ["bad_interval"], "one ends before it begins"


def test_many_rows_are_read_some_at_a_time(tmp_path: Path) -> None:
    rows = "\n".join(f"2026-05-01 {each // 60:02d}:{each % 60:02d},{60 + each % 50},1" for each in range(700))
    table = f"Date/Time,Heart Rate [Avg] (count/min),Step Count (count)\n{rows}\n"
    told = Told(put(tmp_path / "m.csv", table), zone="UTC")
    assert told.types == {"heart_rate": 700, "steps": 700}
    assert told.left == {}
    assert told.places[0] == "m.csv:2: heart_rate"
    assert told.places[-1] == "m.csv:701: step_count"


@pytest.mark.parametrize(
    "header",
    [
        "Date,Weight (kg),Fat mass (kg),Bone mass (kg),Muscle mass (kg),Hydration (kg),Comments",
        "dateTime,weight,fat,water,muscle",
        "Date,Move Minutes count,Calories (kcal),Distance (m),Step count",
        "a,b",
        "",
    ],
)
def test_other_tables_are_not_taken_for_it(tmp_path: Path, header: str) -> None:
    from healthsync_mqtt.imports.health_auto_export_csv import HealthAutoExportTables

    assert not HealthAutoExportTables().recognises(None, header.encode() + b"\n")  # type: ignore[arg-type]
