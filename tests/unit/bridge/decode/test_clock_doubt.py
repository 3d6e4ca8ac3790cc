"""A time ahead of our clock may be our clock's fault: within a day the sender is told to keep the event and retry."""

import json
from typing import Any

import pytest

from bridge.decode.delivery import decode
from healthsync_mqtt.model.limits import DEFAULT
from healthsync_mqtt.model.receipt import encode_receipt, parse_receipt, rejected_entry
from healthsync_mqtt.model.times import iso
from tests.unit.bridge.bench import event
from tests.unit.bridge.decode.examples import NOW_US, ORIGIN

HOUR = 3_600_000_000
START = NOW_US - HOUR


def at(us: int) -> str:
    return iso(us)


def sent(**fields: Any) -> bytes:
    return json.dumps(event("a") | fields).encode()


@pytest.mark.parametrize("behind_us", [HOUR, 22 * HOUR])
def test_a_clock_that_is_behind_refuses_for_now_and_takes_the_same_bytes_when_it_is_right(behind_us: int) -> None:
    series = {"samples": [[0, 60], [1800, 61]]}
    for payload in (sent(start_time=at(NOW_US)), sent(start_time=at(START), value=series)):
        assert decode(payload, ORIGIN, NOW_US).rejections == []
        (refused,) = decode(payload, ORIGIN, START - behind_us).rejections
        assert (refused.reason, refused.retry) == ("future_time", True)


def test_what_is_more_than_a_day_ahead_and_everything_else_is_refused_for_good() -> None:
    far = NOW_US - DEFAULT.max_future_us - DEFAULT.doubtful_future_us
    (refused,) = decode(sent(start_time=at(NOW_US)), ORIGIN, far - 1).rejections
    assert (refused.reason, refused.retry) == ("future_time", False)
    (refused,) = decode(sent(start_time=at(NOW_US)), ORIGIN, far).rejections
    assert refused.retry
    (refused,) = decode(sent(value={"bpm": 900}), ORIGIN, NOW_US).rejections
    assert not refused.retry


def test_the_receipt_says_so_with_the_same_code_and_only_where_it_is_so() -> None:
    (early,) = decode(sent(start_time=at(NOW_US)), ORIGIN, NOW_US - HOUR).rejections
    (bad,) = decode(sent(value={"bpm": 900}), ORIGIN, NOW_US).rejections
    payload = encode_receipt("e", 1, "b", [], [], [rejected_entry(early), rejected_entry(bad)])
    assert payload.count(b'"retry":true') == 1
    first, second = parse_receipt(payload).rejected
    assert (first.code, first.retry, second.retry) == ("future_time", True, False)
