"""Declared mappings: what a declaration may say, what it makes of somebody's messages, and where it is wrong."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.formats.catalogue import _TREE, FORMATS, ROOTS, declare
from healthsync_mqtt.formats.mapping import MappedFormat, load_mappings, read_mapping
from healthsync_mqtt.formats.port import Declared, Format, Gone, folded
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.testing.format_contract import FormatContract
from healthsync_mqtt.topics.registry import TopicRegistry
from scripts.support.tree import ROOT
from tests.support.app_messages import NOW_US, Shelf, Told, app_message, recorded
from tests.support.foreign_json import JSON, objects

FIXTURES = ROOT / "tests" / "fixtures" / "mappings"
BERLIN = Declared(zone="Europe/Berlin")
FIELD = {"path": "w", "unit": "kg"}
RULE = {"type": "weight", "time": {"path": "t"}, "value": {"kg": FIELD}}
AT = "2026-05-03T07:41:00+02:00"


def declared(*rules: Mapping[str, Any], **more: Any) -> MappedFormat:
    return read_mapping("mine", yaml.safe_dump({"summary": "mine", "rules": list(rules), **more}))


def shelf(form: MappedFormat, *contents: Any, login: Declared = BERLIN, **said: Any) -> Shelf:
    return Shelf(form).take(app_message(each, declared=login, **said) for each in contents)


def one(rule: Mapping[str, Any], content: Any, login: Declared = BERLIN, **said: Any) -> list[Any]:
    found = shelf(declared(rule), content, login=login, **said)
    return [*found.told, *found.refused]


class TestContract(FormatContract):
    """Of a format that the installation declares."""

    @pytest.fixture
    def form(self, tmp_path: Path) -> Iterator[Format]:
        (tmp_path / "mine").mkdir()
        rule = RULE | {"each": "data[*]"}
        (tmp_path / "mine" / "my_scale.yaml").write_text(yaml.safe_dump({"summary": "mine", "rules": [rule]}))
        declare(tmp_path / "mine")
        yield FORMATS["my_scale"]
        declare(tmp_path / "none")

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        return {json.dumps({"data": [{"t": AT, "w": 71.35}, {"t": "2026-05-03T07:42:00Z", "w": 71}]}).encode(): 2}

    @pytest.fixture
    def refusals(self) -> Mapping[bytes, list[str]]:
        records = [{"t": AT}, {"t": AT, "w": 71}, {"t": "2026-05-03 07:41", "w": 71}]
        return {json.dumps({"data": records}).encode(): ["data[0].w", "data[2].t"]}


def test_no_mapping_is_called_as_a_format_is() -> None:
    assert not set(load_mappings(FIXTURES)) & set(FORMATS)
    assert load_mappings(FIXTURES / "none") == {}


def test_the_mappings_of_an_installation_are_formats_of_its_process_alone(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    for folder in (mine, other):
        folder.mkdir()
    (mine / "my_scale.yaml").write_text(yaml.safe_dump({"summary": "mine", "rules": [RULE]}))
    (other / "fit.yaml").write_text(yaml.safe_dump({"summary": "mine", "rules": [RULE]}))
    before = list(FORMATS)
    try:
        declare(mine)
        assert list(FORMATS) == [*before, "my_scale"]
        with pytest.raises(InputError, match="called as"):
            declare(other)
        assert FORMATS["my_scale"].summary == "mine"
        (mine / "my_scale.yaml").write_text("nothing")
        with pytest.raises(InputError, match="my_scale"):
            declare(mine)
    finally:
        declare(tmp_path / "none")
    assert list(FORMATS) == before


@pytest.mark.parametrize(
    ("root", "whose"),
    [("openScaleSync", "openscale"), ("home", "theengs"), ("mine", "a_first"), ("users", "the program's own")],
)
def test_a_root_that_is_another_formats_is_no_mappings(tmp_path: Path, root: str, whose: str) -> None:
    """Messages of everybody who uses the other format would be read as the mapping says."""
    first = {"summary": "first", "roots": ["mine"], "rules": [RULE]}
    (tmp_path / "a_first.yaml").write_text(yaml.safe_dump(first))
    (tmp_path / "b_second.yaml").write_text(yaml.safe_dump(first | {"roots": [root]}))
    before = dict(ROOTS)
    with pytest.raises(InputError, match=f"b_second.yaml.*{root}.*{whose}"):
        declare(tmp_path)
    assert dict(ROOTS) == before


def test_the_first_levels_of_the_programs_topics_are_nobodys_roots() -> None:
    shipped = TopicRegistry.load()
    assert {channel.template.filter.partition("/")[0] for channel in shipped} == _TREE


def test_a_root_that_comes_with_the_topic_is_no_level_of_a_rule() -> None:
    form = declared({**RULE, "topic": "weight"}, roots=["bath"])
    for topic in ("weight", "bath/weight"):
        assert len(shelf(form, {"w": 71, "t": AT}, topic=topic).told) == 1


MILLIMETRES = {"path": "s", "unit": "mmHg"}
PRESSURE = {"type": "blood_pressure", "time": {"path": "t"}}


def pressure(**more: object) -> dict[str, Any]:
    return PRESSURE | {"value": {"systolic": MILLIMETRES, "diastolic": MILLIMETRES, **more}}


@pytest.mark.parametrize("format_", ["%d.%m.%Y %H:%M", "%d/%m/%y %I:%M:%S %p", "%Y-%m-%dT%H:%M:%S%z", "%d.%m.%Y", "%c"])
def test_patterns_by_which_a_time_can_be_read(format_: str) -> None:
    assert declared({**RULE, "time": {"path": "t", "format": format_}})


@pytest.mark.parametrize("unit", ["kg", "lb", "declared"])
def test_units_that_can_be_declared(unit: str) -> None:
    assert declared({**RULE, "value": {"kg": {"path": "w", "unit": unit}}})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("summary: a\nsummary: b\nrules: []", "summary"),
        ("summary: a\nrules:\n- {type: weight, value: {kg: {path: w, unit: kg}, kg: {path: v, unit: lb}}}", "kg"),
        ('summary: a\nrules:\n- {type: weight, "type": spo2}', "type"),
    ],
)
def test_a_key_that_is_there_twice_is_neither_of_the_two(text: str, key: str) -> None:
    with pytest.raises(InputError, match=f"the key '{key}' is there twice"):
        read_mapping("mine", text)


def test_what_is_written_once_may_stand_in_two_places() -> None:
    text = """
summary: mine
rules:
- &scale {type: weight, time: {path: t}, value: {kg: {path: w, unit: kg}}}
- {<<: *scale, value: {kg: {path: v, unit: lb}}}
"""
    found = shelf(read_mapping("mine", text), {"t": AT, "w": 71}, {"t": AT, "v": 150})
    assert [each.value["kg"] for each in found.told] == [68.0388555]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"rules": []}, "rules"),
        ({"rules": [{**RULE, "type": "telepathy"}]}, "rules.0.type"),
        ({"rules": [{**RULE, "value": {"kg": {"path": "w"}}}]}, "say its unit"),
        ({"rules": [{**RULE, "value": {"pounds": FIELD}}]}, "no such field"),
        ({"rules": [{**RULE, "value": {"kg": {**FIELD, "constant": 4}}}]}, "either a path or a constant"),
        ({"rules": [{**RULE, "value": {"kg": {"path": "a[*]", "unit": "kg"}}}]}, "not one place"),
        ({"rules": [{**RULE, "each": "a..b["}]}, "no path"),
        ({"rules": [{**RULE, "time": {"path": "t", "format": "soon"}}]}, "no pattern"),
        ({"rules": [{**RULE, "time": {"path": "t", "zone": "Mars/Base"}}]}, "no time zone"),
        ({"rules": [{**RULE, "colour": 1}]}, "rules.0.colour"),
        (
            {"rules": [{"type": "steps", "time": {"path": "t"}, "value": {"steps": {"path": "s", "unit": "{steps}"}}}]},
            "interval",
        ),
        ({"rules": [{**RULE, "end": {"path": "e"}, "lasts_s": 5}]}, "either an end or a length"),
        ({"rules": [{**RULE, "value": {"kg": {**FIELD, "unit_path": "u"}}}]}, "either a unit or a unit_path"),
        ({"rules": [{**RULE, "value": {"kg": {"path": "w", "unit": "kgs"}}}]}, "no unit of it; there are: kg, g"),
        ({"rules": [{**RULE, "value": {"kg": {"path": "w", "unit": "mmHg"}}}]}, "no unit of it"),
        ({"rules": [{**RULE, "value": {"kg": {"constant": 150, "unit": "lb"}}}]}, "neither unit nor words"),
        ({"rules": [{**RULE, "value": {"kg": {"constant": "heavy"}}}]}, "no number between 0.5 and 650"),
        ({"rules": [{**RULE, "value": {"kg": {"constant": 900}}}]}, "no number between 0.5 and 650"),
        ({"rules": [{**RULE, "value": {"kg": {**FIELD, "low": 9, "high": 1}}}]}, "nothing is between"),
        ({"rules": [{**RULE, "value": {"amount": FIELD, "unit": {"constant": "kg"}}}]}, "no number that has a unit"),
        ({"rules": [{**RULE, "value": {}}]}, "weight needs kg"),
        ({"rules": [PRESSURE | {"value": {"systolic": MILLIMETRES}}]}, "blood_pressure needs diastolic"),
        ({"rules": [pressure(position={"constant": "flying"})]}, "none of its words: standing, sitting"),
        ({"rules": [pressure(position={"path": "p", "words": {"0": "sitzend"}})]}, "none of its words"),
        ({"rules": [{**RULE, "time": {"path": "t", "format": "%Q"}}]}, "is no pattern"),
        ({"rules": [{**RULE, "time": {"path": "t", "format": "100%"}}]}, "is no pattern"),
        ({"rules": [{**RULE, "time": {"path": "t", "format": "%H:%M"}}]}, "not all of day, month and year"),
        ({"rules": [{**RULE, "time": {"path": "t", "format": "%d.%m.%Y %I:%M"}}]}, "which half of the day"),
        ({"rules": [{**RULE, "topic": "a/#/b"}]}, "last level"),
        ({"rules": [{**RULE, "topic": "scale+"}]}, "whole levels"),
        ({"rules": [{**RULE, "topic": "{slot}/{slot}"}]}, "says twice whose it is"),
        ({"ignore": ["#/status"]}, "last level"),
        ({"rules": [{"type": "sleep", "time": {"path": "t"}, "value": {}}]}, "interval"),
        ({"roots": ["a/b"]}, "first level"),
        ({"summary": ""}, "summary"),
    ],
)
def test_a_declaration_that_is_wrong_says_where(change: dict[str, Any], place: str) -> None:
    with pytest.raises(InputError, match=place.replace("[", r"\[").replace("{", r"\{")):
        read_mapping("mine", yaml.safe_dump({"summary": "mine", "rules": [RULE]} | change))


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "summary: x"])
def test_what_is_no_declaration(text: str) -> None:
    with pytest.raises(InputError):
        read_mapping("mine", text)


def test_a_name_is_one_level_of_a_topic() -> None:
    with pytest.raises(InputError, match="name"):
        read_mapping("My/Scale", yaml.safe_dump({"summary": "x", "rules": [RULE]}))


NAMES = ["a", "b", "c", "t", "w", "x"]


@given(JSON | objects(NAMES), st.sampled_from(["", "a", "a[*]", "[*].b", "[0]"]), st.booleans())
def test_no_json_raises_and_the_same_is_the_same(content: Any, each: str, retained: bool) -> None:
    rule = {**RULE, "each": each, "id": "x", "app": "a", "when": {"b": [1, "x"]}}
    form = declared(RULE, rule, {**RULE, "time": {"path": "t", "format": "epoch_s"}})
    message = app_message(content, declared=BERLIN, retained=retained)
    try:
        first = folded(form, message)
    except RefusedError:
        return
    assert first == folded(form, message)
    assert not any(isinstance(each, Gone) for each in first.outcomes)


@given(st.text(max_size=30))
def test_no_text_raises(text: str) -> None:
    rule = {"type": "weight", "time": {"format": "arrival"}, "value": {"kg": {"path": "", "unit": "kg", "texts": True}}}
    folded(declared(rule, payload="text"), app_message(text.encode("utf-8", "replace"), topic="x"))


@pytest.mark.parametrize(
    ("time", "content", "start"),
    [
        ({"path": "t"}, {"t": AT}, "2026-05-03T05:41"),
        ({"path": "t"}, {"t": "2026-05-03T07:41:00"}, "2026-05-03T05:41"),
        ({"path": "t", "zone": "UTC"}, {"t": "2026-05-03T05:41:00"}, "2026-05-03T05:41"),
        ({"path": "t", "ignore_offset": True}, {"t": "2026-05-03T07:41:00+00:00"}, "2026-05-03T05:41"),
        ({"path": "t", "format": "epoch_s"}, {"t": 1777786860}, "2026-05-03T05:41"),
        ({"path": "t", "format": "epoch_ms"}, {"t": "1777786860000"}, "2026-05-03T05:41"),
        ({"path": "t", "format": "epoch_s", "since": "2010-01-01"}, {"t": 515482860}, "2026-05-03T05:41"),
        ({"path": ["d", "t"], "format": "%d.%m.%Y %H:%M"}, {"d": "03.05.2026", "t": "07:41"}, "2026-05-03T05:41"),
        ({"path": "t", "format": "date"}, {"t": "2026-05-03"}, "2026-05-02T22:00"),
        ({"format": "arrival"}, {}, "2026-11-23T10:33:20"),
    ],
)
def test_times(time: dict[str, Any], content: dict[str, Any], start: str) -> None:
    assert one({**RULE, "time": time}, content | {"w": 71}) == [Told("weight", {"kg": 71}, start)]


@pytest.mark.parametrize(
    ("time", "content", "why"),
    [
        ({"path": "t"}, {"t": "2026-10-25"}, "naive_time"),
        ({"path": "t"}, {"t": "2026-03-29T02:30:00"}, "bad_time"),
        ({"path": "t"}, {"t": 5}, "bad_time"),
        ({"path": "t"}, {}, "missing_field"),
        ({"path": "t", "format": "%d.%m.%Y"}, {"t": "2026-05-03"}, "bad_time"),
        ({"path": "t", "format": "epoch_s"}, {"t": -5}, "bad_time"),
        ({"path": "t", "format": "epoch_s", "not_before": "2015-01-01"}, {"t": 515482860}, "bad_time"),
    ],
)
def test_times_that_are_none(time: dict[str, Any], content: dict[str, Any], why: str) -> None:
    assert one({**RULE, "time": time}, content | {"w": 71}) == [("t", why)]


STEPS = {"steps": {"path": "s", "unit": "{steps}"}}


@pytest.mark.parametrize(
    ("time", "content"),
    [
        ({"path": "t"}, {"t": "2026-05-03T18:00:00"}),
        ({"path": "t"}, {"t": "2026-05-03T20:00:00+04:00"}),
        ({"path": "t", "format": "%d.%m.%Y"}, {"t": "03.05.2026"}),
        ({"path": "t", "format": "epoch_s"}, {"t": 1777824000}),
        ({"path": "t", "format": "date"}, {"t": "2026-05-03"}),
    ],
)
def test_a_total_of_a_day_is_of_the_whole_day_whenever_it_was_said(time: dict[str, Any], content: Any) -> None:
    """So one that grows is one total, and not one more each time."""
    form = declared({"type": "daily_steps", "time": time, "value": STEPS})
    found = shelf(form, content | {"s": 7310}, content | {"s": 8000})
    assert found.told == [Told("daily_steps", {"steps": 8000}, "2026-05-02T22:00")]


def test_a_total_of_the_day_of_its_arrival_needs_a_zone() -> None:
    form = declared({"type": "daily_steps", "time": {"format": "arrival"}, "value": STEPS})
    found = shelf(form, {"s": 7310})
    found.take([app_message({"s": 8000}, declared=BERLIN, at_us=NOW_US + 3_600_000_000)])
    assert [each.value for each in found.told] == [{"steps": 8000}]
    assert shelf(form, {"s": 7310}, login=Declared()).refused == [("time", "naive_time")]


def test_milliseconds_are_not_seconds_and_count_from_where_is_declared() -> None:
    millis = {**RULE, "time": {"path": "t", "format": "epoch_ms"}}
    assert one(millis, {"t": 1777786860, "w": 71}) == [("t", "bad_time")]
    since = {**RULE, "time": {"path": "t", "format": "epoch_ms", "since": "2026-05-01"}}
    assert [each.start for each in one(since, {"t": 86_400_000, "w": 71})] == ["2026-05-02T00:00"]


def test_a_time_that_is_refused_says_where_it_is() -> None:
    rule = {**RULE, "time": {"path": "at", "format": "%d.%m.%Y %H:%M"}}
    assert one(rule, {"at": "01.01.1960 10:00", "w": 71}) == [("at", "bad_time")]
    assert one(rule, {"at": "03.05.2026 10:00", "w": 71}, Declared()) == [("at", "naive_time")]


def test_what_a_percentage_is_of_is_missed_by_its_own_name() -> None:
    rule = {**RULE, "type": "body_water", "value": {"kg": {"path": "p", "unit": "kg", "percent_of": "w"}}}
    assert one(rule, {"t": AT, "p": 55}) == [("w", "missing_field")]


def test_a_retained_message_has_no_time_of_arrival() -> None:
    arrival = {**RULE, "time": {"format": "arrival"}}
    assert one(arrival, {"w": 71}, retained=True, at_us=NOW_US) == [("time", "missing_field")]


@pytest.mark.parametrize(
    ("field", "content", "found"),
    [
        ({"unit": "lb"}, {"w": 157.3}, {"kg": 71.350079801}),
        ({"unit": "declared"}, {"w": 157.3}, {"kg": 71.350079801}),
        ({"unit_path": "u"}, {"w": 71, "u": "kg"}, {"kg": 71}),
        ({"unit_path": "u"}, {"w": 71, "u": "firkin"}, ("u", "unknown_unit")),
        ({"unit_path": "u"}, {"w": 71}, {"kg": 32.20505827}),
        ({"unit": "kg"}, {"w": "71"}, ("w", "wrong_type")),
        ({"unit": "kg", "texts": True}, {"w": " 71.5 "}, {"kg": 71.5}),
        ({"unit": "kg", "texts": True}, {"w": "71,5"}, ("w", "wrong_type")),
        ({"unit": "kg", "texts": True}, {"w": "nan"}, ("w", "bad_number")),
        ({"unit": "kg", "percent_of": "all"}, {"w": 50, "all": 80}, {"kg": 40}),
        ({"unit": "kg", "low": 39}, {"w": 10}, ("w", "out_of_range")),
        ({"unit": "kg"}, {"w": True}, ("w", "wrong_type")),
        ({"unit": "kg"}, {}, ("w", "missing_field")),
        ({"unit": "kg", "absent": [0]}, {"w": False}, ("w", "wrong_type")),
    ],
)
def test_numbers(field: dict[str, Any], content: dict[str, Any], found: object) -> None:
    rule = {**RULE, "value": {"kg": {"path": "w", **field}}}
    login = Declared(zone="Europe/Berlin", unit="lb")
    told = Told("weight", found, "2026-05-03T05:41") if isinstance(found, dict) else found
    assert one(rule, content | {"t": AT}, login) == [told]


def test_a_declared_unit_that_is_not_declared_is_refused_by_name() -> None:
    rule = {**RULE, "value": {"kg": {"path": "w", "unit": "declared"}}}
    assert one(rule, {"w": 71, "t": AT}) == [("w", "unknown_unit")]


def test_a_unit_that_is_neither_said_nor_declared_is_refused_by_name() -> None:
    rule = {**RULE, "value": {"kg": {"path": "w", "unit_path": "u"}}}
    assert one(rule, {"w": 71, "t": AT}) == [("u", "unknown_unit")]


def test_words_and_constants() -> None:
    value = {
        "systolic": {"path": "s", "unit": "mmHg"}, "diastolic": {"path": "d", "unit": "mmHg"},
        "position": {"path": "p", "words": {"0": "sitting"}, "optional": True}, "site": {"constant": "left_arm"},
    }  # fmt: skip
    rule = {"type": "bp", "time": {"path": "t"}, "value": value}
    content = {"s": 128, "d": 81, "t": AT}
    both = {"systolic": 128, "diastolic": 81}
    assert one(rule, content | {"p": 0})[0].value == both | {"position": "sitting", "site": "left_arm"}
    assert one(rule, content | {"p": 7})[0].value == both | {"site": "left_arm"}


def test_records_of_a_list_and_only_those_that_are_meant() -> None:
    rule = {**RULE, "each": "data[*].inner[*]", "when": {"stable": True, "kind": ["a", "b"]}}
    items = [{"w": 60 + each, "t": AT, "stable": each != 1, "kind": "abc"[each]} for each in range(3)]
    found = shelf(declared(rule), {"data": [{"inner": items}, {}, 5]})
    assert [each.value["kg"] for each in found.told] == [60]
    bad = shelf(declared({**RULE, "each": "data[*]"}), {"data": [{"w": 1}, {"w": 71, "t": AT}]})
    assert (bad.refused, len(bad.told)) == ([("data[0].t", "missing_field")], 1)


def test_topics_and_slots() -> None:
    rule = {**RULE, "topic": "person/{slot}/weight"}
    content, anns = {"w": 71, "t": AT}, Declared(zone="Europe/Berlin", slot="1")
    assert len(one(rule, content, anns, topic="person/1/weight")) == 1
    assert one(rule, content, anns, topic="person/2/weight") == [("", "identity_mismatch")]
    assert one(rule, content, topic="person/2/weight") == [("", "not_allowed")]
    assert one(rule, content, anns, topic="person/1/else") == []
    assert one({**RULE, "topic": "+/x/#"}, content, topic="a/x/y/z")[0].type == "weight"
    assert shelf(declared(RULE, ignore=["status"]), content, topic="status").told == []


def test_a_record_may_say_whose_it_is() -> None:
    rule = {**RULE, "each": "data[*]", "slot": "who.id"}
    content = {
        "data": [{"w": 70 + each, "t": AT, "who": {"id": whose}} for each, whose in enumerate((2, "2", 1, None))]
    }
    content["data"].append({"w": 75, "t": AT})
    anns = shelf(declared(rule), content, login=Declared(slot="ann, 2"))
    assert [each.value["kg"] for each in anns.told] == [71]  # the second corrects the first
    assert [why for _, why in anns.refused] == ["identity_mismatch", "missing_field", "missing_field"]
    assert anns.refused[0][0] == "data[2].who.id"
    assert [why for _, why in shelf(declared(rule), content).refused][:3] == ["not_allowed"] * 3


def test_a_key_may_have_any_letters() -> None:
    rule = {**RULE, "value": {"kg": {"path": '"a.b [x]".w[1]', "unit": "kg"}}}
    assert one(rule, {"a.b [x]": {"w": [1, 71]}, "t": AT})[0].value == {"kg": 71}


def test_an_id_of_the_source_is_the_events_name() -> None:
    form = declared({**RULE, "id": "n", "app": "a", "model": "m"})
    record = {"w": 71, "t": AT, "n": 5, "a": "app", "m": "Scale 1"}
    found = shelf(form, record, record | {"w": 72, "t": "2026-05-03T07:42:00+02:00"})
    assert [(each.value["kg"], each.start) for each in found.told] == [(72, "2026-05-03T05:42")]
    (event,) = found.events.values()
    assert (event["source"], event["device"]) == ({"provider": "mine", "app": "app"}, {"model": "Scale 1"})


def test_the_examples_of_the_page_are_declarations() -> None:
    page = (ROOT / "docs" / "howto" / "mapping.md").read_text()
    blocks = [part.split("```")[0] for part in page.split("```yaml\n")[1:]]
    assert len(blocks) >= 2
    for number, block in enumerate(blocks):
        read_mapping(f"example_{number}", block)


def test_rows_of_a_csv_text() -> None:
    rule = RULE | {"each": "[*]", "value": {"kg": FIELD | {"texts": True}}}
    form = declared(rule, payload="csv")
    rows = f'\ufefft,w\r\n{AT},71.35\r\n\r\n2026-05-03T07:42:00Z,"72"\r\n'.encode()
    assert [each.value["kg"] for each in shelf(form, rows).told] == [71.35, 72]
    for bad, place in ((b"", ""), (b"t,t\n1,2", ""), (f"t,w\n{AT},1,2".encode(), "[0]"), (b"\xff", "")):
        assert shelf(form, bad).refused == [(place, "malformed")]


def test_a_row_of_other_columns_is_refused_once_and_the_others_are_taken() -> None:
    rule = RULE | {"each": "[*]", "value": {"kg": FIELD | {"texts": True}}}
    form = declared(rule, rule | {"type": "lean_mass"}, payload="csv")
    found = shelf(form, f"t,w\n{AT},71.35\n{AT}\n2026-05-03T07:42:00Z,72,1\n2026-05-03T07:43:00Z,73".encode())
    assert [each.value["kg"] for each in found.of("weight")] == [71.35, 73]
    assert found.refused == [("[1]", "malformed"), ("[2]", "malformed")]


@given(st.text(max_size=40), st.text(max_size=20))
def test_no_rows_raise(head: str, row: str) -> None:
    rule = RULE | {"each": "[*]", "value": {"kg": FIELD | {"texts": True}}}
    with suppress(RefusedError):
        folded(declared(rule, payload="csv"), app_message(f"{head}\n{row}".encode()))


# -- recordings

RECORDED = [
    ("omron_bridge", "blood_pressure/omron_bridge.txt", "omron/", Declared("Europe/Berlin", slot="ann_at_example.org"),
     [("128/81", "2026-05-03T05:50"), ("124/79", "2026-05-03T05:52")], [("", "identity_mismatch")]),
    ("omron_gateway", "blood_pressure/omron_gateway_array.txt", "omron/", BERLIN,
     [("128/81", "2026-05-03T05:50"), ("124/79", "2026-05-03T05:52"), ("127/80", "2026-05-03T05:54:01")],
     [("[0]", "out_of_range")]),
    ("ubpm", "blood_pressure/ubpm.json", "", BERLIN,
     [("128/81", "2026-05-03T05:50"), ("124/79", "2026-05-03T05:54")], [("UBPM.U1[1]", "out_of_range")]),
    ("omblepy", "blood_pressure/omblepy_user1.csv", "", BERLIN,
     [("128/81", "2026-05-03T05:50"), ("124/79", "2026-05-03T05:52:59"), ("118/76", "2026-10-25T00:30:10")],
     [("[3].datetime", "bad_time")]),
    ("shortcut_lines", "shortcuts/lines.json", "", BERLIN, [], [("dates", "bad_time")]),
    ("shortcut_words", "shortcuts/locale.json", "", BERLIN, [],
     [("wann", "bad_time"), ("puls", "wrong_type"), ("distanz", "wrong_type")]),
    ("healthdata2mqtt", "scales/healthdata2mqtt.txt", "health/",
     Declared("Europe/Berlin", slot="ann_at_example_org,ann@example.org"),
     [(71.35, "2026-05-03T05:41:22"), ("128/81", "2026-05-03T05:50"), ("121/78", "2026-10-25T00:30")],
     [("user", "identity_mismatch")]),
    ("bs440_of_2010", "scales/bs440.txt", "bs440/", Declared("Europe/Berlin", slot="person1"),
     [(71.3, "2026-05-03T05:42:22")], [("", "future_time"), ("", "future_time"), ("", "identity_mismatch")]),
    ("esphome", "ble_gateway/esphome.txt", "", BERLIN,
     [(71.35, "2026-05-03T05:41:22")], [("", "bad_number"), ("time", "missing_field")]),
    ("librelinkup", "glucose/librelinkup.txt", "librelinkup/", BERLIN,
     [(99, "2026-05-02T22:15"), (108, "2026-05-03T05:26"), (112, "2026-05-03T05:41"), (113, "2026-05-03T05:42")], []),
    ("dex2mqtt", "glucose/dex_text.txt", "glucose/", Declared("Europe/Berlin", "mmol/L"),
     [(111.7, "2026-05-03T05:41:30")], [("time", "missing_field")]),
    ("dexpy", "glucose/dex_text.txt", "cgm", BERLIN,
     [(112, "2026-05-03T05:41")], [("[2]", "out_of_range"), ("[2]", "missing_field")]),
    ("shortcut_day", "shortcuts/flat_day.json", "", BERLIN,
     [(7310, "2026-01-08T23:00"), (85.547520982, "2026-01-08T23:00")], []),
    ("shortcut_day", "shortcuts/flat_day.json", "", Declared(), [], [("date", "naive_time"), ("date", "naive_time")]),
    ("shortcut_arrays", "shortcuts/arrays.json", "", BERLIN,
     [(18.7, "2026-02-17T06:41"), (80.6, "2026-02-17T06:41")], [("bodyMass[0].date", "naive_time")]),
]  # fmt: skip


def _number(value: dict[str, Any]) -> object:
    return f"{value['systolic']}/{value['diastolic']}" if "systolic" in value else next(iter(value.values()))


@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "file", "root", "login", "told", "refused"), RECORDED)
def test_recordings_through_declared_mappings(  # noqa: PLR0917  # a column each
    shared_data: Path, name: str, file: str, root: str, login: Declared, told: list[Any], refused: list[Any]
) -> None:
    messages = recorded(shared_data / "phone" / file, root, declared=login)
    found = Shelf(load_mappings(FIXTURES)[name]).take(messages)
    assert [(_number(each.value), each.start) for each in found.told] == told
    assert found.refused == refused


@pytest.mark.shared_data
def test_recorded_bs440(shared_data: Path) -> None:
    login = Declared("Europe/Berlin", slot="person1")
    messages = recorded(shared_data / "phone" / "scales" / "bs440.txt", "bs440/", declared=login)
    found = Shelf(load_mappings(FIXTURES)["bs440"]).take(messages)
    assert [(each.type, _number(each.value)) for each in found.told] == [
        ("body_fat_percentage", 22.4),
        ("body_water", pytest.approx(37.96, abs=0.01)),
        ("bone_mass", 2.9),
        ("muscle_mass", pytest.approx(27.18, abs=0.01)),
        ("weight", 71.35),
    ]
    assert {why for _, why in found.refused} == {"bad_time", "identity_mismatch"}
