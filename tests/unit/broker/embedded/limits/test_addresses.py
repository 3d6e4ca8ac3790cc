"""Who may knock how often: tables by address and in all, whose place is taken, and what a failed login costs."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.broker.embedded.limits.addresses import AddressGuard, ConnectionStanding, Knock, network
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.telemetry.notices import Notices


def limits(**changes: float) -> LimitSettings:
    return LimitSettings(**changes)  # type: ignore[arg-type]


def guard_of(**changes: float) -> AddressGuard:
    return AddressGuard(limits(**changes))


def admit(guard: AddressGuard, peer: str) -> Knock:
    knock = guard.admit(peer, lambda: None).knock
    assert knock is not None
    return knock


def test_the_oldest_of_the_address_that_has_most_makes_room() -> None:
    guard = guard_of(max_unauthenticated=4, unauthenticated_per_address=3)
    lonely = admit(guard, "192.0.2.9")
    first, *_ = [admit(guard, "192.0.2.1") for _ in range(3)]
    verdict = guard.admit("192.0.2.1", lambda: None)
    assert (verdict.limit, verdict.makes_room) == ("unauthenticated_per_address", first)
    assert first.standing is ConnectionStanding.GONE
    verdict = guard.admit("192.0.2.2", lambda: None)
    assert verdict.limit == "max_unauthenticated"
    assert verdict.makes_room is not None
    assert verdict.makes_room.address == "192.0.2.1"
    assert verdict.knock is not None
    assert lonely.standing is ConnectionStanding.WAITING
    assert (guard.total, guard.waiting) == (4, 4)


def test_silent_connections_of_many_addresses_lock_no_newcomer_out() -> None:
    """20 addresses with 100 silent connections each: everyone who comes and logs in gets in."""
    guard = guard_of()
    for n in range(2_000):
        guard.admit(f"198.51.100.{n % 20}", lambda: None)
    for n in range(500):
        knock = admit(guard, f"203.0.113.{n % 250}")
        guard.admit("198.51.100.1", lambda: None)  # they go on
        assert knock.standing is ConnectionStanding.WAITING
        guard.logged_in(knock)
    assert guard.waiting <= 1_000


def test_a_table_full_of_logins_refuses_the_newcomer() -> None:
    guard = guard_of(max_connections=3, connections_per_address=2)
    mine = [admit(guard, "a") for _ in range(2)]
    assert guard.admit("a", lambda: None).makes_room is mine[0]  # it has shown nothing
    for knock in [mine[1], *guard._waiting["a"]]:
        guard.logged_in(knock)
    refused = guard.admit("a", lambda: None)
    assert (refused.knock, refused.limit) == (None, "connections_per_address")
    guard.logged_in(admit(guard, "b"))
    assert guard.admit("c", lambda: None).limit == "max_connections"
    guard.closed(mine[1])
    assert admit(guard, "c")


def test_fewer_descriptors_are_a_smaller_table() -> None:
    guard = AddressGuard(limits(), most=2)
    guard.logged_in(admit(guard, "a"))
    guard.logged_in(admit(guard, "b"))
    assert guard.admit("c", lambda: None).limit == "max_connections"


def test_refusals_that_are_held_back_take_nobody_s_place() -> None:
    """60 clients with bad tokens behind one address, and 15 with good ones."""
    guard = guard_of(unauthenticated_per_address=5, connections_per_address=20, max_unauthenticated=100)
    bad = [admit(guard, "nat") for _ in range(5)]
    for _ in range(11):
        for knock in bad:
            guard.refused(knock)
        bad = [admit(guard, "nat") for _ in range(5)]
    for knock in bad:
        guard.refused(knock)
    assert (guard.held, guard.waiting) == (60, 0)
    for _ in range(15):
        verdict = guard.admit("nat", lambda: None)
        assert (verdict.limit, verdict.makes_room) == ("", None)
        assert verdict.knock is not None
        guard.logged_in(verdict.knock)


def test_a_refusal_that_is_held_back_goes_before_the_descriptors_do() -> None:
    """Of few descriptors (768 of 1,024 are for connections) 1,000 refusals would have left none for anybody."""
    guard = AddressGuard(limits(), most=10)
    for n in range(4):
        guard.logged_in(admit(guard, f"good-{n}"))
    held = [admit(guard, f"bad-{n}") for n in range(6)]
    for knock in held:
        guard.refused(knock)
    for n in range(6):
        verdict = guard.admit(f"new-{n}", lambda: None)
        assert (verdict.limit, verdict.makes_room) == ("max_connections", held[n])
        assert verdict.knock is not None
        guard.logged_in(verdict.knock)
        assert guard.total == 10
    assert guard.admit("late", lambda: None).knock is None


def test_refusals_that_are_held_back_are_bounded() -> None:
    guard = guard_of(max_unauthenticated=3, unauthenticated_per_address=3)
    knocks = [admit(guard, "a")]
    assert guard.refused(knocks[0]) is None
    for _ in range(2):
        knocks.append(admit(guard, "a"))
        assert guard.refused(knocks[-1]) is None
    knocks.append(admit(guard, "a"))
    assert guard.refused(knocks[-1]) is knocks[0]
    guard.closed(knocks[0])
    assert guard.held == 3


def test_failed_logins_double_by_address_and_name_and_are_forgiven() -> None:
    guard = guard_of(failed_login_base_s=0.5, failed_login_max_s=3)
    assert [guard.failed("a", "x", float(n)) for n in range(5)] == [0.5, 1, 2, 3, 3]
    assert guard.failed("b", "x", 5) == 0.5
    assert guard.failed("a", "y", 5) == 0.5
    assert guard.failed("a", "x", 1000) == 0.5
    guard.failed("a", "x", 1001)
    guard.succeeded("a", "x")
    assert guard.failed("a", "x", 1002) == 0.5


def test_no_answer_is_held_back_longer_than_clients_wait() -> None:
    guard = guard_of()
    assert max(guard.failed("a", "x", float(n)) for n in range(100)) == 4.0


def test_guard_remembers_a_bounded_number_of_failures() -> None:
    guard = guard_of()
    for n in range(20_000):
        guard.failed(str(n), "x" * 8_000, 0.0)
    assert len(guard._failures) == AddressGuard._REMEMBER


@pytest.mark.parametrize(
    ("peer", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("?", "?"),
    ],
)
def test_an_ipv6_network_counts_as_one_address(peer: str, counted: str) -> None:
    assert network(peer) == counted


@given(st.integers(0, 2**32), st.integers(1, 300))
def test_the_tables_balance_whatever_happens(seed: int, steps: int) -> None:
    chance = random.Random(seed)
    guard = guard_of(
        max_connections=12, connections_per_address=6, max_unauthenticated=5, unauthenticated_per_address=3
    )
    alive: list[Knock] = []
    for _ in range(steps):
        match chance.randrange(4):
            case 0 | 1:
                verdict = guard.admit(f"a{chance.randrange(4)}", lambda: None)
                if verdict.knock is not None:
                    alive.append(verdict.knock)
            case 2 if alive:
                chance.choice((guard.logged_in, guard.refused))(chance.choice(alive))
            case 3 if alive:
                guard.closed(chance.choice(alive))
            case _:
                pass
        alive = [knock for knock in alive if knock.standing is not ConnectionStanding.GONE]
        assert guard.total == len(alive)
        assert guard.waiting == sum(knock.standing is ConnectionStanding.WAITING for knock in alive) <= 5
        assert guard.total <= 12
    for knock in alive:
        guard.closed(knock)
    assert (guard.total, guard.waiting, guard.held, guard._open, guard._waiting) == (0, 0, 0, {}, {})


def test_notices_come_at_once_then_once_in_a_while() -> None:
    notices = Notices(10)
    assert [notices.due("a", now) for now in (0, 1, 2, 10, 11, 20)] == [0, None, None, 2, None, 1]
    assert notices.due("b", 2) == 0
    for n in range(5_000):
        notices.due(n, 30)
    assert len(notices._said) == 1_000


def test_some_notices_of_a_kind_come_at_once() -> None:
    notices = Notices(10)
    assert [notices.due("a", now, 3) for now in (0, 1, 2, 3, 4, 10)] == [0, 0, 0, None, None, 2]


def test_a_crowd_of_sources_has_a_bounded_number_of_lines() -> None:
    notices = Notices(10, most=50)
    assert sum(notices.due(n, 0) is not None for n in range(500)) == 50
    assert notices.due(499, 9) is None
    assert notices.due(499, 10) == 2
