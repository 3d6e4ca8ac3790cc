"""Whom users let see their data, in registry.db: other users, per type, until a date."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.identity.people.lookup import user_of
from healthsync_mqtt.identity.people.names import EVERY, checked_types, dump_names, load_names
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements
from healthsync_mqtt.model.catalogue import GUARDED

_SQL: Final = statements("people", "sessions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Carer:
    """What a user lets another one see. ``types`` None are the general ones; in a set with names, ``*`` is."""

    user_id: str
    carer_id: str
    types: frozenset[str] | None
    granted_us: int
    until_us: int

    @classmethod
    def of_row(cls, *, types: str, user_id: str, carer_id: str, granted_us: int, until_us: int) -> Self:
        """A row of the table."""
        return cls(
            user_id=user_id, carer_id=carer_id, types=load_names(types), granted_us=granted_us, until_us=until_us
        )

    @property
    def listed(self) -> frozenset[str]:
        """The types as names, of which ``*`` is one."""
        return frozenset({EVERY}) if self.types is None else self.types

    def sees(self, type_name: str, now_us: int) -> bool:
        """Whether events of a type may be seen now: guarded ones only where they are named."""
        if now_us >= self.until_us:
            return False
        listed = self.listed
        return type_name in listed or (EVERY in listed and type_name not in GUARDED)


class CarerBook:
    """One grant at most from a user to another; both go with either."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def all(self) -> list[Carer]:
        """By user and carer."""
        return self._tables.records(Carer.of_row, _SQL["carers"])

    def of(self, user_id: str) -> list[Carer]:
        """Those of one user. NotFoundError."""
        with self._tables.read():
            user_of(self._tables, user_id)
            return self._tables.records(Carer.of_row, _SQL["carers_of"], user_id)

    def grant(self, user_id: str, carer_id: str, types: str | Iterable[str], until_us: int, now_us: int) -> Carer:
        """Let a user see these types of another until a time, in place of what was granted before. NotFoundError."""
        if user_id == carer_id:
            raise InputError("a user needs no grant for the own data", hint="name another user")
        if until_us <= now_us:
            raise InputError("that time is over", hint="name one that is to come")
        with self._tables.write():
            user_of(self._tables, user_id)
            user_of(self._tables, carer_id)
            made = Carer(
                user_id=user_id,
                carer_id=carer_id,
                types=checked_types(types),
                granted_us=now_us,
                until_us=until_us,
            )
            row = {"types": dump_names(made.types), "granted_us": now_us, "until_us": until_us}
            self._tables.replace("carers", {"user_id": user_id, "carer_id": carer_id} | row)
            return made

    def withdraw(self, user_id: str, carer_id: str) -> bool:
        """Take it back; whether there was a grant."""
        with self._tables.write():
            there = any(each.carer_id == carer_id for each in self.of(user_id))
            self._tables.delete("carers", "user_id = ? AND carer_id = ?", user_id, carer_id)
            return there
