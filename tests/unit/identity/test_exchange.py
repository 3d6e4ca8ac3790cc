"""Exchanges: one that fails costs its client nothing, and one whose answer was lost is answered again."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.errors import StoreError, TokenError
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.exchange import TokenExchange
from healthsync_mqtt.identity.keys.signing import Keyring
from healthsync_mqtt.identity.login.enrolment import GRACE_US
from healthsync_mqtt.identity.login.refresh import ReuseError
from healthsync_mqtt.identity.login.tokens import TokenIssuer, TokenVerifier
from healthsync_mqtt.identity.registry import Registry
from tests.support.entrance import Entrance

NOW = 1_800_000_000.0
KEYRING = Keyring.generate()


class House:
    """A registry with alice, its audit log, and the exchange."""

    def __init__(self, root: Path) -> None:
        self.registry = Registry.open(root / "registry.db")
        self.registry.add_user("alice", "all", int(NOW * 1e6))
        self.audit = AuditLog.open(root / "audit.db", root / "keys" / "audit.key")
        self.exchange = TokenExchange(self.registry, TokenIssuer(KEYRING), self.audit)

    def code(self) -> str:
        return self.registry.enrolments.create("alice", "watch", int(NOW * 1e6)).replace("-", "")[:4]

    def actions(self) -> list[str]:
        return [row.action for row in self.audit.rows()]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path)
    yield built
    built.registry.close()


def test_an_audit_log_that_cannot_be_written_burns_no_family(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    first = house.exchange.enrol(house.code(), NOW, "enroll-a")

    def full(_notes: object) -> None:
        raise StoreError("no space")

    monkeypatch.setattr(house.audit, "take", full)
    second = house.exchange.exchange(first.refresh.token, NOW + 100)
    third = house.exchange.exchange(second.refresh.token, NOW + 200)
    monkeypatch.undo()
    assert house.actions() == ["device.enrolled"]
    house.exchange.exchange(third.refresh.token, NOW + 300)
    assert house.actions() == ["device.enrolled"] + ["token.refreshed"] * 3


def test_a_token_that_cannot_be_signed_uses_up_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    code = house.code()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a defect of ours")

    monkeypatch.setattr(TokenIssuer, "issue", broken)
    with pytest.raises(RuntimeError):
        house.exchange.enrol(code, NOW, "enroll-a")
    monkeypatch.undo()
    first = house.exchange.enrol(code, NOW, "enroll-a")
    monkeypatch.setattr(TokenIssuer, "issue", broken)
    with pytest.raises(RuntimeError):
        house.exchange.exchange(first.refresh.token, NOW + 100)
    monkeypatch.undo()
    assert house.exchange.exchange(first.refresh.token, NOW + 200).refresh.token != first.refresh.token
    assert house.actions() == ["device.enrolled", "token.refreshed"]


def test_a_locked_audit_log_does_not_hold_an_exchange_up(house: House, tmp_path: Path) -> None:
    first = house.exchange.enrol(house.code(), NOW, "enroll-a")
    holder = sqlite3.connect(tmp_path / "audit.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        second = house.exchange.exchange(first.refresh.token, NOW + 100)
    finally:
        holder.rollback()
        holder.close()
    house.exchange.exchange(second.refresh.token, NOW + 200)
    assert house.actions() == ["device.enrolled", "token.refreshed", "token.refreshed"]


def test_a_reused_token_ends_its_family_and_is_written_down(house: House) -> None:
    first = house.exchange.enrol(house.code(), NOW, "enroll-a")
    second = house.exchange.exchange(first.refresh.token, NOW + 100)
    third = house.exchange.exchange(second.refresh.token, NOW + 200)
    with pytest.raises(ReuseError):
        house.exchange.exchange(first.refresh.token, NOW + 300)
    with pytest.raises(TokenError):
        house.exchange.exchange(third.refresh.token, NOW + 400)
    assert house.actions()[-1] == "token.refresh_reused"


def test_a_lost_answer_does_not_burn_the_code(house: House) -> None:
    code = house.code()
    lost = house.exchange.enrol(code, NOW, "enroll-a")
    again = house.exchange.enrol(code, NOW + 30, "enroll-a")
    assert house.exchange.exchange(again.refresh.token, NOW + 40)
    with pytest.raises(TokenError):
        house.exchange.exchange(lost.refresh.token, NOW + 50)
    verifier = TokenVerifier(KEYRING)
    epochs = [verifier.verify(each.token, now=NOW + 50).epoch for each in (lost, again)]
    assert epochs[1] == house.registry.token_epoch("alice-watch")
    assert epochs[0] != epochs[1], "the lost answer is worth nothing"


@pytest.mark.parametrize(
    ("after_s", "client_id", "use"),
    [(30, "enroll-b", False), (GRACE_US / 1e6 + 1, "enroll-a", False), (30, "enroll-a", True), (-1, "enroll-a", False)],
    ids=["another client", "too late", "already used", "the clock went back"],
)
def test_nobody_else_gets_an_answer_again(house: House, after_s: float, client_id: str, use: bool) -> None:
    code = house.code()
    first = house.exchange.enrol(code, NOW, "enroll-a")
    if use:
        house.exchange.exchange(first.refresh.token, NOW + 1)
    with pytest.raises(TokenError):
        house.exchange.enrol(code, NOW + after_s, client_id)


def test_the_door_lets_the_same_client_ask_again_until_its_device_arrives(house: House) -> None:
    code = house.registry.enrolments.create("alice", "watch", int(NOW * 1e6))
    entrance = Entrance(house.registry, TokenVerifier(KEYRING))
    handle = entrance.authenticate("enroll-a", "enroll", code.encode(), NOW).enrolment
    assert handle
    granted = house.exchange.enrol(handle, NOW, "enroll-a")
    entrance.logins.catch_up()
    assert entrance.authenticate("enroll-a", "enroll", code.encode(), NOW + 5).enrolment == handle
    with pytest.raises(TokenError):
        entrance.authenticate("enroll-b", "enroll", code.encode(), NOW + 5)
    assert entrance.authenticate("alice-watch", "alice-watch", granted.token.encode(), NOW + 6)
    with pytest.raises(TokenError):
        entrance.authenticate("enroll-a", "enroll", code.encode(), NOW + 7)
