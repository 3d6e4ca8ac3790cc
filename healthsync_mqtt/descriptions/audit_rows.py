"""Rows of the audit log as they are told. Persons are pseudonyms in it."""

from typing import Any

import msgspec

from healthsync_mqtt.identity.audit.log import AuditLog, AuditRow, AuditVerdict, subject_of
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.times import iso


class AuditLine(msgspec.Struct, frozen=True, kw_only=True):
    """One action."""

    no: int
    at: str
    actor: str
    action: str
    subject: str | None
    detail: dict[str, Any]


class AuditFinding(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the chain is whole, and the first row that is not as it was written."""

    ok: bool
    rows: int
    first_bad: int | None
    reason: str | None
    unchecked: list[str]


def described_row(row: AuditRow) -> AuditLine:
    """A row."""
    return AuditLine(
        no=row.no, at=iso(row.at_us), actor=row.actor, action=row.action, subject=row.subject, detail=dict(row.detail)
    )


def described_verdict(verdict: AuditVerdict) -> AuditFinding:
    """What a check of the chain found."""
    return AuditFinding(
        ok=verdict.first_bad is None,
        rows=verdict.rows,
        first_bad=verdict.first_bad,
        reason=verdict.reason or None,
        unchecked=list(verdict.unchecked),
    )


def subjects(registry: Registry, log: AuditLog, user: str, device: str | None) -> set[str | None]:
    """The pseudonyms of a user and the user's devices, or of one device. NotFoundError."""
    devices = registry.devices(user, removed=True)
    if device is not None:
        return {subject_of(log, user, device)}
    return {subject_of(log, user), *(subject_of(log, user, each.device_id) for each in devices)}
