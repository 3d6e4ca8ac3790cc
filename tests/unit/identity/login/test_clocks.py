"""Revocation asks no clock: one that is set back, was wrong at boot, or stands still brings nothing back to life."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.identity.certificates.issuing import Authority, new_authority, serial_text
from healthsync_mqtt.identity.keys.signing import Keyring
from healthsync_mqtt.identity.login.tokens import TokenIssuer, TokenVerifier
from healthsync_mqtt.identity.people import revocation
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.principal import Role
from tests.support.entrance import Entrance

KEYRING = Keyring.generate()
NOW = 1_800_000_000
HOUR, YEAR = 3_600, 365 * 86_400
CA_KEY = ec.generate_private_key(ec.SECP256R1())
WHEN = datetime.fromtimestamp(NOW, UTC)
CA = Authority(
    key=CA_KEY, certificate=new_authority(CA_KEY, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")]), WHEN)
)


class House:
    """A registry whose operations are told the time, and the entrance over it."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        registry.add_user("alice", "all", NOW * 1_000_000)
        registry.add_device("alice", "watch", NOW * 1_000_000)
        self.entrance = Entrance(registry, TokenVerifier(KEYRING))

    def token(self, now: float) -> bytes:
        device = self.registry.device("alice", "watch")
        issued = TokenIssuer(KEYRING).issue(device.principal, lifetime_s=86_400, now=now, epoch=device.token_epoch)
        return issued.token.encode()

    def enters(self, token: bytes, now: float) -> bool:
        self.entrance.logins.catch_up()
        try:
            return bool(self.entrance.authenticate("alice-watch", "alice-watch", token, now))
        except TokenError:
            return False


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with Registry.open(tmp_path / "registry.db") as registry:
        yield House(registry)


@pytest.mark.parametrize("jump_s", [-YEAR, -HOUR, -1, 0, 1, HOUR])
def test_a_revocation_holds_whatever_the_clock_did_since_the_token(house: House, jump_s: int) -> None:
    old = house.token(NOW)
    assert house.enters(old, NOW + 1)
    house.registry.revocation.revoke_device_tokens("alice", "watch", (NOW + jump_s) * 1_000_000)
    assert not house.enters(old, NOW + 1)
    assert not house.enters(old, NOW + jump_s + 1)


@pytest.mark.parametrize("jump_s", [-HOUR, 0, HOUR, 50 * YEAR])
def test_what_is_issued_after_a_revocation_is_good_at_once(house: House, jump_s: int) -> None:
    """Also in the second of the revocation, and when that was done by a clock fifty years ahead."""
    house.registry.revocation.revoke_device_tokens("alice", "watch", (NOW + jump_s) * 1_000_000)
    assert house.enters(house.token(NOW), NOW)


def test_a_device_that_comes_back_while_the_clock_is_wrong(house: House) -> None:
    old = house.token(NOW)
    house.registry.remove_device("alice", "watch", (NOW + 50 * YEAR) * 1_000_000)
    house.registry.add_device("alice", "watch", NOW * 1_000_000)
    assert not house.enters(old, NOW + 1)
    assert house.enters(house.token(NOW), NOW)


def test_a_second_revocation_never_takes_the_first_one_back(house: House) -> None:
    ahead = house.token(NOW + 30)
    house.registry.revocation.revoke_device_tokens("alice", "watch", (NOW + HOUR) * 1_000_000)
    house.registry.revocation.revoke_device_tokens("alice", "watch", (NOW - HOUR) * 1_000_000)
    assert house.registry.device("alice", "watch").not_before_s == NOW + HOUR + 1
    assert not house.enters(ahead, NOW + 31)


def test_a_token_of_an_older_release_is_judged_by_its_second_until_the_first_revocation(house: House) -> None:
    principal = house.registry.device("alice", "watch").principal
    legacy = TokenIssuer(KEYRING).issue(principal, lifetime_s=86_400, now=NOW).token.encode()
    assert house.enters(legacy, NOW)
    house.registry.revocation.revoke_device_tokens("alice", "watch", (NOW - YEAR) * 1_000_000)
    assert not house.enters(legacy, NOW)


def certificate(house: House, issued_us: int) -> str:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    made = CA.client(key, Role.device, "alice-watch", WHEN, timedelta(days=30))
    house.registry.certificates.add(made, Role.device, "alice-watch", issued_us)
    return serial_text(made)


def test_a_certificate_issued_in_the_second_of_a_revocation_is_good(house: House) -> None:
    second = NOW * 1_000_000
    before = certificate(house, second + 100)
    house.registry.revocation.revoke_device_tokens("alice", "watch", second + 200)
    after = certificate(house, second + 300)
    assert house.registry.certificates.denied() == {before}
    house.entrance.logins.catch_up()
    assert house.entrance.denied == {before}
    assert after not in house.entrance.denied


def test_a_certificate_from_before_a_revocation_stays_refused_when_the_clock_went_back(house: House) -> None:
    before = certificate(house, (NOW + HOUR) * 1_000_000)
    house.registry.revocation.revoke_device_tokens("alice", "watch", NOW * 1_000_000)
    assert house.registry.certificates.denied() == {before}


def test_a_wrong_year_at_boot_forgets_no_revoked_token(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.registry.revocation.revoke_token("old", NOW * 1_000_000)
    house.registry.revocation.revoke_token("other", (NOW + 50 * YEAR) * 1_000_000)
    assert house.registry.revocation.revoked() == {"old", "other"}
    monkeypatch.setattr(revocation, "MOST_REVOKED", 3)
    for number in range(4):
        house.registry.revocation.revoke_token(f"n{number}", (NOW + 60 * YEAR + number) * 1_000_000)
    assert house.registry.revocation.revoked() == {"n1", "n2", "n3"}
    house.entrance.logins.catch_up()
    assert house.entrance.revoked_tokens == {"n1", "n2", "n3"}
