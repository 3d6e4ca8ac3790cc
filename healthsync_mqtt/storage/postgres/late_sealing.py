"""An older log on PostgreSQL is sealed a little with each commit, as one in SQLite is: how far lies in the log itself.

What a row was before stays in the table until it is vacuumed, and in the server's own log and archive.
"""

from collections.abc import Sequence

from healthsync_mqtt.postgres.connection import Connection
from healthsync_mqtt.storage.late_sealing import LateSealing
from healthsync_mqtt.storage.postgres.arrays import BigintArray
from healthsync_mqtt.storage.postgres.connection import fetch, run
from healthsync_mqtt.storage.postgres.quarantine import PostgresQuarantine, as_text, row_again
from healthsync_mqtt.storage.postgres.sealing import ServerSealing, StoredRow
from healthsync_mqtt.storage.postgres.sketches import BlockSketches
from healthsync_mqtt.storage.postgres.statements import statements

_SQL = statements("late_sealing")
_WRITER_SQL = statements("writer")

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


class ServerLateSealing(LateSealing):
    """``storage.late_sealing`` on PostgreSQL."""

    def __init__(
        self, connection: Connection, sealing: ServerSealing, quarantine: PostgresQuarantine, sketches: BlockSketches
    ) -> None:
        self._connection = connection
        self._sealing = sealing
        self._quarantine = quarantine
        self._sketches = sketches

    def _set(self, name: str, value: str | int) -> None:
        run(self._connection, _WRITER_SQL["change_meta"], (name, str(value).encode()))

    def _others(self) -> int:
        return int(fetch(self._connection, _SQL["others"])[0][0])

    def _rows(self, first: int, last: int) -> None:
        self._sketches.forget_rows(self._connection, range(first, last + 1))
        numbers = BigintArray.of(range(first, last + 1))
        stored = (StoredRow(*row) for row in fetch(self._connection, _WRITER_SQL["stored"], (numbers,)))
        store_again(self._connection, [self._sealing.row(row) for row in stored if row.sealed is None])

    def _refusals(self, limit: int) -> bool:
        self._quarantine.sealing = self._sealing
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
