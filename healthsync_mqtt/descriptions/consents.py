"""What a user agrees to, and how that came about, as it is told; and the words in which consent is given."""

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from healthsync_mqtt.descriptions.people import moment
from healthsync_mqtt.identity.consent.decisions import Action, ConsentDecision, Standing
from healthsync_mqtt.model.times import iso


class ConsentLine(msgspec.Struct, frozen=True, kw_only=True):
    """What holds, or held until it was withdrawn or expired, for one purpose and these types."""

    types: list[str]
    purpose: str
    state: str
    granted_at: str
    expires_at: str | None
    withdrawn_at: str | None
    text_version: str | None
    recorded_by: str


class ConsentDecisionLine(msgspec.Struct, frozen=True, kw_only=True):
    """One decision of a user."""

    user_id: str
    action: str
    purpose: str
    types: list[str]
    at: str
    expires_at: str | None
    text_version: str | None
    recorded_by: str


def described_standings(standings: Iterable[Standing], now_us: int) -> list[ConsentLine]:
    """What holds, one line for the types that share everything else."""
    grouped: dict[tuple[Standing, bool], list[str]] = {}
    for standing in standings:
        alike = replace(standing, type=None), standing.type is None
        grouped.setdefault(alike, []).append(standing.type or "all")
    return [
        ConsentLine(
            types=types,
            purpose=line.purpose.value,
            state="granted" if line.holds(now_us) else "expired" if line.withdrawn_us is None else "withdrawn",
            granted_at=iso(line.granted_us),
            expires_at=moment(line.expires_us),
            withdrawn_at=moment(line.withdrawn_us),
            text_version=line.text_version,
            recorded_by=line.recorded_by,
        )
        for (line, _), types in grouped.items()
    ]


def described_decision(line: ConsentDecision) -> ConsentDecisionLine:
    """A decision."""
    return ConsentDecisionLine(
        user_id=line.user_id,
        action=line.action.value,
        purpose=line.purpose.value,
        types=["all"] if line.types is None else sorted(line.types),
        at=iso(line.decided_us),
        expires_at=moment(line.expires_us) if line.action is Action.grant else None,
        text_version=line.text_version,
        recorded_by=line.recorded_by,
    )
