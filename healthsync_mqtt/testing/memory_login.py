"""A link of the login chain without a registry, for tests: passwords that are good for a principal until a time."""

import hmac
from typing import NamedTuple

from healthsync_mqtt.identity.login.proof import Answer, Denied, Login, Proof
from healthsync_mqtt.model.principal import Principal

_MARK = b"memory:"


class Pass(NamedTuple):
    """Who a password is good for, and until when (epoch seconds, exclusive)."""

    principal: Principal
    expires_at: float


class MemoryLogin:
    """``identity.login.proof.LoginLink``. Its passwords begin with ``memory:``; no other proof is for it."""

    def __init__(self) -> None:
        self._passes: dict[bytes, Pass] = {}
        self._revoked: set[bytes] = set()

    def let(self, principal: Principal, expires_at: float) -> bytes:
        """A password of this principal."""
        password = _MARK + f"{principal.client_id}:{len(self._passes)}".encode()
        self._passes[password] = Pass(principal, expires_at)
        return password

    def revoke(self, password: bytes) -> None:
        """It is good for nothing from now on."""
        self._revoked.add(password)

    def answer(self, proof: Proof, now: float) -> Answer:
        """See ``LoginLink``."""
        if proof.password is None or not proof.password.startswith(_MARK):
            return None
        found = next((made for made in self._passes if hmac.compare_digest(made, proof.password)), None)
        if found is None:
            return Denied("nobody has this password")
        if found in self._revoked:
            return Denied("the password was revoked", banned=True)
        principal, expires_at = self._passes[found]
        if (proof.client_id, proof.username) != (principal.client_id, principal.client_id):
            return Denied("the password is not of this client id")
        if now >= expires_at:
            return Denied("the password has expired")
        return Login(principal=principal, expires_at=expires_at, jti=None)
