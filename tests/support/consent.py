"""Gates for stages under test."""

from bridge.stages.consent import ConsentGate
from healthsync_mqtt.identity.consent.decisions import PURPOSES, Action, ConsentDecision, Permissions, Purpose, in_force
from healthsync_mqtt.model.catalogue import GUARDED


def grant(
    user: str,
    types: list[str] | None = None,
    *,
    purposes: tuple[Purpose, ...] = PURPOSES,
    at_us: int = 0,
    expires_us: int | None = None,
    action: Action = Action.grant,
) -> list[ConsentDecision]:
    """The decisions of one grant (or of one withdrawal)."""
    return [
        ConsentDecision(
            user_id=user,
            action=action,
            purpose=purpose,
            types=None if types is None else frozenset(types),
            decided_us=at_us,
            expires_us=expires_us,
            text_version=None,
            recorded_by="test",
        )
        for purpose in purposes
    ]


def agreed(*users: str) -> Permissions:
    """Permissions of users who agree to everything."""
    return in_force(decision for user in users for decision in grant(user))


def agreeing(*users: str) -> ConsentGate:
    """A gate that is open for these users."""
    return ConsentGate(agreed(*users))


def agreeing_to_all(user: str) -> ConsentGate:
    """A gate that is open for this user's general and guarded types."""
    return ConsentGate(in_force([*grant(user), *grant(user, sorted(GUARDED))]))
