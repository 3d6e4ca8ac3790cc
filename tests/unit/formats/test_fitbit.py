"""Fitbit: every recorded answer comes to its events, or is refused by its place; nothing is guessed of zone or unit."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import Declared, Format, folded
from healthsync_mqtt.formats.port import Told as ToldFormat
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.testing.format_contract import FormatContract
from tests.support.app_messages import Shelf, Told, app_message, recorded
from tests.support.foreign_json import JSON, objects

LOGIN = Declared(zone="America/New_York", unit="metric")
WEIGHT = {"bmi": 21.48, "date": "2015-05-13", "logId": 1431541739000, "time": "18:28:59", "weight": 56.7}
RUN = {
    "calories": 150, "distance": 6.43738, "duration": 1440000, "hasStartTime": True, "logId": 253202765, "name": "Run",
    "lastModified": "2015-06-23T21:41:37.000Z", "startDate": "2015-06-23", "startTime": "11:55", "steps": 6761,
}  # fmt: skip
NIGHT = {
    "logId": 1, "startTime": "2016-12-13T01:16:00.000", "endTime": "2016-12-13T03:14:00.000", "minutesAsleep": 112,
    "levels": {
        "data": [{"dateTime": "2016-12-13T01:16:00.000", "level": "light", "seconds": 7080}],
        "shortData": [{"dateTime": "2016-12-13T02:00:00.000", "level": "wake", "seconds": 60}],
    },
}  # fmt: skip


def shelf(*contents: Any, login: Declared = LOGIN, topic: str = "") -> Shelf:
    return Shelf("fitbit").take(app_message(each, declared=login, topic=topic) for each in contents)


class TestContract(FormatContract):
    @pytest.fixture
    def form(self) -> Format:
        return FORMATS["fitbit"]

    @pytest.fixture
    def told(self) -> ToldFormat:
        return ToldFormat(declared=LOGIN)

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        return {
            json.dumps({"weight": [WEIGHT]}).encode(): 2,
            json.dumps({"activities": [RUN], "sleep": [NIGHT]}).encode(): 2,
            json.dumps({"activities-steps": [{"dateTime": "2015-08-23", "value": "175"}]}).encode(): 1,
        }

    @pytest.fixture
    def refusals(self) -> Mapping[bytes, list[str]]:
        return {
            json.dumps({"weight": [WEIGHT | {"weight": "x"}, WEIGHT, WEIGHT | {"logId": None}]}).encode(): [
                "weight[0].weight", "weight[2].logId",
            ],
            json.dumps({"activities-moods": [], "activities": [RUN | {"startTime": "25:00"}]}).encode(): [
                "activities[0].startTime", "activities-moods",
            ],
        }  # fmt: skip


NAMES = """
    activities weight fat sleep summary activities-heart activities-steps activities-steps-intraday dataset dateTime
    value time date logId startTime endTime startDate duration distance levels data shortData seconds level datasetType
    datasetInterval restingHeartRate steps distances activity lastModified
"""


@given(JSON | objects(NAMES.split()))
def test_no_json_raises_and_the_same_is_the_same(content: Any) -> None:
    bodies = [{"weight": [content]}, {"activities": [content]}, {"sleep": [content]}, {"activities-heart": [content]}]
    for each in (
        content,
        *bodies,
        {"activities-steps": [content], "activities-steps-intraday": {"dataset": [content]}},
    ):
        try:
            first = folded(FORMATS["fitbit"], app_message(each, declared=LOGIN, topic="2015-06-23"))
        except RefusedError:
            continue
        assert first == folded(FORMATS["fitbit"], app_message(each, declared=LOGIN, topic="2015-06-23"))


@pytest.mark.parametrize(("system", "kilograms"), [("metric", 56.7), ("en_US", 25.718687379), ("en_GB", 360.061623306)])
def test_a_weight_is_in_the_units_of_the_account(system: str, kilograms: float) -> None:
    found = shelf({"weight": [WEIGHT]}, login=Declared("America/New_York", system))
    assert found.of("weight") == [Told("weight", {"kg": kilograms}, "2015-05-13T22:28:59")]


def test_without_a_declared_unit_or_zone_nothing_is_guessed() -> None:
    assert shelf({"weight": [WEIGHT]}, login=Declared("America/New_York")).refused == [
        ("weight[0].weight", "unknown_unit")
    ]
    assert shelf({"weight": [WEIGHT]}, login=Declared(unit="metric")).refused == [("weight[0].time", "naive_time")]
    assert shelf({"activities": [RUN]}, login=Declared("Europe/Berlin")).refused == [
        ("activities[0].distance", "unknown_unit")
    ]


def test_an_american_mile_is_no_kilometre() -> None:
    (run,) = shelf({"activities": [RUN | {"distance": 4}]}, login=Declared("America/New_York", "en_US")).told
    assert (run.value["distance_m"], run.start, run.end) == (6437.376, "2015-06-23T15:55", "2015-06-23T16:19")


def test_a_record_is_known_by_its_number_and_its_change() -> None:
    newer = RUN | {"lastModified": "2015-06-24T21:41:37.000Z", "steps": 6800}
    found = shelf({"activities": [RUN]}, {"activities": [newer]}, {"activities": [RUN]})
    assert [each.value["steps"] for each in found.told] == [6800]
    assert found.counts == {"stored": 1, "duplicate": 1, "superseded": 1, "gone": 0}


def test_short_awakenings_are_stages_too_and_restless_is_not_asleep() -> None:
    (night,) = shelf({"sleep": [NIGHT]}).told
    assert [(each["stage"], each["start_time"][11:16]) for each in night.value["stages"]] == [
        ("light", "06:16"), ("awake", "07:00"),
    ]  # fmt: skip
    classic = NIGHT | {"levels": {"data": [NIGHT["levels"]["data"][0] | {"level": "restless"}]}}  # type: ignore[index]
    (night,) = shelf({"sleep": [classic]}).told
    assert night.value["stages"][0]["stage"] == "awake_in_bed"


def test_a_resting_rate_is_of_a_day_and_a_mean_beside_it_is_not() -> None:
    days = [{"dateTime": "2015-08-21", "value": {"restingHeartRate": 58}}, {"dateTime": "2015-08-22", "value": "64.2"}]
    assert shelf({"activities-heart": days}).told == [Told("resting_heart_rate", {"bpm": 58}, "2015-08-21T04:00")]


def test_seconds_of_a_heart_are_readings_and_no_means() -> None:
    seconds = {"dataset": [{"time": "00:01:05", "value": 64}], "datasetInterval": 1, "datasetType": "second"}
    found = shelf({"activities-heart": [{"dateTime": "2015-08-21"}], "activities-heart-intraday": seconds})
    assert found.told == [Told("heart_rate", {"bpm": 64}, "2015-08-21T04:01:05")]
    assert found.sources("heart_rate") == [{"provider": "fitbit"}]


def test_minutes_without_a_day_or_a_length_are_refused() -> None:
    minutes = {"dataset": [{"time": "00:01:00", "value": 64}], "datasetInterval": 1, "datasetType": "minute"}
    assert shelf({"activities-steps": [], "activities-steps-intraday": minutes}).refused == [
        ("activities-steps-intraday.dataset[0].time", "missing_field")
    ]
    day = {"activities-steps": [{"dateTime": "2015-08-21", "value": "1"}]}
    assert shelf(day | {"activities-steps-intraday": minutes | {"datasetType": "moon"}}).refused == [
        ("activities-steps-intraday.dataset[0].datasetInterval", "missing_field")
    ]


def test_totals_of_a_day_need_its_date_which_the_topic_may_say(shared_data: Path) -> None:
    content = json.loads((shared_data / "fitbit" / "fitbit-activities-date-empty-activities-list.json").read_text())
    found = shelf(content, topic="activities/date/2015-06-23")
    assert {each.type: next(iter(each.value.values())) for each in found.told} == {
        "daily_steps": 12517, "daily_energy_total": 1892, "daily_energy_basal": 1240, "sedentary_time": 1260,
        "active_minutes_light": 112, "active_minutes_moderate": 26, "active_minutes_vigorous": 42,
        "daily_distance": 8560,
    }  # fmt: skip
    assert {each.start for each in found.told} == {"2015-06-23T04:00"}


# -- recordings


def minute_of(type_: str, field: str, hour: str, minute: int, amount: float) -> Told:
    return Told(type_, {field: amount}, f"2015-08-21T{hour}:{minute:02}", f"2015-08-21T{hour}:{minute + 1:02}")


RECORDED: dict[str, tuple[list[Told], list[tuple[str, str]]]] = {
    "fitbit-activities-date-empty-activities-list": ([], [("summary.date", "missing_field")]),
    "fitbit-activities-date-multiple-in-activities-list": (
        [Told("workout", {"activity": "running", "name": "Run", "distance_m": 6437.38, "energy_total_kcal": 150,
                          "steps": 6761}, "2015-06-23T15:55", "2015-06-23T16:19")],
        [("activities[1].duration", "missing_field"), ("activities[2].startTime", "missing_field"),
         ("summary.date", "missing_field")],
    ),
    "fitbit-activities-date-single-in-activities-list": (
        [Told("workout", {"activity": "walking", "name": "Walk", "distance_m": 3360, "energy_total_kcal": 128,
                          "steps": 5000}, "2014-06-19T13:00", "2014-06-19T14:00")],
        [("summary.date", "missing_field")],
    ),
    "fitbit-activities-heart-1d-1m-intraday": (
        [minute_of("heart_rate", "bpm", "04", minute, rate) for minute, rate in enumerate((64, 63, 64, 65, 65), 1)], [],
    ),
    "fitbit-activities-steps-1d-1m-intraday": (
        [minute_of("steps", "steps", "04", 0, 7), minute_of("steps", "steps", "18", 27, 0),
         minute_of("steps", "steps", "18", 28, 52)],
        [],
    ),
    "fitbit-activities-steps-timeseries": (
        [Told("daily_steps", {"steps": 175}, "2015-08-23T04:00"),
         Told("daily_steps", {"steps": 2937}, "2015-08-24T04:00"),
         Told("daily_steps", {"steps": 0}, "2015-08-25T04:00")],
        [],
    ),
    "fitbit-body-log-weight": (
        [Told("bmi", {"kg_m2": 21.48}, "2015-05-13T22:28:59"), Told("weight", {"kg": 56.7}, "2015-05-13T22:28:59"),
         Told("bmi", {"kg_m2": 21.17}, "2015-05-14T15:51:57"), Told("weight", {"kg": 55.9}, "2015-05-14T15:51:57"),
         Told("bmi", {"kg_m2": 21.99}, "2015-05-22T22:12:06"), Told("weight", {"kg": 58.1}, "2015-05-22T22:12:06"),
         Told("bmi", {"kg_m2": 21.65}, "2015-05-24T19:15:25"), Told("weight", {"kg": 57.2}, "2015-05-24T19:15:25")],
        [],
    ),
    "fitbit-sleep-date-empty-sleep-list": ([], []),
    "fitbit-sleep-date-range-empty-sleep-list": ([], []),
}  # fmt: skip
NIGHTS = {"fitbit-sleep-date": True, "fitbit-sleep-date-range": None}


@pytest.mark.shared_data
def test_every_recording_is_here(shared_data: Path) -> None:
    assert {each.stem for each in (shared_data / "fitbit").iterdir()} == RECORDED.keys() | NIGHTS.keys()


@pytest.mark.shared_data
@pytest.mark.parametrize("name", RECORDED)
def test_recordings(shared_data: Path, name: str) -> None:
    message = recorded(shared_data / "fitbit" / f"{name}.json", declared=LOGIN)
    found = Shelf("fitbit").take(message)
    assert (found.told, found.refused) == RECORDED[name]
    found.take(message)
    assert (found.counts["superseded"], found.counts["duplicate"]) == (0, found.counts["stored"])


@pytest.mark.shared_data
@pytest.mark.parametrize("name", NIGHTS)
def test_recorded_nights(shared_data: Path, name: str) -> None:
    main, nap = Shelf("fitbit").take(recorded(shared_data / "fitbit" / f"{name}.json", declared=LOGIN)).told
    assert (main.start, main.end, nap.start, nap.end) == (
        "2016-12-13T06:16", "2016-12-13T08:14", "2016-12-13T14:59", "2016-12-13T16:02:30",
    )  # fmt: skip
    assert [each["stage"] for each in main.value["stages"]] == [
        "asleep", "awake_in_bed", "asleep", "awake_in_bed", "asleep", "awake_in_bed", "asleep",
    ]  # fmt: skip
    assert {field: main.value[field] for field in ("total_asleep_s", "awake_s", "in_bed_s", "efficiency_percent")} == {
        "total_asleep_s": 6720, "awake_s": 360, "in_bed_s": 7080, "efficiency_percent": 95,
    }  # fmt: skip
    assert nap.value.get("nap") is NIGHTS[name]
