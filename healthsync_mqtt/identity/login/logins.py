"""How a client proves who it is: by token, by certificate, or by both, as its listener demands."""

import contextlib
from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple, Protocol

from healthsync_mqtt.errors import StoreError, TokenError
from healthsync_mqtt.identity.certificates.issuing import holder_of
from healthsync_mqtt.identity.login.directory import Directory, Login
from healthsync_mqtt.model.principal import Role


class Demand(StrEnum):
    """What a listener asks of its clients; the words of the setting."""

    #: no certificate is asked for; a token it is
    off = "off"
    #: a certificate may take the place of the token
    optional = "optional"
    #: a certificate it is; a token may come with it
    required = "required"
    #: a certificate and a token
    required_with_token = "required_with_token"  # noqa: S105


class Proof(NamedTuple):
    """What a CONNECT brings: its names and password, and the certificate of its connection (DER)."""

    client_id: str
    username: str | None
    password: bytes | None
    certificate: bytes | None


class DenyList(Protocol):
    """The certificates' part of the registry."""

    def denied(self) -> frozenset[str]:
        """The serial numbers that may not log in."""


class Logins:
    """Decides logins. A certificate and a token that come together have to be the same principal's."""

    def __init__(self, directory: Directory, certificates: DenyList) -> None:
        self._directory = directory
        self._certificates = certificates
        self.denied = certificates.denied()

    def authenticate(self, proof: Proof, demand: Demand, now: float) -> Login:
        """The login that ``proof`` is good for at ``now`` (epoch seconds); otherwise TokenError, whatever the cause."""
        if demand is Demand.off or (demand is Demand.optional and proof.certificate is None):
            return self._by_token(proof, now)
        if proof.certificate is None:
            raise TokenError("there is no client certificate")
        holder = holder_of(proof.certificate)
        if holder.serial in self.denied:
            raise TokenError("the client certificate is revoked")
        if now >= holder.expires_at:
            raise TokenError("the client certificate has expired")
        if proof.password is not None:
            login = self._by_token(proof, now)
            principal = login.principal
            if principal.role is not Role.enroll and (principal.role, principal.client_id) != (
                holder.role,
                holder.client_id,
            ):
                raise TokenError("certificate and token are not of the same principal")
            return replace(login, expires_at=min(login.expires_at, holder.expires_at), serial=holder.serial)
        if demand is Demand.required_with_token:
            raise TokenError("there is a certificate and no token")
        if proof.client_id != holder.client_id or proof.username not in {None, holder.client_id}:
            raise TokenError("the client id is not the certificate's")
        found = self._directory.principal(holder.client_id)
        if found is None:
            # Registered a moment ago, perhaps. Only the holder of a certificate of our CA gets this far.
            with contextlib.suppress(StoreError):
                self._directory.catch_up()
            found = self._directory.principal(holder.client_id)
        if found is None or found.role is not holder.role:
            raise TokenError("the certificate's holder is not registered, or was removed or suspended")
        return Login(principal=found, expires_at=holder.expires_at, jti=None, serial=holder.serial)

    def refresh(self) -> frozenset[str]:
        """Read the deny list again; the serial numbers that were added. Blocks for a file read; StoreError."""
        before, self.denied = self.denied, self._certificates.denied()
        return self.denied - before

    def _by_token(self, proof: Proof, now: float) -> Login:
        return self._directory.authenticate(proof.client_id, proof.username, proof.password, now)
