"""Sessions of people in registry.db: a one-time link opens one, each refresh makes its next tokens, and it can end.

A session has no secret of its own here. Its tokens are made of its seed, its generation and a secret of the
installation that is in another file, so that reading this one gives nobody a token.
"""

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.identity.people.lookup import PEOPLE, admin_of, user_of
from healthsync_mqtt.identity.people.records import Admin
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements

_SQL: Final = statements("people", "sessions")
_DAY_US: Final = 86_400 * 1_000_000
IDLE_US: Final = 30 * _DAY_US
"""A session that was not refreshed for so long has ended."""
LONGEST_US: Final = 90 * _DAY_US
"""The same, however often it was."""


class SessionRole(StrEnum):
    """Whose session it is."""

    user = "user"
    admin = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSession:
    """A session that has not ended. ``generation`` counts its refreshes; ``renewed_us`` is when the last one was."""

    id: str
    role: SessionRole
    holder: str
    seed: str
    created_us: int
    generation: int
    renewed_us: int

    @property
    def until_us(self) -> int:
        """When it ends without a refresh."""
        return min(self.created_us + LONGEST_US, self.renewed_us + IDLE_US)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """A session as its holder is told of it, ended or not: nothing that anybody could enter with."""

    created_us: int
    renewed_us: int
    ended_us: int | None
    ended_for: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Invite:
    role: str
    holder: str
    expires_us: int
    used_us: int | None


class SessionBook:
    """Links and sessions. Each writing call is one durable transaction."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def invite(self, role: SessionRole, holder: str, now_us: int, *, until_us: int) -> str:
        """The code of a new link for a user or an admin; NotFoundError. It is good once, and kept nowhere."""
        code = secrets.token_urlsafe(32)
        with self._tables.write(quiet=True):
            (user_of if role is SessionRole.user else admin_of)(self._tables, holder)
            self._tables.delete("invites", "expires_us < ?", now_us)
            self._tables.insert(
                "invites",
                {
                    "digest": _digest(code),
                    "role": role,
                    "holder": holder,
                    "created_us": now_us,
                    "expires_us": until_us,
                    "used_us": None,
                },
            )
        return code

    def begin(self, code: str, now_us: int) -> PersonSession:
        """The session that a link opens, once. TokenError for any other code."""
        with self._tables.write():
            found = self._tables.record(_Invite, _SQL["invite"], _digest(code))
            if found is None or found.used_us is not None or now_us >= found.expires_us:
                raise TokenError("the link is not good, or was opened before")
            self._tables.update("invites", _digest(code), {"used_us": now_us})
            return self.opened(SessionRole(found.role), found.holder, now_us)

    def opened(self, role: SessionRole, holder: str, now_us: int) -> PersonSession:
        """A new session of who has proved to be the holder. TokenError where there is none, or a suspended one."""
        with self._tables.write():
            if role is SessionRole.user and user_of(self._tables, holder).suspended_us is not None:
                raise TokenError("the user is suspended")
            if role is SessionRole.admin and self._tables.record(Admin, PEOPLE["admin"], holder) is None:
                raise TokenError("there is no such admin any more")
            session = PersonSession(
                id=secrets.token_urlsafe(16),
                role=role,
                holder=holder,
                seed=secrets.token_urlsafe(32),
                created_us=now_us,
                generation=1,
                renewed_us=now_us,
            )
            self._tables.insert(
                "sessions",
                {name: getattr(session, name) for name in PersonSession.__slots__}
                | {"ended_us": None, "ended_for": None},
            )
            return session

    def renew(self, session: str, generation: int, now_us: int) -> PersonSession | None:
        """The session after a refresh by the token of this generation; None when that is not its newest."""
        with self._tables.write(quiet=True):
            found = self.find(session, now_us)
            if found is None or found.generation != generation:
                return None
            self._tables.update("sessions", session, {"generation": generation + 1, "renewed_us": now_us})
            return self.find(session, now_us)

    def find(self, session: str, now_us: int) -> PersonSession | None:
        """A session that has not ended."""
        found = self._tables.record(_session, _SQL["session"], session)
        return found if found is not None and now_us < found.until_us else None

    def live(self, now_us: int) -> list[PersonSession]:
        """All that have not ended, the oldest first."""
        return self._tables.records(_session, _SQL["live_sessions"], now_us - LONGEST_US, now_us - IDLE_US)

    def of(self, role: SessionRole, holder: str) -> list[SessionFacts]:
        """Those of one holder, ended ones too, the oldest first."""
        return self._tables.records(SessionFacts, _SQL["sessions_of"], role, holder)

    def end(self, session: str, now_us: int, why: str) -> bool:
        """End a session; whether it was there."""
        with self._tables.write():
            if self.find(session, now_us) is None:
                return False
            self._tables.update("sessions", session, {"ended_us": now_us, "ended_for": why})
            return True

    def end_all(self, role: SessionRole, holder: str, now_us: int, why: str) -> None:
        """End the sessions of a holder, and the links that nobody has opened."""
        with self._tables.write():
            for session in self.live(now_us):
                if (session.role, session.holder) == (role, holder):
                    self._tables.update("sessions", session.id, {"ended_us": now_us, "ended_for": why})
            self._tables.delete("invites", "role = ? AND holder = ? AND used_us IS NULL", role, holder)


def _session(*, role: str, **row: int | str) -> PersonSession:
    return PersonSession(role=SessionRole(role), **row)  # type: ignore[arg-type]


def _digest(code: str) -> str:
    return hashlib.sha256(b"healthsync link\0" + code.encode()).hexdigest()
