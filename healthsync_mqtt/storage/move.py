"""A log moves into another store, with every row's number, version and position, and with its name.

There is never a second log of one name that can be written. The source is marked before the first row goes, and is
refused from then on, until somebody takes it as it is, which gives it another name; the target is refused until all is
there, and gets the name with the commit that says so. So it is resumed where it was killed, from what the target holds.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from hashlib import blake2b
from typing import Any, Final, NamedTuple, Protocol

from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event import Omitted, Rejection
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.defect import DefectError
from healthsync_mqtt.storage.port import EventLog, LogReader, RejectedRow
from healthsync_mqtt.storage.quotas import fingerprint

MOVED: Final = "moved"
"""The mark of a source: which move it is part of."""
MOVING: Final = "moving"
"""The mark of a target, until all is there."""

_A_COMMIT: Final = 2_000
_REFUSALS: Final = 200


class MovePart(Enum):
    """What a log that is opened is in a move."""

    NONE = 0
    SOURCE = 1
    TARGET = 2


class MoveState(Enum):
    """How far a move is."""

    NEW = "new"
    BEGUN = "begun"
    DONE = "done"


class MovableLog(EventLog, Protocol):
    """A log opened as a part of a move: no other writer has it, and no anchor is written."""

    def mark(self, name: str) -> str | None:
        """The mark of a move, None without one."""

    def set_mark(self, name: str, value: str) -> None:
        """Durable when this returns."""

    def is_empty(self) -> bool:
        """Whether it holds nothing of anybody."""

    def adopt(self, rows: Sequence[Record]) -> None:
        """Stage rows as they are in another log; the first one follows the last that is staged.

        A row without an id is one of which nothing is known but its place, and perhaps whose it was.
        """

    def adopt_position(self, user: str, position: int) -> None:
        """Stage that the user's last row had this position."""

    def adopt_refusals(self, rows: Sequence[RejectedRow]) -> None:
        """Stage rows of the quarantine with their numbers."""

    def last_refusal(self) -> int:
        """The highest number in the quarantine, 0 for none."""

    def arrive(self, epoch: str) -> None:
        """Be whole, and called so: durable when this returns, and with it what was staged."""


def refuse_marked(marks: Mapping[str, Any], part: MovePart, *, accepted: bool) -> None:
    """UnavailableError where a log cannot be used for a move that is going on or is over."""
    if MOVING in marks and part is not MovePart.TARGET:
        raise UnavailableError(
            "the event log is only partly here: its move has not ended",
            hint="finish it as it was begun, see: healthsync storage copy --help",
        )
    if MOVED in marks and part is not MovePart.SOURCE and not accepted:
        raise UnavailableError(
            "the event log was moved to another place, and goes on there",
            hint="a move that was broken off is finished as it was begun, see healthsync storage copy --help; to go on "
            "here all the same, and let devices send their last 72 hours again: healthsync up --accept-restored",
        )


def state(source: MovableLog, target: MovableLog) -> MoveState:
    """How far the move is; UnavailableError where the target cannot be the one of this source."""
    left, coming = source.mark(MOVED), target.mark(MOVING)
    if coming is None:
        if left is not None and target.epoch == source.epoch:
            return MoveState.DONE
        if not target.is_empty():
            raise UnavailableError(
                "there is another event log already where this one would go", hint="copy it to an empty database"
            )
        refuse_second_move(source)
        return MoveState.NEW
    if left == coming or (left is None and target.is_empty()):
        return MoveState.BEGUN
    raise UnavailableError(
        "where this event log would go, there is a part of another one, or this one was used since",
        hint="empty that place first, or finish the move that began there",
    )


def refuse_second_move(source: MovableLog) -> None:
    """UnavailableError where the source has moved, or begun to, and not to a target that is new."""
    if source.mark(MOVED) is not None:
        raise UnavailableError(
            "the event log was moved to another place already",
            hint="move it on from there; or go on with this one (healthsync up --accept-restored), then copy it",
        )


class Moved(NamedTuple):
    """What went along with a move, in all, and how many rows of it just now."""

    rows: int
    now: int
    refusals: int
    cursors: int


def move(source: MovableLog, reader: LogReader, target: MovableLog, told: Callable[[int], None]) -> Moved:
    """Bring everything of the source, which ``reader`` reads, into the target; ``told`` hears how many rows are there.

    Killed anywhere it goes on with the next call. UnavailableError as ``state``.
    """
    at = state(source, target)
    if at is MoveState.NEW:
        target.set_mark(MOVING, secrets.token_hex(16))
    if at is not MoveState.DONE:
        before = target.head()
        if source.mark(MOVED) is None:
            source.set_mark(MOVED, str(target.mark(MOVING)))
        _rows(reader, target, told)
        _refusals(reader, target)
        _rest(source, reader, target)
        target.arrive(source.epoch)
        now = reader.head() - before
    else:
        now = 0
    return Moved(reader.head(), now, reader.totals()["rejected"], len(reader.cursors()))


def _rows(reader: LogReader, target: MovableLog, told: Callable[[int], None]) -> None:
    at = target.head()
    while rows := reader.every(at, _A_COMMIT):
        target.adopt(rows)
        at = target.commit()
        told(at)
    if at != reader.head():
        raise DefectError("the copy has other rows than the event log", hint="nothing was changed where it came from")


def _refusals(reader: LogReader, target: MovableLog) -> None:
    at = target.last_refusal()
    while rows := reader.rejected(at, _REFUSALS):
        target.adopt_refusals(rows)
        target.commit()
        at = rows[-1].no


def _rest(source: MovableLog, reader: LogReader, target: MovableLog) -> None:
    """What is small, and may be written again: staged, and durable with what ends the move."""
    for user, position in _positions(source, reader):
        if target.position(user) != position:
            target.adopt_position(user, position)
    target.commit()
    for name in CATALOGUE:
        if (before_us := reader.purged_before(name)) is not None:
            target.purge(name, before_us, [])
    for memory in reader.format_memories():
        target.remember(memory)
    for name, seq in reader.cursors().items():
        target.set_cursor(name, seq)


def _positions(source: MovableLog, reader: LogReader) -> Iterator[tuple[str, int]]:
    for user in reader.users():
        if position := source.position(user):
            yield user, position


def refusal_mark(row: RejectedRow) -> bytes:
    """The fingerprint of a refusal in the quarantine. Of one that is not there whole it is one that nothing has."""
    if row.truncated and row.raw:
        return blake2b(f"{row.no}:{secrets.token_hex(16)}".encode(), digest_size=16).digest()
    origin = Origin(row.user, row.device, row.provider, row.topic)
    left_out = Omitted(row.size, row.sha256 or "") if row.truncated else None
    reason = Reason(row.reason)
    again = Rejection(0, row.event_id, reason, row.field, row.message, row.raw, omitted=left_out, form=row.form)
    return fingerprint(origin, again)
