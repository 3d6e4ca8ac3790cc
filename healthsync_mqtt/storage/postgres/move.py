"""A log on PostgreSQL as one side of a move."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.defect import DefectError
from healthsync_mqtt.storage.move import MOVING
from healthsync_mqtt.storage.port import NOBODY, RejectedRow
from healthsync_mqtt.storage.postgres.connection import LastPlace, fetch, run, translated
from healthsync_mqtt.storage.postgres.log import PostgresEventLog
from healthsync_mqtt.storage.postgres.statements import statements

if TYPE_CHECKING:
    from healthsync_mqtt.storage.postgres.unwritten import Place

_SQL = statements("writer")


class PostgresMovingLog(PostgresEventLog):
    """See ``moving.MovableLog``."""

    def anchor(self) -> None:
        """None: what is not whole must not be taken for a log."""

    def mark(self, name: str) -> str | None:
        """See ``moving.MovableLog.mark``."""
        with translated("reading"):
            return next((bytes(row[0]).decode() for row in fetch(self._connected(), _SQL["mark"], (name,))), None)

    def set_mark(self, name: str, value: str) -> None:
        """See ``moving.MovableLog.set_mark``."""
        with translated("marking"):
            run(self._connected(), _SQL["set_meta"], (name, value.encode()))

    def is_empty(self) -> bool:
        """See ``moving.MovableLog.is_empty``."""
        with translated("reading"):
            return bool(fetch(self._connected(), _SQL["is_empty"])[0][0])

    def adopt(self, rows: Sequence[Record]) -> None:
        """See ``moving.MovableLog.adopt``."""
        with self._staging() as connection:
            self._look_up(connection, {row.user for row in rows if row.user != NOBODY})
            identity_of, positions = self._identity, self._staged_positions
            identities = [
                identity_of(row.user, row.id) if row.id else identity_of(NOBODY, str(row.seq)) for row in rows
            ]
            asked = {identity for row, identity in zip(rows, identities, strict=True) if row.id}
            latest = self._latest(connection, asked)
            written: list[tuple[Any, ...]] = []
            stored: dict[bytes, Place] = {}
            superseded: list[tuple[int, int]] = []
            for row, identity in zip(rows, identities, strict=True):
                self._staged_head += 1
                if row.seq != self._staged_head:
                    raise DefectError(f"row {row.seq} comes where row {self._staged_head} belongs", hint="report it")
                if row.id:
                    if before := stored.get(identity) or latest.get(identity):
                        superseded.append((before[0], row.seq))
                    stored[identity] = row.seq, row.version * 2 + row.op
                if row.user != NOBODY:
                    positions[row.user] = row.position
                written.append(
                    (
                        row.seq, row.position, row.start_us, row.end_us, row.received_us, row.version, row.op, identity,
                        row.user, row.device, row.provider, row.type, row.id, row.body,
                    )
                )  # fmt: skip
            self._unwritten.move(stored, latest)
            self._write(connection, written, superseded)
            self._staged_last = LastPlace(rows[-1].seq, identities[-1], rows[-1].received_us)

    def adopt_position(self, user: str, position: int) -> None:
        """See ``moving.MovableLog.adopt_position``."""
        with self._staging() as connection:
            self._unwritten.write(connection, self._staged_positions)
            run(connection, _SQL["keep_place"], (user, position))

    def adopt_refusals(self, rows: Sequence[RejectedRow]) -> None:
        """See ``moving.MovableLog.adopt_refusals``."""
        with self._staging() as connection:
            self._quarantine.adopt(connection, rows)

    def last_refusal(self) -> int:
        """See ``moving.MovableLog.last_refusal``."""
        with translated("reading"):
            return self._quarantine.last(self._connected())

    def arrive(self, epoch: str) -> None:
        """See ``moving.MovableLog.arrive``. Names that it had while it was empty are nobody's."""
        with self._staging() as connection:
            run(connection, _SQL["forget_epochs"])
            run(connection, _SQL["mint_epoch"], (epoch,))
            run(connection, _SQL["unset_meta"], (MOVING,))
        self.commit()
