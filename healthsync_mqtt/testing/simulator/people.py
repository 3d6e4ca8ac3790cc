"""Who may log in, and that everybody agrees: the simulation's people."""

from collections.abc import Mapping
from typing import Any

from healthsync_mqtt.identity.consent.decisions import NOBODY, PURPOSES, Action, ConsentDecision, in_force
from healthsync_mqtt.identity.login.proof import Answer, Denied, Login, Proof
from healthsync_mqtt.identity.login.roster import Delta, Roster
from healthsync_mqtt.model.principal import Principal


class Roll:
    """Who may log in, with which token: the one link of the chain of logins."""

    def __init__(self) -> None:
        self.principals: dict[str, Principal] = {}
        self.tokens: dict[str, str] = {}

    def enroll(self, principal: Principal, token: str) -> None:
        """From now on this principal may log in with this token."""
        self.principals[principal.client_id] = principal
        self.tokens[principal.client_id] = token

    def revoke(self, client_id: str) -> None:
        """The principal may not log in any more."""
        self.tokens.pop(client_id, None)

    def answer(self, proof: Proof, now: float) -> Answer:
        """The login, or a refusal (a ``Link`` of the chain)."""
        token = self.tokens.get(proof.client_id)
        if token is None or proof.password != token.encode() or proof.username != proof.client_id:
            return Denied("the token is not valid")
        return Login(principal=self.principals[proof.client_id], expires_at=now + 86_400.0, jti=None)


class EmptyRoster:
    """A registry in which nobody is: the ``Roll`` alone says who may log in."""

    def generation(self) -> int:
        """Nothing changes."""
        return 0

    def since(self, change: int) -> Delta | None:  # noqa: ARG002
        """There is nothing but the whole."""
        return None

    def roster(self) -> Roster:
        """Nobody, agreed to nothing."""
        return Roster(
            generation=0,
            change=0,
            devices=(),
            subscribers=(),
            admins=(),
            permissions=NOBODY,
            revoked_tokens=frozenset(),
            enrolments=(),
            families=(),
            denied=frozenset(),
        )


def agreed(users: list[str]) -> Mapping[Any, Any]:
    """Everybody agrees to everything."""
    return in_force(
        ConsentDecision(
            user_id=user,
            action=Action.grant,
            purpose=purpose,
            types=None,
            decided_us=0,
            expires_us=None,
            text_version=None,
            recorded_by="simulator",
        )
        for user in users
        for purpose in PURPOSES
    )


class Unwatched:
    """Nobody keeps who was here: the door's ``Arrivals``."""

    def entered(self, client_id: str, peer: str, level: int) -> None:
        """Nothing is noted."""

    def left(self, client_id: str) -> None:
        """Nothing is noted."""
