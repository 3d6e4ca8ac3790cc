"""The forms that events are written in, and how one is asked for."""

import csv
import io
import json

import pytest

from healthsync_mqtt.gateway.bodies.event_forms import EventForm, as_csv, as_first_api, as_json, as_lines, form_of
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.model.record import Record


def record(name: str = "e-1", body: bytes = b'{"value":{"bpm":72}}', user: str = "alice") -> Record:
    return Record(9, user, "watch", None, name, "heart_rate", 0, None, 1_000_000, 0, 0, body, 4)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", EventForm.JSON),
        ("*/*", EventForm.JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", EventForm.JSON),
        ("text/csv", EventForm.CSV),
        ("application/json;q=0.5, text/csv", EventForm.CSV),
        ("APPLICATION/X-NDJSON", EventForm.LINES),
        ("text/csv;q=0, application/json", EventForm.JSON),
    ],
)
def test_the_form_that_is_liked_best(accept: str, form: EventForm) -> None:
    assert form_of(accept) is form


@pytest.mark.parametrize("accept", ["image/png", "text/csv;q=0", "application/json;q=x"])
def test_none_of_ours(accept: str) -> None:
    with pytest.raises(HttpError) as caught:
        form_of(accept)
    assert caught.value.status == 406


def test_json_and_lines_are_the_canonical_event() -> None:
    (one,) = json.loads(as_json([record()], None))["events"]
    assert json.loads(as_lines([record()])) == one
    assert (one["seq"], one["value"]) == (4, {"bpm": 72})
    assert json.loads(as_json([], "abc")) == {"events": [], "next": "abc"}


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_no_id_is_a_formula_of_a_table(name: str) -> None:
    (row,) = csv.DictReader(io.StringIO(as_csv([record(name)]).decode()))
    assert row["id"] == f"'{name}"


def test_a_user_of_the_first_api_is_a_number_where_it_was_one() -> None:
    body = b'{"value":{"steps":4},"source":{"app":"fit"}}'
    assert as_first_api(record(body=body, user="123"))["user_id"] == 123
    assert as_first_api(record(body=body, user="0123"))["user_id"] == "0123"
    assert as_first_api(record(body=body))["value"] == {"steps": 4, "source": "fit"}
