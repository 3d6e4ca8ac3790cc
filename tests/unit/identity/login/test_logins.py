"""Logins by token, by certificate and by both, on listeners that demand one or the other."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from healthsync_mqtt.errors import InputError, NotFoundError, TokenError
from healthsync_mqtt.identity.certificates.book import read_serial
from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.identity.certificates.issuing import Authority, new_authority, serial_text
from healthsync_mqtt.identity.keys.signing import Keyring
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.proof import PerhapsNewError, Proof
from healthsync_mqtt.identity.login.tokens import TokenIssuer, TokenVerifier
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.principal import Role

NOW = 1_800_000_000.0
NOW_US = int(NOW * 1e6)
WHEN = datetime.fromtimestamp(NOW, UTC)
DAY = 86_400
CA_KEY = ec.generate_private_key(ec.SECP256R1())
CA = Authority(
    key=CA_KEY,
    certificate=new_authority(CA_KEY, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")]), WHEN),
)
KEYRING = Keyring.generate()


class World:
    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        for user in ("alice", "bob"):
            registry.add_user(user, "all", NOW_US)
            registry.add_device(user, "watch", NOW_US)
        registry.add_subscriber("app", ["alice"], None, NOW_US)
        self.directory = Directory(registry)
        self.logins = Logins.of(self.directory, TokenVerifier(KEYRING))

    def certificate(self, client_id: str = "alice-watch", role: Role = Role.device, days: int = 30) -> x509.Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        made = CA.client(key.public_key(), role, client_id, WHEN, timedelta(days=days))
        self.registry.certificates.add(made, role, client_id, NOW_US)
        return made

    def token(self, user: str = "alice") -> bytes:
        principal = self.registry.device(user, "watch").principal
        return TokenIssuer(KEYRING).issue(principal, lifetime_s=3600, now=NOW).token.encode()

    def login(self, proof: Proof, demand: Demand, now: float = NOW):
        try:
            return self.logins.authenticate(proof, demand, now)
        except PerhapsNewError:
            self.logins.catch_up()  # as the door does
        return self.logins.authenticate(proof, demand, now)

    def refused(self, proof: Proof, demand: Demand, now: float = NOW) -> str:
        with pytest.raises(TokenError) as refusal:
            self.login(proof, demand, now)
        assert str(refusal.value) == "the credentials were refused"
        return refusal.value.detail


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Registry.open(tmp_path / "registry.db") as registry:
        yield World(registry)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def by_certificate(certificate: x509.Certificate, client_id: str = "alice-watch") -> Proof:
    return Proof(client_id, None, None, der(certificate))


def test_a_certificate_takes_the_place_of_a_token(world: World) -> None:
    made = world.certificate()
    for demand in (Demand.optional, Demand.required):
        login = world.login(by_certificate(made), demand)
        assert login.principal == world.registry.device("alice", "watch").principal
        assert login.expires_at == made.not_valid_after_utc.timestamp()
        assert (login.serial, login.jti, login.kid) == (serial_text(made), None, None)
    named = by_certificate(made)._replace(username="alice-watch")
    assert world.login(named, Demand.required).serial == serial_text(made)
    subscriber = world.certificate("app", Role.subscriber)
    assert world.login(by_certificate(subscriber, "app"), Demand.required).principal.role is Role.subscriber


def test_tokens_still_do_where_certificates_are_optional(world: World) -> None:
    proof = Proof("alice-watch", "alice-watch", world.token(), None)
    for demand in (Demand.off, Demand.optional):
        assert world.login(proof, demand).serial is None
    for demand in (Demand.required, Demand.required_with_token):
        assert world.refused(proof, demand) == "there is no client certificate"


def test_certificate_and_token_have_to_be_one_devices(world: World) -> None:
    made = world.certificate()
    both = Proof("alice-watch", "alice-watch", world.token(), der(made))
    for demand in (Demand.optional, Demand.required, Demand.required_with_token):
        login = world.login(both, demand)
        assert (login.serial, login.expires_at) == (serial_text(made), NOW + 3600)
        stolen = both._replace(client_id="bob-watch", username="bob-watch", password=world.token("bob"))
        assert world.refused(stolen, demand) == "certificate and token are not of the same principal"
        assert world.refused(both._replace(password=b"rubbish"), demand)
    assert world.refused(by_certificate(made), Demand.required_with_token) == "there is a certificate and no token"


def test_the_earlier_end_counts(world: World) -> None:
    short = world.certificate(days=1)
    proof = Proof("alice-watch", "alice-watch", world.token(), der(short))
    assert world.login(proof, Demand.optional).expires_at == NOW + 3600
    last = short.not_valid_after_utc.timestamp()
    assert world.login(by_certificate(short), Demand.required, last - 1).expires_at == last
    assert world.refused(by_certificate(short), Demand.required, last) == "the client certificate has expired"


@pytest.mark.parametrize("client_id", ["bob-watch", "app", "", "alice-watch ", "ALICE-WATCH", "alice"])
def test_t08_a_certificate_is_good_for_its_own_client_id_only(world: World, client_id: str) -> None:
    made = world.certificate()
    for demand in (Demand.optional, Demand.required):
        assert world.refused(by_certificate(made, client_id), demand) == "the client id is not the certificate's"
    odd = by_certificate(made)._replace(username="bob-watch")
    assert world.refused(odd, Demand.required) == "the client id is not the certificate's"


def test_a_role_in_a_certificate_is_not_another(world: World) -> None:
    made = world.certificate("app", Role.device)
    assert world.refused(by_certificate(made, "app"), Demand.required).startswith("the certificate's holder")


def test_a_revoked_certificate_is_refused_and_told(world: World) -> None:
    made, other = world.certificate(), world.certificate()
    world.registry.certificates.revoke(serial_text(made).upper(), NOW_US, why="lost")
    assert world.login(by_certificate(made), Demand.required)
    assert world.logins.refresh() == {serial_text(made)}
    assert world.logins.refresh() == frozenset()
    for proof in (by_certificate(made), Proof("alice-watch", "alice-watch", world.token(), der(made))):
        assert world.refused(proof, Demand.optional) == "the client certificate is revoked"
    assert world.login(by_certificate(other), Demand.required)


def test_the_certificates_of_a_removed_device_do_not_come_back_with_it(world: World) -> None:
    made = world.certificate()
    world.registry.remove_device("alice", "watch", NOW_US + 5_000_000)
    world.directory.refresh()
    assert world.refused(by_certificate(made), Demand.required).startswith("the certificate's holder")
    world.registry.add_device("alice", "watch", NOW_US + 9_000_000)
    world.logins.refresh()
    assert world.refused(by_certificate(made), Demand.required) == "the client certificate is revoked"


def test_a_device_registered_a_moment_ago_may_log_in(world: World) -> None:
    world.registry.add_device("alice", "ring", NOW_US)
    made = world.certificate("alice-ring")
    assert world.login(by_certificate(made, "alice-ring"), Demand.required).principal.device == "ring"


def test_where_no_certificate_is_asked_for_none_is_looked_at(world: World) -> None:
    proof = Proof("alice-watch", "alice-watch", world.token(), None)
    assert world.login(proof, Demand.off).serial is None
    assert world.refused(replace_password(proof, None), Demand.off) == "there is no password"


def replace_password(proof: Proof, password: bytes | None) -> Proof:
    return proof._replace(password=password)


def test_the_book(world: World) -> None:
    book = world.registry.certificates
    made = world.certificate()
    serial = serial_text(made)
    (listed,) = book.issued("alice-watch")
    assert (listed.serial, listed.kind, listed.revoked_us) == (serial, "device", None)
    assert book.add(made, Role.device, "alice-watch", NOW_US) == serial
    with pytest.raises(NotFoundError):
        book.revoke("abc123", NOW_US, why="typo")
    assert book.revoke("ABC123", NOW_US, why="theirs", foreign=True).kind == "foreign"
    first = book.revoke(serial, NOW_US, why="lost")
    assert book.revoke(serial, NOW_US + 1, why="again") == replace(first)
    assert book.denied() == {serial, "abc123"}
    number, revoked = book.listed(NOW_US)
    assert (number, {entry for entry, _ in revoked}) == (1, {made.serial_number, 0xABC123})
    later = NOW_US + 31 * DAY * 1_000_000
    assert (book.listed(later)[0], {entry for entry, _ in book.listed(later)[1]}) == (2, {0xABC123})


@pytest.mark.parametrize(
    ("text", "serial"), [("0A:FF", "aff"), ("0x0aff", "aff"), (" aff ", "aff"), ("0", "0"), ("f" * 40, "f" * 40)]
)
def test_serial_numbers_as_people_write_them(text: str, serial: str) -> None:
    assert read_serial(text) == serial


@pytest.mark.parametrize("text", ["", "g", "f" * 41, "../x", "a b"])
def test_what_is_no_serial_number(text: str) -> None:
    with pytest.raises(InputError):
        read_serial(text)
