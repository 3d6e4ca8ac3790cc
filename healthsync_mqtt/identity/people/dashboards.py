"""Whose newest values Home Assistant is shown, in registry.db. Nobody's, where nothing was said."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from healthsync_mqtt.errors import NotFoundError
from healthsync_mqtt.identity.people.lookup import user_of
from healthsync_mqtt.identity.people.names import EVERY, checked_types, dump_names, load_names
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements
from healthsync_mqtt.model.catalogue import CATALOGUE, GUARDED

_SQL: Final = statements("people", "dashboards")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A user's types that are shown: None are the general ones; in a set with names, ``*`` is."""

    user_id: str
    types: frozenset[str] | None
    since_us: int

    @classmethod
    def of_row(cls, *, user_id: str, types: str, since_us: int) -> Self:
        """A row of the table."""
        return cls(user_id=user_id, types=load_names(types), since_us=since_us)

    @property
    def listed(self) -> frozenset[str]:
        """The types as names, of which ``*`` is one."""
        return frozenset({EVERY}) if self.types is None else self.types

    def shows(self, type_name: str) -> bool:
        """Whether a type is shown: guarded ones only where they are named."""
        return type_name in self.listed or (EVERY in self.listed and type_name not in GUARDED)


class DashboardBook:
    """One row a user at most; it goes with the user."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def all(self) -> list[Dashboard]:
        """By user."""
        return self._tables.records(Dashboard.of_row, _SQL["dashboards"])

    def of(self, user_id: str) -> Dashboard | None:
        """One user's, if there is one."""
        return self._tables.record(Dashboard.of_row, _SQL["dashboard"], user_id)

    def shown(self, user_id: str) -> Dashboard:
        """One user's; NotFoundError when nothing of the user is shown."""
        found = self.of(user_id)
        if found is None:
            raise NotFoundError(f"nothing of {user_id} is shown", hint="healthsync homeassistant list")
        return found

    def enable(self, user_id: str, types: str | Iterable[str], now_us: int) -> Dashboard:
        """Show these types too ("*": the general ones). NotFoundError for a user that there is not."""
        with self._tables.write():
            user_of(self._tables, user_id)
            before = self.of(user_id)
            more = checked_types(types)
            listed = (frozenset() if before is None else before.listed) | (frozenset({EVERY}) if more is None else more)
            return self._keep(user_id, listed, now_us if before is None else before.since_us)

    def disable(self, user_id: str, types: str | Iterable[str], now_us: int) -> Dashboard | None:
        """Show these types no more; "*": none at all. What is left, if anything. NotFoundError when none was shown."""
        with self._tables.write():
            before = self.shown(user_id)
            less = checked_types(types)
            left = frozenset[str]() if less is None or EVERY in less else _general(before.listed, less) - less
            if not left:
                self._tables.delete("dashboards", "user_id = ?", user_id)
                return None
            return self._keep(user_id, left, max(before.since_us, now_us))

    def _keep(self, user_id: str, listed: frozenset[str], since_us: int) -> Dashboard:
        types = None if listed == {EVERY} else listed
        self._tables.replace("dashboards", {"user_id": user_id, "types": dump_names(types), "since_us": since_us})
        return Dashboard(user_id=user_id, types=types, since_us=since_us)


def _general(listed: frozenset[str], less: frozenset[str]) -> frozenset[str]:
    """The names, with the general ones one by one where one of them is to go."""
    if EVERY not in listed or less <= GUARDED:
        return listed
    return (listed - {EVERY}) | frozenset(CATALOGUE) - GUARDED
