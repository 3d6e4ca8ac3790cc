"""The recordings of Health Auto Export: what EXPECTED.md beside them says of each."""

from pathlib import Path

import pytest

from tests.support.app_messages import BERLIN, Shelf, Told, recorded

pytestmark = pytest.mark.shared_data


@pytest.fixture
def folder(shared_data: Path) -> Path:
    return shared_data / "phone" / "health_auto_export"


def shelf(folder: Path, *names: str) -> Shelf:
    messages = [each for name in names for each in recorded(folder / name, declared=BERLIN)]
    return Shelf("health_auto_export").take(messages)


def test_metrics_in_all_units(folder: Path) -> None:
    found = shelf(folder, "metrics_units.json")
    hour, near = ("2026-05-03T12:00", "2026-05-03T13:00"), pytest.approx
    assert found.told == [
        Told("resting_heart_rate", {"bpm": 57}, "2026-05-02T22:00"),
        Told("hrv_sdnn", {"ms": 47.318}, "2026-05-03T01:12:44"),
        Told("respiratory_rate", {"breaths_per_minute": 13.5}, "2026-05-03T01:20"),
        Told("spo2", {"percent": 96}, "2026-05-03T01:20"),
        Told("body_fat_percentage", {"percent": 27.4}, "2026-05-03T05:41"),
        Told("weight", {"kg": near(71.35, abs=0.01)}, "2026-05-03T05:41"),
        Told("blood_pressure", {"systolic": 128, "diastolic": 81}, "2026-05-03T05:50"),
        Told("glucose", {"mg_dl": 97.28, "meal": "before_meal"}, "2026-05-03T05:55"),
        Told("body_temperature", {"celsius": 38}, "2026-05-03T06:10"),
        Told("glucose", {"mg_dl": 127.91, "meal": "after_meal"}, "2026-05-03T08:05"),
        Told("glucose", {"mg_dl": 111.7}, "2026-05-03T10:30"),
        Told("food", {"carbohydrate_g": 61.5, "sodium_mg": 830}, "2026-05-03T10:40"),
        Told("hydration", {"ml": near(236.59, abs=0.01)}, "2026-05-03T10:40"),
        Told("distance", {"meters": near(2011.68)}, *hour),
        Told("energy_active", {"kcal": near(98.59, abs=0.01)}, *hour),
        Told("floors", {"floors": 3}, *hour),
        Told("steps", {"steps": 187}, *hour),
        Told("steps", {"steps": 212.53}, *hour),
        Told("steps", {"steps": near(40, abs=0.01)}, "2026-05-03T13:00", "2026-05-03T14:00"),
        Told("vo2_max", {"ml_per_kg_min": 41.2}, "2026-05-03T13:01:10"),
        Told("distance_cycling", {"meters": 4200}, "2026-05-03T15:00", "2026-05-03T16:00"),
    ]
    assert found.refused == [("data.metrics[18].name", "unknown_type")]
    assert {each["utc_offset"] for each in found.events.values()} == {7200}
    assert [each["app"] for each in found.sources("steps")] == [
        "Ann's Apple\u00a0Watch", "Ann's iPhone", "Ann's Apple\u00a0Watch|Ann's iPhone",
    ]  # fmt: skip


def test_dates_of_a_clock_of_twelve_hours(folder: Path) -> None:
    found = shelf(folder, "dates_12h.json")
    assert [(each.value["bpm"], each.start) for each in found.told] == [
        (52, "2026-05-02T22:00:05"),
        (61, "2026-05-03T05:57"),
        (71, "2026-05-03T08:34:05"),
        (73, "2026-05-03T10:00:05"),
        (72, "2026-05-03T12:04:05"),
        (66, "2026-05-03T21:59:59"),
        (70, "2026-05-03T22:04:05"),
    ]
    assert [why for _, why in found.refused] == ["bad_time", "bad_time"]


def test_a_time_without_an_offset_is_nobodys_where_no_zone_is_declared(folder: Path) -> None:
    found = Shelf("health_auto_export").take(recorded(folder / "dates_12h.json"))
    assert [why for _, why in found.refused] == ["bad_time", "naive_time", "bad_time"]
    assert len(found.told) == 6


def test_heart_rates_of_all_forms(folder: Path) -> None:
    found = shelf(folder, "heart_rate_forms.json")
    assert [(each.value, each.start) for each in found.told] == [
        ({"bpm": 63.25, "low_bpm": 58, "high_bpm": 71}, "2026-05-03T12:00"),
        ({"bpm": 64}, "2026-05-03T12:01:07"),
        ({"bpm": 65}, "2026-05-03T12:01:09"),
        ({"bpm": 68}, "2026-05-03T12:01:09"),
    ]
    assert [why for _, why in found.refused] == ["out_of_range", "out_of_range", "missing_field"]
    assert [each.get("statistic") for each in found.sources("heart_rate")] == ["mean", None, None, None]


def test_nights_of_totals(folder: Path) -> None:
    found = shelf(folder, "sleep_aggregated.json")
    assert found.told == [
        Told("sleep", {"total_asleep_s": 25_380}, "2022-05-05T21:02", "2022-05-06T04:40"),
        Told(
            "sleep",
            {
                "total_asleep_s": 23_760, "in_bed_s": 26_400, "awake_s": 1440, "light_s": 14_760, "deep_s": 3240,
                "rem_s": 5760,
            },
            "2026-05-02T21:21:30",
            "2026-05-03T04:24",
        ),
        Told(
            "sleep",
            {"total_asleep_s": 22_680, "awake_s": 720, "light_s": 14_040, "deep_s": 3960, "rem_s": 4680},
            "2026-05-03T21:40",
            "2026-05-04T04:10",
        ),
        Told("sleep", {"total_asleep_s": 18_720, "in_bed_s": 25_920}, "2026-05-04T22:05", "2026-05-05T03:31"),
    ]  # fmt: skip
    assert found.refused == [("data.metrics[0].data[4].sleepEnd", "bad_interval")]


def test_the_night_in_which_the_clock_goes_back(folder: Path) -> None:
    found = shelf(folder, "sleep_segments_dst.json")
    nights = [
        (
            each.start,
            each.end,
            [(s["stage"], s["start_time"][11:16], s["end_time"][11:16]) for s in each.value["stages"]],
        )
        for each in found.told
    ]
    assert nights == [
        ("2026-10-24T21:00", "2026-10-25T05:10", [("in_bed", "21:00", "05:10")]),
        (
            "2026-10-24T21:12",
            "2026-10-25T05:02",
            [
                ("light", "21:12", "22:02"), ("deep", "22:02", "00:40"), ("rem", "00:40", "01:10"),
                ("awake", "01:10", "01:14"), ("light", "01:14", "05:02"),
            ],
        ),
        ("2026-10-24T21:30", "2026-10-25T04:50", [("asleep", "21:30", "04:50")]),
        ("2026-10-25T12:25", "2026-10-25T12:55", [("in_bed", "12:25", "12:30"), ("asleep", "12:30", "12:55")]),
        ("2026-10-25T14:00", "2026-10-25T14:10", [("unknown", "14:00", "14:10")]),
    ]  # fmt: skip
    assert found.refused == [("data.metrics[0].data[9].endDate", "bad_interval")]


def test_a_workout_of_the_second_version(folder: Path) -> None:
    found = shelf(folder, "workout_v2.json")
    (workout,) = found.of("workout")
    assert (workout.start, workout.end) == ("2026-05-03T15:30", "2026-05-03T16:02:30")
    assert workout.value == {
        "activity": "running", "name": "Outdoor Run", "indoor": False, "active_s": 1903.4,
        "energy_kcal": pytest.approx(336, abs=0.01), "distance_m": 5120, "met_mean": 8.9, "temperature_celsius": 15,
        "humidity_percent": 71, "elevation_gain_m": 46, "steps": 158.2, "heart_rate_mean_bpm": 148.2,
        "heart_rate_high_bpm": 169, "heart_rate_low_bpm": 96,
    }  # fmt: skip
    assert found.of("heart_rate") == [
        Told("heart_rate", {"samples": [[0, 110.5], [60, 131]]}, "2026-05-03T15:30"),
        Told("heart_rate", {"samples": [[0, 160]]}, "2026-05-03T16:02:35"),
    ]
    assert [each["context"] for each in found.sources("heart_rate")] == ["workout", "recovery"]
    (route,) = found.of("workout_route")
    assert route.value["places"] == [[0, 10.000001, 20.000001, 34.1], [3, 10.00003, 20.00004, 34.4]]
    assert (len(found.told), found.refused) == (4, [])


def test_a_workout_of_the_first_version(folder: Path) -> None:
    found = shelf(folder, "workout_v1.json", "workout_v1.json")
    (workout,) = found.of("workout")
    assert (workout.start, workout.end) == ("2021-08-14T08:00", "2021-08-14T09:10")
    value = workout.value
    assert (value["energy_kcal"], value["name"]) == (520.5, "Cycling")
    assert (value["distance_m"], value["elevation_gain_m"]) == (
        pytest.approx(24_993.11),
        pytest.approx(94.49, abs=0.01),
    )
    assert [each.value["samples"] for each in found.of("heart_rate")] == [[[0, 101], [5, 104]]]
    assert found.counts == {"stored": 3, "duplicate": 3, "superseded": 0, "gone": 0}


def test_a_recovery_that_is_sent_as_the_workouts_own(folder: Path) -> None:
    found = shelf(folder, "workout_recovery_series.json")
    assert found.of("workout")[0].value == {
        "activity": "other", "name": "Funktionales Krafttraining", "indoor": True, "active_s": 2400,
    }  # fmt: skip
    (recovery,) = found.of("heart_rate")
    assert (recovery.start, len(recovery.value["samples"])) == ("2026-05-03T17:40:01", 6)


def test_ecgs_and_notifications(folder: Path) -> None:
    found = shelf(folder, "ecg_and_notifications.json")
    assert [each.value for each in found.of("ecg")] == [
        {"classification": "sinus_rhythm", "hz": 512, "microvolts": [1, 2, 3]},
        {
            "classification": "unknown",
            "label": "Ritmo Sinusal",
            "hz": 512,
            "bpm": 66,
            "microvolts": [-12.5, -11.75, -9, -4.25],
        },
    ]
    assert [(each.value, each.start, each.end) for each in found.of("heart_notification")] == [
        ({"notification": "low_heart_rate", "bpm": 37.5, "threshold_bpm": 40}, "2026-05-04T01:22", "2026-05-04T01:32"),
        ({"notification": "irregular_rhythm"}, "2026-05-04T10:00", "2026-05-04T11:05"),
        ({"notification": "high_heart_rate", "bpm": 124, "threshold_bpm": 120}, "2026-05-04T13:00", "2026-05-04T13:10"),
    ]
    assert [(each.start, each.value["samples"]) for each in found.of("heart_rate")] == [
        ("2026-05-04T01:22", [[0, 38], [300, 37.5]]),
        ("2026-05-04T13:00", [[0, 124]]),
    ]
    assert found.refused == [("data.ecg[2].voltageMeasurements[0].date", "bad_time")]


def test_moods_medicines_symptoms_and_the_cycle(folder: Path) -> None:
    found = shelf(folder, "mind_medication_symptom_cycle.json")
    assert found.told == [
        Told(
            "menstrual_flow",
            {"flow": "unspecified", "cycle_start": True, "label": "Leicht"},
            "2026-05-02T22:00",
            "2026-05-03T21:59:59",
        ),
        Told(
            "medication_dose",
            {"status": "unknown", "medication": "Examplol", "dose": 1, "dose_unit": "Tablet", "label": "Tomado"},
            "2026-05-03T06:00",
        ),
        Told(
            "symptom",
            {"symptom": "other", "label": "Kopfschmerzen", "severity_label": "Mittel"},
            "2026-05-03T14:00",
            "2026-05-03T16:00",
        ),
        Told("medication_dose", {"status": "skipped", "medication": "Examplol"}, "2026-05-03T18:00"),
        Told(
            "state_of_mind",
            {"valence": 0.31, "kind": "mood", "labels": ["calm"], "associations": ["family"]},
            "2026-05-03T18:00",
        ),
        Told("medication_dose", {"status": "not_interacted", "medication": "Examplol"}, "2026-05-04T06:00"),
    ]
    assert found.refused == []


def test_buckets_that_grow_and_travel(folder: Path) -> None:
    names = ["growing_bucket_1.json", "growing_bucket_2.json", "growing_bucket_3_other_offset.json"]
    assert shelf(folder, *names[:2]).counts == {"stored": 3, "duplicate": 1, "superseded": 2, "gone": 0}
    found = shelf(folder, *names)
    assert found.counts == {"stored": 3, "duplicate": 4, "superseded": 2, "gone": 0}
    assert [(each.type, each.value) for each in found.told] == [
        ("steps", {"steps": 512}),
        ("energy_active", {"kcal": 40}),
        ("steps", {"steps": 901.25}),
    ]


def test_an_older_export_that_comes_last_undoes_what_is_known(folder: Path) -> None:
    """The weakness of a source without modification times, said in the docs and seen here."""
    names = ["growing_bucket_1.json", "growing_bucket_2.json", "growing_bucket_1.json"]
    assert [each.value for each in shelf(folder, *names).of("energy_active")] == [{"kcal": 9.5}]


def test_what_is_empty_or_bad(folder: Path) -> None:
    found = shelf(folder, "empty_and_bad.json")
    assert found.told == [
        Told("resting_heart_rate", {"bpm": 58}, "2026-05-02T22:00"),
        Told("steps", {"steps": 7}, "2026-05-03T09:00", "2026-05-03T10:00"),
    ]
    assert found.refused == [
        ("data.metrics[2].data[0].units", "unknown_unit"),
        ("data.metrics[3].data[0].units", "unknown_unit"),
        ("data.metrics[4].data[0]", "out_of_range"),
        ("data.metrics[5].data[0]", "out_of_range"),
        ("data.metrics[6].data[0].qty", "wrong_type"),
        ("data.metrics[6].data[1].qty", "wrong_type"),
        ("data.metrics[6].data[2].qty", "missing_field"),
        ("data.metrics[7].data[0]", "out_of_range"),
        ("data.metrics[7].data[1].diastolic", "missing_field"),
        ("data.metrics[9].name", "unknown_type"),
    ]


def test_what_is_not_json_and_what_has_no_wrapper(folder: Path) -> None:
    assert shelf(folder, "not_json_nan.txt").refused == [("", "malformed")]
    assert shelf(folder, "no_wrapper.json").told == [
        Told("heart_rate", {"bpm": 60, "low_bpm": 58, "high_bpm": 62}, "2026-05-03T12:00")
    ]
