"""Nightscout and what speaks like it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import Declared, Format, Gone, folded
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.testing.format_contract import FormatContract
from tests.support.app_messages import Shelf, Told, app_message, recorded
from tests.support.foreign_json import JSON, objects

ENTRY = {"type": "sgv", "sgv": 112, "date": 1777786860000, "utcOffset": 120, "_id": "a"}
CHECK = {"eventType": "BG Check", "created_at": "2026-05-03T05:52:00Z", "glucose": 6.2, "units": "mmol"}
BOLUS = {"eventType": "Meal Bolus", "created_at": "2026-05-03T10:40:00Z", "carbs": 61, "insulin": 4.5, "uuid": "u1"}
STEPS = {"type": "steps-total", "timeStamp": 1777809660000, "steps": 5200}


def shelf(*contents: Any, unit: str | None = None, zone: str | None = None) -> Shelf:
    declared = Declared(zone=zone, unit=unit)
    return Shelf("nightscout").take(app_message(each, declared=declared) for each in contents)


class TestContract(FormatContract):
    @pytest.fixture
    def form(self) -> Format:
        return FORMATS["nightscout"]

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        return {json.dumps([ENTRY, CHECK, BOLUS]).encode(): 4, json.dumps(ENTRY).encode(): 1}

    @pytest.fixture
    def refusals(self) -> Mapping[bytes, list[str]]:
        return {json.dumps([ENTRY | {"sgv": 5}, ENTRY, {"type": "x"}]).encode(): ["[0].sgv", "[2].type"]}


NAMES = """
    type sgv mbg date dateString datetime utcOffset device eventType created_at glucose units insulin carbs uuid
    identifier isValid timeStamp steps bpm bgs
"""


@given(JSON | objects(NAMES.split()))
def test_no_json_raises_and_the_same_is_the_same(content: Any) -> None:
    for each in (content, [content], {"bgs": [content]}):
        try:
            first = folded(FORMATS["nightscout"], app_message(each))
        except RefusedError:
            continue
        assert first == folded(FORMATS["nightscout"], app_message(each))
        folded(FORMATS["nightscout"], app_message(each), first.state)


@pytest.mark.parametrize(
    ("change", "told", "why"),
    [
        ({}, [112], []),
        ({"sgv": "118"}, [118], []),
        ({"sgv": 5}, [], ["out_of_range"]),
        ({"sgv": 10}, [], ["out_of_range"]),
        ({"sgv": "LOW"}, [], ["wrong_type"]),
        ({"type": "mbg", "sgv": None, "mbg": 20}, [], ["missing_field"]),
        ({"date": None}, [], ["missing_field"]),
        ({"units_hint": "mmol"}, [112], []),
    ],
)
def test_entries(change: dict[str, Any], told: list[float], why: list[str]) -> None:
    found = shelf([ENTRY | change])
    assert ([each.value["mg_dl"] for each in found.told], [reason for _, reason in found.refused]) == (told, why)


def test_a_fraction_of_a_millisecond_is_kept_and_an_offset_of_nought_is_unknown() -> None:
    found = shelf([ENTRY | {"date": 1777787160952.616, "utcOffset": 0}])
    assert found.told[0].start == "2026-05-03T05:46:00.952616"
    assert "utc_offset" not in next(iter(found.events.values()))
    assert [each["utc_offset"] for each in shelf([ENTRY]).events.values()] == [7200]


def test_one_reading_under_another_id_and_spelling_is_the_same() -> None:
    other = ENTRY | {"_id": "b", "dateString": "2026-05-03T07:41:00.000+0200", "device": "other"}
    assert shelf([ENTRY, other]).counts["duplicate"] == 1


def test_the_unit_of_a_treatment_is_said_or_refused() -> None:
    assert shelf(CHECK | {"glucoseType": "Finger"}).told == [
        Told("glucose", {"mg_dl": 111.7, "specimen": "capillary_blood"}, "2026-05-03T05:52")
    ]
    without = {key: value for key, value in CHECK.items() if key != "units"}
    assert shelf(without).refused == [("units", "missing_field")]
    assert shelf(CHECK | {"glucose": 109, "units": "mg/dL"}).told[0].value == {"mg_dl": 109}


def test_a_meal_and_its_bolus_uploaded_twice_are_one_and_taken_back_together() -> None:
    again = BOLUS | {"_id": "other", "protein": "", "fat": None}
    found = shelf([BOLUS, again])
    assert [(each.type, each.value) for each in found.told] == [
        ("food", {"carbohydrate_g": 61}),
        ("insulin_delivery", {"units": 4.5, "reason": "bolus"}),
    ]
    gone = {"identifier": "u1", "isValid": False, "date": 1777804800000}
    assert found.take([app_message([gone])]).told == []
    assert folded(FORMATS["nightscout"], app_message(gone)).outcomes == [Gone("u1;")]


@pytest.mark.parametrize("kind", ["sgv", "mbg"])
def test_a_reading_that_is_no_more_valid_is_taken_back(kind: str) -> None:
    reading = {"type": kind, kind: 104, "date": 1777786860000, "identifier": "e1"}
    assert shelf(reading, {**reading, "identifier": "e2", "isValid": False}).counts["gone"] == 0
    found = shelf(reading, {"identifier": "e1", "isValid": False})
    assert (found.told, found.counts["gone"]) == ([], 1)


def test_seconds_where_milliseconds_are_written_are_no_time() -> None:
    found = shelf({"type": "sgv", "sgv": 104, "date": 1777786860})
    assert (found.told, found.refused) == ([], [("date", "bad_time")])


def test_a_counter_of_steps_is_the_difference_and_one_that_fell_begins_again() -> None:
    later = [STEPS | {"timeStamp": STEPS["timeStamp"] + 300_000 * each} for each in range(1, 5)]
    counts = [5312, 0, 7, 7]
    found = shelf([STEPS], *([each | {"steps": count}] for each, count in zip(later, counts, strict=True)))
    assert [each.value["steps"] for each in found.told] == [112, 7]
    again = shelf([STEPS], [later[0] | {"steps": 5312}], [STEPS], [later[0] | {"steps": 5312}])
    assert [each.value["steps"] for each in again.told] == [112]


def test_a_pebble_says_no_unit() -> None:
    pebble = {"status": [], "bgs": [{"sgv": "6.2", "datetime": 1777786860000, "filtered": 111697}]}
    assert shelf(pebble).refused == [("bgs[0].sgv", "unknown_unit")]
    assert shelf(pebble, unit="mmol/L").told[0].value["mg_dl"] == 111.7


# -- recordings


def of(shared_data: Path, name: str, **declared: str) -> Shelf:
    return Shelf("nightscout").take(recorded(shared_data / "phone" / "glucose" / name, declared=Declared(**declared)))


@pytest.mark.shared_data
def test_recorded_entries(shared_data: Path) -> None:
    found = of(shared_data, "nightscout_entries.json")
    assert [(each.value["mg_dl"], each.start) for each in found.told] == [
        (112, "2026-05-03T05:41"),
        (113, "2026-05-03T05:46:00.952616"),
        (108, "2026-05-03T05:51:40"),
        (118, "2026-05-03T05:56"),
    ]
    assert found.refused == [("[2].sgv", "out_of_range"), ("[7].sgv", "wrong_type"), ("[8].sgv", "out_of_range")]
    assert found.counts["duplicate"] == 1


@pytest.mark.shared_data
def test_recorded_treatments(shared_data: Path) -> None:
    found = of(shared_data, "nightscout_treatments.json")
    assert [(each.type, each.value["mg_dl"], each.start) for each in found.told] == [
        ("glucose", 111.7, "2026-05-03T05:52"),
        ("glucose", 109, "2026-05-03T05:54"),
    ]
    assert found.refused == [("[1].units", "missing_field")]
    assert (found.counts["gone"], found.counts["duplicate"]) == (2, 2)


@pytest.mark.shared_data
def test_recorded_activity_and_local(shared_data: Path) -> None:
    found = of(shared_data, "xdrip_activity.json")
    assert found.told == [
        Told("heart_rate", {"bpm": 64}, "2026-05-03T12:01"),
        Told("steps", {"steps": 112}, "2026-05-03T12:01", "2026-05-03T12:06"),
    ]
    local = of(shared_data, "xdrip_local.json")
    assert [(each.value["mg_dl"], each.start) for each in local.told] == [
        (110, "2026-05-03T05:36"),
        (112, "2026-05-03T05:41"),
    ]
    assert of(shared_data, "juggluco_pebble.json").refused == [("bgs[0].sgv", "unknown_unit")]
    assert of(shared_data, "juggluco_pebble.json", unit="mmol/L").told[0].value["mg_dl"] == 111.7
