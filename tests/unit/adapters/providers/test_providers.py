"""What is particular to a provider: revised and deleted records, nights of a clock change, units that mislead."""

import json
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.adapters.catalogue import shipped
from healthsync_mqtt.formats.port import AppMessage, Folded, Gone, folded
from healthsync_mqtt.model.declaration import Declared
from tests.support.app_messages import Shelf

AT_US = 1_800_000_000_000_000
ROOT = "providers"


def read(shared_data: Path, name: str) -> AppMessage:
    exchange = json.loads((shared_data / ROOT / f"{name}.json").read_text())
    body = (exchange.get("response") or exchange["webhook"])["body"]
    payload = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return AppMessage(payload, "ann", "x", exchange.get("request", {}).get("url", ""), at_us=AT_US)


def answer(shared_data: Path, kind: str, name: str, **declared: Any) -> AppMessage:
    found = read(shared_data, name)
    return found._replace(topic=f"{kind}/{found.topic}", declared=Declared(**declared))


def shelf(shared_data: Path, kind: str, *names: str) -> Shelf:
    found = Shelf(mapped(names[0]))
    return found.take(answer(shared_data, kind, name) for name in names)


def mapped(name: str) -> Any:
    found = shipped(name.partition("/")[0]).mapping
    assert found is not None
    return found


def once(shared_data: Path, kind: str, name: str) -> Folded:
    return folded(mapped(name), answer(shared_data, kind, name))


def clock(stage: dict[str, Any]) -> str:
    return f"{stage['stage']} {stage['start_time'][11:16]}"


pytestmark = pytest.mark.shared_data


def test_a_night_is_told_when_it_was_though_its_clock_went_back(shared_data: Path) -> None:
    (night,) = shelf(shared_data, "sleep", "polar/sleep_list").of("sleep")
    assert [clock(each) for each in night.value["stages"]] == [
        "light 21:25", "deep 22:50", "rem 00:20", "light 01:40", "awake 02:30", "light 02:50", "unknown 05:05",
        "light 05:15",
    ]  # fmt: skip
    (oura,) = shelf(shared_data, "sleep", "oura/sleep_page_first").of("sleep")
    assert [clock(each) for each in oura.value["stages"]][:5] == [
        "awake 21:10", "light 21:20", "deep 21:30", "light 21:50", "rem 22:10",
    ]  # fmt: skip
    assert len(oura.value["stages"]) == 24


def test_a_night_that_is_revised_is_one_night_in_either_order(shared_data: Path) -> None:
    names = ["google_health/sleep_processing", "google_health/sleep_revised"]
    for order in (names, names[::-1]):
        (night,) = shelf(shared_data, "sleep", *order).of("sleep")
        assert night.value["deep_s"] == 80 * 60
        assert len(night.value["stages"]) == 6


def test_a_tentative_night_does_not_replace_a_final_one(shared_data: Path) -> None:
    names = ["garmin/push_sleep_tentative", "garmin/push_sleep_final"]
    for order in (names, names[::-1]):
        found = shelf(shared_data, "push", *order)
        assert [each.value["total_asleep_s"] for each in found.of("sleep")] == [25_860, 1_500]


def test_an_edited_bedtime_leaves_nothing_of_the_old_one(shared_data: Path) -> None:
    found = shelf(shared_data, "sleep", "oura/sleep_page_first", "oura/sleep_revised")
    (night,) = found.of("sleep")
    assert (night.start, night.value["total_asleep_s"]) == ("2026-10-24T21:30", 23_400)
    (rates,) = found.of("heart_rate")
    assert rates.start == "2026-10-24T21:35"


def test_what_a_user_deleted_is_a_tombstone_and_what_was_no_sleep_is_taken_back(shared_data: Path) -> None:
    stored = once(shared_data, "sleep", "oura/sleep_page_last")
    (gone,) = once(shared_data, "sleep", "oura/sleep_type_deleted").events
    assert (gone["op"], gone["id"]) == ("delete", next(each["id"] for each in stored.events if each["type"] == "sleep"))
    rest = once(shared_data, "sleep", "oura/sleep_type_rest")
    assert rest.events == []
    assert rest.outcomes == [Gone("sleep aa11-rest-1;")]


def test_entries_that_are_deleted_or_changed_keep_their_ids(shared_data: Path) -> None:
    before = {each["source"]["record_id"]: each for each in once(shared_data, "events", "dexcom/events").events}
    gone, changed = once(shared_data, "events", "dexcom/events_deleted").events
    assert (gone["op"], gone["id"]) == ("delete", before["e-2"]["id"])
    assert (changed["value"], changed["id"]) == ({"carbohydrate_g": 60}, before["e-1"]["id"])
    assert "felt dizzy" not in json.dumps(list(before.values()))


def test_a_quarter_of_an_hour_that_still_runs_grows_under_one_id(shared_data: Path) -> None:
    found = shelf(shared_data, "push", "garmin/push_epochs", "garmin/push_epochs_completed")
    assert [each.value["steps"] for each in found.of("steps")] == [412, 655, 164]


def test_only_summaries_of_the_account_are_taken_and_the_others_are_counted(shared_data: Path) -> None:
    mixed = answer(shared_data, "push", "garmin/push_mixed_users", slot="9f3c1d2e4b5a69788796a5b4c3d2e1f0")
    found = folded(mapped("garmin/x"), mixed)
    assert [(each.place, each.reason) for each in found.refused] == [
        ("dailies[1].userId", "identity_mismatch"),
        ("unknownSummaries", "unknown_type"),
    ]
    other = folded(mapped("garmin/x"), mixed._replace(declared=Declared(slot="nobody")))
    assert other.events == []


def test_what_a_sensor_says_beyond_its_range_stays_beside_the_number(shared_data: Path) -> None:
    found = once(shared_data, "egvs", "dexcom/egvs_out_of_range").events
    assert [(each["value"]["mg_dl"], each["source"]["status"]) for each in found] == [
        (400, "high"), (40, "low"), (455, "high"),
    ]  # fmt: skip
    unknown = once(shared_data, "egvs", "dexcom/egvs_mmol")
    assert [(each.place, each.reason) for each in unknown.refused] == [("records[1].unit", "unknown_unit")]


def test_a_value_out_of_range_is_offered_and_its_neighbours_go_through(shared_data: Path) -> None:
    found = shelf(shared_data, "oxygen-saturation", "google_health/oxygen_saturation")
    assert [each.value for each in found.of("spo2")] == [{"percent": 95.4}]
    assert found.refused == [("dataPoints[1]", "out_of_range")]


def test_a_recovery_is_of_the_end_of_its_sleep(shared_data: Path) -> None:
    found = Shelf(mapped("whoop/x"))
    found.take([answer(shared_data, "sleep", "whoop/sleep_page_first")])
    found.take([answer(shared_data, "recovery", "whoop/recovery")])
    (rate,) = found.of("resting_heart_rate")
    assert rate.start == "2026-11-01T12:00:00.774000"
    assert found.refused == [("records[1].score", "missing_field")]


def test_streams_need_their_activity_and_a_cadence_on_foot_counts_both_feet(shared_data: Path) -> None:
    streams = answer(shared_data, "streams", "strava/streams")
    alone = folded(mapped("strava/x"), streams)
    assert (alone.events, alone.refused[0].reason) == ([], "missing_field")
    found = Shelf(mapped("strava/x"))
    found.take([answer(shared_data, "activities", "strava/activities_page_first"), streams])
    (steps,) = found.of("cadence_steps")
    assert steps.value["samples"] == [[0, 0], [1, 160], [2, 162], [122, 0], [123, 164]]
    (rates,) = found.of("heart_rate")
    assert rates.value["samples"] == [[0, 112], [1, 113], [122, 120], [123, 121]]


def test_no_words_of_the_user_and_no_places_are_taken(shared_data: Path) -> None:
    for kind, name in (
        ("activities", "strava/activity_detail_laps"), ("push", "garmin/push_activity_details"),
        ("weight", "google_health/body"), ("enhanced_tag", "oura/enhanced_tag"), ("session", "oura/session"),
        ("exercises", "polar/exercise_samples_zones_route"),
    ):  # fmt: skip
        text = json.dumps(once(shared_data, kind, name).events)
        for private in ("private words", "Morning Run", "after run", "two glasses", "latitude", "60.0001", '"good"'):
            assert private not in text


def test_a_sample_of_the_minutes_before_a_night_is_no_sample_of_the_evening_after(shared_data: Path) -> None:
    before = once(shared_data, "sleep", "polar/sleep_night").state
    recharge = answer(shared_data, "nightly_recharge", "polar/nightly_recharge")
    events = folded(mapped("polar/nightly_recharge"), recharge, before).events
    said = {
        each["type"]: (each["start_time"], each["value"]["samples"]) for each in events if "samples" in each["value"]
    }
    assert said == {
        "hrv_rmssd": ("2026-11-21T22:41:00.000000Z", [[0, 50], [3_900, 44]]),
        "respiratory_rate": ("2026-11-21T22:39:00.000000Z", [[0, 13.4], [3_900, 13.5]]),
    }
