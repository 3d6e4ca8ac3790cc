"""A log in SQLite as one side of a move."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import apsw

from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.defect import DefectError
from healthsync_mqtt.storage.move import MOVING
from healthsync_mqtt.storage.port import NOBODY, RejectedRow
from healthsync_mqtt.storage.sealing import ERASED
from healthsync_mqtt.storage.sqlite import erasure
from healthsync_mqtt.storage.sqlite.comparison import LastRow
from healthsync_mqtt.storage.sqlite.connection import fetch, fetch_value, translated
from healthsync_mqtt.storage.sqlite.faults import store_error
from healthsync_mqtt.storage.sqlite.index import IDENTITY_MASK
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.statements import statements

_SQL = statements("writer")
_QUARANTINE_SQL = statements("quarantine")


class SqliteMovingLog(SqliteEventLog):
    """See ``moving.MovableLog``."""

    def anchor(self) -> None:
        """None: what is not whole must not be taken for a log."""

    def mark(self, name: str) -> str | None:
        """See ``moving.MovableLog.mark``."""
        with translated("reading"):
            return dict(fetch(self._connection, _SQL["meta"])).get(name)

    def set_mark(self, name: str, value: str) -> None:
        """See ``moving.MovableLog.set_mark``."""
        with translated("marking"):
            fetch(self._connection, _SQL["set_meta"], (name, value))

    def is_empty(self) -> bool:
        """See ``moving.MovableLog.is_empty``."""
        with translated("reading"):
            return bool(fetch_value(self._connection, _SQL["is_empty"]))

    def adopt(self, rows: Sequence[Record]) -> None:
        """See ``moving.MovableLog.adopt``."""
        with self._staging():
            self._adopt(rows)

    def adopt_position(self, user: str, position: int) -> None:
        """See ``moving.MovableLog.adopt_position``."""
        with self._staging():
            self._staged_positions[self._no(user)] = position

    def adopt_refusals(self, rows: Sequence[RejectedRow]) -> None:
        """See ``moving.MovableLog.adopt_refusals``."""
        with self._staging():
            self._quarantine.adopt(rows)

    def last_refusal(self) -> int:
        """See ``moving.MovableLog.last_refusal``."""
        with translated("reading"):
            last: int = fetch_value(self._connection, _QUARANTINE_SQL["last"])
            return last

    def arrive(self, epoch: str) -> None:
        """See ``moving.MovableLog.arrive``."""
        with self._staging():
            fetch(self._connection, _SQL["mint_epoch"], (epoch,))
            fetch(self._connection, _SQL["unset_meta"], (MOVING,))
        self.commit()

    @contextmanager
    def _staging(self) -> Iterator[None]:
        try:
            if not self._connection.in_transaction:
                self._begin()
            yield
        except apsw.Error as error:
            self.rollback()
            raise store_error(error, "staging") from error
        except BaseException:
            self.rollback()
            raise

    def _adopt(self, rows: Sequence[Record]) -> None:
        """As ``_stage_items``, but what the log would decide was decided in another one."""
        sealing = self._sealing if self._how.on else None
        whole: list[tuple[Any, ...]] = []
        plain: list[tuple[Any, ...]] = []
        unknown: list[tuple[Any, ...]] = []
        superseded: list[tuple[int, int]] = []
        here: dict[int, tuple[int, str]] = {}
        for row in rows:
            self._staged_head += 1
            if row.seq != self._staged_head:
                raise DefectError(f"row {row.seq} comes where row {self._staged_head} belongs", hint="report it")
            nobody = row.user == NOBODY
            user_no = 0 if nobody else self._no(row.user)
            identity = self._identity(user_no, row.id) if row.id else self._identity(0, str(row.seq))
            while latest := self._index.newest(identity):
                if row.id and (here.get(latest) or self._whose(latest)) == (user_no, row.id):
                    superseded.append((latest, row.seq))
                    break
                identity = (identity + 1) & IDENTITY_MASK
            self._index.recent[identity] = row.seq
            here[row.seq] = user_no, row.id
            written = (
                row.seq, identity, user_no, row.device and self._no(row.device),
                row.provider and self._no(row.provider),
                0 if nobody else self._no(row.type), row.version, row.op, row.start_us, row.end_us, row.received_us,
                row.id, row.body, None if nobody else row.position,
            )  # fmt: skip
            if row.id:
                plain.append(written)
            else:  # of nobody it needs no mark
                unknown.append((*written, None if nobody or sealing is None else ERASED))
            if nobody:
                fetch(self._connection, erasure.SQL["nobody"])
                self._words[0] = NOBODY
            else:
                self._staged_positions[user_no] = row.position
                whole.append(written)
            self._staged_last = LastRow(row.seq, identity, row.received_us)
        known = [(*each, None) for each in plain] if sealing is None else sealing.rows(plain, self._words)
        stored = sorted(known + unknown) if unknown else known
        self._connection.executemany(_SQL["append_as"], stored).fetchall()
        if superseded:
            self._connection.executemany(_SQL["supersede"], superseded).fetchall()
        self._upkeep.add(whole, range(len(whole)), supersede=bool(superseded))

    def _no(self, name: str) -> int:
        return self._names.get(name) or self._number(name)

    def _whose(self, seq: int) -> tuple[int, str]:
        row = self._stored([seq])[seq]
        return row[2], row[11]
