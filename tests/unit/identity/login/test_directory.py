"""The door's directory: names and token agree, the removed are out, and refresh says who has to go."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.identity.keys.signing import Keyring
from healthsync_mqtt.identity.login.tokens import TokenIssuer, TokenVerifier
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.principal import Principal, Role
from tests.support.entrance import Entrance

NOW = 1_800_000_000
KEYRING = Keyring.generate()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(tmp_path / "registry.db") as opened:
        for user in ("alice", "bob"):
            opened.add_user(user, "all", NOW * 1_000_000)
            opened.add_device(user, "watch", NOW * 1_000_000)
        opened.add_subscriber("backend", ["alice"], ["steps"], NOW * 1_000_000)
        opened.add_admin("root", NOW * 1_000_000)
        yield opened


@pytest.fixture
def directory(registry: Registry) -> Entrance:
    return Entrance(registry, TokenVerifier(KEYRING))


def password(principal: Principal, now: float = NOW, epoch: int | None = None) -> bytes:
    return TokenIssuer(KEYRING).issue(principal, lifetime_s=3600, now=now, epoch=epoch).token.encode()


def detail(directory: Entrance, *login: object, now: float = NOW) -> str:
    with pytest.raises(TokenError) as caught:
        directory.authenticate(*login, now)  # type: ignore[arg-type]
    assert str(caught.value) == "the credentials were refused"
    return caught.value.detail


def test_a_device_logs_in(registry: Registry, directory: Entrance) -> None:
    device = registry.device("alice", "watch")
    login = directory.authenticate("alice-watch", "alice-watch", password(device.principal), NOW)
    assert login.principal == device.principal
    assert login.expires_at == NOW + 3600
    assert login.jti
    assert directory.is_active(login.principal)
    assert not directory.is_active(replace(login.principal, users=None))


def test_subscribers_and_admins_log_in_by_their_names(registry: Registry, directory: Entrance) -> None:
    for principal in (registry.subscriber("backend").principal, registry.admins()[0].principal):
        name = principal.client_id
        login = directory.authenticate(name, name, password(principal), NOW)
        assert login.principal == principal
    assert login.principal.role is Role.admin
    assert directory.authenticate("backend", "backend", password(registry.subscriber("backend").principal), NOW)


@pytest.mark.parametrize(
    ("client_id", "username"),
    [
        ("bob-watch", "alice-watch"),
        ("alice-watch", "bob-watch"),
        ("bob-watch", "bob-watch"),
        ("alice-watch", None),
        ("alice-watch", ""),
        ("", "alice-watch"),
        ("ALICE-WATCH", "ALICE-WATCH"),
        ("alice-watch ", "alice-watch"),
        ("alice", "alice"),
        ("backend", "backend"),
        ("root", "root"),
        ("$bridge", "$bridge"),
        ("#", "#"),
        ("a/b", "a/b"),
        ("\ufeff", "\u202e"),
        ("__proto__", "__proto__"),
        ("x" * 65_536, "x" * 65_536),
    ],
)
def test_t08_t11_the_names_are_the_tokens(
    registry: Registry, directory: Entrance, client_id: str, username: str
) -> None:
    token = password(registry.device("alice", "watch").principal)
    assert "is not the token's" in detail(directory, client_id, username, token)


@pytest.mark.parametrize("wrong", [None, b"", b"secret", b"\xff\xfe", b"a.b.c", b"x" * 5000, b"x" * 1_000_000])
def test_t09_without_a_token_nobody_enters(directory: Entrance, wrong: bytes | None) -> None:
    known, unknown = (detail(directory, name, name, wrong) for name in ("alice-watch", "carol-watch"))
    assert known == unknown


def test_who_is_not_registered_stays_out(directory: Entrance) -> None:
    for principal in (
        Principal(role=Role.device, client_id="alice-phone", user="alice", device="phone"),
        Principal(role=Role.device, client_id="carol-watch", user="carol", device="watch"),
        Principal(role=Role.subscriber, client_id="alice-watch"),
        Principal(role=Role.admin, client_id="backend"),
        Principal(role=Role.subscriber, client_id="root"),
    ):
        name = principal.client_id
        assert "not registered" in detail(directory, name, name, password(principal))
        assert not directory.is_active(principal)


def test_an_expired_token_is_out_at_its_second(registry: Registry, directory: Entrance) -> None:
    token = password(registry.device("alice", "watch").principal)
    assert directory.authenticate("alice-watch", "alice-watch", token, NOW + 3599)
    assert detail(directory, "alice-watch", "alice-watch", token, now=NOW + 3600) == "the token has expired"


def test_refresh_without_a_change_reads_nothing(registry: Registry, directory: Entrance, monkeypatch) -> None:
    monkeypatch.setattr(registry, "roster", lambda: pytest.fail("read again"))
    monkeypatch.setattr(registry, "since", lambda _: pytest.fail("read again"))
    assert directory.refresh() == frozenset()


def test_a_new_device_may_enter_at_once(registry: Registry, directory: Entrance) -> None:
    device = registry.add_device("alice", "phone", NOW * 1_000_000)
    token = password(device.principal)
    assert directory.authenticate(device.client_id, device.client_id, token, NOW).principal == device.principal


def test_a_login_that_reads_the_registry_hides_no_removal(registry: Registry, directory: Entrance) -> None:
    registry.remove_device("bob", "watch", NOW * 1_000_000)
    device = registry.add_device("alice", "phone", NOW * 1_000_000)
    assert directory.authenticate(device.client_id, device.client_id, password(device.principal), NOW)
    assert directory.refresh() == {"bob-watch"}


def test_only_a_token_of_ours_makes_a_login_read_the_registry(
    registry: Registry, directory: Entrance, monkeypatch
) -> None:
    registry.add_device("alice", "phone", NOW * 1_000_000)
    monkeypatch.setattr(registry, "roster", lambda: pytest.fail("read for a stranger"))
    monkeypatch.setattr(registry, "since", lambda _: pytest.fail("read for a stranger"))
    stranger = TokenIssuer(Keyring.generate()).issue(
        registry.device("alice", "phone").principal, lifetime_s=60, now=NOW
    )
    assert detail(directory, "alice-phone", "alice-phone", stranger.token.encode())


def test_t07_a_removed_device_has_to_go(registry: Registry, directory: Entrance) -> None:
    device = registry.device("alice", "watch")
    token = password(device.principal)
    registry.remove_device("alice", "watch", NOW * 1_000_000)
    assert directory.refresh() == {"alice-watch"}
    assert not directory.is_active(device.principal)
    assert "removed" in detail(directory, "alice-watch", "alice-watch", token)
    assert directory.refresh() == frozenset()


def test_t07_tokens_from_before_a_removal_stay_void(registry: Registry, directory: Entrance) -> None:
    device = registry.device("alice", "watch")
    old = password(device.principal, NOW - 1)
    assert directory.authenticate("alice-watch", "alice-watch", old, NOW)
    registry.remove_device("alice", "watch", NOW * 1_000_000)
    registry.add_device("alice", "watch", NOW * 1_000_000 + 500_000)
    assert directory.refresh() == {"alice-watch"}  # removed and added between two readings: its connection goes
    assert "older than the last removal" in detail(directory, "alice-watch", "alice-watch", old)
    fresh = password(device.principal, NOW + 1, registry.token_epoch("alice-watch"))
    assert directory.authenticate("alice-watch", "alice-watch", fresh, NOW + 1)


def test_a_reading_that_fails_keeps_the_last_one(registry: Registry, directory: Entrance) -> None:
    device = registry.device("alice", "watch")
    registry.close()
    with pytest.raises(Exception, match="registry"):
        directory.refresh()
    assert directory.is_active(device.principal)
