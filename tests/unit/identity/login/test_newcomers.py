"""Logins that wait for a reading: none on the event loop, one for all that wait, and a locked file holds nobody up."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.identity.keys.signing import Keyring
from healthsync_mqtt.identity.login.credential_login import CredentialLogin
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.newcomers import READ_EVERY_S, Newcomers
from healthsync_mqtt.identity.login.proof import Denied, Login, PerhapsNewError, Proof
from healthsync_mqtt.identity.login.tokens import TokenIssuer, TokenVerifier
from healthsync_mqtt.identity.registry import Registry
from tests.support.patience import PATIENCE_S

NOW = 1_800_000_000
NOW_US = NOW * 1_000_000
KEYRING = Keyring.generate()


class House:
    """A registry, a directory that reads it through a connection of its own, and the logins."""

    def __init__(self, root: Path) -> None:
        self.path = root / "registry.db"
        self.registry = Registry.open(self.path)
        self.registry.add_user("alice", "all", NOW_US)
        self.registry.add_device("alice", "watch", NOW_US)
        self.own = Registry.open(self.path)
        self.directory = Directory(self.own)
        self.store = CredentialStore(root / "credentials")
        self.logins = Logins.of(self.directory, TokenVerifier(KEYRING), self.store)
        self.newcomers = Newcomers(self.logins)

    def proof(self, device_id: str) -> Proof:
        device = self.registry.device("alice", device_id)
        token = TokenIssuer(KEYRING).issue(device.principal, lifetime_s=60, now=NOW, epoch=device.token_epoch).token
        return Proof(device.client_id, device.client_id, token.encode(), None)

    def login(self, proof: Proof) -> Login:
        return self.logins.authenticate(proof, Demand.off, NOW)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path)
    yield built
    built.newcomers.close()
    built.registry.close()
    built.own.close()


async def test_who_is_new_enters_after_a_reading(house: House) -> None:
    house.registry.add_device("alice", "phone", NOW_US)
    proof = house.proof("phone")
    with pytest.raises(PerhapsNewError):
        house.login(proof)
    await house.newcomers.reading()
    assert house.login(proof).principal.device == "phone"


async def test_a_new_token_after_a_revocation_is_good_at_once(house: House) -> None:
    old = house.proof("watch")
    house.registry.revocation.revoke_device_tokens("alice", "watch", NOW_US)
    fresh = house.proof("watch")
    with pytest.raises(PerhapsNewError):
        house.login(fresh)
    await house.newcomers.reading()
    assert house.login(fresh)
    with pytest.raises(TokenError) as caught:
        house.login(old)
    assert not isinstance(caught.value, PerhapsNewError)


def test_no_login_reads_a_file(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.store.ensure("alice-watch")
    house.logins.catch_up()
    house.registry.add_device("alice", "phone", NOW_US)
    proofs = [house.proof("watch"), house.proof("phone"), Proof("alice-watch", "alice-watch", b"wrong", None)]
    proofs += [Proof("enroll-a", "enroll", b"0000-0000-0000-0000", None), Proof("x", None, None, b"no certificate")]
    for owner, name in ((type(house.own._tables), "_transaction"), (Path, "stat"), (Path, "read_bytes")):
        monkeypatch.setattr(owner, name, lambda *_, **__: pytest.fail("a file was read"))
    for demand in Demand:
        for proof in proofs:
            try:
                house.logins.authenticate(proof, demand, NOW)
            except TokenError:
                continue


async def test_a_locked_registry_holds_up_who_is_new_and_nobody_else(house: House) -> None:
    known = house.proof("watch")
    house.registry.add_device("alice", "phone", NOW_US)
    new = house.proof("phone")
    holder = sqlite3.connect(house.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    waiting = house.newcomers.reading()
    turns = 0
    for _ in range(200):
        await asyncio.sleep(0)
        assert house.login(known)
        turns += 1
    assert turns == 200
    assert not waiting.done()
    holder.rollback()
    holder.close()
    await asyncio.wait_for(waiting, PATIENCE_S)
    assert house.login(new)


async def test_one_reading_is_for_all_that_wait_and_begins_after_they_asked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, readings = threading.Event(), []

    def slow() -> None:
        readings.append(1)
        gate.wait(PATIENCE_S)

    monkeypatch.setattr(house.logins, "catch_up", slow)
    first = house.newcomers.reading()
    later = [house.newcomers.reading() for _ in range(50)]
    gate.set()
    await asyncio.gather(first, *later)
    assert len(readings) == 2, "those who came while it was read wait for another one, together"
    assert house.newcomers.reading() is not later[0]


async def test_strangers_cause_a_reading_four_times_a_second_at_most(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, begun = 0.0, list[float]()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    monkeypatch.setattr(house.logins, "catch_up", lambda: begun.append(now))
    for _ in range(4):
        before = len(begun)
        waiting = [house.newcomers.reading() for _ in range(50)]
        while not begun:  # noqa: ASYNC110  # the first looks at the clock before it is put forward
            await asyncio.sleep(0)
        now += READ_EVERY_S / 2
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(begun) <= before + 1
        now += READ_EVERY_S / 2
        await asyncio.gather(*waiting)
    assert len(begun) == 5, "who came while the first ran waited for another, and everybody has been answered"
    assert all(later - earlier >= READ_EVERY_S for earlier, later in pairwise(begun))


def test_credentials_are_followed(house: House, tmp_path: Path) -> None:
    link = CredentialLogin(house.directory, house.store)

    def answer(password: str) -> object:
        return link.answer(Proof("alice-watch", "alice-watch", password.encode(), None), NOW)

    assert answer("anything") == Denied("the credential does not fit", perhaps_new=True)
    made, _ = house.store.ensure("alice-watch")
    link.catch_up()
    assert isinstance(answer(made), Login)
    assert answer("anything") == Denied("the credential does not fit")
    (house.store.directory / "alice-watch").chmod(0o644)
    house.store.ensure("another")
    link.catch_up()
    assert isinstance(answer(made), Denied), "open to others"
    (house.store.directory / "alice-watch").chmod(0o600)
    link.catch_up()
    assert isinstance(answer(made), Login)
    house.store.forget("alice-watch")
    link.catch_up()
    assert isinstance(answer(made), Denied)
    assert link.answer(Proof("nobody", "nobody", made.encode(), None), NOW) is None
    assert link.answer(Proof("alice-watch", "alice-watch", b"a.b.c", None), NOW) is None
