"""openScale-sync: which weighings are one, what its zeros and percents mean, and what a deletion takes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import AppMessage, Declared, Format, Gone, folded
from healthsync_mqtt.formats.port import Told as ToldFormat
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.testing.format_contract import FormatContract
from tests.support.app_messages import Shelf, Told, app_message, recorded
from tests.support.foreign_json import JSON, objects

ANN = Declared(slot="1")


def sent(verb: str, content: Any, declared: Declared = ANN, user: str = "1/") -> AppMessage:
    return app_message(content, declared=declared, topic=f"{user}measurements/{verb}")


def shelf(*messages: AppMessage) -> Shelf:
    return Shelf("openscale").take(messages)


def value(key: str, unit: str, amount: float, *, derived: bool = False) -> dict[str, Any]:
    return {"typeId": 1, "key": key, "name": "Wort", "unit": unit, "isDerived": derived, "value": amount}


WEIGHED = {"id": 17, "userId": 1, "date": "2026-05-03T07:41+0200", "weight": 71.35, "body_fat": 0.0, "water": 0.0}
FIELDS = ["date", "weight", "body_fat", "water"]
HISTORY = {"fields": FIELDS, "units": {}, "rows": [[1777786882000, 71.35, None, 0.0]]}


class TestContract(FormatContract):
    @pytest.fixture
    def form(self) -> Format:
        return FORMATS["openscale"]

    @pytest.fixture
    def told(self) -> ToldFormat:
        return ToldFormat(topic="1/measurements/insert", declared=ANN)

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        return {
            json.dumps(WEIGHED).encode(): 1,
            json.dumps(WEIGHED | {"body_fat": 22.4, "water": 55.1}).encode(): 3,
        }

    @pytest.fixture
    def refusals(self) -> Mapping[bytes, list[str]]:
        values = [value("WEIGHT", "firkin", 71.35), value("WAIST", "cm", 84.5)]
        return {json.dumps(WEIGHED | {"values": values}).encode(): ["values[0].unit"]}


class TestHistoryContract(TestContract):
    @pytest.fixture
    def told(self) -> ToldFormat:
        return ToldFormat(topic="1/measurements/history", declared=ANN)

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        rows = [[1777786882000 + 86_400_000 * each, 70 + each / 10, 20, 55.1] for each in range(3)]
        return {json.dumps(HISTORY).encode(): 1, json.dumps(HISTORY | {"rows": rows}).encode(): 9}

    @pytest.fixture
    def refusals(self) -> Mapping[bytes, list[str]]:
        rows = [[1777786882000, "x", 20, 0.0], *HISTORY["rows"]]
        return {json.dumps(HISTORY | {"rows": rows}).encode(): ["rows[0].weight"]}


def test_an_insert_its_last_and_its_row_of_the_history_are_one_weighing() -> None:
    found = shelf(sent("insert", WEIGHED), sent("last", WEIGHED), sent("history", HISTORY), sent("insert", WEIGHED))
    assert found.told == [Told("weight", {"kg": 71.35}, "2026-05-03T05:41:22")]
    assert found.counts == {"stored": 1, "duplicate": 2, "superseded": 1, "gone": 0}


def test_a_bulk_sync_is_read_though_nothing_was_inserted() -> None:
    rows = [[1777786882000 + 86_400_000 * each, 70 + each / 10, 20, 55.1] for each in range(3)]
    found = shelf(sent("history", HISTORY | {"rows": rows}))
    assert [each.value["kg"] for each in found.of("weight")] == [70, 70.1, 70.2]
    assert [each.value["kg"] for each in found.of("body_water")] == [38.57, 38.6251, 38.6802]


def test_two_weighings_in_a_minute_are_two_and_a_deletion_takes_both() -> None:
    other = WEIGHED | {"id": 18, "weight": 68.2}
    found = shelf(sent("insert", WEIGHED), sent("insert", other), sent("update", other | {"weight": 69.2}))
    assert sorted(each.value["kg"] for each in found.told) == [69.2, 71.35]
    assert found.take([sent("delete", {"dateTime": "2026-05-03T06:41+0100"})]).told == []


def test_a_deletion_in_milliseconds_takes_what_its_minute_has() -> None:
    assert shelf(sent("insert", WEIGHED), sent("delete", {"date": 1777786882000})).told == []


def test_clear_takes_everything_and_an_empty_history_nothing() -> None:
    found = shelf(sent("insert", WEIGHED), sent("last", {}), sent("history", HISTORY | {"rows": []}))
    assert len(found.told) == 1
    assert found.take([sent("clear", True)]).told == []
    assert found.take([sent("insert", WEIGHED)]).told == [Told("weight", {"kg": 71.35}, "2026-05-03T05:41")]


def test_what_an_update_says_no_more_is_gone() -> None:
    first = WEIGHED | {"values": [value("WEIGHT", "kg", 71.35), value("WAIST", "cm", 84.5)]}
    found = shelf(sent("insert", first), sent("update", WEIGHED | {"values": [value("WEIGHT", "kg", 71.4)]}))
    assert [(each.type, each.value) for each in found.told] == [("weight", {"kg": 71.4})]


def test_nought_is_absent_and_percents_are_parts_of_the_weight() -> None:
    flat = {"date": "2026-05-03T07:41+0200", "weight": 80.0, "fat": 25.0, "water": 50.0, "muscle": 0.0}
    assert [(each.type, each.value) for each in shelf(sent("insert", flat, user="")).told] == [
        ("body_fat_percentage", {"percent": 25}), ("body_water", {"kg": 40}), ("weight", {"kg": 80}),
    ]  # fmt: skip
    light = flat | {"weight": 0.0}
    assert [(each.type, each.value) for each in shelf(sent("insert", light, user="")).told] == [
        ("body_fat_percentage", {"percent": 25}), ("body_water_percentage", {"percent": 50}),
    ]  # fmt: skip


def test_values_say_the_unit_and_beat_the_fields_beside_them() -> None:
    values = [value("WEIGHT", "kg", 71.35), value("LBM", "kg", 55.37, derived=True), value("BONE", "kg", 2.93)]
    flat = WEIGHED | {"lbm": 77.6, "bone": 4.1, "values": values}
    found = shelf(sent("insert", flat))
    assert {each.type: each.value["kg"] for each in found.told} == {
        "weight": 71.35,
        "lean_mass": 55.37,
        "bone_mass": 2.93,
    }
    assert found.sources("lean_mass") == [{"provider": "openscale", "derived": True}]


@pytest.mark.parametrize("key", ["CHEST", "IMPEDANCE", "CUSTOM", "COMMENT", "TDEE", "CALORIES"])
def test_what_has_no_type_is_left_out(key: str) -> None:
    found = shelf(sent("insert", WEIGHED | {"values": [value("WEIGHT", "kg", 71.35), value(key, "", 5)]}))
    assert ([each.type for each in found.told], found.refused) == (["weight"], [])


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (sent("insert", WEIGHED, Declared()), "not_allowed"),
        (sent("insert", WEIGHED, user="2/"), "identity_mismatch"),
        (sent("insert", WEIGHED | {"userId": 2}), "identity_mismatch"),
        (sent("clear", True, user="2/"), "identity_mismatch"),
        (sent("insert", WEIGHED | {"values": [value("WEIGHT", "firkin", 2)]}), "unknown_unit"),
        (sent("insert", WEIGHED | {"date": "3. Mai"}), "bad_time"),
        (sent("insert", {"weight": 70}), "missing_field"),
        (sent("whatever", WEIGHED), "malformed"),
        (sent("history", HISTORY | {"rows": [[1]]}), "malformed"),
    ],
)
def test_what_is_refused(message: AppMessage, reason: str) -> None:
    found = shelf(sent("insert", WEIGHED)).take([message])
    assert ([why for _, why in found.refused], len(found.told)) == ([reason], 1)


def test_digits_of_another_script_are_digits() -> None:
    arabic = "".join(chr(0x660 + int(each)) if each.isdecimal() else each for each in "2026-05-03T07:41") + "+0200"
    assert shelf(sent("insert", WEIGHED | {"date": arabic})).told[0].start == "2026-05-03T05:41"


def test_the_keys_that_release_builds_renamed() -> None:
    found = shelf(
        sent("insert", {"a": 1586586041000, "b": 79.4}, user=""),
        sent("insert", {"date": 1586586041000, "weight": 79.4}, user=""),
        sent("update", {"a": 1586586041000, "b": 79.1}, user=""),
    )
    assert found.told == [Told("weight", {"kg": 79.1}, "2020-04-11T06:20:41")]
    assert found.counts == {"stored": 1, "duplicate": 1, "superseded": 1, "gone": 0}


def test_a_long_history_is_remembered_in_part_and_read_whole() -> None:
    rows = [[1577786882000 + 3_600_000 * each, 70, None, None] for each in range(20_000)]
    done = folded(FORMATS["openscale"], sent("history", HISTORY | {"rows": rows}))
    assert (len(done.events), len(done.state) < 65_536) == (20_000, True)
    again = folded(FORMATS["openscale"], sent("history", HISTORY | {"rows": rows}), done.state)
    assert again.events == done.events


def test_weighings_of_one_minute_are_bounded_for_each_is_compared_with_all() -> None:
    rows = [[1777786860000 + each, 70 + each / 100] for each in range(100)]
    found = folded(FORMATS["openscale"], sent("history", {"fields": ["date", "weight"], "rows": rows}))
    assert len(found.events) == 60
    assert [(each.index, each.reason) for each in found.refused] == [(number, "too_many") for number in range(60, 100)]


VERBS = st.sampled_from(["insert", "update", "delete", "clear", "last", "history", "all", "", "1"])
CONTENTS = JSON | objects(
    [
        "date",
        "a",
        "b",
        "id",
        "userId",
        "weight",
        "fat",
        "water",
        "values",
        "key",
        "unit",
        "value",
        "fields",
        "rows",
        "units",
        "dateTime",
    ]
)


@given(st.lists(st.tuples(VERBS, CONTENTS, st.sampled_from(["", "1/", "x/"])), max_size=4))
def test_no_json_raises_and_the_same_is_the_same(messages: list[tuple[str, Any, str]]) -> None:
    state = b""
    for verb, content, user in messages:
        message = sent(verb, content, user=user)
        try:
            first = folded(FORMATS["openscale"], message, state)
        except RefusedError:
            continue
        assert first == folded(FORMATS["openscale"], message, state)
        assert all(isinstance(each, Gone) or each.index >= 0 for each in first.outcomes)
        state = first.state
        json.dumps([each.event for each in first.outcomes if hasattr(each, "event")])


# -- recordings


@pytest.fixture
def folder(shared_data: Path) -> Path:
    return shared_data / "phone" / "openscale"


def of(folder: Path, name: str, declared: Declared = ANN) -> list[AppMessage]:
    return recorded(folder / name, "openScaleSync/", declared=declared)


@pytest.mark.shared_data
def test_recorded_insert(folder: Path) -> None:
    (message,) = of(folder, "insert_now.json")
    found = shelf(message._replace(topic="1/measurements/insert"))
    assert [(each.type, next(iter(each.value.values()))) for each in found.told] == [
        ("body_fat_percentage", 22.4), ("bone_mass", 2.93), ("heart_rate", 64), ("lean_mass", 55.37),
        ("muscle_mass", 27.18), ("waist_circumference", 84.5), ("weight", 71.35),
    ]  # fmt: skip
    assert {each.start for each in found.told} == {"2026-05-03T05:41"}
    assert found.refused == []


@pytest.mark.shared_data
def test_recorded_bulk(folder: Path) -> None:
    found = shelf(*of(folder, "bulk_last_history.txt"))
    assert [(each.type, next(iter(each.value.values())), each.start) for each in found.told] == [
        ("waist_circumference", 85, "2026-04-12T04:59:12"),
        ("weight", 72.9, "2026-04-12T04:59:12"),
        ("body_fat_percentage", 22.6, "2026-05-02T05:38"),
        ("body_water", pytest.approx(39.45, abs=0.01), "2026-05-02T05:38"),
        ("weight", 71.6, "2026-05-02T05:38"),
        ("body_fat_percentage", 22.4, "2026-05-03T05:41:22"),
        ("weight", 71.35, "2026-05-03T05:41:22"),
    ]
    assert found.counts == {"stored": 7, "duplicate": 2, "superseded": 2, "gone": 0}


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("delete_update_clear.txt", {"stored": 2, "duplicate": 0, "superseded": 1, "gone": 2}),
        ("legacy_2025.txt", {"stored": 3, "duplicate": 3, "superseded": 0, "gone": 3}),
        ("legacy_obfuscated.txt", {"stored": 1, "duplicate": 1, "superseded": 1, "gone": 1}),
    ],
)
def test_recorded_and_deleted(folder: Path, name: str, counts: Mapping[str, int]) -> None:
    found = shelf(*of(folder, name))
    assert (found.told, found.refused, found.counts) == ([], [], counts)


@pytest.mark.shared_data
def test_recorded_legacy_before_its_deletion(folder: Path) -> None:
    found = shelf(*of(folder, "legacy_2025.txt")[:1])
    assert [(each.type, next(iter(each.value.values())), each.start) for each in found.told] == [
        ("body_fat_percentage", 24.1, "2025-11-18T15:03"),
        ("body_water", pytest.approx(42.47, abs=0.01), "2025-11-18T15:03"),
        ("weight", 84.6, "2025-11-18T15:03"),
    ]


@pytest.mark.shared_data
def test_recorded_second_user(folder: Path) -> None:
    anns = shelf(*of(folder, "two_users_and_digits.txt"))
    assert (anns.told, [why for _, why in anns.refused]) == ([], ["identity_mismatch"] * 3)
    childs = shelf(*of(folder, "two_users_and_digits.txt", Declared(slot="2")))
    assert childs.told == [
        Told("weight", {"kg": 18.4}, "2026-05-03T05:44"),
        Told("body_fat_percentage", {"percent": 31}, "2026-05-03T05:46"),
    ]
    assert childs.refused == [("userId", "identity_mismatch")]
