"""Zepp OS through zepp2hass: snapshots without a date, and a night that is said all day long."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import AppMessage, Declared, Format, folded
from healthsync_mqtt.formats.port import Told as ToldFormat
from healthsync_mqtt.formats.reading.moment import moment
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.testing.format_contract import FormatContract
from tests.support.app_messages import Shelf, Told, app_message
from tests.support.foreign_json import JSON, objects

BERLIN = Declared("Europe/Berlin")
STAGES = {"WAKE_STAGE": 7, "REM_STAGE": 8, "LIGHT_STAGE": 4, "DEEP_STAGE": 5}
NIGHT = {
    "info": {"score": 83, "startTime": 1418, "endTime": 1830, "totalTime": 398},
    "stg_list": STAGES,
    "stage": [{"model": 4, "start": 1418, "stop": 1500}, {"model": 5, "start": 1500, "stop": 1830}],
}


def snapshot(at: str, record_time: str, login: Declared = BERLIN, **parts: Any) -> AppMessage:
    return app_message({"record_time": record_time, **parts}, declared=login, at_us=moment(at).us)


def shelf(*messages: AppMessage) -> Shelf:
    return Shelf("zepp").take(messages)


class TestContract(FormatContract):
    @pytest.fixture
    def form(self) -> Format:
        return FORMATS["zepp"]

    @pytest.fixture
    def told(self) -> ToldFormat:
        return ToldFormat(declared=BERLIN)

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        parts = {"steps": {"current": 9120}, "heart_rate": {"last": 64, "resting": 57}, "sleep": NIGHT}
        return {json.dumps({"record_time": "09:00", **parts}).encode(): 4}

    @pytest.fixture
    def refusals(self) -> Mapping[bytes, list[str]]:
        bad = NIGHT | {"stage": [{"model": 4, "start": 1500, "stop": 1400}]}
        parts = {"steps": {"current": "x"}, "distance": {"current": 5}, "sleep": bad}
        return {json.dumps({"record_time": "09:00", **parts}).encode(): ["steps.current", "sleep.stage[0].stop"]}


NAMES = """
    record_time steps distance calorie heart_rate last resting summary maximum hr_value blood_oxygen current few_hours
    spo2 value time timestamp body_temperature sleep info startTime endTime stage stg_list model start stop nap device
"""


@given(JSON | objects(NAMES.split()), st.sampled_from(["00:01", "23:59", "x"]))
def test_no_json_raises_and_the_same_is_the_same(content: Any, record_time: str) -> None:
    parts = content if isinstance(content, dict) else {"sleep": content}
    for each in (content, {**parts, "record_time": record_time}, {"sleep": {**NIGHT, "nap": [content]}}):
        message = app_message(each, declared=BERLIN)
        try:
            first = folded(FORMATS["zepp"], message)
        except RefusedError:
            continue
        assert first == folded(FORMATS["zepp"], message)
        folded(FORMATS["zepp"], message, first.state)


def test_the_date_is_that_of_the_newest_moment_at_which_the_clock_said_so() -> None:
    late = snapshot("2026-05-03T22:20:00Z", "23:58", steps={"current": 9120})  # twenty minutes underway, past midnight
    assert [each.start for each in shelf(late).told] == ["2026-05-02T22:00"]
    quick = snapshot("2026-05-03T21:57:30Z", "23:58", heart_rate={"last": 64})  # its clock is ahead
    assert [each.start for each in shelf(quick).told] == ["2026-05-03T21:58"]


@pytest.mark.parametrize(
    ("message", "place", "reason"),
    [
        (snapshot("2026-05-03T21:58:00Z", "23:58", Declared()), "record_time", "naive_time"),
        (snapshot("2026-05-03T21:58:00Z", "24:00"), "record_time", "bad_time"),
        (snapshot("2026-05-03T21:58:00Z", "23:58")._replace(retained=True), "record_time", "missing_field"),
        (app_message({"steps": {"current": 1}}, declared=BERLIN), "record_time", "missing_field"),
    ],
)
def test_what_is_refused(message: AppMessage, place: str, reason: str) -> None:
    assert shelf(message).refused == [(place, reason)]


def test_a_total_of_the_day_grows_and_the_next_day_does_not_lower_it() -> None:
    found = shelf(
        snapshot("2026-05-03T10:00:00Z", "12:00", steps={"current": 4000}),
        snapshot("2026-05-03T21:58:00Z", "23:58", steps={"current": 9120}),
        snapshot("2026-05-03T22:01:00Z", "00:01", steps={"current": 0}),
    )
    assert [(each.value["steps"], each.start) for each in found.told] == [
        (9120, "2026-05-02T22:00"),
        (0, "2026-05-03T22:00"),
    ]
    assert found.counts["superseded"] == 1


def test_a_night_is_the_same_all_day_and_after_midnight() -> None:
    morning = snapshot("2026-05-03T06:00:00Z", "08:00", sleep=NIGHT)
    after = snapshot("2026-05-03T22:01:00Z", "00:01", sleep=NIGHT)
    next_morning = snapshot("2026-05-04T04:00:00Z", "06:00", sleep=NIGHT)
    found = shelf(morning, after, next_morning)
    assert [(each.start, each.end) for each in found.told] == [("2026-05-02T21:38", "2026-05-03T04:30")]
    assert found.counts == {"stored": 1, "duplicate": 2, "superseded": 0, "gone": 0}
    other = NIGHT | {"info": NIGHT["info"] | {"startTime": 1400}}  # type: ignore[operator]
    found.take([snapshot("2026-05-04T05:00:00Z", "07:00", sleep=other)])
    assert [each.start for each in found.told] == ["2026-05-02T21:38", "2026-05-03T21:20"]


def test_a_night_first_heard_after_midnight_does_not_lie_ahead() -> None:
    found = shelf(snapshot("2026-05-03T22:01:00Z", "00:01", sleep=NIGHT))
    assert [(each.start, each.end) for each in found.told] == [("2026-05-02T21:38", "2026-05-03T04:30")]


def test_a_night_that_grows_is_one() -> None:
    longer = NIGHT | {"info": NIGHT["info"] | {"endTime": 1850}}  # type: ignore[operator]
    found = shelf(
        snapshot("2026-05-03T05:00:00Z", "07:00", sleep=NIGHT), snapshot("2026-05-03T06:00:00Z", "08:00", sleep=longer)
    )
    assert [each.end for each in found.told] == ["2026-05-03T04:50"]


def test_a_nap_is_a_sleep_of_its_own() -> None:
    napped = NIGHT | {"nap": [{"start": 2200, "stop": 2230}]}
    found = shelf(snapshot("2026-05-03T20:00:00Z", "22:00", sleep=napped))
    assert [(each.value.get("nap"), each.start) for each in found.told] == [
        (None, "2026-05-02T21:38"),
        (True, "2026-05-03T10:40"),
    ]


# -- recordings

ARRIVED = {
    "snapshot_evening": "2026-05-03T21:58:00Z",
    "snapshot_after_midnight": "2026-05-03T22:01:00Z",
    "snapshot_empty": "2026-05-04T05:30:00Z",
}


def recorded_snapshot(shared_data: Path, name: str) -> AppMessage:
    payload = (shared_data / "phone" / "zepp" / f"{name}.json").read_bytes()
    return app_message(payload, declared=BERLIN, at_us=moment(ARRIVED[name]).us)


@pytest.mark.shared_data
def test_recorded_snapshots(shared_data: Path) -> None:
    assert {each.stem for each in (shared_data / "phone" / "zepp").iterdir()} == ARRIVED.keys()
    found = shelf(recorded_snapshot(shared_data, "snapshot_evening"))
    evening = found.told
    night = found.of("sleep")[0].value
    assert [each for each in evening if each.type != "sleep"] == [
        Told("daily_distance", {"meters": 6540}, "2026-05-02T22:00"),
        Told("daily_energy_active", {"kcal": 402}, "2026-05-02T22:00"),
        Told("daily_steps", {"steps": 9120}, "2026-05-02T22:00"),
        Told("resting_heart_rate", {"bpm": 57}, "2026-05-02T22:00"),
        Told("spo2", {"percent": 96}, "2026-05-03T01:00"),
        Told("body_temperature", {"celsius": 36.6}, "2026-05-03T04:20"),
        Told("spo2", {"percent": 97}, "2026-05-03T04:20"),
        Told("heart_rate", {"bpm": 151}, "2026-05-03T12:01"),
        Told("heart_rate", {"bpm": 64}, "2026-05-03T21:58"),
    ]
    assert [(each["stage"], each["start_time"][11:16], each["end_time"][11:16]) for each in night["stages"]] == [
        ("light", "21:38", "23:00"), ("deep", "23:00", "00:32"), ("rem", "00:32", "04:30"),
    ]  # fmt: skip
    assert (found.of("sleep")[0].start, found.of("sleep")[0].end) == ("2026-05-02T21:38", "2026-05-03T04:30")
    found.take([recorded_snapshot(shared_data, "snapshot_after_midnight")])
    assert [each for each in found.told if each not in evening] == [
        Told("daily_distance", {"meters": 0}, "2026-05-03T22:00"),
        Told("daily_energy_active", {"kcal": 0}, "2026-05-03T22:00"),
        Told("daily_steps", {"steps": 0}, "2026-05-03T22:00"),
        Told("resting_heart_rate", {"bpm": 57}, "2026-05-03T22:00"),
        Told("heart_rate", {"bpm": 61}, "2026-05-03T22:01"),
    ]
    assert (found.counts["superseded"], found.counts["duplicate"], found.refused) == (0, 1, [])


@pytest.mark.shared_data
def test_a_recorded_snapshot_without_sensors_is_nothing(shared_data: Path) -> None:
    found = shelf(recorded_snapshot(shared_data, "snapshot_empty"))
    assert (found.told, found.refused) == ([], [])
