"""Hostile and broken deliveries: each is refused with its reason and harms nothing beside it."""

import gzip
import json
import zlib

import pytest

from bridge.decode.delivery import MOST_PASSES, Limits
from bridge.decode.exact_json import MOST_EXPLAINED
from healthsync_mqtt.model.reasons import Reason
from tests.support.steps import steps
from tests.unit.bridge.decode.examples import END, accepted, event, payload, read, rejected

GOOD = payload(event(id="good"))


def text_event(value: str) -> bytes:
    return b'{"id":"e-1","type":"hr","start_time":"2026-11-23T06:00:00Z","value":%b}' % value.encode()


BAD_FIELDS = [
    (event(id=...), "missing_field", "id", "id is missing"),
    (event(type=...), "missing_field", "type", "type is missing"),
    (event(start_time=...), "missing_field", "start_time", "start_time is missing"),
    (event(value=...), "missing_field", "value", "value is missing"),
    (event(value={}), "missing_field", "value.bpm", "bpm is missing"),
    (event(id=""), "bad_id", "id", "id must have at least 1 characters"),
    (event(id="x" * 129), "bad_id", "id", "id must have at most 128 characters"),
    (event(id=5), "wrong_type", "id", "id must be str, not int"),
    (event(type="heart"), "unknown_type", "type", "heart is not in the catalogue"),
    (event(type="hrv"), "unknown_type", "type", "hrv is not in the catalogue"),
    (event(extra=1), "unknown_field", "extra", "extra is no field here"),
    (event(__proto__=1), "unknown_field", "__proto__", "__proto__ is no field here"),
    (event(value={"bpm": 72, "x": 1}), "unknown_field", "value.x", "x is no field here"),
    (event(value={"bpm": 900}), "out_of_range", "value.bpm", "bpm 900 is above 300"),
    (event(value={"bpm": 19.5}), "out_of_range", "value.bpm", "bpm 19.5 is below 20"),
    (event(type="weight", value={"kg": 0}), "out_of_range", "value.kg", "kg 0 is below 0.5"),
    (event(type="glucose", value={"mmol_l": 90.5}), "out_of_range", "value.mmol_l", "mmol_l 90.5 is above 55.507"),
    (event(value={"bpm": "72"}), "wrong_type", "value.bpm", "bpm must be int or float, not str"),
    (event(value={"bpm": True}), "wrong_type", "value.bpm", "bpm must be int or float, not bool"),
    (event(value={"bpm": None}), "wrong_type", "value.bpm", "bpm must be int or float, not null"),
    (event(value=72), "wrong_type", "value", "value must be object, not int"),
    (event(value=None), "wrong_type", "value", "value must be object, not null"),
    (event(value={"bpm": 2**53 + 1}), "bad_number", "value.bpm", "9007199254740993 is beyond 2^53"),
    (event(version=-1), "out_of_range", "version", "version -1 is below 0"),
    (event(version=2**53 + 1), "bad_number", "version", "9007199254740993 is beyond 2^53"),
    (event(version=1.5), "wrong_type", "version", "version must be int, not float"),
    (event(op="replace"), "wrong_type", "op", "op is none of the words it may be"),
    (event(utc_offset=64_801), "out_of_range", "utc_offset", "utc_offset 64801 is above 64800"),
    (event(user_id="bob"), "identity_mismatch", "user_id", "user_id is not the user of the topic"),
    (event(user_id=12), "identity_mismatch", "user_id", "user_id is not the user of the topic"),
    (event(start_time="2026-11-23T06:00:00"), "naive_time", "start_time", "start_time has no offset"),
    (event(end_time="2026-11-23T06:10:00"), "naive_time", "end_time", "end_time has no offset"),
    (event(start_time="2036-11-23T06:00:00Z"), "future_time", "start_time", "start_time is in the future"),
    (event(start_time="9999-12-31T23:59:59-12:00"), "future_time", "start_time", "start_time is in the future"),
    (event(start_time="1969-12-31T23:59:59.5Z"), "bad_time", "start_time", "start_time is before 1970"),
    (event(start_time="0001-01-01T00:00:00+14:00"), "bad_time", "start_time", "start_time is before 1970"),
    (event(start_time="2026-11-23T05:59:60Z"), "bad_time", "start_time", "start_time is not an RFC 3339 date and time"),
    (
        event(start_time="10000-01-01T00:00:00Z"),
        "bad_time",
        "start_time",
        "start_time is not an RFC 3339 date and time",
    ),
    (event(start_time="2026-02-30T00:00:00Z"), "bad_time", "start_time", "start_time is not an RFC 3339 date and time"),
    (event(start_time="2026-11-23"), "bad_time", "start_time", "start_time is not an RFC 3339 date and time"),
    (event(end_time="2026-11-23T05:59:59Z"), "bad_interval", "end_time", "the event ends before it starts"),
    (event(device=[]), "wrong_type", "device", "device must be an object"),
    (event(device={"os": {"name": "x"}}), "wrong_type", "device.os", "device may not hold objects or arrays"),
    (event(device={"model": 7}), "wrong_type", "device.model", "model must be text"),
    (event(device={"n": 2**53 + 1}), "bad_number", "device.n", "9007199254740993 is beyond 2^53"),
    (event(device={"model": "x" * 1025}), "bad_string", "device.model", "a text longer than 1024 characters"),
    (event(source={"x" * 1025: 1}), "bad_string", f"source.{'x' * 64}", "a text longer than 1024 characters"),
    (
        event(source={"recording": "x"}),
        "wrong_type",
        "source.recording",
        "recording must be auto, active, manual or unknown",
    ),
    (event(value={"bpm": 72, "source": "x" * 1025}), "bad_string", "value.source", None),
    (event(value={"bpm": 72, "source": 5}), "wrong_type", "value.source", "source must be text"),
    (
        event(value={"bpm": 72, "source": "a"}, source={"app": "b"}),
        "unknown_field",
        "value.source",
        "the app is given in value.source and in source.app",
    ),
    (
        event(value={"bpm": 72, "samples": [[0, 72]]}),
        "unknown_field",
        "value.samples",
        "bpm and samples exclude each other",
    ),
    (event(value={"samples": []}), "wrong_type", "value.samples", "samples must have at least 1 entries"),
    (event(value={"samples": [[0, 72], [1, 900]]}), "out_of_range", "value.samples[1][1]", "bpm 900 is above 300"),
    (
        event(value={"samples": [[-1, 72]]}),
        "out_of_range",
        "value.samples[0][0]",
        "samples[0][0] -1 is below 0",
    ),
    (
        event(value={"samples": [[86_401, 72]]}),
        "out_of_range",
        "value.samples[0][0]",
        "samples[0][0] 86401 is above 86400",
    ),
    (
        event(value={"samples": [[2, 72], [1, 72]]}),
        "bad_interval",
        "value.samples[1][0]",
        "the seconds of the samples go back",
    ),
    (event(value={"samples": [[0, 72, 1]]}), "wrong_type", "value.samples[0]", None),
    (
        event(value={"samples": [[86_400, 72]]}),
        "future_time",
        "value.samples[0][0]",
        "the last sample is in the future",
    ),
    (
        event(value={"samples": [[0, 72]] * 20_001}),
        "too_large",
        "value.samples",
        "20001 samples are more than 20000",
    ),
    (event(type="steps", value={"samples": [[0, 1]]}), "unknown_field", "value.samples", "samples is no field here"),
    (event(type="bp", value={"systolic": 120}), "missing_field", "value.diastolic", "diastolic is missing"),
    (
        event(type="bp", value={"systolic": 80, "diastolic": 80}),
        "out_of_range",
        "value.diastolic",
        "diastolic 80 is not below systolic 80",
    ),
    (event(type="sleep", value={}), "missing_field", "end_time", "sleep needs an end_time"),
    (
        event(type="sleep", start_time="2026-11-20T06:00:00Z", end_time="2026-11-22T06:00:01Z", value={}),
        "bad_interval",
        "end_time",
        "sleep is longer than 48 hours",
    ),
    (event(type="food", value={}), "missing_field", "value.items", "food has neither items nor nutrients"),
    (event(type="food", value={"items": [{"name": ""}]}), "bad_string", "value.items[0].name", None),
    (event(type="food", value={"items": [{"name": "x" * 1025}]}), "bad_string", "value.items[0].name", None),
    (
        event(type="food", value={"items": [{"name": "x", "sodium_mg": -1}]}),
        "out_of_range",
        "value.items[0].sodium_mg",
        "sodium_mg -1 is below 0",
    ),
    (event(type="food", value={"items": [{"name": "x"}] * 101}), "too_large", "value.items", None),
]


@pytest.mark.parametrize(("bad", "reason", "field", "message"), BAD_FIELDS)
def test_each_fault_has_its_reason_field_and_message(bad, reason, field, message):
    refusal = rejected(bad)
    assert (refusal.reason.value, refusal.field) == (reason, field)
    assert message is None or refusal.message == message
    assert refusal.raw == payload(bad)
    assert refusal.id == ("e-1" if bad.get("id") == "e-1" else None)
    beside = read(payload(event(id="before"), bad, event(id="after")))
    assert [e.id for e in beside.events] == ["before", "after"]
    assert [r._replace(index=0) for r in beside.rejections] == [refusal]


@pytest.mark.parametrize(
    ("stage", "reason", "field"),
    [
        ({"stage": "nap"}, "wrong_type", ".stage"),
        ({"start_time": "2026-11-23T05:59:00Z"}, "bad_interval", ""),
        ({"end_time": "2026-11-23T06:10:00.000001Z"}, "bad_interval", ""),
        ({"start_time": "2026-11-23T06:06:00Z"}, "bad_interval", ".end_time"),
        ({"start_time": "2026-11-23T06:01:00"}, "naive_time", ".start_time"),
    ],
)
def test_sleep_stages_lie_inside_the_night(stage, reason, field):
    good = {"stage": "deep", "start_time": "2026-11-23T06:01:00Z", "end_time": "2026-11-23T06:05:00Z"}
    refusal = rejected(event(type="sleep", end_time=END, value={"stages": [good, {**good, **stage}]}))
    assert (refusal.reason.value, refusal.field) == (reason, f"value.stages[1]{field}")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 4301, "-" + "9" * 30])
def test_numbers_that_are_none_cost_one_event(number):
    bad = text_event(f'{{"bpm":{number}}}')
    refusal = rejected(bad)
    assert (refusal.reason, refusal.field, refusal.id) == (Reason.BAD_NUMBER, "value.bpm", "e-1")
    for delivery in (b"[%b, %b , %b]", b'{ "batch" : "b", "events":[%b,%b,%b] }', b'{"events":[%b,%b,%b],"batch":"b"}'):
        got = read(delivery % (GOOD, bad, GOOD))
        assert [e.index for e in got.events] == [0, 2]
        assert got.rejections == [refusal._replace(index=1)]
        assert got.batch == (None if delivery.startswith(b"[") else "b")


REPEATED = [
    (b'{"id":"a","id":"b","type":"hr","start_time":"2026-11-23T06:00:00Z","value":{"bpm":72}}', "id"),
    (b'{"id":"a","\\u0069d":"b","type":"hr","start_time":"2026-11-23T06:00:00Z","value":{"bpm":72}}', "id"),
    (b'{"id":"a","id" :"b","type":"hr","start_time":"2026-11-23T06:00:00Z","value":{"bpm":72}}', "id"),
    (text_event('{"bpm":72,"bpm":73}'), "value.bpm"),
    (text_event('{"bpm":72,"bpm"\n:\t73}'), "value.bpm"),
    (text_event('{"bpm":72,"source":"a","source":"a"}'), "value.source"),
    (text_event('{"bpm":72},"device":{"model":"a","model":"b"}'), "device.model"),
    (text_event('{"bpm":72},"device":{"model":"\\":","model":"b"}'), "device.model"),
    (text_event('{"bpm":72},"device":{"a":":","model":"b","model":"b"}'), "device.model"),
    (text_event('{"bpm":72},"device":{"a":1,"a":{}}'), "device.a"),
    (text_event('{"a":[{"b":1,"b":1}]},"op":"delete"'), "value.a[0].b"),
    (text_event('{"bpm":72},"end_time":null,"end_time":null'), "end_time"),
]


@pytest.mark.parametrize(("bad", "field"), REPEATED)
def test_a_repeated_key_costs_its_event(bad, field):
    refusal = rejected(bad)
    assert (refusal.reason, refusal.field) == (Reason.REPEATED_KEY, field)
    got = read(b'{"batch":"b","events":[%b,%b]}' % (GOOD, bad))
    assert [e.id for e in got.events] == ["good"]
    assert got.rejections == [refusal._replace(index=1)]


@pytest.mark.parametrize(
    "data",
    [
        b'{"batch":"a","batch":"b","events":[%b]}' % GOOD,
        b'{"batch":"a","events":[],"events":[%b]}' % GOOD,
        b'{"batch":"a","\\u0062atch":"a","events":[%b]}' % GOOD,
        b'{"batch":"a","batch":"b","events":[%b,NaN]}' % GOOD,
    ],
)
def test_a_repeated_key_of_the_wrapper_costs_the_delivery(data):
    refusal = rejected(data)
    assert (refusal.reason, refusal.raw) == (Reason.REPEATED_KEY, data)


@pytest.mark.parametrize("bad", ["\x00", "\n", "\x1f", "\x7f", "\x80", "\x9f", "\u202e", "\u2066", "\ud800"])
@pytest.mark.parametrize("place", ["id", "device", "key", "source", "food"])
def test_texts_have_no_hidden_characters(bad, place):
    text = f"a{bad}b"
    sent = {
        "id": event(id=text),
        "device": event(device={"model": text}),
        "key": event(device={text: 1}),
        "source": event(value={"bpm": 72, "source": text}),
        "food": event(type="food", value={"items": [{"name": text}]}),
    }[place]
    assert rejected(json.dumps(sent).encode()).reason is Reason.BAD_STRING
    if bad >= "\x7f" and not "\ud800" <= bad <= "\udfff":
        assert rejected(payload(sent)).reason is Reason.BAD_STRING
        got = read(payload(event(id="ok", device={"model": "é"}), sent))
        assert ([e.id for e in got.events], len(got.rejections)) == (["ok"], 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" \n",
        b"[]",
        b'{"batch":"b","events":[]}',
        b"null",
        b"5",
        b'"text"',
        b"{",
        b"[",
        GOOD + b"x",
        GOOD + GOOD,
        GOOD + b"\x00",
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        GOOD.decode().encode("utf-32-le"),
        GOOD.replace(b"good", b"\xff"),
        GOOD.replace(b"72", b"072"),
        GOOD.replace(b"good", b"a\x01"),
        b"\x28\xb5\x2f\xfd" + GOOD,
    ],
)
def test_what_is_not_json_is_one_rejection(data):
    refusal = rejected(data)
    assert refusal.reason in {Reason.MALFORMED, Reason.BAD_STRING}
    assert refusal.raw == data


@pytest.mark.parametrize("element", [1, "x", None, [], [event()], True])
def test_an_element_that_is_no_object(element):
    got = read(payload(event(), element))
    assert ([e.index for e in got.events], got.rejections[0].reason) == ([0], Reason.WRONG_TYPE)


@pytest.mark.parametrize(
    ("wrapper", "reason", "field"),
    [
        ({"batch": ""}, "bad_id", "batch"),
        ({"batch": "b" * 65}, "bad_id", "batch"),
        ({"batch": "a\nb"}, "bad_id", "batch"),
        ({"batch": 5}, "wrong_type", "batch"),
        ({"batch": "", "more": 1}, "unknown_field", "more"),
        ({"more": 1}, "unknown_field", "more"),
    ],
)
def test_a_bad_wrapper_refuses_the_delivery(wrapper, reason, field):
    data = payload(event(), **wrapper)
    refusal = rejected(data)
    assert (refusal.reason.value, refusal.field, refusal.raw) == (reason, field, data)
    if "batch" in wrapper:
        assert rejected(data.replace(b"72", b"NaN")).reason.value == reason


def test_a_wrapper_needs_a_batch_id_and_a_list():
    assert rejected(b'{"events":[%b]}' % GOOD).field == "batch"
    assert rejected(b'{"batch":"b","events":%b}' % GOOD).field == "events"


def test_too_many_events_are_one_rejection_and_keep_the_batch_id():
    got = read(payload(*[event()] * 501, batch="b"))
    assert (got.batch, got.total, got.rejections[0].reason) == ("b", 1, Reason.TOO_MANY)


def test_the_payload_limit_is_exact():
    exact = GOOD + b" " * 500
    limits = Limits(max_payload=len(exact))
    assert accepted(exact, limits=limits).id == "good"
    assert rejected(exact + b" ", limits=limits).reason is Reason.TOO_LARGE
    assert accepted(gzip.compress(exact), limits=limits).id == "good"
    assert rejected(gzip.compress(exact + b" "), limits=limits).reason is Reason.DECOMPRESS_LIMIT


DAMAGED = {
    "bomb": gzip.compress(b" " * 50_000_000),
    "ratio": gzip.compress(GOOD + b" " * 100_000),
    "two members": gzip.compress(GOOD) * 2,
    "empty members": gzip.compress(b"") * 100,
    "trailing": gzip.compress(GOOD) + b"x",
    "short": gzip.compress(GOOD)[:-1],
    "magic only": b"\x1f\x8b",
    "checksum": gzip.compress(GOOD)[:-8] + bytes(8),
    "nested": gzip.compress(gzip.compress(GOOD)),
    "not deflate": b"\x1f\x8b\x08" + GOOD,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_gzip_is_one_sound_member_within_bounds(name):
    refusal = rejected(DAMAGED[name])
    assert (refusal.reason, refusal.raw) == (Reason.DECOMPRESS_LIMIT, DAMAGED[name])


def test_zlib_and_raw_deflate_are_not_recognised():
    assert rejected(zlib.compress(GOOD)).reason is Reason.MALFORMED


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        text_event("[" * 100_000),
        text_event("[" * 50_000 + "]" * 50_000),
        b"[" * 18 + b"]" * 18,
        text_event('{"bpm":72},"device":{"a":' + "[" * 16 + "]" * 16 + "}"),
    ],
)
def test_deep_nesting_is_refused_without_much_work(data):
    assert rejected(data).reason is Reason.TOO_DEEP
    assert read(data).cost <= MOST_PASSES * len(data) + MOST_EXPLAINED
    assert steps(lambda: rejected(data)) < 10 * len(data) + 2000  # a guard against quadratic work


def test_sixteen_levels_are_not_too_deep_and_brackets_in_texts_do_not_count():
    assert rejected(text_event("[" * 15 + "]" * 15)).reason is Reason.WRONG_TYPE
    assert accepted(event(device={"model": '[{"' * 100})).id == "e-1"
    assert rejected(event(value={"bpm": 900}, device={"model": '[{"' * 100})).reason is Reason.OUT_OF_RANGE


def test_an_event_with_endless_keys_is_refused_unread():
    endless = b"{" + b",".join(b'"%d":1' % i for i in range(80_000)) + b"}"
    assert rejected(endless).reason is Reason.TOO_LARGE


def test_messages_do_not_carry_what_terminals_obey():
    refusal = rejected(json.dumps(event(**{"a\x1b[31m" + "x" * 500: 1})).encode())
    assert "\x1b" not in refusal.message + str(refusal.field)
    assert len(refusal.message) < 200
