"""The quarantine in SQLite: rows are added, counted up and taken out inside the writer's transaction."""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

import apsw

from healthsync_mqtt.model.delivery import OWN_FORM
from healthsync_mqtt.storage.move import refusal_mark
from healthsync_mqtt.storage.port import Quarantined, RejectedRow
from healthsync_mqtt.storage.quotas import ROW_COST, Quotas, due, fingerprint, going, kept
from healthsync_mqtt.storage.sealing import SEALED, KeptRefusal, Sealing
from healthsync_mqtt.storage.sqlite.connection import fetch, fetch_value
from healthsync_mqtt.storage.sqlite.statements import statements

_SQL = statements("quarantine")

Sender = tuple[str, str | None]

_AT_ONCE: Final = 256
"""Rows that are taken out at a time."""


_NOTHING: Final = KeptRefusal(None, "", None, None, b"")
"""What of a sealed refusal is readable. Whether there is a digest is told by one of no characters."""


_RAW: Final = 10
"""Where the bytes are in what is written of a row."""


def _raise(sums: dict[Any, int], key: object, cost: int) -> None:
    """Who has nothing is in no sum: names that are erased are not kept here."""
    total = sums.get(key, 0) + cost
    if total:
        sums[key] = total
    else:
        sums.pop(key, None)


def _whole(text: str | None) -> str | None:
    """Without halves of characters, which other stores keep."""
    return text and text.encode("utf-8", "replace").decode()


class _Refusal(NamedTuple):
    """Equal refusals that come together: the first and the last of them, and how many they are."""

    first: Quarantined
    last: Quarantined
    times: int = 1


class Quarantine:
    """The writer's side.

    What each sender holds is read once, when the log is opened: that is a look at all rows, and ``add`` runs where the
    event loop is. From then on it follows every statement that changes the table, and a rollback takes back what was
    added since the last commit. Nobody else writes the table while this log is open.
    """

    def __init__(self, connection: apsw.Connection, quotas: Quotas) -> None:
        self._connection = connection
        #: What seals new rows; None: they are stored as they are.
        self.sealing: Sealing | None = None
        self._quotas = quotas
        #: What there is of each sender, of each user and in all, with what is staged; who has nothing is in none.
        self._held: dict[Sender, int] = {}
        self._users: dict[str, int] = {}
        self._total = self._last = 0
        #: What is staged of it.
        self._staged: dict[Sender, int] = {}
        self._evicted = self._evicted_before = 0

    @property
    def evicted(self) -> int:
        """Rows that went because of a quota since the log was opened."""
        return self._evicted_before

    def load(self) -> None:
        """Read what there is, for as long as it takes; before anything is staged."""
        for user, device, cost in fetch(self._connection, _SQL["held"], (ROW_COST,)):
            self._add_to((user, device), cost)

    def forget(self) -> None:
        """What is not committed did not happen."""
        for sender, cost in self._staged.items():
            self._add_to(sender, -cost)
        self._staged.clear()
        self._evicted = self._evicted_before

    def committed(self) -> None:
        """What was done is durable."""
        self._staged.clear()
        self._evicted_before = self._evicted

    def add(self, rejected: Sequence[Quarantined]) -> None:
        """Keep these; then what is over the quota of a device, a user or everybody goes, oldest first."""
        refusals: dict[bytes, _Refusal] = {}
        for one in rejected:
            mark = fingerprint(one.origin, one.rejection)
            if self.sealing is not None:
                mark = self.sealing.codec.mark(one.origin.user, mark)
            equal = refusals.get(mark)
            refusals[mark] = _Refusal(one, one) if equal is None else _Refusal(equal.first, one, equal.times + 1)
        if self.sealing is not None:
            self._last = fetch_value(self._connection, _SQL["last_number"])
        counted = self._many("count_up", [
            (times, last.received_us, due(last.rejection), *first.origin[:2], mark)
            for mark, (first, last, times) in refusals.items()
        ])  # fmt: skip
        for (mark,) in counted:
            del refusals[mark]
        self._many("add", [self._row(mark, each) for mark, each in refusals.items()])
        self._make_room(dict.fromkeys(each.first.origin[:2] for each in refusals.values()))

    def _row(self, mark: bytes, refusal: "_Refusal") -> tuple[Any, ...]:
        ((user, device, provider, topic), received_us, rejection), last, times = refusal
        part = kept(rejection, self._quotas)
        shown = KeptRefusal(rejection.field, rejection.message, rejection.id, part.sha256, part.raw)
        form, number, raw = None if rejection.form == OWN_FORM else rejection.form, None, part.raw
        reason = str(rejection.reason)
        if self.sealing is not None:
            self._last += 1
            number = self._last
            place = reason, device, provider, topic, received_us, part.size, form, part.sha256 is None
            raw, shown = self.sealing.kept(user, number, place, shown), _NOTHING
        self._count((user, device), len(raw) + ROW_COST)
        return (
            number, reason, shown.field, shown.message, user, device, provider, topic, received_us, shown.event_id, raw,
            mark, part.size, None if part.sha256 is None else shown.sha256 or "", due(last.rejection), form, times,
            last.received_us if times > 1 else None,
            None if self.sealing is None else SEALED,
        )  # fmt: skip

    def adopt(self, rows: Sequence[RejectedRow]) -> None:
        """Add rows of another log with their numbers. Quotas are the next refusal's."""
        adopted = [self._adopted(row) for row in rows]
        self._many("add", adopted)
        for row, stored in zip(rows, adopted, strict=True):
            self._count((row.user, row.device), len(stored[_RAW]) + ROW_COST)

    def forget_user(self, user: str) -> None:
        """Take out what there is of a user."""
        self._uncount(fetch(self._connection, _SQL["forget_user"], (user,)))

    def sealed(self, sender: Sender, more: int) -> None:
        """A row of this sender takes so many bytes more since it is sealed."""
        self._count(sender, more)

    def _adopted(self, row: RejectedRow) -> tuple[Any, ...]:
        mark, form = refusal_mark(row), None if row.form == OWN_FORM else row.form
        row = row._replace(
            field=_whole(row.field), message=_whole(row.message) or "", topic=_whole(row.topic) or "",
            event_id=_whole(row.event_id),
        )  # fmt: skip
        shown, raw = KeptRefusal(row.field, row.message, row.event_id, row.sha256, row.raw), row.raw
        if self.sealing is not None:
            mark = self.sealing.codec.mark(row.user, mark)
            place = (
                row.reason, row.device, row.provider, row.topic, row.received_us, row.size, form, row.sha256 is None
            )  # fmt: skip
            raw, shown = self.sealing.kept(row.user, row.no, place, shown), _NOTHING
        return (
            row.no, row.reason, shown.field, shown.message, row.user, row.device, row.provider, row.topic,
            row.received_us, shown.event_id, raw, mark, row.size, None if row.sha256 is None else shown.sha256 or "",
            row.due_us, form, row.times, row.last_us, None if self.sealing is None else SEALED,
        )  # fmt: skip

    def discard(self, no: int) -> None:
        """Take a row out."""
        self._discard([no])

    def hold(self, no: int, due_us: int | None, at_us: int) -> None:
        """Until when, and since when."""
        fetch(self._connection, _SQL["hold"], (due_us, at_us, no))

    def purge(self, numbers: Sequence[int], before_us: int, spare_due_us: int | None) -> None:
        """Take out those that were last refused before a time, but for what is due."""
        wanted = {"numbers": json.dumps(list(numbers)), "before": before_us, "spare": spare_due_us}
        self._uncount(fetch(self._connection, _SQL["purge"], wanted))

    def _count(self, sender: Sender, cost: int) -> None:
        self._staged[sender] = self._staged.get(sender, 0) + cost
        self._add_to(sender, cost)

    def _add_to(self, sender: Sender, cost: int) -> None:
        _raise(self._held, sender, cost)
        _raise(self._users, sender[0], cost)
        self._total += cost

    def _make_room(self, senders: Collection[Sender]) -> None:
        quotas = self._quotas
        for sender in senders:
            self._evict("oldest_of_device", sender, self._held.get(sender, 0) - quotas.device_bytes)
        for user in {user: None for user, _ in senders}:
            self._evict("oldest_of_user", (user,), self._users.get(user, 0) - quotas.user_bytes)
        self._evict("oldest", (), self._total - quotas.total_bytes)

    def _evict(self, which: str, of: tuple[Any, ...], over: int) -> None:
        """Take out the oldest rows until so much has gone; the newest stays, however small a quota is."""
        while over > 0:
            rows = fetch(self._connection, _SQL[which], (*of, _AT_ONCE + 1))
            numbers, over = going(rows, over)
            self._discard(numbers)
            self._evicted += len(numbers)
            if len(rows) <= _AT_ONCE:
                return

    def _discard(self, numbers: Sequence[int]) -> None:
        self._uncount(self._many("discard", [(no,) for no in numbers]))

    def _uncount(self, gone: Iterable[tuple[str, str | None, int]]) -> None:
        for user, device, size in gone:
            self._count((user, device), -(size + ROW_COST))

    def _many(self, which: str, bindings: Sequence[tuple[Any, ...]]) -> list[Any]:
        return self._connection.executemany(_SQL[which], bindings).fetchall()
