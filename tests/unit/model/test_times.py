from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from healthsync_mqtt.model.times import iso, micros

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
LAST_US = 253_402_300_799_999_999


@given(st.datetimes(timezones=offsets))
@example(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
@example(datetime(2242, 3, 16, 12, 56, 31, 999_999, tzinfo=UTC))
@example(datetime(2242, 3, 16, 12, 56, 32, 1, tzinfo=UTC))
def test_micros_is_exact(when):
    assert micros(when) == (when - EPOCH) // timedelta(microseconds=1)


@given(st.integers(0, 2**33 - 1), st.sampled_from([0, 1, 499_999, 500_000, 999_998, 999_999]))
def test_micros_is_exact_next_to_whole_seconds(seconds, fraction):
    us = seconds * 1_000_000 + fraction
    assert micros(EPOCH + timedelta(microseconds=us)) == us


@given(st.integers(0, LAST_US))
@example(LAST_US)
def test_iso_is_the_standard_text_and_comes_back(us):
    when = EPOCH + timedelta(microseconds=us)
    assert iso(us) == when.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
    assert micros(datetime.fromisoformat(iso(us))) == us


def test_iso_refuses_the_year_10000():
    with pytest.raises(OverflowError):
        iso(LAST_US + 1)
