import json

import pytest

from healthsync_mqtt.model.record import Record, admin_dict, admin_json, canonical_dict, canonical_json

RECORD = Record(
    seq=1841,
    user="alice",
    device="watch-1",
    provider=None,
    id="7f0c",
    type="heart_rate",
    start_us=1_795_413_600_250_000,
    end_us=1_795_413_660_000_000,
    received_us=1_795_413_661_000_001,
    version=2,
    op=0,
    body=b'{"value":{"bpm":72},"device":{"model":"Watch7"},"utc_offset":3600,"source":{"app":"x"}}',
    position=97,
)


def test_the_canonical_event_has_its_keys_in_order():
    assert canonical_json(RECORD) == (
        b'{"seq":97,"id":"7f0c","user_id":"alice","device_id":"watch-1","type":"heart_rate",'
        b'"start_time":"2026-11-23T06:00:00.250000Z","end_time":"2026-11-23T06:01:00.000000Z",'
        b'"value":{"bpm":72},"device":{"model":"Watch7"},"utc_offset":3600,"source":{"app":"x"},'
        b'"version":2,"op":"upsert","received_at":"2026-11-23T06:01:01.000001Z"}'
    )
    assert canonical_dict(RECORD) == json.loads(canonical_json(RECORD))


def test_who_may_see_the_whole_log_sees_both_places():
    assert admin_json(RECORD).startswith(b'{"seq":1841,"user_seq":97,"id":"7f0c",')
    assert admin_dict(RECORD) == {"seq": 1841, "user_seq": 97} | {
        key: value for key, value in canonical_dict(RECORD).items() if key != "seq"
    }


@pytest.mark.parametrize("body", [b"{}", b'{"device":{"model":"m"}}'])
def test_a_delete_has_a_null_value(body):
    event = canonical_dict(RECORD._replace(op=1, body=body, end_us=None, device=None))
    assert (event["op"], event["value"], event["end_time"], event["device_id"]) == ("delete", None, None, None)
    assert event.get("device") == json.loads(body).get("device")


@pytest.mark.parametrize("event_id", ['a"b', "a\\b", "é\u2028", '","user_id":"bob'])
def test_ids_are_quoted(event_id):
    event = canonical_dict(RECORD._replace(id=event_id))
    assert (event["id"], event["user_id"]) == (event_id, "alice")


def test_a_delete_that_named_no_start_has_none():
    assert canonical_dict(RECORD._replace(op=1, body=b"{}", start_us=0))["start_time"] is None
    assert canonical_dict(RECORD._replace(op=1, body=b"{}"))["start_time"] == "2026-11-23T06:00:00.250000Z"
    assert canonical_dict(RECORD._replace(start_us=0))["start_time"] == "1970-01-01T00:00:00.000000Z"
