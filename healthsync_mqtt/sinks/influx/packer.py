"""Records as the work for one sink: points to write, points to erase, events that cannot become points."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from healthsync_mqtt.model.event import Op
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.sinks.config import Deletes
from healthsync_mqtt.sinks.influx.dispatch import SentLine
from healthsync_mqtt.sinks.influx.line import Line
from healthsync_mqtt.sinks.influx.lineprotocol import UnmappableError, flag
from healthsync_mqtt.sinks.influx.mapping import Mapper
from healthsync_mqtt.sinks.ledger import RefusedLine, SinkLedger
from healthsync_mqtt.sinks.port import Rows
from healthsync_mqtt.storage.port import LogReader

#: Rows before the cursor that are read at the start, so that the window is what it was before a restart.
WINDOW_ROWS = 20_000
_WINDOW_POINTS = 200_000
_TRIES = 1000
_BODY_GONE = "a version of it was purged from the log: only its point at the start of the event can be found and erased"
_BODY_GONE_MARKS = "a version of it was purged from the log: its points cannot be found to be marked as deleted"


class Erasure(NamedTuple):
    """A point that must go, and the row that demands it."""

    seq: int
    line: Line


@dataclass(slots=True)
class Chunk:
    """``through``: the seq that the cursor moves to when all of it is done."""

    first: int
    through: int
    events: int
    erasures: list[Erasure] = field(default_factory=list)
    lines: list[SentLine] = field(default_factory=list)
    refusals: list[RefusedLine] = field(default_factory=list)


class Packer:
    """Makes chunks. ``deletes``: whether the server can erase a point or old points are marked ``deleted=true``."""

    def __init__(self, reader: LogReader, mapper: Mapper, ledger: SinkLedger, deletes: Deletes) -> None:
        self._reader = reader
        self._mapper = mapper
        self._ledger = ledger
        self._deletes = deletes
        self._window: OrderedDict[tuple[str, int], tuple[str, str]] = OrderedDict()

    def warm_up(self, cursor: int) -> None:
        """Know the points of the rows just before ``cursor`` again."""
        for record in self._reader.read(max(0, cursor - WINDOW_ROWS), WINDOW_ROWS):
            if record.seq > cursor:
                break
            try:
                self._note(record, self.lines(record))
            except UnmappableError:
                continue

    def lines(self, record: Record) -> list[Line]:
        """The points of one record as they were or will be sent. Raises UnmappableError."""
        return self._mapper.lines(record, self._ledger.shift(record.user, record.id))

    def refresh(self) -> None:
        """Find points where other processes have put them by now. StoreError."""
        self._ledger.refresh()

    def pack(self, rows: Rows) -> Chunk:
        """The work of these rows. Raises StoreError."""
        self.refresh()
        chunk = Chunk(first=rows.records[0].seq if rows.records else rows.through, through=rows.through,
                      events=len(rows.records))  # fmt: skip
        erased: dict[tuple[str, int], Erasure] = {}
        for record in rows.records:
            try:
                lines = [] if record.seq in rows.withheld else self._placed(record)
            except UnmappableError as error:
                chunk.refusals.append(RefusedLine(record.seq, 0, error.reason, 0, str(error)))
                lines = []
            chunk.lines += [SentLine(record.seq, place, line) for place, line in enumerate(lines)]
            for line in self._outdated(record, rows.older.get(record.seq, ()), lines, chunk):
                erased[line.point] = Erasure(record.seq, line)
        if self._deletes == "delete":
            chunk.erasures = list(erased.values())
        else:
            chunk.lines[:0] = [SentLine(0, place, mark(one.line)) for place, one in enumerate(erased.values())]
        return chunk

    def latest(self, seq: int) -> Record | None:
        """The latest version of the event that has this row; None when that is a tombstone, or purged."""
        row = self._reader.get(seq)
        newest = self._reader.find(row.user, row.id) if row is not None else None
        return newest if newest is not None and newest.op == Op.UPSERT and newest.body else None

    def _outdated(self, newer: Record, older: Sequence[Record], lines: Sequence[Line], chunk: Chunk) -> list[Line]:
        """Points of older versions that the newest one does not overwrite in full."""
        names = {line.point: line.names for line in lines}
        outdated = []
        for record in older:
            if record.op == Op.UPSERT and not record.body:
                chunk.refusals.append(
                    RefusedLine(
                        newer.seq, 0, "purged", 0, _BODY_GONE if self._deletes == "delete" else _BODY_GONE_MARKS
                    )
                )
                if self._deletes == "delete":
                    outdated.append(self._mapper.first_point(record, self._ledger.shift(record.user, record.id)))
                continue
            try:
                before = self.lines(record)
            except UnmappableError:
                continue
            for line in before:
                overwritten = names.get(line.point)
                if overwritten is None or (self._deletes == "delete" and not line.names <= overwritten):
                    outdated.append(line)
        return outdated

    def _placed(self, record: Record) -> list[Line]:
        """The lines of a record, moved out of the way of other events in the window; the move is kept for ever."""
        lines = self.lines(record)
        if self._blocked(record, lines):
            for shift in range(1, _TRIES):
                lines = self._mapper.lines(record, shift)
                if not self._blocked(record, lines):
                    break
            else:
                raise UnmappableError("other points of its series fill this millisecond")
            self._ledger.displace(record.user, record.id, shift)
        self._note(record, lines)
        return lines

    def _blocked(self, record: Record, lines: Sequence[Line]) -> bool:
        window, owner = self._window, (record.user, record.id)
        return any(window.get((series, time_ns), owner) != owner for series, _, time_ns in lines)

    def _note(self, record: Record, lines: Sequence[Line]) -> None:
        window, owner = self._window, (record.user, record.id)
        for series, _, time_ns in lines:
            window[series, time_ns] = owner
        while len(window) > _WINDOW_POINTS:
            window.popitem(last=False)


def mark(line: Line) -> Line:
    """What says that this point is deleted, where a server deletes none."""
    return Line(line.series, flag("deleted", True), line.time_ns)
