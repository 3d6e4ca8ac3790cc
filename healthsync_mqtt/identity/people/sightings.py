"""When each client was last here, from where, and what it said of itself, in registry.db: the newest only."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements

_SQL: Final = statements("people", "sightings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What is known of a client since it was added; None where nothing is. Removing the client forgets it."""

    client_id: str
    connected_us: int | None
    seen_us: int
    address: str | None
    protocol: str | None
    event_us: int | None
    version: str | None


class SeenLogin(NamedTuple):
    """A login that was let in."""

    client_id: str
    at_us: int
    address: str
    protocol: str


class SeenEvent(NamedTuple):
    """The newest message with events of a device, and what it said of the device, if anything."""

    user_id: str
    device_id: str
    at_us: int
    version: str | None


class SightingBook:
    """Only clients that are registered now have a row."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def note(
        self, logins: Iterable[SeenLogin], events: Iterable[SeenEvent], seen: Iterable[tuple[str, int]] = ()
    ) -> None:
        """Add these to what is known, as one transaction that no directory has to hear of. StoreError."""
        with self._tables.write(quiet=True):
            for login in logins:
                self._tables.execute(_SQL["note_login"], login.client_id, login.at_us, login.address, login.protocol)
            for event in events:
                self._tables.execute(_SQL["note_event"], *event)
            for client_id, at_us in seen:
                self._tables.execute(_SQL["note_seen"], client_id, at_us)

    def of(self, client_id: str) -> Sighting | None:
        """What is known of one client."""
        return self._tables.record(Sighting, _SQL["sighting"], client_id)

    def all(self) -> dict[str, Sighting]:
        """What is known of every client, by client id."""
        return {each.client_id: each for each in self._tables.records(Sighting, _SQL["sightings"])}
