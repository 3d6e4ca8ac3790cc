"""Withings: every recorded answer, and every invented one of the provider, comes to what is said of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import Declared, Divisible, Format, folded
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.testing.format_contract import FormatContract
from tests.support.app_messages import Shelf, Told, app_message, recorded
from tests.support.foreign_json import JSON, objects

WEIGHED = {
    "grpid": 1, "attrib": 0, "date": 1793944931, "modified": 1793944971, "category": 1, "model": "Body+",
    "measures": [{"value": 75480, "type": 1, "unit": -3}, {"value": 1870, "type": 6, "unit": -2}],
}  # fmt: skip
DAY = {"date": "2026-10-25", "timezone": "Europe/Paris", "deviceid": "w", "model": "ScanWatch 2", "steps": 9120}
NIGHT = {
    "id": 7, "timezone": "Europe/Paris", "hash_deviceid": "s", "model": 32, "startdate": 1792878000,
    "enddate": 1792906800, "date": "2026-10-25", "modified": 1792907500, "data": {"total_sleep_time": 25200},
}  # fmt: skip
STAGE = {"startdate": 1792878000, "enddate": 1792878600, "state": 0, "model": "Aura", "hash_deviceid": "s"}
DEEP = STAGE | {"startdate": 1792878600, "enddate": 1792906800, "state": 2}
RUN = {"id": 3, "category": 2, "startdate": 1794042600, "enddate": 1794044580, "data": {"distance": 5012}}


def answer(**body: Any) -> dict[str, Any]:
    return {"status": 0, "body": body}


def shelf(*contents: Any, zone: str | None = None, topic: str = "") -> Shelf:
    return Shelf("withings").take(app_message(each, declared=Declared(zone=zone), topic=topic) for each in contents)


class TestContract(FormatContract):
    @pytest.fixture
    def form(self) -> Format:
        return FORMATS["withings"]

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        return {
            json.dumps(answer(measuregrps=[WEIGHED], timezone="Europe/Paris")).encode(): 2,
            json.dumps(answer(activities=[DAY])).encode(): 1,
            json.dumps(answer(series=[NIGHT, RUN])).encode(): 2,
            json.dumps(answer(series=[STAGE | {"hr": {"1792878000": 61}}, DEEP])).encode(): 2,
        }

    @pytest.fixture
    def refusals(self) -> Mapping[bytes, list[str]]:
        half = WEIGHED | {"measures": [{"value": 1, "type": 10, "unit": 0}]}
        odd = WEIGHED | {"measures": [{"value": "x", "type": 1, "unit": 0}]}
        return {
            json.dumps(answer(measuregrps=[half, WEIGHED, odd])).encode(): [
                "body.measuregrps[0].measures",
                "body.measuregrps[2].measures[0].value",
            ],
            json.dumps(answer(series=[{}, RUN | {"id": None}])).encode(): ["body.series[0]", "body.series[1].id"],
        }


NAMES = """
    status body measuregrps activities series signal grpid attrib date modified category measures value type unit
    position timezone steps distance calories duration startdate enddate state data hr rr id ecg signalid afib timestamp
    heart_rate sampling_frequency model hash_deviceid 1793944991
"""


@given(JSON | objects(NAMES.split()))
def test_no_json_raises_and_the_same_is_the_same(content: Any) -> None:
    for each in (content, answer(series=content), answer(measuregrps=[content]), answer(activities=[content])):
        try:
            first = folded(FORMATS["withings"], app_message(each))
        except RefusedError:
            continue
        assert first == folded(FORMATS["withings"], app_message(each))
        folded(FORMATS["withings"], app_message(each), first.state)
        assert len(first.state) < 65_536


# -- measures


def test_a_value_is_exact_and_its_offset_is_of_the_zone_of_the_group() -> None:
    found = shelf(answer(measuregrps=[WEIGHED], timezone="Europe/Paris"), zone="Asia/Tokyo")
    assert found.of("weight") == [Told("weight", {"kg": 75.48}, "2026-11-06T06:02:11")]
    (event,) = [each for each in found.events.values() if each["type"] == "weight"]
    assert (event["utc_offset"], event["version"], event["device"]) == (3600, 1793944971, {"model": "Body+"})
    own = shelf(answer(measuregrps=[WEIGHED | {"timezone": "Asia/Tokyo"}], timezone="Europe/Paris"))
    assert {each["utc_offset"] for each in own.events.values()} == {32_400}


def test_a_group_that_is_revised_supersedes_and_one_that_asks_for_less_deletes_nothing() -> None:
    revised = WEIGHED | {"modified": 1794031431, "measures": [{"value": 75380, "type": 1, "unit": -3}]}
    found = shelf([WEIGHED], [revised], [WEIGHED])
    assert [each.value for each in found.told] == [{"percent": 18.7}, {"kg": 75.38}]


@pytest.mark.parametrize("change", [{"attrib": 1}, {"category": 2}])
def test_what_may_be_somebody_elses_and_a_goal_are_nothing(change: dict[str, int]) -> None:
    found = shelf([WEIGHED | change])
    assert (found.told, found.refused) == ([], [])


def test_what_was_entered_by_hand_says_so() -> None:
    assert shelf([WEIGHED | {"attrib": 2}]).sources("weight") == [{"provider": "withings", "recording": "manual"}]
    assert shelf([WEIGHED | {"attrib": 17}]).sources("weight") == [{"provider": "withings"}]


def test_segments_of_a_body_are_not_the_body() -> None:
    leg = {"value": 900, "type": 5, "unit": -2, "position": 11}
    whole = {"value": 7718, "type": 5, "unit": -2, "position": 7}
    assert shelf([WEIGHED | {"measures": [leg, whole, whole]}]).told == [
        Told("lean_mass", {"kg": 77.18}, "2026-11-06T06:02:11")
    ]


def test_a_status_is_no_answer() -> None:
    assert shelf({"status": 601}).refused == [("status", "malformed")]
    assert shelf({"status": 503, "body": {}}).refused == [("status", "malformed")]
    assert shelf({"error": 1}).refused == [("", "malformed")]


# -- nights


def test_the_stages_of_a_night_join_its_summary_and_come_again_as_the_same() -> None:
    summary, stages = answer(series=[NIGHT]), answer(series=[DEEP, STAGE])
    found = shelf(summary, stages, summary, stages)
    (night,) = found.of("sleep")
    assert (night.value["total_asleep_s"], [each["stage"] for each in night.value["stages"]]) == (
        25200,
        ["awake", "deep"],
    )
    assert (night.start, night.end) == ("2026-10-24T21:40", "2026-10-25T05:40")
    assert found.counts == {"stored": 1, "duplicate": 2, "superseded": 1, "gone": 0}


def test_stages_that_come_first_stand_alone_until_the_summary_comes() -> None:
    summary, stages = answer(series=[NIGHT]), answer(series=[STAGE, DEEP])
    found = shelf(stages)
    assert len(found.of("sleep")) == 1
    found.take([app_message(summary)])
    assert [each.value for each in found.of("sleep")] == [{"total_asleep_s": 25200}]
    assert found.counts["gone"] == 1
    found.take([app_message(stages)])
    assert [len(each.value["stages"]) for each in found.of("sleep")] == [2]


def test_nights_of_two_devices_are_two() -> None:
    found = shelf(answer(series=[STAGE, DEEP, STAGE | {"hash_deviceid": "other"}]))
    assert [len(each.value["stages"]) for each in found.of("sleep")] == [2, 1]


def test_a_state_that_says_no_stage_is_some_stage() -> None:
    found = shelf(answer(series=[STAGE | {"state": 4}, DEEP | {"state": 5}]))
    assert [each["stage"] for each in found.told[0].value["stages"]] == ["unknown", "unknown"]


def test_who_agrees_to_nights_alone_has_them_joined_and_no_ecg_remembered() -> None:
    form = FORMATS["withings"]
    assert isinstance(form, Divisible)
    ecg = {"ecg": {"signalid": 778899, "afib": 1}, "timestamp": 1794026931}
    state = folded(form, app_message(answer(series=[NIGHT, ecg]))).state
    assert form.holds(state) == {"sleep", "ecg"}
    nights = form.without(state, frozenset({"ecg"}))
    assert (form.holds(nights), b"778899" in nights) == ({"sleep"}, False)
    joined = folded(form, app_message(answer(series=[STAGE, DEEP])), nights).events
    assert [set(each["value"]) for each in joined] == [{"total_asleep_s", "stages"}]
    assert form.without(state, frozenset({"sleep", "ecg"})) == b""


def test_what_is_remembered_of_nights_and_ecgs_is_bounded() -> None:
    figures = {
        "total_sleep_time": 25200.5, "total_timeinbed": 28800.5, "wakeupduration": 3600.5, "wakeupcount": 3,
        "lightsleepduration": 14400.5, "deepsleepduration": 5400.5, "remsleepduration": 5400.5, "sleep_score": 78.5,
        "sleep_latency": 600.5, "sleep_efficiency": 0.875, "hr_average": 56.25, "hr_min": 48.25, "rr_average": 14.25,
    }  # fmt: skip
    nights = [
        NIGHT | {"id": f"{each:>0200}", "startdate": 1792878000 + each, "hash_deviceid": "s" * 200, "data": figures}
        for each in range(300)
    ]
    ecgs = [{"ecg": {"signalid": f"{each:0200}", "afib": 1}, "timestamp": 1794026931 + each} for each in range(300)]
    first = folded(FORMATS["withings"], app_message(answer(series=[*nights, *ecgs])))
    again = folded(FORMATS["withings"], app_message(answer(series=[*nights, *ecgs])), first.state)
    assert len(first.state) == len(again.state) < 49_152


# -- ECGs


def test_a_waveform_keeps_what_the_list_said_of_it() -> None:
    listed = answer(series=[{"ecg": {"signalid": 778899, "afib": 1}, "timestamp": 1794026931, "heart_rate": 62}])
    wave = answer(signal="[12, 25]", sampling_frequency="300", heart_rate={"value": 62, "date": 1794026931})
    found = Shelf("withings").take([app_message(listed), app_message(wave, topic="heart/778899")])
    (ecg,) = found.told
    assert ecg.value == {"classification": "atrial_fibrillation", "hz": 300, "bpm": 62, "microvolts": [12, 25]}
    assert found.counts["superseded"] == 1


# -- recordings

RECORDED: dict[str, tuple[dict[str, int], list[Told]]] = {
    "aiowithings_activity": (
        {"active_minutes_light": 2, "active_minutes_moderate": 2, "active_minutes_vigorous": 1, "daily_distance": 2,
         "daily_energy_active": 2, "daily_energy_total": 2, "daily_heart_rate": 1, "daily_steps": 2},
        [Told("daily_steps", {"steps": 1209}, "2023-10-19T22:00"),
         Told("daily_heart_rate", {"mean_bpm": 80, "low_bpm": 70, "high_bpm": 80}, "2023-10-19T22:00")],
    ),
    "aiowithings_device": ({}, []),
    "aiowithings_measurement": ({"weight": 1}, [Told("weight", {"kg": 118.003}, "2023-09-02T10:39:11")]),
    "aiowithings_measurement_list_2": (
        {"weight": 17, "body_fat_percentage": 14, "fat_mass": 14, "lean_mass": 14, "muscle_mass": 14, "body_water": 14,
         "bone_mass": 14, "visceral_fat": 14, "basal_metabolic_rate": 14, "heart_rate": 8, "ecg": 5,
         "pulse_wave_velocity": 2, "vascular_age": 2},
        [Told("weight", {"kg": 95.817}, "2023-12-25T17:04:23"),
         Told("body_water", {"kg": 52.17}, "2023-12-27T18:00:43")],
    ),
    "aiowithings_measurement_positions": (
        {"weight": 2, "body_fat_percentage": 2, "fat_mass": 2, "lean_mass": 2, "muscle_mass": 2, "body_water": 2,
         "bone_mass": 2, "visceral_fat": 2, "basal_metabolic_rate": 2},
        [Told("lean_mass", {"kg": 77.18}, "2024-01-09T03:08:39"),
         Told("body_fat_percentage", {"percent": 18.457}, "2024-01-11T02:05:44")],
    ),
    "aiowithings_notify_list": ({}, []),
    "aiowithings_sleep_no_datafields": ({"sleep": 8}, []),
    "aiowithings_workouts": (
        {"workout": 10},
        [Told("workout", {"activity": "walking"}, "2023-08-31T08:08:27", "2023-08-31T08:18:44"),
         Told("workout", {"activity": "walking", "active_s": 880, "distance_m": 1294, "energy_kcal": 82, "steps": 1450,
                          "elevation_gain_m": 18}, "2023-08-04T16:00:39", "2023-08-04T16:15:19")],
    ),
    "withings-activity-measures": (
        {"active_minutes_light": 4, "active_minutes_moderate": 4, "active_minutes_vigorous": 4, "daily_distance": 4,
         "daily_elevation_gain": 4, "daily_energy_active": 4, "daily_steps": 4},
        [Told("active_minutes_light", {"minutes": 13}, "2015-06-18T07:00"),
         Told("daily_steps", {"steps": 1798}, "2015-02-21T08:00")],
    ),
    "withings-body-measures-only-goal": ({}, []),
    "withings-body-measures": (
        {"blood_pressure": 1, "weight": 2, "heart_rate": 2, "height": 1, "body_temperature": 1},
        [Told("blood_pressure", {"systolic": 104, "diastolic": 68, "pulse": 41}, "2015-05-31T06:06:23"),
         Told("height", {"meters": 1.93}, "2015-02-23T19:24:49")],
    ),
    "withings-intraday-activity": (
        {"steps": 4, "distance": 4, "energy_active": 4},
        [Told("steps", {"steps": 74}, "2015-06-20T00:41", "2015-06-20T00:42")],
    ),
    "withings-sleep-measures": ({"sleep": 1}, []),
    "withings-sleep-summary": (
        {"sleep": 2},
        [Told("sleep", {"latency_s": 240, "awakenings": 4, "awake_s": 0, "light_s": 3360, "deep_s": 7800},
              "2017-09-01T23:15", "2017-09-02T02:25")],
    ),
}  # fmt: skip


def counted(found: Shelf) -> dict[str, int]:
    types = [each.type for each in found.told]
    return {type_: types.count(type_) for type_ in types}


@pytest.mark.shared_data
def test_every_recording_is_here(shared_data: Path) -> None:
    assert {each.stem for each in (shared_data / "withings").iterdir()} == RECORDED.keys()


@pytest.mark.shared_data
@pytest.mark.parametrize("name", RECORDED)
def test_recordings(shared_data: Path, name: str) -> None:
    counts, some = RECORDED[name]
    message = recorded(shared_data / "withings" / f"{name}.json")
    found = Shelf("withings").take(message)
    assert (counted(found), found.refused) == (counts, [])
    assert all(each in found.told for each in some)
    again = dict(found.events)
    assert (found.take(message).events, found.counts["superseded"]) == (again, 0)


@pytest.mark.shared_data
def test_recorded_nights(shared_data: Path) -> None:
    (night,) = Shelf("withings").take(recorded(shared_data / "withings" / "withings-sleep-measures.json")).told
    assert (night.start, night.end) == ("2014-12-02T20:00", "2014-12-02T21:00")
    assert [each["stage"] for each in night.value["stages"]] == ["awake", "light", "rem"]
    nights = Shelf("withings").take(recorded(shared_data / "withings" / "aiowithings_sleep_no_datafields.json")).told
    assert sum(len(each.value["stages"]) for each in nights) == 613
    assert (nights[0].start, nights[0].end) == ("2021-04-17T20:30:53", "2021-04-18T02:32:53")


INVENTED: dict[str, list[Told]] = {
    "measure_page_first": [
        Told("body_fat_percentage", {"percent": 18.7}, "2026-11-06T06:02:11"),
        Told("body_water", {"kg": 42.198}, "2026-11-06T06:02:11"),
        Told("bone_mass", {"kg": 3.15}, "2026-11-06T06:02:11"),
        Told("fat_mass", {"kg": 14.115}, "2026-11-06T06:02:11"),
        Told("lean_mass", {"kg": 61.365}, "2026-11-06T06:02:11"),
        Told("muscle_mass", {"kg": 58.21}, "2026-11-06T06:02:11"),
        Told("visceral_fat", {"rating": 2.2}, "2026-11-06T06:02:11"),
        Told("weight", {"kg": 75.48}, "2026-11-06T06:02:11"),
        Told("blood_pressure", {"systolic": 131, "diastolic": 82, "pulse": 68}, "2026-11-06T07:02:11"),
    ],
    "measure_page_last": [
        Told("body_temperature", {"celsius": 36.8}, "2026-11-06T08:02:11"),
        Told("skin_temperature", {"celsius": 34.1}, "2026-11-06T08:03:11"),
        Told("spo2", {"percent": 97}, "2026-11-06T08:03:51"),
        Told("body_temperature", {"celsius": 36.5}, "2026-11-06T08:05:31"),
    ],
    "measure_empty": [],
    "measure_revised": [Told("weight", {"kg": 75.38}, "2026-11-06T06:02:11")],
    "measure_ambiguous_and_manual": [
        Told("height", {"meters": 1.783}, "2024-12-06T06:02:11"),
        Told("weight", {"kg": 76}, "2026-11-07T04:17:11"),
        Told("weight", {"kg": 75.41}, "2026-11-07T04:20:31"),
    ],
    "measure_segments": [
        Told("basal_metabolic_rate", {"kcal_per_day": 1712}, "2026-11-07T04:32:11"),
        Told("pulse_wave_velocity", {"meters_per_second": 7.1}, "2026-11-07T04:32:11"),
        Told("vascular_age", {"years": 36}, "2026-11-07T04:32:11"),
        Told("vo2_max", {"ml_per_kg_min": 44}, "2026-11-07T04:32:11"),
    ],
    "activity_intraday": [
        Told("distance", {"meters": 14.7}, "2026-11-06T06:03:11", "2026-11-06T06:04:11"),
        Told("energy_active", {"kcal": 1.2}, "2026-11-06T06:03:11", "2026-11-06T06:04:11"),
        Told("steps", {"steps": 21}, "2026-11-06T06:03:11", "2026-11-06T06:04:11"),
        Told("heart_rate", {"bpm": 77}, "2026-11-06T06:04:11"),
        Told("spo2", {"percent": 96}, "2026-11-06T06:05:11"),
    ],
    "sleep_summary": [
        Told("sleep", {
            "total_asleep_s": 25200, "latency_s": 600, "efficiency_percent": 87.5, "awakenings": 3,
            "heart_rate_mean_bpm": 56, "heart_rate_low_bpm": 48, "respiratory_rate": 14, "in_bed_s": 28800,
            "awake_s": 3600, "light_s": 14400, "deep_s": 5400, "rem_s": 5400,
            "scores": [{"provider": "withings", "name": "sleep_score", "points": 78}],
        }, "2026-10-24T21:40", "2026-10-25T05:40"),
        Told("snoring", {"minutes": 18}, "2026-10-24T21:40", "2026-10-25T05:40"),
        Told("breathing_disturbances", {"per_hour": 9}, "2026-10-24T22:00"),
    ],
    "devices": [],
    "notify_list": [],
}  # fmt: skip
"""What the provider's answers with invented values must come to, as their EXPECTED.md says."""


def exchange(shared_data: Path, name: str) -> Any:
    return json.loads((shared_data / "providers" / "withings" / f"{name}.json").read_text())["response"]["body"]


@pytest.mark.shared_data
@pytest.mark.parametrize("name", INVENTED)
def test_answers_come_to_what_is_expected(shared_data: Path, name: str) -> None:
    found = shelf(exchange(shared_data, name))
    assert found.told == INVENTED[name]
    assert found.refused == []


@pytest.mark.shared_data
def test_a_day_of_two_records_is_told_apart_and_not_added(shared_data: Path) -> None:
    found = shelf(exchange(shared_data, "activity"))
    assert [each.value["steps"] for each in found.of("daily_steps")] == [8990, 9120]
    assert counted(found) == {
        "active_minutes_light": 1, "active_minutes_moderate": 1, "active_minutes_vigorous": 1, "daily_distance": 2,
        "daily_elevation_gain": 1, "daily_energy_active": 1, "daily_energy_total": 1, "daily_heart_rate": 1,
        "daily_steps": 2,
    }  # fmt: skip
    assert {each.get("secondary", False) for each in found.sources("daily_steps")} == {False, True}
    assert {each["utc_offset"] for each in found.events.values()} == {7200}


@pytest.mark.shared_data
def test_nights_workouts_and_ecgs_are_as_expected(shared_data: Path) -> None:
    found = shelf(exchange(shared_data, "sleep_summary"), exchange(shared_data, "sleep_detail"))
    (night,) = found.of("sleep")
    assert [(each["stage"], each["start_time"][11:16]) for each in night.value["stages"]] == [
        ("awake", "21:40"), ("light", "21:50"), ("deep", "23:20"), ("rem", "00:10"),
    ]  # fmt: skip
    assert night.value["scores"][0]["points"] == 78
    moments = [(each.type, next(iter(each.value.values())), each.start[11:]) for each in found.told if not each.end]
    assert sorted(moments) == [
        ("breathing_disturbances", 9, "22:00"), ("heart_rate", 57, "21:50"), ("heart_rate", 60, "21:45"),
        ("heart_rate", 61, "21:40"), ("hrv_rmssd", 38, "21:40"), ("hrv_sdnn", 51, "21:40"),
        ("respiratory_rate", 14, "21:50"), ("respiratory_rate", 15, "21:40"),
    ]  # fmt: skip
    run, swim = shelf(exchange(shared_data, "workouts")).told
    assert (run.value["activity"], run.value["active_s"], run.value["heart_rate_high_bpm"]) == ("running", 1860, 174)
    assert (swim.value, swim.start) == (
        {"activity": "swimming", "distance_m": 1000, "strokes": 820},
        "2026-11-08T10:00",
    )
    ecgs = shelf(exchange(shared_data, "heart_list"))
    assert [(each.value["classification"], each.value["bpm"]) for each in ecgs.told] == [
        ("unknown", 62),
        ("inconclusive", 68),
    ]
    (wave,) = shelf(exchange(shared_data, "heart_get")).told
    assert (wave.value["microvolts"], wave.end) == (
        [12, 25, -6, -30, 210, 980, 410, -180],
        "2026-11-07T04:48:51.026667",
    )


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["error_401", "error_601", "error_2555", "error_403_scope", "token_refresh_dead"])
def test_answers_without_data_are_refused(shared_data: Path, name: str) -> None:
    assert shelf(exchange(shared_data, name)).refused == [("status", "malformed")]
