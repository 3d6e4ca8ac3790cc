"""Google Fit: every recorded data set comes to its events, or is refused by its place."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.googlefit import ACTIVITIES
from healthsync_mqtt.formats.port import Declared, Format, folded
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.model.types.workout import ACTIVITY
from healthsync_mqtt.testing.format_contract import FormatContract
from tests.support.app_messages import Shelf, Told, app_message, recorded
from tests.support.foreign_json import JSON, objects

STEPS = {
    "startTimeNanos": "1422917379811000000", "endTimeNanos": "1422919520811000000",
    "dataTypeName": "com.google.step_count.delta", "value": [{"intVal": 4146}], "modifiedTimeMillis": "1422919826297",
    "originDataSourceId": "derived:com.google.step_count.delta:com.nike.plusgps:",
}  # fmt: skip
SOURCE = "derived:com.google.step_count.delta:com.google.android.gms:merge_step_deltas"


def points(*several: Any) -> dict[str, Any]:
    return {"dataSourceId": SOURCE, "point": list(several)}


def point(kind: str, value: Any, start_s: int, end_s: int | None = None, origin: str = "raw:x:app:y") -> dict[str, Any]:
    return {
        "dataTypeName": f"com.google.{kind}", "value": [value], "originDataSourceId": origin,
        "startTimeNanos": f"{start_s}000000000", "endTimeNanos": f"{end_s or start_s}000000000",
    }  # fmt: skip


def shelf(*contents: Any, zone: str | None = None) -> Shelf:
    return Shelf("googlefit").take(app_message(each, declared=Declared(zone=zone)) for each in contents)


class TestContract(FormatContract):
    @pytest.fixture
    def form(self) -> Format:
        return FORMATS["googlefit"]

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        walk = point("activity.segment", {"intVal": 7}, 1420150917, 1420154989)
        asleep = point("sleep.segment", {"intVal": 5}, 1420154989, 1420155989)
        return {json.dumps(points(STEPS)).encode(): 1, json.dumps(points(STEPS, walk, asleep)).encode(): 3}

    @pytest.fixture
    def refusals(self) -> Mapping[bytes, list[str]]:
        bad = STEPS | {"value": [{"intVal": "x"}]}
        return {
            json.dumps(points(bad, STEPS, STEPS | {"dataTypeName": "moon"}, STEPS | {"endTimeNanos": "x"})).encode(): [
                "point[0].value[0].intVal", "point[2].dataTypeName", "point[3].endTimeNanos",
            ]
        }  # fmt: skip


NAMES = """
    dataSourceId point startTimeNanos endTimeNanos dataTypeName originDataSourceId value intVal fpVal modifiedTimeMillis
"""


@given(JSON | objects(NAMES.split()))
def test_no_json_raises_and_the_same_is_the_same(content: Any) -> None:
    for each in (content, points(content), points(STEPS | (content if isinstance(content, dict) else {}))):
        try:
            first = folded(FORMATS["googlefit"], app_message(each))
        except RefusedError:
            continue
        assert first == folded(FORMATS["googlefit"], app_message(each))


def test_every_activity_has_a_word_of_ours() -> None:
    assert set(ACTIVITIES.values()) <= set(ACTIVITY.words)


def test_a_point_is_known_by_its_stream_and_a_newer_one_supersedes() -> None:
    other = STEPS | {"originDataSourceId": "raw:com.google.step_count.delta:com.other:user_input"}
    newer = STEPS | {"modifiedTimeMillis": "1422919826298", "value": [{"intVal": 4147}]}
    found = shelf(points(STEPS, other), points(newer), points(STEPS))
    assert sorted(each.value["steps"] for each in found.told) == [4146, 4147]
    assert found.counts == {"stored": 2, "duplicate": 1, "superseded": 1, "gone": 0}
    assert [each for each in found.sources("steps") if "recording" in each] == [
        {"provider": "google_fit", "app": "com.other", "recording": "manual"}
    ]


def test_the_device_is_in_the_name_of_its_stream_and_the_offset_is_the_zones() -> None:
    origin = "derived:com.google.step_count.cumulative:com.google.android.gms:samsung:Galaxy Nexus:32b1bd9e:steps"
    found = shelf(points(STEPS | {"originDataSourceId": origin}), zone="Europe/Berlin")
    (event,) = found.events.values()
    assert event["device"] == {"manufacturer": "samsung", "model": "Galaxy Nexus"}
    assert event["utc_offset"] == 3600
    assert "utc_offset" not in next(iter(shelf(points(STEPS)).events.values()))


def test_energy_of_somebodys_size_is_basal_and_all_other_holds_it() -> None:
    energy = point("calories.expended", {"fpVal": 4.5}, 1436366629, 1436366847)
    basal = energy | {"originDataSourceId": "derived:com.google.calories.expended:com.google.android.gms:from_bmr"}
    assert [each.type for each in shelf(points(energy, basal)).told] == ["energy_basal", "energy_total"]


def test_stages_are_one_night_that_grows() -> None:
    first = point("sleep.segment", {"intVal": 4}, 1420150000, 1420153000)
    second = point("sleep.segment", {"intVal": 6}, 1420153000, 1420155000)
    awake = point("activity.segment", {"intVal": 112}, 1420155000, 1420155300)
    found = shelf(points(first), points(first, second, awake))
    (night,) = found.told
    assert [each["stage"] for each in night.value["stages"]] == ["light", "rem", "awake"]
    assert found.counts["superseded"] == 1


def test_standing_still_or_in_a_car_is_no_workout_and_what_has_no_length_is_refused() -> None:
    still = [point("activity.segment", {"intVal": each}, 1420150917, 1420154989) for each in (0, 3, 4, 5)]
    found = shelf(points(*still, point("activity.segment", {"intVal": 8}, 1420150917)))
    assert (found.told, found.refused) == ([], [("point[4].endTimeNanos", "bad_interval")])


def test_what_ends_before_it_starts_is_refused() -> None:
    assert shelf(points(point("step_count.delta", {"intVal": 1}, 20, 10))).refused == [
        ("point[0].endTimeNanos", "bad_interval")
    ]


def test_where_somebody_was_is_kept_only_by_the_consent_to_that() -> None:
    place = point("location.sample", {"fpVal": 51.2}, 1507027899)
    (refused,) = folded(FORMATS["googlefit"], app_message(points(place))).refused
    assert refused.type == "workout_route"


# -- recordings

RECORDED: dict[str, tuple[list[Told], list[tuple[str, str]]]] = {
    "googlefit-empty": ([], []),
    "googlefit-merge-activity-segments": (
        [Told("workout", {"activity": "walking"}, "2015-01-01T22:21:57", "2015-01-01T23:29:49"),
         Told("workout", {"activity": "other"}, "2015-01-05T00:27:29.151000", "2015-01-05T00:30:41.151000"),
         Told("workout", {"activity": "running"}, "2015-07-07T13:30", "2015-07-07T14:00")],
        [],
    ),
    "googlefit-merge-activity-segments-only-sleep": (
        [Told("sleep", {"stages": [{"stage": "asleep", "start_time": "2015-07-07T13:30:00.000000Z",
                                    "end_time": "2015-07-07T14:00:00.000000Z"}]},
              "2015-07-07T13:30", "2015-07-07T14:00")],
        [],
    ),
    "googlefit-merge-activity-segments-only-stationary-activity": ([], []),
    "googlefit-merge-calories-expended": (
        [Told("energy_total", {"kcal": 200}, "2015-07-07T13:30", "2015-07-07T14:00"),
         Told("energy_basal", {"kcal": 1672.50634765625}, "2015-07-07T14:00", "2015-07-08T14:00"),
         Told("energy_total", {"kcal": 4.221510410308838}, "2015-07-08T14:43:49.730000", "2015-07-08T14:47:27.809000")],
        [],
    ),
    "googlefit-merge-heart-rate": (
        [Told("heart_rate", {"bpm": 54}, "2015-01-30T15:37:48.186000"),
         Told("heart_rate", {"bpm": 58}, "2015-07-10T14:34:32.914000", "2015-07-10T14:34:33.915000")],
        [],
    ),
    "googlefit-merge-height": (
        [Told("height", {"meters": 1.8287990093231201}, "2015-07-08T03:17:06.030000"),
         Told("height", {"meters": 1.828800082206726}, "2015-07-08T14:43:57.544000", "2015-07-08T14:43:58.545000")],
        [],
    ),
    "googlefit-merge-location-samples": (
        [], [("point[0].dataTypeName", "unknown_type"), ("point[1].dataTypeName", "unknown_type")],
    ),
    "googlefit-merge-speed": (
        [Told("speed", {"meters_per_second": 0.75}, "2017-10-04T13:55:56"),
         Told("speed", {"meters_per_second": 2.25}, "2017-10-04T14:05:53")],
        [],
    ),
    "googlefit-merge-step-deltas": (
        [Told("steps", {"steps": 4146}, "2015-02-02T22:49:39.811000", "2015-02-02T23:25:20.811000"),
         Told("steps", {"steps": 0}, "2015-07-10T20:00", "2015-07-10T20:30"),
         Told("steps", {"steps": 17}, "2015-07-10T21:58:17.687316", "2015-07-10T21:59:17.687316"),
         Told("steps", {"steps": 184}, "2015-07-10T22:05:21.162000", "2015-07-10T22:07:18.006058")],
        [],
    ),
    "googlefit-merge-weight": (
        [Told("weight", {"kg": 72.0999984741211}, "2015-02-13T00:00"),
         Told("weight", {"kg": 72}, "2015-02-17T16:57:13.313000"),
         Told("weight", {"kg": 75.75070190429688}, "2015-07-08T03:17", "2015-07-08T03:17:10.020000")],
        [],
    ),
}  # fmt: skip


@pytest.mark.shared_data
def test_every_recording_is_here(shared_data: Path) -> None:
    assert {each.stem for each in (shared_data / "googlefit").iterdir()} == RECORDED.keys()


@pytest.mark.shared_data
@pytest.mark.parametrize("name", RECORDED)
def test_recordings(shared_data: Path, name: str) -> None:
    message = recorded(shared_data / "googlefit" / f"{name}.json")
    found = Shelf("googlefit").take(message)
    assert (found.told, found.refused) == RECORDED[name]
    assert found.take(message).counts["superseded"] == 0
    assert found.counts["duplicate"] == found.counts["stored"]
