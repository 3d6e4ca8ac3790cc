"""Passkeys of people in registry.db: what lets a person in again, by a key that never leaves the authenticator."""

import hashlib
from dataclasses import dataclass
from typing import Final

from healthsync_mqtt.errors import ConflictError, NotFoundError, TokenError
from healthsync_mqtt.identity.people.sessions import SessionRole
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements

_SQL: Final = statements("people", "passkeys")
MOST_PASSKEYS: Final = 20
"""Of one person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """One of a person's. ``handle`` is what authenticators know the person by; ``sign_count`` what it last said."""

    id: str
    role: SessionRole
    holder: str
    handle: str
    name: str
    public_key: bytes
    sign_count: int
    created_us: int
    used_us: int | None


class PasskeyBook:
    """The passkeys of an installation. Each writing call is one durable transaction."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def of(self, role: SessionRole, holder: str) -> list[Passkey]:
        """Those of a person, the oldest first."""
        return self._tables.records(_passkey, _SQL["passkeys_of"], role, holder)

    def find(self, passkey: str) -> Passkey | None:
        """One of anybody's."""
        return self._tables.record(_passkey, _SQL["passkey"], passkey)

    def add(self, passkey: Passkey, challenge: bytes, expires_us: int) -> None:
        """Keep a new one, by a challenge that was answered now. TokenError for one that was before; ConflictError."""
        with self._tables.write(quiet=True):
            self.answer(challenge, passkey.created_us, expires_us)
            if self.find(passkey.id) is not None:
                raise ConflictError("that passkey is known already", hint="add another one")
            known = self.of(passkey.role, passkey.holder)
            if len(known) >= MOST_PASSKEYS:
                raise ConflictError(f"there are {len(known)} passkeys already", hint="remove one that is not used")
            if passkey.name in {each.name for each in known}:
                raise ConflictError(f"there is a passkey {passkey.name} already", hint="give it another name")
            self._tables.insert("passkeys", {name: getattr(passkey, name) for name in Passkey.__slots__})

    def use(self, passkey: str, sign_count: int, challenge: bytes, now_us: int, expires_us: int) -> Passkey:
        """Note that one has signed a challenge. TokenError for one that is gone, or said that much before."""
        with self._tables.write(quiet=True):
            self.answer(challenge, now_us, expires_us)
            found = self.find(passkey)
            counted = found is not None and max(sign_count, found.sign_count) > 0
            if found is None or (counted and sign_count <= found.sign_count):
                raise TokenError("the passkey is gone, or a copy of it was used")
            self._tables.update("passkeys", passkey, {"sign_count": sign_count, "used_us": now_us})
            return found

    def answer(self, challenge: bytes, now_us: int, expires_us: int) -> None:
        """Note that a challenge was answered, until it would be good no more anyway. TokenError for a second time."""
        with self._tables.write(quiet=True):
            digest = hashlib.sha256(challenge).hexdigest()
            if self._tables.number(_SQL["answered"], digest):
                raise TokenError("the challenge was answered before")
            self._tables.delete("answered_challenges", "expires_us < ?", now_us)
            self._tables.insert("answered_challenges", {"digest": digest, "expires_us": expires_us})

    def remove(self, role: SessionRole, holder: str, passkey: str) -> Passkey:
        """Forget one of a person's. NotFoundError."""
        with self._tables.write(quiet=True):
            found = self.find(passkey)
            if found is None or (found.role, found.holder) != (role, holder):
                raise NotFoundError("there is no such passkey")
            self._tables.delete("passkeys", "id = ?", passkey)
            return found

    def remove_all(self, role: SessionRole, holder: str) -> None:
        """Forget those of who is removed."""
        with self._tables.write(quiet=True):
            self._tables.delete("passkeys", "role = ? AND holder = ?", role, holder)


def _passkey(*, role: str, **row: object) -> Passkey:
    return Passkey(role=SessionRole(role), **row)  # type: ignore[arg-type]
