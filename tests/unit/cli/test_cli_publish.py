"""What `healthsync publish` reads."""

import json

import pytest

from healthsync_mqtt.cli.publish import events_in
from healthsync_mqtt.errors import InputError

ONE = {"id": "a", "type": "weight"}
TWO = {"id": "b", "type": "weight"}


@pytest.mark.parametrize(
    ("text", "events"),
    [
        (json.dumps(ONE), [ONE]),
        (json.dumps(ONE, indent=2), [ONE]),
        (json.dumps([ONE, TWO]), [ONE, TWO]),
        (json.dumps({"batch": "b-1", "events": [ONE, TWO]}), [ONE, TWO]),
        (f"{json.dumps(ONE)}\n\n{json.dumps(TWO)}\n", [ONE, TWO]),
        ("[]", []),
    ],
)
def test_one_event_an_array_a_batch_and_lines_are_read(text: str, events: list) -> None:
    assert events_in(text.encode()) == events


@pytest.mark.parametrize("text", ["", "no JSON", "3", "[1]", '{"events": [1]}', '{"id": "a"}\n{', "[" * 100_000])
def test_anything_else_is_an_error_with_its_fix(text: str) -> None:
    with pytest.raises(InputError):
        events_in(text.encode())
