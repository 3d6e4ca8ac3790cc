"""The quarantine in PostgreSQL: rows are added, counted up and taken out inside the writer's transaction.

What senders have in it is counted in a table of its own, since other bridges add to it, too.
"""

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from healthsync_mqtt.postgres.connection import Connection
from healthsync_mqtt.storage.move import refusal_mark
from healthsync_mqtt.storage.port import Quarantined, RejectedRow
from healthsync_mqtt.storage.postgres.connection import fetch, run
from healthsync_mqtt.storage.postgres.sealing import ServerSealing, whole
from healthsync_mqtt.storage.postgres.statements import statements
from healthsync_mqtt.storage.quotas import ROW_COST, Quotas, due, fingerprint, going, kept
from healthsync_mqtt.storage.sealing import SEALED

_SQL = statements("quarantine")
_LATE = statements("late_sealing")
_AT_ONCE: Final = 256
"""Rows that are taken out at a time."""


def as_bytes(text: str | None) -> bytes | None:
    """Any text, as senders may write it, as bytes."""
    return None if text is None else text.encode("utf-8", "surrogatepass")


def as_text(stored: bytes | None) -> str | None:
    """The text again."""
    return None if stored is None else bytes(stored).decode("utf-8", "surrogatepass")


def row_again(stored: Sequence[Any]) -> RejectedRow:
    """A row of the quarantine from its columns, as it is stored."""
    row = RejectedRow(*stored)
    return row._replace(
        field=as_text(stored[2]), message=as_text(stored[3]) or "", topic=as_text(stored[7]) or "",
        event_id=as_text(stored[9]), raw=bytes(row.raw),
    )  # fmt: skip


class PostgresQuarantine:
    """The writer's side. Everything runs in the transaction that is open."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        #: What seals new rows; None: they are stored as they are.
        self.sealing: ServerSealing | None = None
        self._evicted = self.evicted = 0
        """Rows that went because of a quota since the log was opened: with what is staged, and without."""

    def committed(self) -> None:
        """What was done is durable."""
        self.evicted = self._evicted

    def forget(self) -> None:
        """What is not committed did not happen."""
        self._evicted = self.evicted

    def add(self, connection: Connection, rejected: Sequence[Quarantined]) -> None:
        """Keep these; then what is over the quota of a device, a user or everybody goes, oldest first."""
        equal: dict[bytes, list[Quarantined]] = {}
        for one in rejected:
            mark = self._mark(one.origin.user, fingerprint(one.origin, one.rejection))
            equal.setdefault(mark, []).append(one)
        added = Counter[tuple[str, str]]()
        for mark, same in equal.items():
            last = same[-1]
            again = len(same), last.received_us, due(last.rejection), mark
            if not run(connection, _SQL["count_up"], again):
                added[same[0].origin.user, same[0].origin.device or ""] += self._insert(connection, mark, same)
        for sender, cost in added.items():
            run(connection, _SQL["hold_bytes"], (*sender, cost))
        for sender in added:
            self._evict(connection, "device", sender, self._quotas.device_bytes)
        for user in dict.fromkeys(user for user, _ in added):
            self._evict(connection, "user", (user,), self._quotas.user_bytes)
        if added:
            self._evict(connection, "all", (), self._quotas.total_bytes)

    def adopt(self, connection: Connection, rows: Sequence[RejectedRow]) -> None:
        """Add rows of another log with their numbers. Quotas are the next refusal's."""
        added = Counter[tuple[str, str]]()
        for row in rows:
            mark = _free(connection, self._mark(row.user, refusal_mark(row)))
            added[row.user, row.device or ""] += self._put(connection, row, mark)
        for sender, cost in added.items():
            run(connection, _SQL["hold_bytes"], (*sender, cost))
        if rows:
            fetch(connection, _SQL["count_on"], (rows[-1].no,))

    def last(self, connection: Connection) -> int:
        """The highest number, 0 for none."""
        last: int = fetch(connection, _SQL["last"])[0][0]
        return last

    def discard(self, connection: Connection, numbers: Sequence[int]) -> None:
        """Take rows out."""
        self._release(connection, fetch(connection, _SQL["discard"], (list(numbers),)))

    def hold(self, connection: Connection, no: int, due_us: int | None, at_us: int) -> None:
        """Until when, and since when."""
        run(connection, _SQL["hold"], (due_us, at_us, no))

    def purge(self, connection: Connection, numbers: Sequence[int], before_us: int, spare_us: int | None) -> None:
        """Take out those that were last refused before a time, but for what is due."""
        wanted = {"numbers": list(numbers), "before": before_us, "spare": spare_us}
        self._release(connection, fetch(connection, _SQL["purge"], wanted))

    @staticmethod
    def _release(connection: Connection, gone: Iterable[tuple[str, str, int]]) -> None:
        costs = Counter[tuple[str, str]]()
        for user, device, size in gone:
            costs[user, device] += size + ROW_COST
        for sender, cost in costs.items():
            run(connection, _SQL["hold_bytes"], (*sender, -cost))
            run(connection, _SQL["release_nothing"], sender)

    def seal(self, connection: Connection, row: RejectedRow, mark: bytes) -> None:
        """Seal a row that is as it was."""
        assert self.sealing is not None
        stored, mark = self.sealing.refusal(row), _free(connection, self._mark(row.user, mark))
        digest, topic = None if row.sha256 is None else "", as_bytes(whole(row.topic))
        run(connection, _LATE["seal_refusal"], (stored, digest, mark, topic, row.no))
        run(connection, _SQL["hold_bytes"], (row.user, row.device or "", len(stored) - len(row.raw)))

    def _mark(self, user: str, mark: bytes) -> bytes:
        return mark if self.sealing is None else self.sealing.codec.mark(user, mark)

    def _put(self, connection: Connection, row: RejectedRow, mark: bytes) -> int:
        """Add a row with its number; what it costs."""
        how = None
        if self.sealing is not None:
            digest, how = None if row.sha256 is None else "", SEALED
            row = row._replace(topic=whole(row.topic) or "")
            row = row._replace(raw=self.sealing.refusal(row), sha256=digest, field=None, message="", event_id=None)
        run(
            connection,
            _SQL["adopt"],
            (
                row.no, row.reason, as_bytes(row.field), as_bytes(row.message), row.user, row.device, row.provider,
                as_bytes(row.topic), row.received_us, as_bytes(row.event_id), row.raw, row.size, row.sha256,
                row.times, row.last_us, row.due_us, row.form, mark, how,
            ),
        )  # fmt: skip
        return len(row.raw) + ROW_COST

    def _insert(self, connection: Connection, mark: bytes, same: Sequence[Quarantined]) -> int:
        (user, device, provider, topic), received_us, rejection = same[0]
        part, last = kept(rejection, self._quotas), same[-1]
        if self.sealing is not None:  # the number is part of what is sealed
            number = fetch(connection, _SQL["next_number"])[0][0]
            row = RejectedRow(
                number, str(rejection.reason), rejection.field, rejection.message, user, device, provider, topic,
                received_us, rejection.id, part.raw, part.size, part.sha256, len(same), last.received_us,
                due(last.rejection), rejection.form,
            )  # fmt: skip
            return self._put(connection, row, mark)
        run(
            connection,
            _SQL["add"],
            (
                str(rejection.reason), as_bytes(rejection.field), as_bytes(rejection.message), user, device, provider,
                as_bytes(topic), received_us, as_bytes(rejection.id), part.raw, part.size, part.sha256, len(same),
                last.received_us, due(last.rejection), rejection.form, mark,
            ),
        )  # fmt: skip
        return len(part.raw) + ROW_COST

    def _evict(self, connection: Connection, whose: str, of: tuple[str, ...], most: int) -> None:
        """Take out the oldest rows until so much is left; the newest stays, however small a quota is."""
        over = fetch(connection, _SQL[f"bytes_of_{whose}"], of)[0][0] - most
        while over > 0:
            rows = fetch(connection, _SQL[f"oldest_of_{whose}"], (*of, _AT_ONCE + 1))
            numbers, over = going(rows, over)
            if numbers:
                self.discard(connection, numbers)
            self._evicted += len(numbers)
            if len(rows) <= _AT_ONCE:
                return


def _free(connection: Connection, mark: bytes) -> bytes:
    """The mark, or one that nothing has where another row has it.

    The same was refused before sealing began and after. Such rows stay two; what comes again counts up the one with the
    mark.
    """
    return secrets.token_bytes(len(mark)) if fetch(connection, _SQL["marked"], (mark,)) else mark
