"""The history of consent in registry.db: lines are added, never changed."""

from collections.abc import Iterable
from typing import Any, Final

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.identity.consent.decisions import (
    ALWAYS,
    NOBODY,
    PURPOSES,
    Action,
    Decision,
    Permission,
    Permissions,
    Purpose,
    Span,
    Standing,
    in_force,
    standings,
)
from healthsync_mqtt.identity.people.lookup import any_user, user_of
from healthsync_mqtt.identity.people.names import checked_names, dump_names, load_names
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements

_SQL: Final = statements("people", "consent")


class ConsentBook:
    """What users agreed to. Types are canonical names; whoever takes them from a person resolves aliases first."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._read_to = 0
        self._permissions = NOBODY

    def grant(
        self,
        user_id: str,
        types: str | Iterable[str],
        now_us: int,
        *,
        purposes: Iterable[Purpose] = PURPOSES,
        expires_us: int | None = None,
        text_version: str | None = None,
        recorded_by: str = "cli",
    ) -> None:
        """Record that a user agrees; NotFoundError, InputError for an expiry that has passed or a bad name."""
        if expires_us is not None and expires_us <= now_us:
            raise InputError("a consent cannot expire before it begins", hint="name a later time, or leave it out")
        line = {"expires_us": expires_us, "text_version": text_version, "recorded_by": recorded_by}
        self._record(Action.grant, user_id, types, now_us, purposes, line)

    def withdraw(
        self,
        user_id: str,
        types: str | Iterable[str],
        now_us: int,
        *,
        purposes: Iterable[Purpose] = PURPOSES,
        recorded_by: str = "cli",
    ) -> None:
        """Record that a user takes back what was granted for these types and purposes."""
        line = {"expires_us": None, "text_version": None, "recorded_by": recorded_by}
        self._record(Action.withdraw, user_id, types, now_us, purposes, line)

    def history(self, user_id: str | None = None) -> list[Decision]:
        """Every decision of one user or of all, oldest first; NotFoundError for an unknown user."""
        with self._tables.read():
            if user_id is None:
                rows = self._tables.rows(_SQL["whole_history"])
            else:
                if any_user(self._tables, user_id) is None:
                    user_of(self._tables, user_id)  # raises; the history of one who was removed is still told
                rows = self._tables.rows(_SQL["history"], user_id)
        return [
            Decision(
                user_id=row["user_id"],
                action=Action(row["action"]),
                purpose=Purpose(row["purpose"]),
                types=load_names(row["types"]),
                decided_us=row["decided_us"],
                expires_us=row["expires_us"],
                text_version=row["text_version"],
                recorded_by=row["recorded_by"],
            )
            for row in rows
        ]

    def standings(self, user_id: str) -> list[Standing]:
        """What holds, or held until it was withdrawn, for one user; NotFoundError."""
        return standings(self.history(user_id))

    def permissions(self) -> Permissions:
        """What the data path asks: the same object until a decision is added; then only its user is read again."""
        with self._tables.read():
            newest = self._tables.number(_SQL["newest"])
            if newest == self._read_to:
                return self._permissions
            if self._read_to == 0:
                self._permissions = self._read_all()
            else:
                users = self._tables.rows(_SQL["users_since"], self._read_to)
                changed = in_force(line for row in users for line in self.history(row["user_id"]))
                self._permissions = {
                    purpose: {**self._permissions[purpose], **changed[purpose]} for purpose in PURPOSES
                }
            self._read_to = newest
        return self._permissions

    def _read_all(self) -> Permissions:
        """Everybody's. Most users have decided once for a purpose, about everything: those need no history."""
        permissions: dict[Purpose, dict[str, Permission]] = {purpose: {} for purpose in PURPOSES}
        for user_id, purpose, since_us, until_us in self._tables.tuples(_SQL["plain"]):
            span = Span(since_us, ALWAYS if until_us is None else until_us)
            permissions[Purpose(purpose)][user_id] = Permission(span, {})
        others = self._tables.rows(_SQL["users_not_plain"])
        decided = in_force(line for row in others for line in self.history(row["user_id"]))
        return {purpose: permissions[purpose] | dict(decided[purpose]) for purpose in PURPOSES}

    def _record(  # noqa: PLR0917 - a decision has that many parts
        self,
        action: Action,
        user_id: str,
        types: str | Iterable[str],
        now_us: int,
        purposes: Iterable[Purpose],
        line: dict[str, Any],
    ) -> None:
        line = line | {
            "user_id": user_id,
            "action": action.value,
            "types": dump_names(checked_names("type", types)),
            "decided_us": now_us,
        }
        with self._tables.write():
            user_of(self._tables, user_id)
            for purpose in sorted(set(purposes), key=PURPOSES.index):
                self._tables.insert("consent_decisions", line | {"purpose": purpose.value})
