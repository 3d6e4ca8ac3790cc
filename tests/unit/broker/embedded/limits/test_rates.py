"""Token buckets: exact to the message, in debt rather than dropping, one for all of a user's devices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.broker.embedded.limits import rates as module
from healthsync_mqtt.broker.embedded.limits.rates import Bucket, Gate, Rates
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.model.principal import Principal, Role

WIDE = (1e9, 1e9)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def device(name: str, user: str = "alice") -> Principal:
    return Principal(role=Role.device, client_id=name, user=user, device=name)


def limits(**changes: float) -> LimitSettings:
    strict = {"device_messages_per_s": 20, "device_burst": 200, "user_messages_per_s": 40, "user_burst": 400}
    return LimitSettings(**{**strict, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "wait"), [(199, 0.0), (200, 0.0), (201, 0.05), (220, 1.0), (20_200, 1000.0)])
def test_t23_the_burst_is_exact(count: int, wait: float) -> None:
    assert Gate(Bucket(20, 200), Bucket(*WIDE)).take(count, 1000.0) == pytest.approx(wait)


def test_after_the_wait_the_next_message_goes_at_the_steady_rate() -> None:
    gate = Gate(Bucket(20, 200), Bucket(*WIDE))
    now = 1000.0 + gate.take(240, 1000.0)
    for _ in range(100):
        wait = gate.take(1, now)
        assert wait == pytest.approx(0.05)
        now += wait


def test_a_pause_fills_the_bucket_again_and_no_further() -> None:
    gate = Gate(Bucket(20, 200), Bucket(*WIDE))
    assert gate.take(200, 1000.0) == 0.0
    assert gate.take(1, 1000.0) == pytest.approx(0.05)
    assert gate.take(199, 1010.05) == 0.0
    assert gate.take(200, 9999.0) == 0.0
    assert gate.take(1, 9999.0) > 0.0


def test_a_clock_that_stands_still_or_counts_nothing_costs_nothing() -> None:
    gate = Gate(Bucket(20, 200), Bucket(*WIDE))
    assert [gate.take(0, 1000.0) for _ in range(1000)] == [0.0] * 1000


@given(
    st.lists(st.tuples(st.integers(0, 50), st.floats(0, 2)), min_size=1, max_size=60),
    st.floats(1, 100), st.integers(1, 100),
)  # fmt: skip
def test_who_waits_as_told_never_exceeds_rate_and_burst(steps: list, per_s: float, burst: int) -> None:
    gate = Gate(Bucket(per_s, burst), Bucket(*WIDE))
    now, sent, wait = 1000.0, 0, 0.0
    for count, idle in steps:
        now += max(wait, idle)
        assert sent <= burst + (now - 1000.0) * per_s + 1e-6
        sent += count
        wait = gate.take(count, now)
        # Paid off after the wait: what was sent so far fits into burst and rate.
        assert sent <= burst + (now + wait - 1000.0) * per_s + 1e-6


def test_a_user_has_one_bucket_for_all_devices_and_none_of_it_is_anothers() -> None:
    clock = Clock()
    rates = Rates(limits(), clock)
    watch, ring, other = (rates.gate(who) for who in (device("a-1"), device("a-2"), device("b-1", "bob")))
    assert watch.take(200, clock.now) == 0.0
    assert ring.take(200, clock.now) == 0.0
    assert watch.take(40, clock.now) == pytest.approx(2.0)  # 40/20 of its own; 40/40 of its user
    assert ring.take(0, clock.now) == pytest.approx(1.0)
    assert other.take(200, clock.now) == 0.0
    assert {(each.kind, each.name) for each in rates.limited()} == {("client", "a-1"), ("user", "alice")}


def test_a_reconnect_does_not_fill_the_bucket() -> None:
    clock = Clock()
    rates = Rates(limits(), clock)
    assert rates.gate(device("a-1")).take(220, clock.now) == pytest.approx(1.0)
    assert rates.gate(device("a-1")).take(0, clock.now) == pytest.approx(1.0)


def test_subscribers_and_admins_share_with_nobody() -> None:
    clock = Clock()
    rates = Rates(limits(), clock)
    app = Principal(role=Role.subscriber, client_id="app", users=None, types=None)
    rates.gate(app).take(10_000, clock.now)
    assert {(each.kind, each.name) for each in rates.limited()} == {("client", "app")}
    assert rates.gate(device("a-1")).take(200, clock.now) == 0.0


def test_who_was_limited_is_shown_for_a_minute_worst_first() -> None:
    clock = Clock()
    rates = Rates(limits(user_burst=10_000), clock)
    rates.gate(device("a-1")).take(220, clock.now)
    rates.gate(device("a-2")).take(240, clock.now)
    assert [(each.name, each.wait_s) for each in rates.limited()] == [("a-2", 2.0), ("a-1", 1.0)]
    clock.now += 59
    assert [each.wait_s for each in rates.limited()] == [0.0, 0.0]
    clock.now += 1
    assert rates.limited() == []


def test_memory_is_bounded_and_debts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBER", 100)
    clock = Clock()
    rates = Rates(limits(), clock)
    rates.gate(device("debtor")).take(400, clock.now)
    for number in range(1000):
        clock.now += 0.001
        rates.gate(device(f"d{number}", f"u{number}"))
    assert len(rates._clients) + len(rates._users) <= 102
    assert "debtor" in rates._clients


@given(st.floats(1e-7, 1e4), st.floats(0, 1e9))
def test_whoever_has_not_come_for_long_has_the_whole_burst_whatever_the_clock_shows(per_s: float, now: float) -> None:
    """Rounding refused the only message of a burst of one, at some times of the clock."""
    bucket = Bucket(per_s, 1)
    assert bucket.wait(now) == 0.0
    bucket.take(now)
    assert bucket.wait(now) > 0.0
