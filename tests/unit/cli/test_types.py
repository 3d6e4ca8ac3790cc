"""``healthsync type list`` and ``type schema`` as programs read them: each key of each type, and nothing else."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from healthsync_mqtt.cli.main import app
from healthsync_mqtt.model.catalogue import CATALOGUE, EventType
from healthsync_mqtt.model.event_schema import canonical_schema, event_schema, example_event

every_type = pytest.mark.parametrize("of", CATALOGUE.values(), ids=lambda of: of.name)


def asked(*words: str) -> str:
    done = CliRunner().invoke(app, ["type", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def listed() -> dict[str, dict[str, Any]]:
    """One object a line, in the order of the catalogue."""
    lines = [json.loads(line) for line in asked("list", "--json").splitlines()]
    assert [each["name"] for each in lines] == list(CATALOGUE)
    return {each["name"]: each for each in lines}


@every_type
def test_the_list_has_the_promised_keys_of_a_type_and_says_what_the_catalogue_says(
    listed: dict[str, dict[str, Any]], of: EventType
) -> None:
    told = listed[of.name]
    assert told == {
        "name": of.name,
        "kind": of.kind.value,
        "aliases": list(of.aliases),
        "fields": [
            {
                "name": each.field,
                "unit": each.unit,
                "low": each.low,
                "high": each.high,
                "loinc": each.loinc,
                "loinc_checked": each.loinc is not None and each.checked,
            }
            for each in of.quantities
        ],
        "sensitivity": of.sensitivity.value,
        "daily": of.daily.value,
        "loinc": of.loinc,
        "loinc_checked": of.loinc is not None and of.checked,
    }
    assert told["kind"] in {"instant", "interval", "daily", "session"}
    assert told["daily"] in {"sum", "mean", "last", "longest", "none"}
    assert told["sensitivity"] in {"general", "reproductive", "mental", "location"}
    for field in told["fields"]:
        assert field["low"] < field["high"], field


@every_type
def test_the_schema_of_a_type_is_that_of_the_whole_event(of: EventType) -> None:
    schema = json.loads(asked("schema", of.name))
    assert schema == event_schema(of)
    Draft202012Validator.check_schema(schema)
    whole = Draft202012Validator(schema)
    assert whole.is_valid(example_event(of))
    assert not whole.is_valid(example_event(of) | {"type": "no_such_type"})
    assert not whole.is_valid({key: said for key, said in example_event(of).items() if key != "start_time"})


@every_type
def test_the_schema_of_a_canonical_event_is_another_one(of: EventType) -> None:
    schema = json.loads(asked("schema", of.name, "--canonical"))
    assert schema == canonical_schema(of)
    assert not Draft202012Validator(schema).is_valid(example_event(of)), "as a device sends it"


def test_an_alias_is_as_good_as_the_name() -> None:
    assert asked("schema", "hr") == asked("schema", "heart_rate")
