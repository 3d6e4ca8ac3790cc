"""Logins with a client certificate, alone or beside a token."""

from dataclasses import replace

from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.identity.certificates.issuing import CertificateHolder, holder_of
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.proof import Answer, Denied, Login, Proof
from healthsync_mqtt.model.principal import Role


class CertificateLogin:
    """The certificate of a connection, whose chain, dates and purpose the TLS layer has verified."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def answer(self, proof: Proof, now: float) -> Answer:
        """For a certificate that comes without a password."""
        if proof.certificate is None or proof.password is not None:
            return None
        holder = self.holder(proof.certificate, now)
        if isinstance(holder, Denied):
            return holder
        if proof.client_id != holder.client_id or proof.username not in {None, holder.client_id}:
            return Denied("the client id is not the certificate's")
        found = self._directory.principal(holder.client_id)
        if found is None or found.role is not holder.role:
            # Registered a moment ago, perhaps. Only the holder of a certificate of our CA gets this far.
            detail = "the certificate's holder is not registered, or was removed or suspended"
            return Denied(detail, perhaps_new=found is None, banned=True)
        return Login(principal=found, expires_at=holder.expires_at, jti=None, serial=holder.serial)

    def beside(self, login: Login, holder: CertificateHolder) -> Login | Denied:
        """A login by other means whose connection has a certificate: they have to be one principal's."""
        principal = login.principal
        if principal.role is not Role.enroll and (principal.role, principal.client_id) != (
            holder.role,
            holder.client_id,
        ):
            return Denied("certificate and token are not of the same principal")
        return replace(login, expires_at=min(login.expires_at, holder.expires_at), serial=holder.serial)

    def holder(self, certificate: bytes, now: float) -> CertificateHolder | Denied:
        """Whose it is, if it is good at ``now``."""
        try:
            holder = holder_of(certificate)
        except TokenError as error:
            return Denied(error.detail)
        if holder.serial in self._directory.denied:
            return Denied("the client certificate is revoked", banned=True)
        if now >= holder.expires_at:
            return Denied("the client certificate has expired")
        return holder
