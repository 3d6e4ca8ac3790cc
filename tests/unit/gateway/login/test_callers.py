"""Who is calling is known as of before the credentials were looked at: a revocation meanwhile is never missed."""

import asyncio
import json
import logging
import time
from typing import Any, cast

import pytest

from healthsync_mqtt.broker.embedded.limits.addresses import AddressGuard
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.login.callers import Callers
from healthsync_mqtt.gateway.login.refusals import MOST_OF_ADDRESS
from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.identity.login.directory import Membership
from healthsync_mqtt.identity.login.proof import CrowdedError, Login, Proof
from healthsync_mqtt.model.base64url import base64url
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
        callers = Callers(*parts, sessions=cast(Any, None))
        caller = await callers.admitted(Proof(WATCH.client_id, WATCH.client_id, b"x", None), "127.0.0.1")
        assert caller.principal == WATCH
        assert caller.login.expires_at > time.time()
        assert callers.still(caller) is (raises == 0)


class Arriving:
    """A chain of logins during which the other thread reads of a new device."""

    def __init__(self, directory: "Filling") -> None:
        self._directory = directory

    def authenticate(self, proof: Proof, demand: Demand, now: float) -> Login:
        del demand
        self._directory.has_read = True
        if proof.client_id != WATCH.client_id:
            raise TokenError("the client id is not the token's")
        return Login(principal=WATCH, expires_at=now + 60, jti="1")


class Filling(Directory):
    """A device that was registered a moment ago."""

    has_read = False

    def entry(self, role: Role, subject: str, device: str | None) -> Membership | None:
        assert (role, subject, device) == (Role.device, "alice", "watch")
        return Membership(WATCH, 1) if self.has_read else None


async def test_a_device_of_which_is_read_while_its_token_is_verified_is_let_in() -> None:
    directory = Filling()
    parts: Any = directory, Arriving(directory), None, AddressGuard(LimitSettings()), None
    callers = Callers(*parts, sessions=cast(Any, None))
    claims = base64url(json.dumps({"role": "device", "sub": "alice", "did": "watch"}).encode())
    caller = await callers.caller({"authorization": f"Bearer x.{claims}.y"}, "127.0.0.1")
    assert caller.principal == WATCH
    assert callers.refused == 0


class Refusing:
    """A chain that knows one secret; it counts who was looked at."""

    def __init__(self) -> None:
        self.looked_at = 0

    def authenticate(self, proof: Proof, demand: Demand, now: float) -> Login:
        del demand
        self.looked_at += 1
        if proof.password != b"right":
            raise TokenError("wrong")
        return Login(principal=WATCH, expires_at=now + 60, jti="1")


async def test_a_wrong_secret_is_never_answered_sooner_than_it_is_held_back_for() -> None:
    """Of many from one address the rest is not looked at: a right one is answered like a wrong one then."""
    line, limits = Refusing(), LimitSettings(failed_login_base_s=600.0, failed_login_max_s=600.0)
    parts: Any = Directory(), line, None, AddressGuard(limits), None
    callers = Callers(*parts, sessions=cast(Any, None))
    wrong, right = (Proof(WATCH.client_id, WATCH.client_id, secret, None) for secret in (b"wrong", b"right"))
    held = [asyncio.create_task(callers.admitted(wrong, "192.0.2.1")) for _ in range(MOST_OF_ADDRESS)]
    await asyncio.sleep(0)
    assert line.looked_at == MOST_OF_ADDRESS
    for each in (wrong, right):
        with pytest.raises(HttpError) as said:
            await callers.admitted(each, "192.0.2.1")
        assert (said.value.status, said.value.word) == (429, "too_many")
    assert line.looked_at == MOST_OF_ADDRESS
    assert (await callers.admitted(right, "192.0.2.2")).principal == WATCH
    assert not any(task.done() for task in held)
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)


async def test_refused_logins_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """One line each was some hundred a second, for as long as a stranger likes."""
    caplog.set_level(logging.INFO, logger="healthsync")
    limits = LimitSettings(failed_login_base_s=0.001, failed_login_max_s=0.001)
    parts: Any = Directory(), Refusing(), None, AddressGuard(limits), None
    callers = Callers(*parts, sessions=cast(Any, None))
    for peer in ("192.0.2.1", "192.0.2.2"):
        for number in range(20):
            with pytest.raises(HttpError):
                await callers.admitted(Proof(f"c{number}", f"c{number}", b"wrong", None), peer)
    assert callers.refused == 40
    assert [each.getMessage() for each in caplog.records].count("gateway.login_refused") == 10


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
    callers = Callers(*parts, sessions=cast(Any, None))
    for peer in ("192.0.2.1", "192.0.2.2"):
        with pytest.raises(HttpError) as said:
            await callers.admitted(Proof("scale", "scale", b"x", None), peer)
        assert (said.value.status, said.value.retry_after_s) == (503, 1.0)
    assert line.addresses == ["192.0.2.1", "192.0.2.2"]
    assert (callers.refused, callers.refusals.total) == (0, 0)
