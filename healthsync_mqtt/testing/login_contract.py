"""What every link of the login chain promises (``identity.login.proof.LoginLink``), as tests that any runs through.

Subclass ``LoginContract`` in a test module and give it a ``desk`` fixture: the link, and who comes to it.
"""

from collections.abc import Sequence
from typing import Protocol

import pytest

from healthsync_mqtt.identity.login.proof import Denied, Login, LoginLink, Proof

_NOISE = (b"", b"\0", b".", b"..", b"a.b.c", b"\xff\xfe", "žluťoučký".encode(), b"x" * 70_000, b"1~x", b"[]", b"enroll")
_ODD_IDS = ("", "+", "#", "a/b", "\0", "x" * 70_000, "enroll-+", "alice-watch\n")


class LoginDesk(Protocol):
    """A link of the chain, and two who have a proof that it takes. Times in epoch seconds."""

    @property
    def link(self) -> LoginLink:
        """What is tried."""

    @property
    def now(self) -> float:
        """When it is tried."""

    @property
    def ends(self) -> float | None:
        """When the proofs are good no more; None: when they are revoked."""

    def proofs(self) -> tuple[Proof, Proof]:
        """A good proof of each of the two."""

    def foreign(self) -> Sequence[Proof]:
        """Good proofs that are for other links."""

    def revoke(self) -> None:
        """Take away what the first of the two may; the link has heard of it."""

    def vanish(self) -> None:
        """Everything that lies on a disk is gone."""


class LoginContract:
    """The tests."""

    def test_a_good_proof_is_the_login_of_who_brings_it(self, desk: LoginDesk) -> None:
        for proof in desk.proofs():
            login = desk.link.answer(proof, desk.now)
            assert isinstance(login, Login)
            assert login.principal.client_id == proof.client_id
            assert login.expires_at > desk.now
            assert desk.link.answer(proof, desk.now) == login

    def test_nobody_logs_in_under_another_s_name(self, desk: LoginDesk) -> None:
        first, second = desk.proofs()
        for mixed in (
            first._replace(client_id=second.client_id),
            first._replace(client_id=second.client_id, username=second.username),
            second._replace(password=first.password, certificate=first.certificate),
        ):
            login = desk.link.answer(mixed, desk.now)
            assert not isinstance(login, Login) or self.may_be_shared(login)

    def may_be_shared(self, login: Login) -> bool:  # noqa: ARG002
        """Whether a proof of this kind is not of one client id: who holds it names itself."""
        return False

    def test_a_proof_of_another_kind_is_no_login(self, desk: LoginDesk) -> None:
        for proof in desk.foreign():
            assert not isinstance(desk.link.answer(proof, desk.now), Login)

    def test_noise_is_no_login_and_never_raises(self, desk: LoginDesk) -> None:
        for good in desk.proofs():
            for noise in (*_NOISE, *map(_bent, (good.password or b"", b"\0" + (good.password or b"")))):
                answer = desk.link.answer(good._replace(password=noise, certificate=None), desk.now)
                assert answer is None or isinstance(answer, Denied)
            for client_id in _ODD_IDS:
                assert not isinstance(desk.link.answer(good._replace(client_id=client_id), desk.now), Login)
            nothing = Proof(good.client_id, good.username, None, None)
            assert not isinstance(desk.link.answer(nothing, desk.now), Login)

    def test_what_is_revoked_is_refused_and_the_other_is_not(self, desk: LoginDesk) -> None:
        first, second = desk.proofs()
        desk.revoke()
        assert not isinstance(desk.link.answer(first, desk.now), Login)
        assert isinstance(desk.link.answer(second, desk.now), Login)

    def test_a_proof_ends_when_it_says(self, desk: LoginDesk) -> None:
        first, _ = desk.proofs()
        if desk.ends is None:
            assert isinstance(desk.link.answer(first, desk.now + 10 * 365 * 86_400), Login)
            return
        assert isinstance(desk.link.answer(first, desk.ends - 1), Login)
        assert isinstance(desk.link.answer(first, desk.ends), Denied)

    def test_it_decides_in_memory(self, desk: LoginDesk) -> None:
        first, second = desk.proofs()
        before = desk.link.answer(first, desk.now), desk.link.answer(second, desk.now)
        desk.vanish()
        assert (desk.link.answer(first, desk.now), desk.link.answer(second, desk.now)) == before

    def test_why_not_is_said_without_the_secret(self, desk: LoginDesk, caplog: pytest.LogCaptureFixture) -> None:
        first, _ = desk.proofs()
        desk.revoke()
        answer = desk.link.answer(first, desk.now)
        assert not isinstance(answer, Login)
        said = caplog.text if answer is None else f"{answer.detail} {caplog.text}"
        assert answer is None or answer.detail
        assert not first.password or first.password.decode() not in said


def _bent(secret: bytes) -> bytes:
    """The same with another last byte."""
    return secret[:-1] + bytes([secret[-1] ^ 1]) if secret else b"?"
