"""What was released of the API stays: no path, parameter, field or word of the document of a release is narrowed.

``openapi_released.json`` is that document. A release puts its own in its place; what is new before that may change.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.kept_wide import narrowings

ROOT = Path(__file__).parents[4]
RELEASED = json.loads((ROOT / "tests" / "fixtures" / "openapi_released.json").read_bytes())
PAGE, EVENTS = "/v1/users/{user}/events", "/v1/events"


def current() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / "docs" / "reference" / "schemas" / "openapi.json").read_bytes())
    return document


def test_nothing_of_what_was_released_is_narrowed() -> None:
    assert len(RELEASED["paths"]) >= 80
    assert narrowings(RELEASED, current()) == []


def parameter(document: Any, name: str) -> Any:
    return next(each for each in document["paths"][PAGE]["get"]["parameters"] if each["name"] == name)


def carer(document: Any) -> Any:
    return document["components"]["schemas"]["CarerGrant"]


def event(document: Any) -> Any:
    return document["components"]["schemas"]["Event"]


def session(document: Any) -> Any:
    return document["components"]["schemas"]["Session"]


CUTS: list[tuple[str, Callable[[Any], Any]]] = [
    ("is gone", lambda d: d["paths"].pop(EVENTS)),
    ("is gone", lambda d: d["paths"]["/v1/session"].pop("delete")),
    ("the parameter device is gone", lambda d: d["paths"][PAGE]["get"]["parameters"].remove(parameter(d, "device"))),
    ("type: is required now", lambda d: parameter(d, "type").update(required=True)),
    (
        "the parameter why is new and required",
        lambda d: d["paths"][PAGE]["get"]["parameters"].append({"name": "why", "in": "query", "required": True}),
    ),
    ("limit: maximum is lower", lambda d: parameter(d, "limit")["schema"].update(maximum=10)),
    ("limit: takes", lambda d: parameter(d, "limit")["schema"].update(type="string")),
    ("answer 422 is gone", lambda d: d["paths"][EVENTS]["post"]["responses"].pop("422")),
    ("text/csv any more", lambda d: d["paths"][PAGE]["get"]["responses"]["200"]["content"].pop("text/csv")),
    ("no body is taken", lambda d: d["paths"][EVENTS]["post"].pop("requestBody")),
    ("body: why is required now", lambda d: carer(d)["required"].append("why")),
    ("body: until is gone", lambda d: carer(d)["properties"].pop("until")),
    ("body.types: maxItems is lower", lambda d: carer(d)["properties"]["types"].update(maxItems=3)),
    ("device_id is gone", lambda d: event(d)["properties"].pop("device_id")),
    ("version may be missing now", lambda d: event(d)["required"].remove("version")),
    ("seq: is ['integer', 'null'] now", lambda d: event(d)["properties"]["seq"].update(type=["integer", "null"])),
    ("op: has words that nobody expects", lambda d: event(d)["properties"]["op"]["enum"].append("move")),
    ("role: has words that nobody expects", lambda d: session(d)["properties"]["role"].pop("enum")),
]


@pytest.mark.parametrize(("reason", "cut"), CUTS, ids=[reason for reason, _ in CUTS])
def test_a_cut_is_found(reason: str, cut: Callable[[Any], Any]) -> None:
    cut_down = copy.deepcopy(RELEASED)
    cut(cut_down)
    assert any(reason in each for each in narrowings(RELEASED, cut_down)), narrowings(RELEASED, cut_down)


def test_what_is_added_is_no_cut() -> None:
    wider = copy.deepcopy(RELEASED)
    wider["paths"]["/v1/more"] = wider["paths"][EVENTS]
    wider["paths"][PAGE]["get"]["parameters"].append({"name": "why", "in": "query", "required": False, "schema": {}})
    parameter(wider, "limit")["schema"]["maximum"] = 100_000
    event(wider)["properties"]["weather"] = {"type": "string"}
    carer(wider)["properties"]["note"] = {"type": "string"}
    assert narrowings(RELEASED, wider) == []
