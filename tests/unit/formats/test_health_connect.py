"""HC Webhook and the plugin for Tasker."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import Declared, Format, folded
from healthsync_mqtt.formats.reading.health_connect import ARRAYS, NUMBERS
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.testing.format_contract import FormatContract
from tests.support.app_messages import Shelf, Told, app_message, recorded
from tests.support.foreign_json import JSON, objects

SPAN = {"start_time": "2026-05-03T12:00:00Z", "end_time": "2026-05-03T12:15:00Z"}
AT = {"time": "2026-05-03T12:01:00Z"}
SAMPLE = {"timestamp": "2026-05-03T18:00:00Z", "steps": [{"count": 412, **SPAN}], "heart_rate": [{"bpm": 64, **AT}]}
BAD = {"heart_rate": [{"bpm": None, **AT}, {"bpm": 64, **AT}], "moon_phase": [], "sleep": [{"duration_seconds": 5}]}
NAMES = """
    records steps heart_rate sleep nutrition exercise count bpm time start_time end_time avg min max stages stage
    metadata device type samples startTime endTime beatsPerMinute weight kilograms percentage session_end_time
    duration_seconds name
"""


def shelf(*contents: Any, topic: str = "", zone: str | None = None) -> Shelf:
    declared = Declared(zone=zone)
    return Shelf("health_connect").take(app_message(each, topic=topic, declared=declared) for each in contents)


class TestContract(FormatContract):
    @pytest.fixture
    def form(self) -> Format:
        return FORMATS["health_connect"]

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        return {json.dumps(SAMPLE).encode(): 2}

    @pytest.fixture
    def refusals(self) -> Mapping[bytes, list[str]]:
        return {json.dumps(BAD).encode(): ["heart_rate[0].bpm", "moon_phase", "sleep[0].session_end_time"]}


@given(JSON | objects(NAMES.split()))
def test_no_json_raises_and_the_same_is_the_same(content: Any) -> None:
    for each in (content, {"records": [content]}, {"sleep": [content], "heart_rate": [content], "exercise": [content]}):
        try:
            first = folded(FORMATS["health_connect"], app_message(each))
        except RefusedError:
            continue
        assert first == folded(FORMATS["health_connect"], app_message(each))


@pytest.mark.parametrize("array", sorted(NUMBERS))
def test_every_array_of_numbers_comes_to_its_type(array: str) -> None:
    of = NUMBERS[array]
    usual = {"blood_glucose": 5.4, "hydration": 0.25, "height": 1.76, "skin_temperature": 0.2, "body_fat": 22.4}.get(
        array
    )
    number = usual or {"vo2_max": 41.2, "body_temperature": 36.6, "basal_body_temperature": 36.4}.get(array, 60)
    found = shelf({array: [{next(iter(of.fields)): number, **SPAN, **AT}]})
    assert ([each.type for each in found.told], found.refused) == ([of.type], [])


def test_the_window_that_is_sent_again_is_duplicates() -> None:
    found = shelf(SAMPLE, SAMPLE | {"timestamp": "2026-05-03T19:00:00Z"})
    assert found.counts == {"stored": 2, "duplicate": 2, "superseded": 0, "gone": 0}


def test_an_array_that_is_none_is_refused_and_the_others_are_read() -> None:
    weight = [{"kilograms": 71, "time": "2026-05-03T05:41:00Z"}]
    found = shelf({"steps": {"count": 4}, "weight": weight, "heart_rate": "none"})
    assert [each.type for each in found.told] == ["weight"]
    assert found.refused == [("steps", "wrong_type"), ("heart_rate", "wrong_type")]


def test_seconds_where_milliseconds_are_written_are_no_time() -> None:
    found = shelf({"records": [{"weight": {"kilograms": 71}, "time": 1777786860}]})
    assert (found.told, found.refused) == ([], [("records[0].time", "bad_time")])


def test_watts_are_a_rate_of_kilocalories_a_day() -> None:
    assert shelf({"basal_metabolic_rate": [{"watts": 74.5, **AT}]}).told == [
        Told("basal_metabolic_rate", {"kcal_per_day": 1538.4321}, "2026-05-03T12:01")
    ]


def test_means_come_in_the_same_array_as_readings() -> None:
    found = shelf(
        {"heart_rate": [{"avg": 70.4, "min": 58, "max": 91, **AT}], "oxygen_saturation": [{"avg": 96.2, **AT}]}
    )
    assert [each.value for each in found.told] == [{"bpm": 70.4, "low_bpm": 58, "high_bpm": 91}, {"percent": 96.2}]
    assert [each["statistic"] for each in found.sources("heart_rate")] == ["mean"]
    assert shelf({"heart_rate": [{"avg": 70, "min": 80, "max": 91, **AT}]}).refused == [
        ("heart_rate[0].avg", "out_of_range")
    ]


def test_stages_are_numbers_in_texts_or_words() -> None:
    stages = [
        {"stage": word, "start_time": f"2026-05-03T0{place}:00:00Z", "end_time": f"2026-05-03T0{place + 1}:00:00Z"}
        for place, word in enumerate(["1", "2", "3", "4", "5", "6", "7", "rem", "8"])
    ]
    night = {"session_end_time": "2026-05-03T09:00:00Z", "duration_seconds": 9 * 3600, "stages": stages}
    (told,) = shelf({"sleep": [night]}).told
    assert (told.start, told.end) == ("2026-05-03T00:00", "2026-05-03T09:00")
    assert [each["stage"] for each in told.value["stages"]] == [
        "awake", "asleep", "out_of_bed", "light", "deep", "rem", "awake_in_bed", "rem", "unknown",
    ]  # fmt: skip


def test_a_night_that_grows_is_one_night() -> None:
    first = {"session_end_time": "2026-05-03T03:00:00Z", "duration_seconds": 3 * 3600}
    grown = {"session_end_time": "2026-05-03T06:00:00Z", "duration_seconds": 6 * 3600}
    assert [(each.start, each.end) for each in shelf({"sleep": [first]}, {"sleep": [grown]}).told] == [
        ("2026-05-03T00:00", "2026-05-03T06:00")
    ]


def test_sodium_in_grams_is_not_sodium_in_milligrams() -> None:
    meals = [
        {"name": "Soup", "sodium_grams": 0.83, **SPAN},
        {"name": "Bread", "sodium_mg": 830, "calories": None, **SPAN},
    ]
    assert [each.value["sodium_mg"] for each in shelf({"nutrition": meals}).told] == [830, 830]


def test_what_the_test_button_invents_is_never_stored() -> None:
    assert shelf(SAMPLE | {"test": True}).refused == [("test", "not_allowed")]


def test_the_zone_of_the_login_says_the_offset() -> None:
    found = shelf(SAMPLE, zone="Europe/Berlin")
    assert {each["utc_offset"] for each in found.events.values()} == {7200}
    assert all("utc_offset" not in each for each in shelf(SAMPLE).events.values())


def tasker(**record: Any) -> dict[str, Any]:
    said = {
        "id": "t1",
        "dataOrigin": {"packageName": "com.example"},
        "lastModifiedTime": 1777810000000,
        "recordingMethod": 3,
    }
    return {"pageToken": None, "records": [{"time": 1777786860000, "metadata": said, **record}]}


def test_records_of_the_plugin_say_what_they_are_by_their_fields() -> None:
    found = shelf(tasker(weight={"grams": 71350.0, "kilograms": 71.35, "pounds": 157.3}))
    assert found.told == [Told("weight", {"kg": 71.35}, "2026-05-03T05:41")]
    assert found.sources("weight") == [{"provider": "health_connect", "app": "com.example", "recording": "manual"}]
    (event,) = folded(FORMATS["health_connect"], app_message(tasker(weight={"kilograms": 71.35}))).events
    assert event["version"] == 1777810000000


@pytest.mark.parametrize(
    ("topic", "told"),
    [("", []), ("body_fat", ["body_fat_percentage"]), ("x/oxygen_saturation", ["spo2"]), ("weight", [])],
)
def test_a_percentage_is_of_fat_or_of_oxygen_as_the_topic_says(topic: str, told: list[str]) -> None:
    number = 97 if told == ["spo2"] else 22.4
    found = shelf(tasker(percentage={"value": number}), topic=topic)
    assert [each.type for each in found.told] == told
    assert [why for _, why in found.refused] == ([] if told else ["unknown_type"])


def test_there_are_as_many_arrays_as_are_named() -> None:
    assert len(ARRAYS) == len(set(ARRAYS)) == 32


# -- recordings


@pytest.fixture
def folder(shared_data: Path) -> Path:
    return shared_data / "phone" / "health_connect"


def of(folder: Path, name: str) -> Shelf:
    return Shelf("health_connect").take(recorded(folder / name, declared=Declared(zone="Europe/Berlin")))


@pytest.mark.shared_data
def test_recorded_webhook(folder: Path) -> None:
    found = of(folder, "hcwebhook_records.json")
    assert found.told == [
        Told("hrv_rmssd", {"ms": 38.2}, "2026-05-03T03:11"),
        Told("spo2", {"percent": 97}, "2026-05-03T03:11"),
        Told("glucose", {"mg_dl": 97.28}, "2026-05-03T05:30"),
        Told("blood_pressure", {"systolic": 128, "diastolic": 81}, "2026-05-03T05:50"),
        Told("hydration", {"ml": 250}, "2026-05-03T10:00"),
        Told("steps", {"steps": 412}, "2026-05-03T12:00", "2026-05-03T12:15"),
        Told("heart_rate", {"bpm": 64}, "2026-05-03T12:01"),
    ]
    assert found.refused == [
        ("steps[1].end_time", "bad_interval"),
        ("heart_rate[2]", "out_of_range"),
        ("sleep[0]", "bad_interval"),
    ]
    assert found.counts["duplicate"] == 1
    (steps,) = [each for each in found.events.values() if each["type"] == "steps"]
    assert steps["device"] == {"manufacturer": "Example", "model": "W1", "type": "watch"}


@pytest.mark.shared_data
def test_recorded_means(folder: Path) -> None:
    assert of(folder, "hcwebhook_resolution.json").told == [
        Told("hrv_rmssd", {"ms": 38.2}, "2026-05-03T03:00"),
        Told("spo2", {"percent": 96.2}, "2026-05-03T03:00"),
        Told("heart_rate", {"bpm": 70.4, "low_bpm": 58, "high_bpm": 91}, "2026-05-03T12:00"),
        Told("heart_rate", {"bpm": 71}, "2026-05-03T12:05"),
    ]


@pytest.mark.shared_data
def test_recorded_rates_and_meals(folder: Path) -> None:
    found = of(folder, "hcwebhook_rates_nutrition.json")
    assert [(each.type, each.value) for each in found.told] == [
        ("basal_metabolic_rate", {"kcal_per_day": pytest.approx(1538.43, abs=0.01)}),
        ("food", {"items": [{"name": "Soup"}], "energy_kcal": 512, "protein_g": 31.5, "sodium_mg": 830}),
        ("food", {"items": [{"name": "Tea"}]}),
    ]
    assert found.refused == [
        ("active_calories[0].end_time", "bad_interval"),
        ("sleep[0].duration_seconds", "bad_interval"),
    ]


@pytest.mark.shared_data
def test_recorded_test_button(folder: Path) -> None:
    found = of(folder, "hcwebhook_test.json")
    assert (found.told, found.refused) == ([], [("test", "not_allowed")])


@pytest.mark.shared_data
def test_recorded_plugin(folder: Path) -> None:
    found = of(folder, "tasker_records.json")
    assert [(each.type, each.start) for each in found.told] == [
        ("sleep", "2026-05-02T21:38"),
        ("glucose", "2026-05-03T05:30"),
        ("weight", "2026-05-03T05:41"),
        ("blood_pressure", "2026-05-03T05:50"),
        ("steps", "2026-05-03T12:00"),
        ("heart_rate", "2026-05-03T12:01"),
        ("heart_rate", "2026-05-03T12:01:05"),
    ]
    assert found.of("glucose")[0].value == {"mg_dl": 97.28}
    assert [each.value["bpm"] for each in found.of("heart_rate")] == [64, 65]
    assert [stage["stage"] for stage in found.of("sleep")[0].value["stages"]] == ["light", "deep"]
    assert found.refused == [("records[6].percentage", "unknown_type")]
