"""An older log on PostgreSQL is sealed a little with each commit, as one in SQLite is: how far lies in the log itself.

What a row was before stays in the table until it is vacuumed, and in the server's own log and archive.
"""

from collections.abc import Sequence
from typing import Final

from healthsync_mqtt.postgres.connection import Connection
from healthsync_mqtt.storage.postgres.arrays import BigintArray
from healthsync_mqtt.storage.postgres.connection import fetch, run
from healthsync_mqtt.storage.postgres.quarantine import PostgresQuarantine, as_text, row_again
from healthsync_mqtt.storage.postgres.sealing import ServerSealing, StoredRow
from healthsync_mqtt.storage.postgres.statements import statements
from healthsync_mqtt.storage.sealing import Sealed

_SQL = statements("late_sealing")
_WRITER_SQL = statements("writer")

ENCRYPTION: Final = "encryption"
"""The fact of a log that says how it is sealed."""

Whose = tuple[str, str, str]


def store_again(connection: Connection, rows: Sequence[StoredRow]) -> None:
    """Write what has changed of rows: the piece, and how it is stored."""
    if rows:
        seqs = BigintArray.of([row.seq for row in rows])
        pieces = [row.id for row in rows], [row.body for row in rows], [row.sealed for row in rows]
        run(connection, _WRITER_SQL["store_again"], (seqs, *pieces))


def keep_records(
    connection: Connection, sealing: ServerSealing, whose: Whose, named: Sequence[tuple[str, str]]
) -> None:
    """Remember records of a device, sealed."""
    if named:
        marks = [sealing.mark(whose[0], *each) for each in named]
        stored = [sealing.record(whose, each) for each in named]
        run(connection, _WRITER_SQL["keep_format_records_sealed"], (*whose, marks, stored))


class ServerLateSealing:
    """One step inside the writer's transaction."""

    def __init__(self, connection: Connection, sealing: ServerSealing, quarantine: PostgresQuarantine) -> None:
        self._connection = connection
        self._sealing = sealing
        self._quarantine = quarantine

    def step(self, how: Sealed, rows: int, head: int) -> int:
        """Seal so many; how many are left, in rows, refusals and memories together. 0: all is sealed."""
        if not how.on:
            how = Sealed(on=True, plain_from=1, plain_through=max(head, 1))
            self._set(ENCRYPTION, b"rows")
            self._set("plain_through", b"%d" % how.plain_through)
        if not how.mixed:
            return 0
        self._quarantine.sealing = self._sealing
        end = min(how.plain_through, how.plain_from + rows - 1)
        self._rows(how.plain_from, end)
        left, done = how.plain_through - end, end - how.plain_from + 1
        self._set("plain_from", b"%d" % (end + 1 if left else how.plain_through))
        if left or done >= rows:
            return left + 1 + self._others()
        for each in (self._refusals, self._states, self._records):
            if each(rows - done):
                return self._others() + 1
        self._set("plain_from", b"0")
        self._set("plain_through", b"0")
        return 0

    def _set(self, name: str, value: bytes) -> None:
        run(self._connection, _WRITER_SQL["change_meta"], (name, value))

    def _others(self) -> int:
        return int(fetch(self._connection, _SQL["others"])[0][0])

    def _rows(self, first: int, last: int) -> None:
        numbers = BigintArray.of(range(first, last + 1))
        stored = (StoredRow(*row) for row in fetch(self._connection, _WRITER_SQL["stored"], (numbers,)))
        store_again(self._connection, [self._sealing.row(row) for row in stored if row.sealed is None])

    def _refusals(self, limit: int) -> bool:
        """Whether there may be more."""
        rows = fetch(self._connection, _SQL["plain_refusals"], (limit,))
        for *columns, mark in rows:
            self._quarantine.seal(self._connection, row_again(columns), bytes(mark))
        return len(rows) == limit

    def _states(self, limit: int) -> bool:
        rows = fetch(self._connection, _SQL["plain_states"], (limit,))
        for user, device, form, state in rows:
            whose = user, device, form
            run(self._connection, _SQL["seal_state"], (self._sealing.state(whose, bytes(state)), *whose))
        return len(rows) == limit

    def _records(self, limit: int) -> bool:
        rows = fetch(self._connection, _SQL["plain_records"], (limit,))
        for user, device, form, name, event_id in rows:
            whose = user, device, form
            keep_records(self._connection, self._sealing, whose, [(as_text(name) or "", as_text(event_id) or "")])
            run(self._connection, _WRITER_SQL["drop_format_records"], (*whose, [name], [event_id]))
        return len(rows) == limit
