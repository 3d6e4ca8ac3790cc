"""How a client proves who it is: by token, password or certificate, or by two of them, as its listener demands.

A chain: each link answers with a login, with why not, or that the proof is not for it. Nothing here reads a file, so
the door asks on the event loop; who may be new is answered with PerhapsNewError, and asked again after a reading.
"""

from collections.abc import Sequence
from typing import Self

from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.identity.login.app_login import AppLogin
from healthsync_mqtt.identity.login.certificate_login import CertificateLogin
from healthsync_mqtt.identity.login.credential_login import CredentialLogin
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.proof import (
    BannedError,
    CrowdedError,
    Denied,
    Login,
    LoginLink,
    PerhapsNewError,
    Proof,
    UnprovedError,
)
from healthsync_mqtt.identity.login.token_login import TokenLogin
from healthsync_mqtt.identity.login.tokens import TokenVerifier


class Logins:
    """Decides logins. A certificate and a token that come together have to be the same principal's."""

    def __init__(self, directory: Directory, links: Sequence[LoginLink]) -> None:
        self._directory = directory
        self._certificates = CertificateLogin(directory)
        self._apps = AppLogin(directory)
        self._links: Sequence[LoginLink] = (self._certificates, directory.lobby, self._apps, *links)
        self._told = directory.denied

    @classmethod
    def of(cls, directory: Directory, verifier: TokenVerifier, store: CredentialStore | None = None) -> Self:
        """The whole chain: certificates, the lobby, apps, credentials where there are any, tokens."""
        credentials = [] if store is None else [CredentialLogin(directory, store)]
        return cls(directory, [*credentials, TokenLogin(directory, verifier)])

    @property
    def denied(self) -> frozenset[str]:
        """The serial numbers of certificates that may not log in."""
        return self._directory.denied

    def meant(self, client_id: str, username: str | None) -> str:
        """Whose login that was to be: the client id's, or the user name's where only that is somebody's."""
        if self._directory.principal(client_id) is None and username and self._directory.principal(username):
            return username
        return client_id

    def authenticate(self, proof: Proof, demand: Demand, now: float) -> Login:
        """The login that ``proof`` is good for at ``now`` (epoch seconds); otherwise TokenError, whatever the cause.

        PerhapsNewError, a TokenError, where another try after ``catch_up`` may end otherwise; UnprovedError after
        ``prove``, as long as it says that more wait; CrowdedError later.
        """
        answer = self._answer(proof, demand, now)
        if isinstance(answer, Login):
            return answer
        if answer.busy:
            raise CrowdedError(answer.detail)
        if answer.unproved:
            raise UnprovedError(answer.detail)
        if answer.perhaps_new:
            raise PerhapsNewError(answer.detail, banned=answer.banned)
        raise (BannedError if answer.banned else TokenError)(answer.detail)

    def catch_up(self) -> None:
        """Read again what has changed. Blocks for file reads; StoreError leaves what was last read in use."""
        self._directory.catch_up()
        for link in self._links:
            if isinstance(link, CredentialLogin):
                link.catch_up()

    def prove(self) -> bool:
        """Read again what has changed, then check a password of each address; whether more wait. Blocks, 40 ms each."""
        self._directory.catch_up()
        return self._apps.prove()

    def refresh(self) -> frozenset[str]:
        """``catch_up``; the serial numbers that are refused since the last call."""
        self.catch_up()
        before, self._told = self._told, self.denied
        return self._told - before

    def _answer(self, proof: Proof, demand: Demand, now: float) -> Login | Denied:
        if demand is Demand.off:
            proof = proof._replace(certificate=None)
        elif proof.certificate is None and demand is not Demand.optional:
            return Denied("there is no client certificate")
        elif demand is Demand.required_with_token and proof.password is None:
            holder = self._certificates.holder(proof.certificate or b"", now)
            return holder if isinstance(holder, Denied) else Denied("there is a certificate and no token")
        if proof.certificate is None or proof.password is None:
            return self._chain(proof, now)
        holder = self._certificates.holder(proof.certificate, now)
        if isinstance(holder, Denied):
            return holder
        login = self._chain(proof, now)
        return login if isinstance(login, Denied) else self._certificates.beside(login, holder)

    def _chain(self, proof: Proof, now: float) -> Login | Denied:
        for link in self._links:
            answer = link.answer(proof, now)
            if answer is not None:
                return answer
        return Denied("there is no proof that anybody takes")
