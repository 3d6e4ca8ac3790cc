"""Which sources a user prefers where several measured the same, in registry.db. Without a word, none."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.identity.people.lookup import user_of
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements

_SQL: Final = statements("people", "sources")
MOST: Final = 100
LONGEST: Final = 400


class SourceBook:
    """One order a user; it goes with the user."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def all(self) -> Mapping[str, tuple[str, ...]]:
        """By user, the best first."""
        return {user: tuple(json.loads(sources)) for user, sources in self._tables.tuples(_SQL["preferences"])}

    def of(self, user_id: str) -> tuple[str, ...]:
        """One user's, the best first."""
        found = self._tables.tuples(_SQL["preference"], user_id)
        return tuple(json.loads(found[0][1])) if found else ()

    def prefer(self, user_id: str, sources: Sequence[str], now_us: int) -> tuple[str, ...]:
        """These first, in this order; none: no order of their own. NotFoundError for a user that there is not."""
        order = tuple(dict.fromkeys(sources))
        if len(order) > MOST or any(not 0 < len(name) <= LONGEST for name in order):
            raise UsageError(
                f"at most {MOST} sources, of 1 to {LONGEST} letters",
                hint="see their names: healthsync source list --user USER",
            )
        with self._tables.write():
            user_of(self._tables, user_id)
            if order:
                row = {"user_id": user_id, "sources": json.dumps(order), "since_us": now_us}
                self._tables.replace("source_preferences", row)
            else:
                self._tables.delete("source_preferences", "user_id = ?", user_id)
        return order
