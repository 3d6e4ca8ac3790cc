"""Notes for the audit log, written in the transaction of what they tell of, and what the registry knows of that log.

The registry and the audit log are two files, and no commit is one in both. So a note is made with its change, and
carried over afterwards as often as it takes: a change without its row is not possible, nor is a row twice.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements

_SQL: Final = statements("people", "audit")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditNote:
    """One action that is to be a row. ``origin`` is its own and no other's."""

    no: int
    origin: str
    at_us: int
    actor: str
    action: str
    subject: str | None
    detail: Mapping[str, Any]


class AuditHead(NamedTuple):
    """Number and digest of a row of the audit log."""

    no: int
    hash: str


class AuditOutbox:
    """The notes in registry.db that are not known to have arrived."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def note(
        self,
        action: str,
        *,
        actor: str,
        now_us: int,
        subject: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Make a note, inside ``Registry.write``: it is there exactly when the change is."""
        row = {
            "origin": secrets.token_hex(16),
            "at_us": now_us,
            "actor": actor,
            "action": action,
            "subject": subject,
            "detail": json.dumps(detail or {}, sort_keys=True, separators=(",", ":")),
        }
        with self._tables.write(quiet=True):
            self._tables.insert("audit_outbox", row)

    def pending(self, most: int = 200) -> list[AuditNote]:
        """The oldest notes, in their order."""
        return self._tables.records(_note, _SQL["pending"], most)

    def arrived(self, notes: Sequence[AuditNote], head: AuditHead | None) -> None:
        """The audit log has these notes; ``head`` is the row to know it by from now on, None: the one from before."""
        with self._tables.write(quiet=True):
            for each in notes:
                self._tables.delete("audit_outbox", "no = ?", each.no)
            if head is not None:
                self._tables.replace("audit_anchor", {"only": 1, "no": head.no, "hash": head.hash})

    def anchor(self) -> AuditHead | None:
        """The newest row that the registry knows of; None before the first."""
        return self._tables.record(AuditHead, _SQL["anchor"])


def _note(*, no: int, origin: str, at_us: int, actor: str, action: str, subject: str | None, detail: str) -> AuditNote:
    """A note as the columns of its row say."""
    return AuditNote(
        no=no, origin=origin, at_us=at_us, actor=actor, action=action, subject=subject, detail=json.loads(detail)
    )
