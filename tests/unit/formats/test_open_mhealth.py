"""Open mHealth: bodies with and without headers, times in all their ways, and what is no reading."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import Format, folded
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.testing.format_contract import FormatContract
from tests.support.app_messages import Shelf, Told, app_message
from tests.support.foreign_json import JSON, objects

AT = {"effective_time_frame": {"date_time": "2020-02-05T07:25:00-08:00"}}
HOUR = {"start_date_time": "2020-02-05T07:00:00Z", "end_date_time": "2020-02-05T08:00:00Z"}
PULSE = {"heart_rate": {"value": 60, "unit": "beats/min"}, **AT}


def point(body: Mapping[str, Any], schema: str = "heart-rate", **header: Any) -> dict[str, Any]:
    provenance = {"source_name": "RunKeeper", "modality": "sensed", **header.pop("provenance", {})}
    return {
        "header": {
            "id": "123e4567-e89b-12d3-a456-426655440000",
            "schema_id": {"namespace": "omh", "name": schema, "version": "2.0"},
            "acquisition_provenance": provenance,
            **header,
        },
        "body": dict(body),
    }


def shelf(*contents: Any) -> Shelf:
    return Shelf("open_mhealth").take(app_message(each) for each in contents)


class TestContract(FormatContract):
    @pytest.fixture
    def form(self) -> Format:
        return FORMATS["open_mhealth"]

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        weight = point({"body_weight": {"value": 157.3, "unit": "lb"}, **AT}, "body-weight")
        return {json.dumps(point(PULSE)).encode(): 1, json.dumps([point(PULSE), weight]).encode(): 2}

    @pytest.fixture
    def refusals(self) -> Mapping[bytes, list[str]]:
        return {json.dumps([{"header": {}, "body": {}}, PULSE, {}]).encode(): ["[0].header.id", "[2].header"]}


NAMES = """
    header body id schema_id name acquisition_provenance heart_rate value unit effective_time_frame date_time
    sleep_duration time_interval start_date_time end_date_time duration descriptive_statistic activity_name distance
"""


@given(JSON | objects(NAMES.split()))
def test_no_json_raises_and_the_same_is_the_same(content: Any) -> None:
    try:
        first = folded(FORMATS["open_mhealth"], app_message(content))
    except RefusedError:
        return
    assert first == folded(FORMATS["open_mhealth"], app_message(content))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (PULSE, Told("heart_rate", {"bpm": 60}, "2020-02-05T15:25")),
        (
            {"body_weight": {"value": 157.3, "unit": "lb"}, **AT},
            Told("weight", {"kg": 71.350079801}, "2020-02-05T15:25"),
        ),
        (
            {"body_temperature": {"value": 100.4, "unit": "F"}, **AT},
            Told("body_temperature", {"celsius": 38}, "2020-02-05T15:25"),
        ),
        (
            {"blood_glucose": {"value": 98, "unit": "mg/dL"}, "temporal_relationship_to_meal": "before lunch", **AT},
            Told("glucose", {"mg_dl": 98, "meal": "before_meal"}, "2020-02-05T15:25"),
        ),
        (
            {"step_count": {"value": 412, "unit": "steps"}, "effective_time_frame": {"time_interval": HOUR}},
            Told("steps", {"steps": 412}, "2020-02-05T07:00", "2020-02-05T08:00"),
        ),
        (
            {
                "step_count": {"value": 412, "unit": "steps"},
                "effective_time_frame": {
                    "time_interval": {"end_date_time": "2020-02-05T08:00:00Z", "duration": {"value": 1, "unit": "h"}}
                },
            },
            Told("steps", {"steps": 412}, "2020-02-05T07:00", "2020-02-05T08:00"),
        ),
        (
            {
                "is_main_sleep": True,
                "total_sleep_time": {"value": 50, "unit": "min"},
                "latency_to_sleep_onset": {"value": 5, "unit": "min"},
                "sleep_maintenance_efficiency_percentage": 92,
                "number_of_awakenings": 3,
                "effective_time_frame": {"time_interval": HOUR},
            },
            Told(
                "sleep",
                {"total_asleep_s": 3000, "latency_s": 300, "efficiency_percent": 92, "awakenings": 3},
                "2020-02-05T07:00",
                "2020-02-05T08:00",
            ),
        ),
        (
            {
                "activity_name": "walking",
                "distance": {"value": 1.5, "unit": "mi"},
                "effective_time_frame": {"time_interval": HOUR},
            },
            Told(
                "workout",
                {"distance_m": 2414.016, "activity": "walking", "name": "walking"},
                "2020-02-05T07:00",
                "2020-02-05T08:00",
            ),
        ),
    ],
)
def test_bodies(body: dict[str, Any], told: Told) -> None:
    found = shelf(body)
    assert found.refused == []
    (event,) = found.told
    assert (event.type, event.start, event.end) == (told.type, told.start, told.end)
    assert event.value == pytest.approx(told.value) if "name" not in told.value else event.value == told.value


def test_the_header_says_id_version_and_source() -> None:
    modified = point(PULSE, provenance={"source_last_modification_date_time": "2020-02-06T00:00:00Z"})
    changed = point(PULSE | {"heart_rate": {"value": 61, "unit": "beats/min"}})
    found = shelf(point(PULSE), point(PULSE), changed)
    assert found.counts == {"stored": 1, "duplicate": 1, "superseded": 1, "gone": 0}
    assert found.sources("heart_rate") == [{"provider": "open_mhealth", "app": "RunKeeper", "recording": "auto"}]
    (event,) = folded(FORMATS["open_mhealth"], app_message(modified)).events
    assert event["version"] == 1_580_947_200_000


def test_a_mean_of_readings_is_one_and_marked() -> None:
    found = shelf(PULSE | {"descriptive_statistic": "average", "effective_time_frame": {"time_interval": HOUR}})
    assert found.sources("heart_rate") == [{"provider": "open_mhealth", "statistic": "mean"}]
    assert found.told[0].end == "2020-02-05T08:00"


@pytest.mark.parametrize(
    ("content", "place", "reason"),
    [
        (PULSE | {"descriptive_statistic": "minimum"}, "descriptive_statistic", "unknown_field"),
        (PULSE | {"descriptive_statistic": "minmum"}, "descriptive_statistic", "wrong_type"),
        (PULSE | {"heart_rate": {"value": "60", "unit": "beats/min"}}, "heart_rate.value", "wrong_type"),
        (PULSE | {"heart_rate": {"value": 60}}, "heart_rate.unit", "unknown_unit"),
        (PULSE | {"heart_rate": {"value": 900, "unit": "beats/min"}}, "", "out_of_range"),
        (
            PULSE | {"effective_time_frame": {"date_time": "2020-02-05T07:25:00"}},
            "effective_time_frame.date_time",
            "naive_time",
        ),
        (
            PULSE | {"effective_time_frame": {"time_interval": {"date": "2013-02-05", "part_of_day": "morning"}}},
            "effective_time_frame.time_interval.start_date_time",
            "missing_field",
        ),
        (point(PULSE, "ambient-temperature"), "header.schema_id.name", "unknown_type"),
        ({"header": {}}, "body", "missing_field"),
    ],
)
def test_what_is_refused_names_its_place(content: dict[str, Any], place: str, reason: str) -> None:
    found = shelf(content)
    assert (found.told, found.refused) == ([], [(place, reason)])


PASS = {
    "blood-pressure/4.0/shouldPass/blood-pressure-only.json": ("blood_pressure", {"systolic": 115, "diastolic": 60}),
    "blood-pressure/4.0/shouldPass/with-posture-and-location.json": (
        "blood_pressure", {"systolic": 140, "diastolic": 60, "position": "sitting", "site": "left_arm"},
    ),
    "blood-pressure/4.0/shouldPass/with-posture-location-relation.json": (
        "blood_pressure", {"systolic": 125, "diastolic": 60, "position": "sitting", "site": "left_wrist"},
    ),
    "body-weight/3.0/shouldPass/body-weight-only.json": ("weight", {"kg": 50}),
    "heart-rate/2.0/shouldPass/with-temporal-relationship-to-sleep.json": ("heart_rate", {"bpm": 67.5}),
    "sleep-duration/2.0/shouldPass/valid-sleep-duration.json": ("sleep", {"total_asleep_s": 27_000}),
    "step-count/3.0/shouldPass/valid-step-count.json": ("steps", {"steps": 10_600}),
}  # fmt: skip
NO_READING = {
    "blood-pressure/4.0/shouldPass/with-descriptive-statistic.json": "descriptive_statistic",
    "body-weight/3.0/shouldPass/with-descriptive-statistic.json": "descriptive_statistic",
    "heart-rate/2.0/shouldPass/with-descriptive-statistic.json": "descriptive_statistic",
    "sleep-duration/2.0/shouldPass/with-descriptive-statistic.json": "descriptive_statistic",
    "step-count/3.0/shouldPass/with-average.json": "descriptive_statistic",
    "step-count/3.0/shouldPass/with-maximum.json": "descriptive_statistic",
    "step-count/3.0/shouldPass/with-session.json": "descriptive_statistic",
    "data-point/1.0/shouldPass/empty-body.json": "body.distance",
    "data-point/1.0/shouldPass/valid-data-point.json": "body.effective_time_frame.time_interval.start_date_time",
    "header/1.2/shouldPass/with-source-data-point-id.json": "header",
}
"""Sound by the schemas, and no reading of a moment or amount of a time."""


@pytest.mark.shared_data
def test_recordings_are_taken_with_their_values_or_refused_by_their_place(shared_data: Path) -> None:
    taken = {}
    for file in sorted((shared_data / "omh").rglob("*.json")):
        name = file.relative_to(shared_data / "omh").as_posix()
        found = shelf(file.read_bytes())
        assert len(found.told) + len(found.refused) == 1, name
        if found.told:
            taken[name] = (found.told[0].type, found.told[0].value)
        elif "shouldPass" in name:
            assert [place for place, _ in found.refused] == [NO_READING[name]]
        else:
            assert found.refused[0][0], name
    assert taken == PASS
