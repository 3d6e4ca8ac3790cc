"""Tables and lists of other services' exports, as events; what cannot be one says where it is."""

import json
import zipfile
from pathlib import Path

from healthsync_mqtt.formats.openscale import Openscale
from healthsync_mqtt.formats.port import AppMessage, folded
from tests.unit.imports.told import Told

BERLIN = "Europe/Berlin"


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


OPENSCALE = (
    '"biceps","bone","comment","dateTime","fat","hip","muscle","waist","water","weight"\n'
    '"0.0","3.1","","2026-05-03 07:41","21.5","98.0","40.2","84.0","55.1","71.3"\n'
    '"0.0","0.0","late, again","2026-05-04 07:40","0.0","0.0","0.0","0.0","0.0","71,1"\n'
    '"0.0","0.0","","yesterday","0.0","0.0","0.0","0.0","0.0","71.0"\n'
)


def test_openscale(tmp_path: Path) -> None:
    told = Told(written(tmp_path / "openscale.csv", OPENSCALE), zone=BERLIN)
    assert told.types == {
        "weight": 2, "body_fat_percentage": 1, "body_water": 1, "muscle_mass": 1, "bone_mass": 1,
        "waist_circumference": 1, "hip_circumference": 1,
    }  # fmt: skip
    assert told.values("weight") == [{"kg": 71.3}, {"kg": 71.1}]
    assert told.of("weight")[0]["start_time"] == "2026-05-03T05:41:00.000000Z"
    assert (told.left, told.asides[0].place) == ({"bad_time": 1}, "openscale.csv:4")
    assert told.refused() == []
    assert Told(tmp_path / "openscale.csv").left == {"naive_time": 2, "bad_time": 1}


def test_a_weighing_of_the_table_is_that_of_the_message(tmp_path: Path) -> None:
    told = Told(written(tmp_path / "openscale.csv", OPENSCALE), zone=BERLIN)
    sent = {"date": 1_777_786_860_000, "id": 12, "weight": 71.3}
    message = AppMessage(json.dumps(sent).encode(), "alice", "phone", "openScaleSync/measurements/insert")
    (event,) = folded(Openscale(), message, told.memory["openscale"]).events
    assert event["id"] == told.of("weight")[0]["id"]


def test_withings(tmp_path: Path) -> None:
    folder = tmp_path / "withings"
    folder.mkdir()
    written(
        folder / "weight.csv",
        'Date,"Weight (lb)","Fat mass (lb)","Bone mass (lb)","Muscle mass (lb)","Hydration (lb)",Comments\n'
        '"2023-03-26 08:00:00",160.0,34.2,,,,\n"2023-03-26 02:30:00",160.0,,,,,\n',
    )
    written(folder / "bp.csv", 'Date,"Heart rate",Systolic,Diastolic,Comments\n"2023-03-27 08:00:00",64,121,79,\n')
    written(
        folder / "raw_tracker_steps.csv",
        'start,duration,value\n2023-03-27T08:00:00+02:00,"[60,60,120]","[10,0,31]"\n2023-03-27T09:00:00+02:00,[60],[1,2]\n',
    )
    written(folder / "raw_hr_hr.csv", 'start,duration,value\n2023-03-27T08:00:00+02:00,"[10,10]","[71,73]"\n')
    written(folder / "aggregates_steps.csv", "date,value\n2023-03-27,9421\n")
    written(
        folder / "sleep.csv",
        'from,to,"light (s)","deep (s)","rem (s)","awake (s)","wake up","Duration to sleep (s)","Average heart rate"\n'
        "2023-03-26T23:00:00+02:00,2023-03-27T07:00:00+02:00,14400,7200,3600,600,2,300,55\n",
    )
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for each in sorted(folder.iterdir()):
            archive.write(each, f"data_ANN_1/{each.name}")
    for path in (folder, tmp_path / "export.zip"):
        told = Told(path, zone=BERLIN)
        assert told.types == {
            "weight": 1, "fat_mass": 1, "blood_pressure": 1, "steps": 2, "heart_rate": 2, "daily_steps": 1, "sleep": 1,
        }  # fmt: skip
        assert told.left == {"bad_time": 1, "malformed": 1}  # the hour that is not there, and a row with too few
        assert told.refused() == []
    assert round(told.values("weight")[0]["kg"], 3) == 72.575
    assert told.values("blood_pressure") == [{"systolic": 121, "diastolic": 79, "pulse": 64}]
    assert [(each["start_time"][11:16], each["end_time"][11:16]) for each in told.of("steps")] == [
        ("06:00", "06:01"), ("06:02", "06:04"),
    ]  # fmt: skip
    assert told.values("sleep")[0]["total_asleep_s"] == 25_200
    assert told.of("daily_steps")[0]["start_time"] == "2023-03-26T22:00:00.000000Z"


def test_fitbits_archive(tmp_path: Path) -> None:
    folder = tmp_path / "Takeout/Fitbit/Global Export Data"
    folder.mkdir(parents=True)
    files = {
        "heart_rate-2020-01-01.json": [
            {"dateTime": "01/01/20 08:00:05", "value": {"bpm": 70, "confidence": 2}},
            {"dateTime": "01/01/20 08:00:10", "value": {"bpm": 70, "confidence": 0}},
        ],
        "steps-2020-01-01.json": [
            {"dateTime": "01/01/20 08:00:00", "value": "0"}, {"dateTime": "01/01/20 08:01:00", "value": "31"},
        ],
        "distance-2020-01-01.json": [{"dateTime": "01/01/20 08:01:00", "value": "2130"}],
        "resting_heart_rate-2020-01-01.json": [
            {"dateTime": "01/01/20 00:00:00", "value": {"date": "01/01/20", "value": 58.214, "error": 6.8}},
            {"dateTime": "01/02/20 00:00:00", "value": {"date": None, "value": 0.0, "error": 0.0}},
        ],
        "very_active_minutes-2020-01-01.json": [{"dateTime": "01/01/20 00:00:00", "value": "12"}],
        "altitude-2020-01-01.json": [{"dateTime": "01/01/20 08:01:00", "value": "10"}],
        "weight-2020-01-01.json": [
            {"logId": 1, "weight": 160.0, "bmi": 23.4, "fat": 21.5, "date": "01/01/20", "time": "07:00:00"}
        ],
        "sleep-2020-01-01.json": [
            {
                "logId": 25, "dateOfSleep": "2020-01-01", "startTime": "2019-12-31T23:00:30.000",
                "endTime": "2020-01-01T07:00:00.000", "minutesAsleep": 420, "minutesAwake": 60, "timeInBed": 480,
                "efficiency": 92, "mainSleep": True,
                "levels": {"data": [{"dateTime": "2019-12-31T23:00:30.000", "level": "light", "seconds": 3600}]},
            }
        ],
        "exercise-0.json": [
            {
                "logId": 31, "activityName": "Run", "calories": 320, "duration": 1830000, "activeDuration": 1800000,
                "steps": 5400, "averageHeartRate": 151, "startTime": "01/01/20 18:00:00", "distance": 3.1,
                "distanceUnit": "Mile",
            }
        ],
    }  # fmt: skip
    for name, records in files.items():
        written(folder / name, json.dumps(records))
    newer = tmp_path / "Takeout/Fitbit/Physical Activity_GoogleData"
    newer.mkdir()
    written(newer / "steps_2024-01-01.csv", "timestamp,steps\n2024-01-01T08:00:00Z,12\n2024-01-01T08:01:00Z,0\n")
    written(newer / "heart_rate_2024-01-01.csv", "timestamp,beats per minute\n2024-01-01T08:00:03Z,61.0\n")
    written(newer / "daily_resting_heart_rate.csv", "timestamp,beats per minute\n2024-01-01T00:00:00Z,57.2\n")
    told = Told(tmp_path / "Takeout", zone="America/New_York", unit="lb")
    assert told.types == {
        "heart_rate": 2, "steps": 2, "distance": 1, "resting_heart_rate": 2, "active_minutes_vigorous": 1, "weight": 1,
        "bmi": 1, "body_fat_percentage": 1, "sleep": 1, "workout": 1,
    }  # fmt: skip
    assert told.left == {"other_file": 1}
    assert told.refused() == []
    assert told.of("heart_rate")[0]["start_time"] == "2020-01-01T08:00:05.000000Z"  # minutes are in UTC there
    assert told.of("sleep")[0]["start_time"] == "2020-01-01T04:00:30.000000Z"  # nights are not
    assert told.values("distance") == [{"meters": 21.3}]
    assert told.values("workout")[0]["distance_m"] == 4988.9664
    assert Told(folder / "weight-2020-01-01.json", zone=BERLIN).left == {"unknown_unit": 1}


def point(kind: str, start: int, end: int, *values: dict, origin: str = "raw:x:com.app") -> dict:
    return {
        "fitValue": [{"value": each} for each in values], "originDataSourceId": origin, "startTimeNanos": start,
        "endTimeNanos": end, "dataTypeName": kind, "modifiedTimeMillis": 1, "rawTimestampNanos": 0,
    }  # fmt: skip


def test_a_takeout_of_google_fit(tmp_path: Path) -> None:
    folder = tmp_path / "Takeout/Fit/All Data"
    folder.mkdir(parents=True)
    second = 1_000_000_000
    at = 1_700_000_000 * second

    def stream(name: str, source: str, *points: dict) -> None:
        written(folder / name, json.dumps({"Data Source": source, "Data Points": list(points)}))

    steps = "com.google.step_count.delta"
    one = point(steps, at, at + 60 * second, {"intVal": 41})
    stream("raw_steps.json", f"raw:{steps}:com.app:watch", one, point(steps, at, at, {"stringVal": "many"}))
    stream("derived_steps.json", f"derived:{steps}:com.google.android.gms:merge_step_deltas", one)
    weight = "com.google.weight"
    stream(
        "weight.json", f"raw:{weight}:app:user_input", point(weight, at, at, {"fpVal": 71.25}, origin="raw:user_input")
    )
    sleep = "com.google.sleep.segment"
    parts = [
        point(sleep, at + each * 600 * second, at + (each + 1) * 600 * second, {"intVal": 4 + each})
        for each in range(3)
    ]
    stream("sleep.json", f"raw:{sleep}:app:watch", *parts, point(sleep, at * 2, at * 2 + second, {"intVal": 4}))
    stream(
        "cadence.json",
        "raw:com.google.step_count.cadence:x:y",
        point("com.google.step_count.cadence", at, at, {"fpVal": 1.0}),
    )
    daily = tmp_path / "Takeout/Fit/Daily activity metrics"
    daily.mkdir()
    written(
        daily / "2023-11-14.csv", "Start time,End time,Move Minutes count,Step count\n00:00:00.000+01:00,00:15,1,41\n"
    )
    told = Told(tmp_path / "Takeout", zone=BERLIN)
    assert told.types == {"steps": 1, "weight": 1, "sleep": 2}
    assert told.left == {"summary": 2, "missing_field": 1, "unknown_type": 1}
    assert told.of("weight")[0]["source"]["recording"] == "manual"
    assert [each["stage"] for each in told.values("sleep")[0]["stages"]] == ["light", "deep", "rem"]
    assert (told.of("steps")[0]["utc_offset"], told.refused()[1:]) == (3600, [])
