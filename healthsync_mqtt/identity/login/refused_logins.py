"""The last refused logins of each client id, in registry.db: what `device why` tells. Bounded, and no history."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements

MOST_OF_CLIENT: Final = 20
MOST: Final = 5_000
"""Rows that are kept: of one client id, and in all. The newest stay."""

_SQL: Final = statements("people", "login")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedLogin:
    """Logins under a client id that were refused for one reason, from one address. Whose they were is not known."""

    client_id: str
    reason: str
    address: str
    count: int
    first_us: int
    last_us: int


class RefusedLoginBook:
    """Only client ids that somebody has are kept: strangers fill nothing with invented ones."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def note(self, refused: Iterable[RefusedLogin]) -> None:
        """Add these to what is known."""
        with self._tables.write(quiet=True):
            for each in refused:
                row = (each.client_id, each.reason, each.address, each.count, each.first_us, each.last_us)
                self._tables.execute(_SQL["note_refused"], *row)
                self._tables.execute(_SQL["keep_newest_of_client"], each.client_id, MOST_OF_CLIENT)
            self._tables.execute(_SQL["keep_newest"], MOST)

    def of(self, client_id: str) -> list[RefusedLogin]:
        """Those of one client id, the newest first."""
        return self._tables.records(RefusedLogin, _SQL["refused_of_client"], client_id)

    def since(self, us: int) -> list[RefusedLogin]:
        """Those of every client id that went on after ``us``, the newest first."""
        return self._tables.records(RefusedLogin, _SQL["refused_since"], us)
