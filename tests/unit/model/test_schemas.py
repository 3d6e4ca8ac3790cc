"""The published schemas are schemas, say what the decoder says, and take for ever what a release took."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from bridge.decode.delivery import decode
from healthsync_mqtt.model.catalogue import CATALOGUE, EventType
from healthsync_mqtt.model.event import Rejection
from healthsync_mqtt.model.event_schema import (
    BASE,
    any_event_schema,
    batch_schema,
    event_schema,
    example_event,
    receipt_schema,
    schemas,
)
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.model.receipt import encode_receipt, rejected_entry
from healthsync_mqtt.model.record import canonical_json
from healthsync_mqtt.sinks.kafka.message import event_message
from scripts.support.schema_files import DIRECTORY, files
from tests.support.narrowed import narrowed
from tests.support.type_values import event_of, values
from tests.unit.exports.examples import SERIES, of_every_type, records

NOW_US = 1_795_420_800_000_000
ORIGIN = Origin("alice", "watch", None, "users/alice/devices/watch/events")
RELEASED = sorted((Path(__file__).parents[2] / "fixtures" / "schemas").glob("*.json"))

every_type = pytest.mark.parametrize("of", CATALOGUE.values(), ids=lambda of: of.name)


def outcome(event: Any) -> Rejection | None:
    decoded = decode(json.dumps(event).encode(), ORIGIN, NOW_US)
    return decoded.rejections[0] if decoded.rejections else None


# -- they are schemas


@pytest.mark.parametrize("name", schemas())
def test_every_schema_is_one_and_its_examples_are_of_it(name: str) -> None:
    schema = schemas()[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == BASE + name
    validator = Draft202012Validator(schema)
    for example in schema.get("examples", ()):
        validator.validate(example)


def test_the_files_are_what_the_code_says_and_no_others() -> None:
    assert {path.relative_to(DIRECTORY).as_posix() for path in DIRECTORY.rglob("*.json")} == set(files())
    for name, text in files().items():
        assert (DIRECTORY / name).read_text(encoding="utf-8") == text, f"run scripts/docs: {name}"


def test_a_batch_is_events() -> None:
    registry: Any = Registry().with_resource(BASE + "event.json", Resource.from_contents(any_event_schema()))
    batch = Draft202012Validator(batch_schema(), registry=registry)
    events = [example_event(of) for of in CATALOGUE.values()]
    assert batch.is_valid({"batch": "b", "events": events})
    assert not batch.is_valid({"batch": "b", "events": []})
    assert not batch.is_valid({"batch": "", "events": events})
    assert not batch.is_valid({"batch": "b", "events": [{"id": "a", "type": "nope"}]})


def test_a_receipt_is_what_the_bridge_writes() -> None:
    validator = Draft202012Validator(receipt_schema())
    refused = Rejection(3, None, Reason.FUTURE_TIME, "start_time", "later", b"", retry=True, due_us=5)
    for batch, count in (("b-1", 3), (None, ["a", "b"])):
        text = encode_receipt("epoch", 7, batch, count, count, [rejected_entry(refused)], ["retain"])
        validator.validate(json.loads(text))
    assert not validator.is_valid({"epoch": "e"})


def test_what_a_message_of_kafka_names_is_the_schema_of_what_it_holds() -> None:
    """By the header alone: a consumer looks the schema up, and validates the value with it."""
    published = {schema["$id"]: schema for schema in schemas().values()}
    deleted = records({"id": "gone", "type": "steps", "version": 1, "op": "delete"})
    for record in [*of_every_type(), *records(SERIES), *deleted]:
        header = dict(event_message(record, "e1").headers)["schema"].decode()
        Draft202012Validator(published[header]).validate(json.loads(canonical_json(record)))


# -- they say what the decoder says

#: What no schema says: one place compared with another, which characters a text has, what is no day of the calendar.
NO_MATTER_OF_SHAPE = {"bad_interval", "bad_time", "future_time", "naive_time", "bad_string", "identity_mismatch"}


def agreed(of: EventType, event: dict[str, Any]) -> None:
    refusal = outcome(event)
    faults = [error.message for error in Draft202012Validator(event_schema(of)).iter_errors(event)]
    if refusal is None:
        assert faults == [], event
    elif not faults:
        whole_float = "must be int, not float" in refusal.message  # 1.0 is an integer to a schema
        crossed = of.name in {"blood_pressure", "workout"} and refusal.reason is Reason.OUT_OF_RANGE
        assert refusal.reason.value in NO_MATTER_OF_SHAPE or whole_float or crossed, (refusal, event)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(-1e6, 1e6)
    | st.sampled_from(["", "x", "kg", "medium", "2026-11-23T06:00:00Z", "2026-11-23T06:00:00", "x" * 1025])
)
JSON = st.recursive(
    SCALARS, lambda part: st.lists(part, max_size=3) | st.dictionaries(st.sampled_from(["amount", "x"]), part)
)


def places(value: Any) -> list[tuple[Any, ...]]:
    """The paths to every part of a value."""
    if isinstance(value, dict):
        return [(key, *rest) for key, part in value.items() for rest in [(), *places(part)]]
    if isinstance(value, list):
        return [(at, *rest) for at, part in enumerate(value) for rest in [(), *places(part)]]
    return []


@st.composite
def nearly_events(draw: st.DrawFn) -> tuple[EventType, dict[str, Any]]:
    of = draw(st.sampled_from(list(CATALOGUE.values())))
    form = draw(st.sampled_from(list(of.forms.values())))
    more: Any = st.fixed_dictionaries(
        {},
        optional={
            "user_id": st.sampled_from(["alice", None, 7]),
            "device": st.fixed_dictionaries({}, optional={"model": st.text("ab", max_size=3), "x": SCALARS}),
            "source": st.fixed_dictionaries({}, optional={"recording": st.sampled_from(["auto", "no", None])}),
            "utc_offset": st.integers(-65_000, 65_000),
            "version": st.integers(-1, 5),
            "op": st.sampled_from(["upsert", "delete", "remove"]),
        },
    )
    event = event_of(of, draw(values(form))) | draw(more)
    for _ in range(draw(st.integers(0, 2))):
        path = draw(st.sampled_from(places(event)))
        if path == ("type",):
            continue
        within = event
        for step in path[:-1]:
            within = within[step]
        if draw(st.booleans()) and isinstance(within, dict):
            del within[path[-1]]
        else:
            within[path[-1]] = draw(JSON)
        if not places(event):
            break
    return of, event


@settings(max_examples=800, deadline=None)
@given(nearly_events())
def test_decoder_and_schema_agree(drawn: tuple[EventType, dict[str, Any]]) -> None:
    of, event = drawn
    agreed(of, event)


@every_type
def test_decoder_and_schema_agree_about_the_example_with_each_part_gone_or_another(of: EventType) -> None:
    whole = example_event(of)
    agreed(of, whole)
    for path in places(whole):
        if path == ("type",):
            continue
        for put in (..., None, True, -1, 0.5, 10**7, "x", [], {}, [[0, 1]]):
            event = copy.deepcopy(whole)
            within: Any = event
            for step in path[:-1]:
                within = within[step]
            if put is ...:
                del within[path[-1]]
            else:
                within[path[-1]] = put
            agreed(of, event)


# -- they take for ever what a release took


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_what_a_release_took_is_taken(path: Path) -> None:
    released = json.loads(path.read_text(encoding="utf-8"))
    assert released
    for name, schema in released.items():
        assert name in CATALOGUE, f"{path.stem} had the type {name}"
        assert list(narrowed(schema, event_schema(CATALOGUE[name]), name)) == []


def test_there_is_a_release() -> None:
    assert next(path.stem for path in RELEASED) == "0.1.0"


def changed(change: Any) -> list[str]:
    """What is found when the schema of a type is changed so."""
    of = event_schema(CATALOGUE["food"])
    new = copy.deepcopy(of)
    change(new["else"]["properties"]["value"])
    return list(narrowed(of, new))


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value["properties"].pop("sodium_mg"),
        lambda value: value["properties"]["sodium_mg"].update(maximum=5),
        lambda value: value["properties"]["sodium_mg"].update(minimum=1),
        lambda value: value["properties"]["sodium_mg"].update(type="number"),
        lambda value: value["properties"]["sodium_mg"].update(type=["integer", "null"]),
        lambda value: value["properties"]["meal"]["enum"].remove("snack"),
        lambda value: value["properties"]["items"].update(maxItems=99),
        lambda value: value["properties"]["items"]["items"]["required"].append("grams"),
        lambda value: value["properties"]["items"]["items"]["properties"]["name"].update(pattern="^[a-z]+$"),
        lambda value: value.update(required=["meal"]),
        lambda value: value["anyOf"].pop(),
    ],
)
def test_a_schema_that_was_narrowed_is_found(change: Any) -> None:
    assert changed(change)


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value["properties"].update(tin_ug={"type": "number"}),
        lambda value: value["properties"]["sodium_mg"].update(maximum=10**9),
        lambda value: value["properties"]["meal"]["enum"].append("brunch"),
        lambda value: value["properties"]["items"].pop("maxItems"),
        lambda value: value["anyOf"].append({"required": ["meal"]}),
        lambda value: value.pop("anyOf"),
    ],
)
def test_a_schema_that_takes_more_is_well(change: Any) -> None:
    assert changed(change) == []
