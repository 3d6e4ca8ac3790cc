"""The simulator's devices that enrol find what a fault would cost them, and what it would give to others."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.identity.exchange import TokenExchange
from healthsync_mqtt.identity.login.refresh import RefreshTokens
from healthsync_mqtt.testing.simulator.world import PLAIN, SeedOutcome, ServiceParts, SimulatedFault, World, simulate

MOST_SEEDS = 40
LOST = (SimulatedFault.CUT, SimulatedFault.KILL)
"""What answers are lost by."""


def with_newcomers(first: int = 0) -> Iterator[int]:
    """Seeds in which a device enrols."""
    for seed in range(first, 10_000):
        if World(seed, Path()).enrolling():
            yield seed


def found(plan: ServiceParts, *faults: SimulatedFault, first: int = 0) -> SeedOutcome:
    """The first such seed at which a promise breaks; from ``first`` on, where that is known to be soon enough."""
    for seed in islice(with_newcomers(first), MOST_SEEDS):
        outcome = simulate(seed, plan=plan, only=frozenset(faults))
        if outcome.violations:
            return outcome
    pytest.fail("nothing was found")


class Generous(TokenExchange):
    """A code is good until somebody looks at its use, which nobody does."""

    def _redeemed(self, handle: str, now_us: int, client_id: str) -> tuple[str, str]:
        known = self._registry.enrolments.find(handle)
        assert known is not None
        if known.used_us is None:
            return super()._redeemed(handle, now_us, client_id)
        return known.user_id, known.device_id


class Forgetful(TokenExchange):
    """It knows nobody who asks for an answer again."""

    def _redeemed(self, handle: str, now_us: int, client_id: str) -> tuple[str, str]:
        return self._registry.enrolments.redeem(handle, now_us, client_id)


def test_the_service_as_it_is_enrols_once_and_renews() -> None:
    enrolled = 0
    for seed in islice(with_newcomers(), 8):
        outcome = simulate(seed)
        assert outcome.violations == (), outcome
        enrolled += any("has enrolled" in each for each in outcome.faults)
    assert enrolled == 8


def test_a_code_that_is_good_twice_is_found() -> None:
    outcome = found(ServiceParts(exchange=Generous))
    assert any("good for two" in each for each in outcome.violations), outcome
    assert simulate(outcome.seed, only=frozenset()).violations == ()


def test_a_code_that_a_lost_answer_costs_is_found() -> None:
    outcome = found(ServiceParts(exchange=Forgetful), *LOST, first=43)
    assert any("was refused" in each for each in outcome.violations), outcome
    assert simulate(outcome.seed, only=frozenset(LOST)).violations == ()


def test_a_login_that_a_lost_answer_costs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RefreshTokens, "_same_again", staticmethod(lambda *_: None))
    outcome = found(PLAIN, *LOST)
    assert any("lost its login" in each for each in outcome.violations), outcome
    monkeypatch.undo()
    assert simulate(outcome.seed, only=frozenset(LOST)).violations == ()


def test_a_refresh_token_that_outlives_the_rights_of_its_device_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials are void, and the next ones are had for the token that was to bring them."""
    right = RefreshTokens._chain

    def living(self: RefreshTokens, family: str) -> Any:
        chain = right(self, family)
        return None if chain is None else replace(chain, revoked_us=None)

    monkeypatch.setattr(RefreshTokens, "_chain", living)
    outcome = found(PLAIN, SimulatedFault.REVOCATION)
    assert any(each.startswith(("G7", "identity")) for each in outcome.violations), outcome
    monkeypatch.undo()
    assert simulate(outcome.seed, only=frozenset({SimulatedFault.REVOCATION})).violations == ()
