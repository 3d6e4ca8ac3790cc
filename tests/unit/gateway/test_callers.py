"""Who is calling is known as of before the credentials were looked at: a revocation meanwhile is never missed."""

import time
from typing import Any

import pytest

from healthsync_mqtt.broker.embedded.limits.addresses import AddressGuard
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.gateway.callers import Callers
from healthsync_mqtt.gateway.problem import HttpError
from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.identity.login.proof import CrowdedError, Login, Proof
from healthsync_mqtt.model.principal import Principal, Role

WATCH = Principal(role=Role.device, client_id="alice-watch", user="alice", device="watch")


class Directory:
    """One device, whose logins may be revoked."""

    revoked_tokens: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.now = 1

    def principal(self, client_id: str) -> Principal | None:
        return WATCH if client_id == WATCH.client_id else None

    def epoch(self, principal: Principal) -> int:
        assert principal == WATCH
        return self.now

    def is_active(self, principal: Principal) -> bool:
        return principal == WATCH


class Revoking:
    """A chain of logins during which the other thread reads a revocation."""

    def __init__(self, directory: Directory, raises: int) -> None:
        self._directory, self._raises = directory, raises

    def authenticate(self, proof: Proof, demand: Demand, now: float) -> Login:
        del proof, demand
        self._directory.now += self._raises
        return Login(principal=WATCH, expires_at=now + 60, jti="1")


async def test_a_revocation_during_a_login_is_seen_by_what_outlasts_the_request() -> None:
    for raises in (0, 1):
        directory = Directory()
        parts: Any = directory, Revoking(directory, raises), None, AddressGuard(LimitSettings()), None
        callers = Callers(*parts)
        caller = await callers.admitted(Proof(WATCH.client_id, WATCH.client_id, b"x", None), "127.0.0.1")
        assert caller.principal == WATCH
        assert caller.login.expires_at > time.time()
        assert callers.still(caller) is (raises == 0)


class Crowded:
    """A line of passwords that is full; it notes where each comes from."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    def authenticate(self, proof: Proof, demand: Demand, now: float) -> Login:
        del demand, now
        self.addresses.append(proof.address)
        raise CrowdedError("many passwords wait")


async def test_a_full_line_is_busy_and_no_failed_login_and_each_address_has_its_own_place() -> None:
    line = Crowded()
    parts: Any = Directory(), line, None, AddressGuard(LimitSettings()), None
    callers = Callers(*parts)
    for peer in ("192.0.2.1", "192.0.2.2"):
        with pytest.raises(HttpError) as said:
            await callers.admitted(Proof("scale", "scale", b"x", None), peer)
        assert (said.value.status, said.value.retry_after_s) == (503, 1.0)
    assert line.addresses == ["192.0.2.1", "192.0.2.2"]
    assert (callers.refused, callers.held) == (0, 0)
