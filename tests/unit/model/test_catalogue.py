import re
import tomllib
from pathlib import Path

import pytest

from healthsync_mqtt.model.catalogue import CATALOGUE, TimeKind, resolve
from healthsync_mqtt.model.reasons import Reason

UCUM = {
    "{steps}",
    "m",
    "kcal",
    "{flights}",
    "/min",
    "ms",
    "%",
    "Cel",
    "kg",
    "mg/dL",
    "mm[Hg]",
    "g",
    "mg",
    "ug",
    "mL",
    "1",
    # since 0.2
    "m/s", "W", "cm", "min", "h", "s", "Hz", "uV", "uS", "dB", "L", "L/min", "[IU]", "a", "deg", "/h", "mL/kg/min",
    "kg/m2", "kcal/d", "{MET}", "{pushes}", "{strokes}", "{falls}", "{puffs}", "{drinks}", "{score}",
}  # fmt: skip


def test_names_and_aliases_are_topic_words_and_unique():
    names = [name for t in CATALOGUE.values() for name in (t.name, *t.aliases)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z0-9_]{1,64}", name) for name in names)
    assert all(resolve(name) for name in names)
    assert resolve("HR") is None


@pytest.mark.parametrize(("alias", "name"), [("hr", "heart_rate"), ("bp", "blood_pressure"), ("steps", "steps")])
def test_aliases_resolve(alias, name):
    resolved = resolve(alias)
    assert resolved is CATALOGUE[name]


@pytest.mark.parametrize("event_type", CATALOGUE.values(), ids=lambda t: t.name)
def test_every_type_is_whole(event_type):
    assert event_type.usual is next(iter(event_type.forms.values()))
    one_number = "amount" in event_type.forms
    assert not one_number or len(event_type.quantities) == 1
    # A resting heart rate came as a series before it was of a day.
    may = event_type.kind is TimeKind.INSTANT or event_type.name == "resting_heart_rate"
    assert ("samples" in event_type.forms) == (one_number and may)
    for quantity in event_type.quantities:
        assert quantity.low < quantity.high
        assert quantity.unit in UCUM
    codes = [event_type.loinc, *(q.loinc for q in event_type.quantities)]
    assert all(re.fullmatch(r"\d{4,6}-\d", code) for code in codes if code)
    assert event_type.unit == (event_type.quantities[0].unit if event_type.quantities else None)


def test_loinc_codes_have_right_check_digits():
    for code in {q.loinc for t in CATALOGUE.values() for q in t.quantities if q.loinc} | {
        t.loinc for t in CATALOGUE.values() if t.loinc
    }:
        digits, check = code.split("-")
        doubled = [int(d) * (2 if place % 2 == 0 else 1) for place, d in enumerate(reversed(digits))]
        assert -sum(d - 9 if d > 9 else d for d in doubled) % 10 == int(check), code


def test_the_reasons_are_words_and_never_renamed():
    assert [reason.value for reason in Reason] == [
        "malformed",
        "too_large",
        "too_many",
        "too_deep",
        "decompress_limit",
        "repeated_key",
        "missing_field",
        "unknown_field",
        "wrong_type",
        "bad_number",
        "bad_id",
        "bad_string",
        "bad_time",
        "naive_time",
        "future_time",
        "bad_interval",
        "unknown_type",
        "out_of_range",
        "identity_mismatch",
        "not_allowed",
        "no_consent",
        "unknown_unit",
    ]


def test_the_model_does_no_input_or_output():
    config = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    forbidden = config["tool"]["importlinter"]["contracts"][1]["forbidden_modules"]
    for module in (Path(__file__).parents[3] / "healthsync_mqtt" / "model").rglob("*.py"):
        imported = re.findall(r"^(?:import|from) (\w+)", module.read_text(), re.MULTILINE)
        assert not set(imported) & set(forbidden), module.name
