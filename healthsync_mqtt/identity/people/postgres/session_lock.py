"""A lock of a session on the server of a registry, of a connection that is made again where it has ended."""

from healthsync_mqtt.identity.people.postgres.connection import SQL, connect_registry, migrate, translated, value
from healthsync_mqtt.postgres.connection import Connection, ServerPlace, abandon, missed_soon


class SessionLock:
    """Whoever has it. Everything here blocks."""

    def __init__(self, place: ServerPlace, statement: str) -> None:
        """``statement`` is the one of ``server.sql`` that tries to take it."""
        self._place = place
        self._statement = statement
        self._connection: Connection | None = None
        self._mine = False

    def open(self) -> None:
        """Connect, and make the tables where there are none. StoreError, ConfigError."""
        with translated("the registry could not be opened"):
            self._connection = connect_registry(self._place)
            migrate(self._connection, self._place)
            missed_soon(self._connection)

    def take(self) -> bool:
        """Whether it is held, or was taken just now. HealthSyncError: nobody can tell."""
        try:
            with translated():
                if self._connection is None:
                    self._connection, self._mine = connect_registry(self._place), False
                    missed_soon(self._connection)
                if self._mine:
                    self._connection.execute(b"SELECT 1")
                else:
                    self._mine = bool(value(self._connection, SQL[self._statement], self._place.schema))
        except BaseException:
            self.leave()
            raise
        return self._mine

    def leave(self) -> None:
        """Give it back. Idempotent."""
        abandon(self._connection)
        self._connection, self._mine = None, False
