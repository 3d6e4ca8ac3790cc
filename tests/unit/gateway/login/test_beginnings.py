"""How often one may begin to sign in."""

import pytest

from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.login import beginnings
from healthsync_mqtt.gateway.login.beginnings import BURST, BURST_IN_ALL, PER_S, Beginnings

NOW = 1_000.0


def taken(of: Beginnings, peer: str, now: float = NOW) -> bool:
    try:
        of.take(peer, now)
    except HttpError:
        return False
    return True


def test_an_address_has_so_many_at_once_and_then_one_after_the_other() -> None:
    here = Beginnings()
    assert [taken(here, "192.0.2.1") for _ in range(BURST + 3)] == [True] * BURST + [False] * 3
    assert taken(here, "192.0.2.2"), "nobody waits for another's"
    with pytest.raises(HttpError) as error:
        here.take("192.0.2.1", NOW)
    assert (error.value.status, error.value.word) == (429, "too_many")
    wait = error.value.retry_after_s
    assert wait is not None
    assert taken(here, "192.0.2.1", NOW + wait), "who waits as long as told is let in"
    assert not taken(here, "192.0.2.1", NOW + wait)
    assert taken(here, "192.0.2.1", NOW + wait + 1 / PER_S)


def test_a_network_that_one_customer_gets_is_one_address() -> None:
    here = Beginnings()
    assert all(taken(here, f"2001:db8::{each:x}") for each in range(BURST))
    assert not taken(here, "2001:db8::ffff")
    assert taken(here, "2001:db8:0:1::1")


def test_all_addresses_together_have_a_limit_that_is_over_soon() -> None:
    here = Beginnings()
    assert all(taken(here, f"198.51.{each // 250}.{each % 250}") for each in range(BURST_IN_ALL))
    assert not taken(here, "203.0.113.1")
    assert taken(here, "203.0.113.1", NOW + 0.5)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beginnings, "_REMEMBER", 3)
    here = Beginnings()
    for each in range(9):
        assert taken(here, f"192.0.2.{each}")
    assert len(here._addresses) == 3
