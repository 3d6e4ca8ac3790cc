"""The contract of the links of the login chain: the four that ship and the one in memory; and that it can fail."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from healthsync_mqtt.identity.certificates.issuing import Authority, new_authority
from healthsync_mqtt.identity.keys.signing import Keyring
from healthsync_mqtt.identity.login.certificate_login import CertificateLogin
from healthsync_mqtt.identity.login.credential_login import CredentialLogin
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.enrolment import CODE_LIFETIME_S
from healthsync_mqtt.identity.login.proof import Answer, Denied, Login, LoginLink, Proof
from healthsync_mqtt.identity.login.refresh import FAMILY_S
from healthsync_mqtt.identity.login.token_login import TokenLogin
from healthsync_mqtt.identity.login.tokens import TokenIssuer, TokenVerifier
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.testing.login_contract import LoginContract, LoginDesk
from healthsync_mqtt.testing.memory_login import MemoryLogin

NOW = 1_800_000_000.0
NOW_US = int(NOW * 1e6)
HOUR = 3600
KEYRING = Keyring.generate()
PASSED = "memory:somebody"


@cache
def authority() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
    return Authority(key=key, certificate=new_authority(key, name, datetime.fromtimestamp(NOW, UTC)))


class Installation:
    """A registry with alice's watch and bob's, every kind of proof of both, and the link of one kind."""

    now = NOW

    def __init__(self, directory: Path) -> None:
        self._path = directory / "data"
        self.registry = Registry.open(self._path / "registry.db")
        for user in ("alice", "bob"):
            self.registry.add_user(user, "all", NOW_US)
            self.registry.add_device(user, "watch", NOW_US)
        self.credentials = CredentialStore(self._path / "credentials")
        self.made = {
            kind: (make(self, "alice"), make(self, "bob"))
            for kind, make in (
                ("token", Installation._token),
                ("credential", Installation._credential),
                ("certificate", Installation._certificate),
                ("code", Installation._code),
                ("refresh", Installation._refresh),
            )
        }
        self.directory = Directory(self.registry)

    def _token(self, user: str) -> Proof:
        principal = self.registry.device(user, "watch").principal
        token = TokenIssuer(KEYRING).issue(principal, lifetime_s=HOUR, now=NOW).token
        return Proof(f"{user}-watch", f"{user}-watch", token.encode(), None)

    def _credential(self, user: str) -> Proof:
        return Proof(f"{user}-watch", f"{user}-watch", self.credentials.rotate(f"{user}-watch").encode(), None)

    def _certificate(self, user: str) -> Proof:
        key, name = ec.generate_private_key(ec.SECP256R1()), f"{user}-watch"
        when = datetime.fromtimestamp(NOW, UTC)
        made = authority().client(key.public_key(), Role.device, name, when, timedelta(days=30))
        self.registry.certificates.add(made, Role.device, name, NOW_US)
        return Proof(name, name, None, made.public_bytes(serialization.Encoding.DER))

    def _code(self, user: str) -> Proof:
        code = self.registry.enrolments.create(user, "new", NOW_US)
        return Proof(f"enroll-{user}", "enroll", code.encode(), None)

    def _refresh(self, user: str) -> Proof:
        with self.registry.write():
            token = self.registry.refresh_tokens.begin(user, "watch", NOW_US).token
        return Proof(f"enroll-{user}", "enroll", token.encode(), None)


class Desk:
    """One kind of proof at the link that is for it."""

    now = NOW

    def __init__(self, installation: Installation, kind: str, link: Callable[[Installation], LoginLink]) -> None:
        self._installation = installation
        self._kind = kind
        self.link = link(installation)
        self.ends: float | None = {
            "token": NOW + HOUR,
            "credential": None,
            "certificate": NOW + 30 * 86_400,
            "code": NOW + CODE_LIFETIME_S,
            "refresh": NOW + FAMILY_S,
        }[kind]

    def proofs(self) -> tuple[Proof, Proof]:
        return self._installation.made[self._kind]

    def foreign(self) -> Sequence[Proof]:
        same = {"code", "refresh"} if self._kind in {"code", "refresh"} else {self._kind}
        others = [proof for kind, both in self._installation.made.items() if kind not in same for proof in both]
        return [*others, Proof(PASSED, PASSED, PASSED.encode(), None)]

    def revoke(self) -> None:
        self._installation.registry.remove_user("alice", NOW_US)
        self._installation.directory.refresh()
        if isinstance(self.link, CredentialLogin):
            self.link.catch_up()

    def vanish(self) -> None:
        self._installation.registry.close()
        shutil.rmtree(self._installation._path)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    yield made
    made.registry.close()


class TestToken(LoginContract):
    @pytest.fixture
    def desk(self, installation: Installation) -> LoginDesk:
        return Desk(installation, "token", lambda there: TokenLogin(there.directory, TokenVerifier(KEYRING)))


class TestCredential(LoginContract):
    @pytest.fixture
    def desk(self, installation: Installation) -> LoginDesk:
        return Desk(installation, "credential", lambda there: CredentialLogin(there.directory, there.credentials))


class TestCertificate(LoginContract):
    @pytest.fixture
    def desk(self, installation: Installation) -> LoginDesk:
        return Desk(installation, "certificate", lambda there: CertificateLogin(there.directory))


@pytest.mark.parametrize("kind", ["code", "refresh"])
class TestLobby(LoginContract):
    @pytest.fixture
    def desk(self, installation: Installation, kind: str) -> LoginDesk:
        return Desk(installation, kind, lambda there: there.directory.lobby)

    def may_be_shared(self, login: Login) -> bool:
        """Whoever has a code names itself, and may do nothing but exchange it."""
        return login.principal.role is Role.enroll and login.principal.user is None


class InMemory:
    now, ends = NOW, NOW + HOUR

    def __init__(self, kind: Callable[[], MemoryLogin] = MemoryLogin) -> None:
        self.link = kind()
        self._passwords = [self.link.let(_watch(user), NOW + HOUR) for user in ("alice", "bob")]

    def proofs(self) -> tuple[Proof, Proof]:
        first, second = self._passwords
        return Proof("alice-watch", "alice-watch", first, None), Proof("bob-watch", "bob-watch", second, None)

    def foreign(self) -> Sequence[Proof]:
        token = TokenIssuer(KEYRING).issue(_watch("alice"), lifetime_s=HOUR, now=NOW).token
        return [Proof("alice-watch", "alice-watch", token.encode(), None), Proof("alice-watch", None, None, b"der")]

    def revoke(self) -> None:
        self.link.revoke(self._passwords[0])

    def vanish(self) -> None:
        pass


def _watch(user: str) -> Principal:
    return Principal(role=Role.device, client_id=f"{user}-watch", user=user, device="watch")


class TestInMemory(LoginContract):
    @pytest.fixture
    def desk(self) -> LoginDesk:
        return InMemory()


class Trusting(MemoryLogin):
    """Takes everybody at their word."""

    def answer(self, proof: Proof, now: float) -> Answer:
        found = self._passes.get(proof.password or b"")
        if found is None:
            return super().answer(proof, now)
        principal = Principal(role=Role.device, client_id=proof.client_id, user="alice", device="watch")
        return Login(principal=principal, expires_at=found.expires_at, jti=None)


class Everybodys(MemoryLogin):
    def answer(self, proof: Proof, now: float) -> Answer:
        return Login(principal=_watch(proof.client_id.removesuffix("-watch")), expires_at=now + 1, jti=None)


class Brittle(MemoryLogin):
    def answer(self, proof: Proof, now: float) -> Answer:
        proof.secret()
        return super().answer(proof, now)


class Talkative(MemoryLogin):
    def answer(self, proof: Proof, now: float) -> Answer:
        answer = super().answer(proof, now)
        return Denied(f"{proof.password!r} is no good") if isinstance(answer, Denied) else answer


class Forgetful(MemoryLogin):
    def revoke(self, password: bytes) -> None:
        pass


class Once(MemoryLogin):
    def answer(self, proof: Proof, now: float) -> Answer:
        answer = super().answer(proof, now)
        self._passes.pop(proof.password or b"", None)
        return answer


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (Trusting, "test_nobody_logs_in_under_another_s_name"),
        (Trusting, "test_a_proof_ends_when_it_says"),
        (Everybodys, "test_a_proof_of_another_kind_is_no_login"),
        (Everybodys, "test_noise_is_no_login_and_never_raises"),
        (Brittle, "test_noise_is_no_login_and_never_raises"),
        (Talkative, "test_why_not_is_said_without_the_secret"),
        (Forgetful, "test_what_is_revoked_is_refused_and_the_other_is_not"),
        (Once, "test_a_good_proof_is_the_login_of_who_brings_it"),
        (Once, "test_it_decides_in_memory"),
    ],
)
def test_a_link_with_a_fault_does_not_pass(
    broken: Callable[[], MemoryLogin], clause: str, caplog: pytest.LogCaptureFixture
) -> None:
    more = (caplog,) if "secret" in clause else ()
    with pytest.raises(Exception, match=r"(?s).*") as failed:
        getattr(LoginContract(), clause)(InMemory(broken), *more)
    assert not isinstance(failed.value, AttributeError)
