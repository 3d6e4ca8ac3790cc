"""The counters: they balance whatever happens, and the rates come from the clock that is passed in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.telemetry.counters import Counters

STEPS = st.lists(
    st.tuples(st.sampled_from(["received", "stored", "duplicate", "failed", "bad_id", "bad_time"]), st.integers(0, 500))
)


@given(STEPS)
def test_the_events_balance_after_every_step(steps: list[tuple[str, int]]) -> None:
    counters = Counters()
    for what, events in steps:
        if what.startswith("bad"):
            counters.reject(what, events)
        else:
            setattr(counters, what, getattr(counters, what) + events)
        shown = counters.snapshot()
        outcomes = ("stored", "duplicate", "rejected", "failed", "in_flight")
        assert shown["received"] == sum(shown[name] for name in outcomes)
        assert shown["rejected"] == sum(shown["rejected_by_reason"].values())
    json.dumps(counters.snapshot())


def test_in_flight_is_what_has_no_outcome_yet() -> None:
    counters = Counters()
    counters.received += 10
    counters.stored += 6
    counters.duplicate += 1
    counters.reject("out_of_range")
    counters.failed += 1
    assert counters.in_flight == 1
    assert counters.snapshot()["rejected_by_reason"] == {"out_of_range": 1}


def test_connections() -> None:
    counters = Counters()
    counters.connections_opened += 3
    counters.connections_closed += 1
    counters.refuse_connection("bad_token")
    shown = counters.snapshot()
    assert (shown["connections"], shown["connections_opened"], shown["connections_refused"]) == (2, 3, 1)
    assert shown["refused_by_reason"] == {"bad_token": 1}


def test_rates_are_of_the_last_seconds() -> None:
    counters = Counters()
    assert counters.rates(100.0) == {"received": 0.0, "stored": 0.0}
    for second in range(20):
        counters.tick(100.0 + second)
        counters.received += 10 if second < 10 else 100
        counters.stored += 5
    assert counters.rates(120.0, 5.0) == {"received": pytest.approx(100.0), "stored": pytest.approx(5.0)}
    assert counters.rates(119.0, 0.0) == {"received": 0.0, "stored": 0.0}
    assert counters.rates(1000.0) == {"received": 0.0, "stored": 0.0}


def test_a_misspelt_counter_is_an_error() -> None:
    with pytest.raises(AttributeError):
        Counters().recieved = 1  # type: ignore[attr-defined]
