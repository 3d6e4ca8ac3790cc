"""The quarantine in SQLite: rows are added, counted up and taken out inside the writer's transaction."""

from collections.abc import Sequence
from typing import Any

import apsw

from healthsync_mqtt.model.delivery import OWN_FORM
from healthsync_mqtt.storage.codec import BodyCodec
from healthsync_mqtt.storage.port import Quarantined
from healthsync_mqtt.storage.quotas import ROW_COST, Quotas, due, fingerprint, kept
from healthsync_mqtt.storage.sqlite.connection import fetch
from healthsync_mqtt.storage.sqlite.statements import statements

_SQL = statements("quarantine")

Sender = tuple[str, str | None]


class Quarantine:
    """The writer's side. What each sender holds is read when it is first needed, and again after a rollback."""

    def __init__(self, connection: apsw.Connection, codec: BodyCodec, quotas: Quotas) -> None:
        self._connection = connection
        self._codec = codec
        self._quotas = quotas
        self._held: dict[Sender, int] | None = None
        self._users: dict[str, int] = {}
        self._total = 0
        self._evicted = self._evicted_before = 0

    @property
    def evicted(self) -> int:
        """Rows that went because of a quota since the log was opened."""
        return self._evicted_before

    def forget(self) -> None:
        """What is not committed did not happen, or somebody else has changed the table."""
        self._held = None
        self._evicted = self._evicted_before

    def committed(self) -> None:
        """What was done is durable."""
        self._evicted_before = self._evicted

    def add(self, rejected: Sequence[Quarantined]) -> None:
        """Keep these, oldest first, each within the quotas of its sender; what is over goes, oldest first."""
        if self._held is None:
            self._load()
        for origin, received_us, rejection in rejected:
            mark = fingerprint(origin, rejection)
            due_us = due(rejection)
            if fetch(self._connection, _SQL["count_up"], (received_us, due_us, mark)):
                continue
            user, device, provider, topic = origin
            part = kept(rejection, self._quotas)
            raw = part.raw and self._codec.encode(user, part.raw)
            fetch(
                self._connection,
                _SQL["add"],
                (
                    str(rejection.reason), rejection.field, rejection.message, user, device, provider, topic,
                    received_us, rejection.id, raw, mark, part.size, part.sha256, due_us,
                    None if rejection.form == OWN_FORM else rejection.form,
                ),
            )  # fmt: skip
            self._count((user, device), len(raw) + ROW_COST)
            self._make_room((user, device))

    def discard(self, no: int) -> None:
        """Take a row out."""
        for user, device, size in fetch(self._connection, _SQL["discard"], (no,)):
            if self._held is not None:
                self._count((user, device), -(size + ROW_COST))

    def hold(self, no: int, due_us: int | None, at_us: int) -> None:
        """Until when, and since when."""
        fetch(self._connection, _SQL["hold"], (due_us, at_us, no))

    def purge(self, before_us: int, user: str | None, spare_due_us: int | None) -> None:
        """Take out what was last refused before a time, but for what is due."""
        fetch(self._connection, _SQL["purge"], {"before": before_us, "user": user, "spare": spare_due_us})
        self._held = None

    def _load(self) -> None:
        self._held, self._users, self._total = {}, {}, 0
        for user, device, cost in fetch(self._connection, _SQL["held"], (ROW_COST,)):
            self._count((user, device), cost)

    def _count(self, sender: Sender, cost: int) -> None:
        assert self._held is not None
        self._held[sender] = self._held.get(sender, 0) + cost
        self._users[sender[0]] = self._users.get(sender[0], 0) + cost
        self._total += cost

    def _make_room(self, sender: Sender) -> None:
        assert self._held is not None
        user, quotas = sender[0], self._quotas
        while self._held[sender] > quotas.device_bytes and self._evict("oldest_of_device", sender):
            pass
        while self._users[user] > quotas.user_bytes and self._evict("oldest_of_user", (user,)):
            pass
        while self._total > quotas.total_bytes and self._evict("oldest", ()):
            pass

    def _evict(self, which: str, bindings: tuple[Any, ...]) -> bool:
        """Take out the oldest row but one at least: the newest stays, however small a quota is."""
        rows = fetch(self._connection, _SQL[which], bindings)
        if len(rows) < 2:
            return False
        self.discard(rows[0][0])
        self._evicted += 1
        return True
