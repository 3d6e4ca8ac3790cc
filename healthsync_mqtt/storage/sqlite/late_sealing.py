"""How an older log in SQLite is sealed: rows are taken out and put in again, changed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import apsw

from healthsync_mqtt.storage.late_sealing import LateSealing
from healthsync_mqtt.storage.sealing import SEALED, KeptRefusal
from healthsync_mqtt.storage.sqlite.connection import fetch, fetch_value
from healthsync_mqtt.storage.sqlite.quarantine import Quarantine
from healthsync_mqtt.storage.sqlite.sealing import RowSealing
from healthsync_mqtt.storage.sqlite.sketches import Sketches
from healthsync_mqtt.storage.sqlite.statements import statements

_SQL = statements("late_sealing")
_WRITER_SQL = statements("writer")


def rewrite(connection: apsw.Connection, seqs: Sequence[int], change: Callable[[Any], Any]) -> None:
    """Take rows of the log out and put them in again, changed."""
    put_again(connection, [change(row) for row in as_they_are(connection, seqs)])


def as_they_are(connection: apsw.Connection, seqs: Sequence[int]) -> list[Any]:
    """Rows of the log, each with ``sealed`` behind."""
    rows: list[Any] = connection.executemany(_WRITER_SQL["rows_as_they_are"], [(seq,) for seq in seqs]).fetchall()
    return rows


def put_again(connection: apsw.Connection, changed: Sequence[Any]) -> None:
    """Rows that are in the log, in their places, as they are now."""
    if changed:
        connection.executemany(_WRITER_SQL["take_out"], [(row[0],) for row in changed]).fetchall()
        connection.executemany(_WRITER_SQL["append_as"], changed).fetchall()


def told(row: Any) -> int:
    """The position that a row is told by: of one from before there were positions it is the seq."""
    seq, position = row[0], row[13]
    return int(seq if position is None else position)


class SqliteLateSealing(LateSealing):
    """``storage.late_sealing`` in SQLite."""

    def __init__(
        self,
        connection: apsw.Connection,
        sealing: RowSealing,
        names: Mapping[int | None, str | None],
        sketches: Sketches,
        quarantine: Quarantine,
    ) -> None:
        self._connection = connection
        self._sketches = sketches
        self._quarantine = quarantine
        self._sealing = sealing
        self._names = names

    def _set(self, name: str, value: str | int) -> None:
        fetch(self._connection, _WRITER_SQL["set_meta"], (name, value))

    def _over(self) -> None:
        fetch(self._connection, "PRAGMA incremental_vacuum")

    def _rows(self, first: int, last: int) -> None:
        self._sketches.forget_rows(range(first, last + 1))
        rewrite(self._connection, range(first, last + 1), self._sealed)

    def _others(self) -> int:
        return int(fetch_value(self._connection, _SQL["others"]))

    def _sealed(self, row: Any) -> Any:
        *before, position, how = row
        if how is not None:
            return row
        (sealed,) = self._sealing.rows([(*before, told(row))], self._names)
        return *sealed[:-2], position, SEALED

    def _refusals(self, limit: int) -> bool:
        rows = fetch(self._connection, _SQL["plain_refusals"], (limit,))
        changed = []
        for (
            number, reason, field, message, user, device, provider, topic, received_us, event_id, raw, size, sha256,
            form, fingerprint,
        ) in rows:  # fmt: skip
            place = reason, device, provider, topic, received_us, size, form, sha256 is None
            kept = KeptRefusal(field, message, event_id, sha256, raw)
            mark = fingerprint and self._sealing.codec.mark(user, fingerprint)
            stored = self._sealing.kept(user, number, place, kept)
            self._quarantine.sealed((user, device), len(stored) - len(raw))
            changed.append((stored, size, None if sha256 is None else "", mark, number))
        self._connection.executemany(_SQL["seal_refusal"], changed).fetchall()
        return len(rows) == limit

    def _states(self, limit: int) -> bool:
        rows = fetch(self._connection, _SQL["plain_states"], (limit,))
        changed = [(self._sealing.state(self._whose(numbers), state), *numbers) for *numbers, state in rows]
        self._connection.executemany(_SQL["seal_state"], changed).fetchall()
        return len(rows) == limit

    def _records(self, limit: int) -> bool:
        rows = fetch(self._connection, _SQL["plain_records"], (limit,))
        changed = []
        for *numbers, name, event_id in rows:
            whose = self._whose(numbers)
            mark = self._sealing.mark(whose[0], name, event_id)
            changed.append((*numbers, mark, self._sealing.record(whose, (name, event_id))))
        if rows:
            self._connection.executemany(_WRITER_SQL["keep_format_record_sealed"], changed).fetchall()
            self._connection.executemany(_WRITER_SQL["drop_format_record"], rows).fetchall()
            fetch(self._connection, _WRITER_SQL["note_format_records"])
        return len(rows) == limit

    def _whose(self, numbers: Sequence[int]) -> tuple[str, str, str]:
        user, device, form = (str(self._names[number]) for number in numbers)
        return user, device, form
