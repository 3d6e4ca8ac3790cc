"""Logins with a token: the last link of the chain, for every proof that no other one takes."""

from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.proof import Answer, Denied, Login, Proof
from healthsync_mqtt.identity.login.tokens import TokenVerifier


class TokenLogin:
    """A token that is valid and not revoked, whose holder may connect; client id and username both the holder's."""

    def __init__(self, directory: Directory, verifier: TokenVerifier) -> None:
        self._directory = directory
        self._verifier = verifier

    def answer(self, proof: Proof, now: float) -> Answer:
        """A login, or why not; never None."""
        try:
            claims = self._verifier.verify(proof.secret(), now=now)
        except TokenError as error:
            return Denied(error.detail)
        entry = self._directory.entry(claims.role, claims.subject, claims.device)
        if entry is None:
            # Registered a moment ago, perhaps. Only a token that we signed gets this far, so strangers cannot ask.
            return Denied(
                "the token's holder is not registered, or was removed or suspended", perhaps_new=True, banned=True
            )
        if not entry.takes(claims.epoch, claims.issued_at):
            return Denied("the token is older than the last removal of its device", banned=True)
        if claims.epoch is not None and claims.epoch > entry.epoch:
            # Its holder was revoked and given a new token a moment ago; what was read before that does not do.
            return Denied("the token is newer than what is known of its holder", perhaps_new=True)
        if claims.jti in self._directory.revoked_tokens:
            return Denied("the token is revoked", banned=True)
        expected = entry.principal.client_id
        if proof.client_id != expected:
            return Denied("the client id is not the token's")
        if proof.username != expected:
            return Denied("the username is not the token's")
        self._directory.lobby.arrived(entry.principal)
        return Login(principal=entry.principal, expires_at=claims.expires_at, jti=claims.jti, kid=claims.kid)
