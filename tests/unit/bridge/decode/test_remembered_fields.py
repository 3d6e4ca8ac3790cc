"""What a device says of itself is read once; what was read before changes nothing about what is refused."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.decode import device_source
from bridge.decode.delivery import decode
from healthsync_mqtt.model.event import Decoded
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason

NOW_US = 1_800_000_000_000_000
ORIGIN = Origin("alice", "watch", None, "users/alice/devices/watch/events")


@pytest.fixture(autouse=True)
def remembered() -> Iterator[list[dict[bytes, Any]]]:
    kept = [part.remembered for part in (device_source.DEVICE, device_source.SOURCE)]
    for each in kept:
        each.clear()
    yield kept
    for each in kept:
        each.clear()


def payload(**fields: Any) -> bytes:
    event = {"id": "a", "type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": 60}}
    return json.dumps(event | fields, separators=(",", ":")).encode()


def read(sent: bytes, limits: Limits | None = None) -> Decoded:
    return decode(sent, ORIGIN, NOW_US, limits or Limits())


def body(decoded: Decoded) -> Any:
    assert decoded.rejections == []
    return json.loads(decoded.events[0].body)


def test_the_same_bytes_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[bytes] = []
    whole = device_source._decode
    monkeypatch.setattr(device_source, "_decode", lambda raw: times.append(raw) or whole(raw))
    device = {"platform": "watchos", "model": "Watch7"}
    for number in range(5):
        assert body(read(payload(id=f"e{number}", device=device)))["device"] == device
    assert len(times) == 1


def test_what_is_remembered_is_bounded(remembered: list[dict[bytes, Any]]) -> None:
    for number in range(2_000):
        read(payload(source={"record_id": f"r{number}"}))
        assert all(len(each) <= 512 for each in remembered)
    read(payload(device={"model": "x" * 600}))
    assert all(len(raw) <= 512 for each in remembered for raw in each)


def test_a_limit_holds_for_what_was_read_under_another_one() -> None:
    device = {f"key{number}": "x" * 50 for number in range(4)}
    assert body(read(payload(device=device)))["device"] == device
    refused = read(payload(device=device), Limits(max_unknown=3))
    assert [each.reason for each in refused.rejections] == [Reason.UNKNOWN_FIELD]
    refused = read(payload(device=device), Limits(max_string=40))
    assert [each.reason for each in refused.rejections] == [Reason.BAD_STRING]
    assert body(read(payload(device=device)))["device"] == device


def test_an_object_is_no_device_because_it_was_a_source() -> None:
    fields = {"recording": "by hand", "app": "x"}
    assert body(read(payload(device=fields)))["device"] == fields
    refused = read(payload(source=fields))
    assert [(each.reason, each.field) for each in refused.rejections] == [(Reason.WRONG_TYPE, "source.recording")]


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        (b'{"model":"a","model":"b"}', Reason.REPEATED_KEY),
        (b'{"model":["a"]}', Reason.WRONG_TYPE),
        (b'{"battery":1e999}', Reason.BAD_NUMBER),
        (b'"watch"', Reason.WRONG_TYPE),
    ],
)
def test_what_is_refused_is_refused_again(device: bytes, reason: Reason, remembered: list[dict[bytes, Any]]) -> None:
    sent = payload(device="HERE").replace(b'"HERE"', device)
    for _ in range(2):
        assert [each.reason for each in read(sent).rejections] == [reason]
    assert remembered == [{}, {}]


def test_null_is_no_device() -> None:
    assert body(read(payload(device=None, source=None))) == {"value": {"bpm": 60}}


def test_nulls_inside_are_left_out_and_not_remembered(remembered: list[dict[bytes, Any]]) -> None:
    for _ in range(2):
        assert body(read(payload(device={"model": None, "platform": "x"})))["device"] == {"platform": "x"}
    assert remembered == [{}, {}]


def test_what_the_topic_adds_to_a_source_stays_with_its_event() -> None:
    adapter = Origin("alice", None, "fitbit", "users/alice/adapters/fitbit/events")
    sent = payload(source={"record_id": "r1"})
    assert json.loads(decode(sent, adapter, NOW_US).events[0].body)["source"] == {
        "record_id": "r1",
        "provider": "fitbit",
    }
    assert body(read(sent))["source"] == {"record_id": "r1"}
