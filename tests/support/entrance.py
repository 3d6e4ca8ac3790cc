"""A directory with the whole login chain over it, asked again after a reading as the door does."""

from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.identity.login.directory import Directory, RosterSource
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.proof import Login, PerhapsNewError, Proof
from healthsync_mqtt.identity.login.tokens import TokenVerifier


class Entrance(Directory):
    """Who may connect, and the logins that are accepted."""

    def __init__(self, registry: RosterSource, verifier: TokenVerifier) -> None:
        super().__init__(registry)
        self.logins = Logins.of(self, verifier)

    def authenticate(self, client_id: str, username: str | None, password: bytes | None, now: float) -> Login:
        """A login without a certificate."""
        proof = Proof(client_id, username, password, None)
        try:
            return self.logins.authenticate(proof, Demand.off, now)
        except PerhapsNewError:
            self.logins.catch_up()
        return self.logins.authenticate(proof, Demand.off, now)
