"""Whatever shape it comes in: of a type without consent no value is kept, in no field of what is quarantined."""

import base64
import bz2
import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from bridge.decode.delivery import decode
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.identity.consent.decisions import in_force
from healthsync_mqtt.model.event import Rejection
from tests.support.consent import grant
from tests.unit.bridge.decode.examples import NOW_US, ORIGIN

VALUE = "61.625"
START = "2026-01-01T00:00:00Z"
GOOD: dict[str, Any] = {"id": "h", "type": "heart_rate", "start_time": START, "value": {"bpm": 60}}


def secret(type_name: str, **more: Any) -> dict[str, Any]:
    return {"id": "x", "type": type_name, "start_time": START, "value": {"secret": float(VALUE)}} | more


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


def encoded(name: str) -> Callable[[str], bytes]:
    return lambda of: json.dumps(secret(of)).encode(name)


PACKED: dict[str, Callable[[str], bytes]] = {
    **{name: encoded(name) for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp037")},
    "gzip": lambda of: gzip.compress(text(secret(of))),
    "gzip in gzip": lambda of: gzip.compress(gzip.compress(text(secret(of)))),
    "UTF-16 in gzip": lambda of: gzip.compress(json.dumps(secret(of)).encode("utf-16")),
    "zlib": lambda of: zlib.compress(text(secret(of))),
    "bzip2": lambda of: bz2.compress(text(secret(of))),
}
"""In letters of which nobody can say what they spell."""

SHAPES: dict[str, Callable[[str], bytes]] = PACKED | {
    "utf-7": encoded("utf-7"),
    "byte order mark": encoded("utf-8-sig"),
    "unknown field of its value": lambda of: text(secret(of)),
    "not finite": lambda of: text(secret(of))[:-1] + b',"more":NaN}',
    "cut off": lambda of: text(secret(of))[:-3],
    "comma": lambda of: b"[" + text(secret(of)) + b",]",
    "comment": lambda of: b"/**/" + text(secret(of)),
    "single quotes": lambda of: text(secret(of)).replace(b'"', b"'"),
    "a text": lambda of: text(json.dumps(secret(of))),
    "two documents": lambda of: text(GOOD) + b"\n" + text(secret(of)),
    "among others": lambda of: text([GOOD, secret(of)]),
    "too many": lambda of: text([secret(of)] * 501),
    "events twice": lambda of: text({"events": [GOOD]})[:-1] + b',"events":' + text([secret(of)]) + b"}",
    "events as object": lambda of: text({"events": {"a": secret(of)}}),
    "batch in batch": lambda of: text({"events": [{"events": [secret(of)]}]}),
    "beside the events": lambda of: text({"batch": "b", "events": [GOOD], "more": secret(of)}),
    "in an unknown field": lambda of: text(GOOD | {"more": secret(of)}),
    "in a text of an unknown field": lambda of: text(GOOD | {"more": json.dumps(secret(of))}),
    "deep": lambda of: text(GOOD)[:-1] + b',"more":' + b"[" * 40 + text(secret(of)) + b"]" * 40 + b"}",
    "type as list": lambda of: text(secret(of) | {"type": [of]}),
    "type as object": lambda of: text(secret(of) | {"type": {of: 1}}),
    "type with spaces": lambda of: text(secret(f" {of} ")),
    "type escaped": lambda of: text(secret(of)).replace(of[:1].encode(), f"\\u{ord(of[0]):04x}".encode(), 1),
    "type twice, it last": lambda of: b'{"type":"heart_rate",' + text(secret(of))[1:],
    "type twice, it first": lambda of: text(secret(of))[:-1] + b',"type":"heart_rate"}',
    "a deletion": lambda of: text(secret(of, op="delete")),
    "a version below 0": lambda of: text(secret(of, version=-1)),
    "another user's": lambda of: text(secret(of, user_id="bob")),
    "of the future": lambda of: text(secret(of, start_time="2999-01-01T00:00:00Z")),
}  # fmt: skip

NAMED_BY_SENDER: dict[str, Callable[[str], bytes]] = {
    "the value as a field": lambda _: text({"id": "x", "start_time": START, VALUE: 1}),
    "the value as a field of the value": lambda of: text(secret(of, value={VALUE: 1})),
    "the value as a field of an event that may be stored": lambda _: text(GOOD | {VALUE: 1}),
    "the value as a field that is there twice": lambda _: f'{{"id":"x","{VALUE}":1,"{VALUE}":2}}'.encode(),
    "the value beside the events": lambda _: text({"batch": "b", "events": [GOOD], VALUE: 1}),
    "base64": lambda of: base64.b64encode(text(secret(of))),
    "hexadecimal": lambda of: text(secret(of)).hex().encode(),
    "a number": lambda _: VALUE.encode(),
}


def refused(payload: bytes, gate: ConsentGate) -> list[Rejection]:
    decoded = gate.screen(decode(payload, ORIGIN, NOW_US), "alice", NOW_US)
    assert {event.type for event in decoded.events} <= {"heart_rate"}
    assert decoded.rejections
    return decoded.rejections


def kept(rejections: list[Rejection]) -> list[object]:
    return [each for each in rejections if each.raw or VALUE in f"{each.message} {each.field}"]


@pytest.mark.parametrize("shape", (SHAPES | NAMED_BY_SENDER).values(), ids=SHAPES | NAMED_BY_SENDER)
def test_of_a_type_that_was_not_named(shape: Callable[[str], bytes]) -> None:
    assert kept(refused(shape("weight"), ConsentGate(in_force(grant("alice", ["heart_rate"]))))) == []


@pytest.mark.parametrize("type_name", ["menstruation", "workout_route", "state_of_mind"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_of_a_type_that_everything_does_not_mean(shape: Callable[[str], bytes], type_name: str) -> None:
    assert kept(refused(shape(type_name), ConsentGate(in_force(grant("alice"))))) == []


def test_what_is_said_of_a_refusal_is_in_our_own_words() -> None:
    gate = ConsentGate(in_force(grant("alice", ["heart_rate"])))
    (known,) = refused(text(secret("weight", value={"kg": "x"}, type=7)), gate)
    assert known.field == "type"
    (unknown,) = refused(text({"id": "x", "start_time": START, "pregnant": 1}), gate)
    assert unknown.field in {None, "type", "value"}
    assert unknown.omitted is not None
