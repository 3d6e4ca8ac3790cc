"""What the decoder accepts, and what it makes of it."""

import gzip
import json

import pytest

from bridge.decode.delivery import decode
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event import Event, Op
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason
from tests.unit.bridge.decode.examples import (
    END,
    EXAMPLE_VALUES,
    NOW_US,
    ORIGIN,
    START_US,
    accepted,
    event,
    payload,
    read,
    rejected,
)


def test_one_event():
    assert accepted(event()) == Event("e-1", "heart_rate", START_US, None, 0, Op.UPSERT, b'{"value":{"bpm":72}}', 0)


def test_the_event_of_the_design():
    sent = event(
        user_id="alice",
        end_time=None,
        device={"platform": "watchos", "model": "Watch7"},
        utc_offset=3600,
        source={"provider": "healthkit", "record_id": "r", "recording": "auto"},
        version=0,
        op="upsert",
    )
    assert accepted(sent).body == (
        b'{"value":{"bpm":72},"device":{"platform":"watchos","model":"Watch7"},"utc_offset":3600,'
        b'"source":{"provider":"healthkit","record_id":"r","recording":"auto"}}'
    )


def test_an_event_of_the_first_api():
    sent = (
        b'{"id": "client-x-1", "user_id": 123, "type": "steps", "start_time": "2026-11-23T06:00:00Z",'
        b' "end_time": "2026-11-23T06:10:00Z", "value": {"steps": 412, "source": "com.google.android.gms"},'
        b' "device": {"platform": "android", "model": "phone"}}'
    )
    got = accepted(sent, Origin("123", "phone", None, "users/123/events"))
    assert (got.id, got.type, got.end_us) == ("client-x-1", "steps", START_US - 250_000 + 600_000_000)
    assert got.body == (
        b'{"value":{"steps":412},"device":{"platform":"android","model":"phone"},"source":{"app":"com.google.android.gms"}}'
    )


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_type_with_its_canonical_value(name):
    got = accepted(event(type=name, end_time=END, value=EXAMPLE_VALUES[name]))
    assert got.type == name
    assert json.loads(got.body)["value"] == EXAMPLE_VALUES[name]


@pytest.mark.parametrize(("alias", "name"), [(a, t.name) for t in CATALOGUE.values() for a in t.aliases])
def test_aliases(alias, name):
    assert accepted(event(type=alias, end_time=END, value=EXAMPLE_VALUES[name])).type == name


def test_an_array_keeps_the_order_and_passes_equal_ids_on():
    got = read(payload(event(id="a"), event(id="b"), event(id="a", value={"bpm": 80})))
    assert [(e.id, e.index) for e in got.events] == [("a", 0), ("b", 1), ("a", 2)]
    assert (got.batch, got.total) == (None, 3)


def test_a_batch_in_either_order_of_its_keys():
    one = json.dumps(event()).encode()
    for wrapped in (b'{"batch":"b-17","events":[%b]}' % one, b' {"events" : [ %b ], "batch": "b-17" }\n' % one):
        got = read(wrapped)
        assert (got.batch, len(got.events), got.rejections) == ("b-17", 1, [])


@pytest.mark.parametrize("data", [payload(event()), payload(event(), event()), payload(event(), batch="b")])
def test_gzip_is_the_same_as_plain(data):
    assert read(gzip.compress(data)) == read(data)


def test_blanks_and_key_order_do_not_matter():
    fields = event(device={"model": "x"}, utc_offset=-3600, version=2)
    backwards = dict(reversed(fields.items()))
    assert accepted(json.dumps(backwards, indent=2).encode()) == accepted(fields)


@pytest.mark.parametrize("text", ["Zürich", "日本", "👩‍⚕️", 'quote " and \\ backslash', ":", '":', "a/b"])
def test_texts_survive_unchanged(text):
    body = accepted(event(id=text, device={"model": text}))
    assert body.id == text
    assert json.loads(body.body)["device"]["model"] == text
    escaped = json.dumps(event(id=text, device={"model": text}), ensure_ascii=True).encode()
    assert accepted(escaped) == body


def test_numbers_stay_what_they_were():
    assert accepted(event(value={"bpm": 72.0})).body == b'{"value":{"bpm":72.0}}'
    assert accepted(event(value={"bpm": 72})).body == b'{"value":{"bpm":72}}'
    assert accepted(event(type="steps", value={"steps": -0.0})).body == b'{"value":{"steps":-0.0}}'
    assert accepted(event(type="steps", value={"steps": 0.78})).body == b'{"value":{"steps":0.78}}'


def test_a_series_of_samples():
    got = accepted(event(value={"samples": [[0, 72], [1.0, 73.5], [1.0, 74]]}))
    assert got.body == b'{"value":{"samples":[[0,72],[1.0,73.5],[1.0,74]]}}'


def test_a_series_may_carry_the_app_of_the_first_api():
    got = accepted(event(value={"samples": [[0, 72]], "source": "app"}, source={"provider": "p"}))
    assert got.body == b'{"value":{"samples":[[0,72]]},"source":{"provider":"p","app":"app"}}'


@pytest.mark.parametrize(("mmol", "mg"), [(5.5, 99.09), (7, 126.11), (0.556, 10.02), (55.5, 999.87)])
def test_glucose_in_mmol_is_stored_in_mg(mmol, mg):
    assert json.loads(accepted(event(type="glucose", value={"mmol_l": mmol})).body) == {"value": {"mg_dl": mg}}


def test_sleep_stage_times_become_utc():
    value = {"stages": [{"stage": "deep", "start_time": "2026-11-23T07:00:01+01:00", "end_time": END}]}
    got = accepted(event(type="sleep", end_time=END, value=value))
    assert json.loads(got.body)["value"]["stages"][0]["start_time"] == "2026-11-23T06:00:01.000000Z"


def test_sleep_without_stages_and_pressure_without_pulse():
    assert accepted(event(type="sleep", end_time=END, value={})).body == b'{"value":{}}'
    pressure = {"systolic": 121, "diastolic": 79, "pulse": None}
    assert accepted(event(type="bp", value=pressure)).body == b'{"value":{"systolic":121,"diastolic":79}}'


def test_times_are_exact_to_the_microsecond_and_in_utc():
    assert accepted(event(start_time="2026-11-23T07:00:00.250001+01:00")).start_us == START_US + 1
    assert accepted(event(start_time="2026-11-22T12:00:00.999999-18:00")).start_us == START_US + 749_999
    assert accepted(event(start_time="1970-01-01T00:00:00Z")).start_us == 0


def test_ten_minutes_of_clock_error_are_allowed():
    assert accepted(event(start_time="2026-11-23T08:10:00Z")).start_us == NOW_US + 600_000_000
    assert rejected(event(start_time="2026-11-23T08:10:00.000001Z")).reason is Reason.FUTURE_TIME


def test_a_delete_needs_only_id_and_type():
    assert accepted({"id": "e", "type": "hr", "op": "delete"}) == Event(
        "e", "heart_rate", 0, None, 0, Op.DELETE, b"{}", 0
    )
    got = accepted(event(op="delete", version=3, value={"anything": [1]}, device={"model": "m"}))
    assert (got.op, got.version, got.start_us, got.body) == (Op.DELETE, 3, START_US, b'{"device":{"model":"m"}}')


def test_unknown_plain_fields_of_device_and_source_are_kept():
    device = {"model": "m", "battery": 80, "rooted": False, "lux": 0.5, "nothing": None, "os_version": None}
    body = json.loads(accepted(event(device=device, source={})).body)
    assert body == {"value": {"bpm": 72}, "device": {"model": "m", "battery": 80, "rooted": False, "lux": 0.5}}


def test_sixteen_unknown_fields_are_the_most():
    sixteen = {f"x{i}": i for i in range(16)}
    assert len(json.loads(accepted(event(device={"model": "m", **sixteen})).body)["device"]) == 17
    refusal = rejected(event(device={**sixteen, "x16": 1}))
    assert (refusal.reason, refusal.field) == (Reason.UNKNOWN_FIELD, "device")


def test_an_adapters_events_name_its_provider():
    adapter = Origin("alice", None, "withings", "users/alice/adapters/withings/events")
    assert accepted(event(), adapter).body == b'{"value":{"bpm":72},"source":{"provider":"withings"}}'
    assert accepted(event(source={"provider": "withings"}), adapter) == accepted(event(), adapter)
    refusal = rejected(event(source={"provider": "oura"}), adapter)
    assert (refusal.reason, refusal.field) == (Reason.IDENTITY_MISMATCH, "source.provider")


@pytest.mark.parametrize("user_id", ["alice", None])
def test_a_user_id_may_repeat_the_topics_user(user_id):
    assert accepted(event(user_id=user_id)).id == "e-1"


def test_one_bad_event_of_500_costs_no_other():
    events = [event(id=f"e-{i}") for i in range(500)]
    events[250] = event(id="bad", value={"bpm": 900})
    got = read(payload(*events, batch="b"))
    assert [e.index for e in got.events] == [i for i in range(500) if i != 250]
    (refusal,) = got.rejections
    assert (refusal.index, refusal.id, refusal.field, refusal.message) == (
        250,
        "bad",
        "value.bpm",
        "bpm 900 is above 300",
    )
    assert refusal.raw == payload(events[250])


def test_everything_at_its_maximum_size_is_accepted():
    text = "x" * 1024
    many = [event(id=f"{i:128d}", device={"model": text}) for i in range(500)]
    assert len(read(payload(*many, batch="b" * 64)).events) == 500
    series = event(value={"samples": [[i, 72] for i in range(20_000)]}, start_time="2026-11-22T06:00:00Z")
    assert len(accepted(series).body) > 100_000


def test_decode_takes_now_and_nothing_else_from_outside():
    assert decode(payload(event()), ORIGIN, NOW_US) == decode(payload(event()), ORIGIN, NOW_US)
