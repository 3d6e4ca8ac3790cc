"""Pages of the log for one question: a bounded look each, what the caller may see of it, and where to go on.

An event may be as long as a packet, so a page is bounded by bytes as well as by events, and rows are read a few at a
time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple

from healthsync_mqtt.model.record import Record
from healthsync_mqtt.model.start_position import FromPosition
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.storage.subscriber_start import place

MOST: Final = 1_000
"""Events of one page."""
MOST_BYTES: Final = 1_048_576
"""Bytes of the events of one page. One event that is longer is a page of its own."""
AT_ONCE_BYTES: Final = 131_072
"""The same of what a stream or a list that goes on holds at once."""
_AT_ONCE: Final = 32
"""Rows that are read at once: nobody knows how long they are before."""
_LOOK: Final = 10_000
"""Rows that are looked at for a page. One that ends there is short, and says where to go on."""
_STORY: Final = 100
"""Older versions of an event that are told."""
_FRAME: Final = 256
"""Bytes of an event beside its body: names and times."""


class Order(StrEnum):
    """In which order events come: as they were stored, or the newest first."""

    ASC = "asc"
    DESC = "desc"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which events of a user are asked for; times are of their start."""

    user: str
    type: str | None = None
    device: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    order: Order = Order.ASC

    def fits(self, record: Record) -> bool:
        """What the log does not choose by itself."""
        in_time = self.until_us is None or record.start_us < self.until_us
        return in_time and self.device in {None, record.device} and not record.op


class EventPage(NamedTuple):
    """Events in the order that was asked for, and the place to go on from; None: there were no more."""

    events: list[Record]
    after: int | None


def size_of(record: Record) -> int:
    """About how long an event is where it is written out."""
    return len(record.body) + len(record.id) + _FRAME


def page(
    reader: LogReader,
    wanted: EventQuery,
    after: int,
    limit: int,
    shown: Callable[[Record], bool],
    *,
    most_bytes: int = MOST_BYTES,
) -> EventPage:
    """The newest versions of events behind ``after``, deleted ones left out, as far as ``shown`` lets them through.

    Behind is before it where the newest come first; there 0 is the end of the log.
    """
    found: list[Record] = []
    looked = size = 0
    while looked < _LOOK:
        rows = _next_rows(reader, wanted, after)
        for row in rows:
            if wanted.fits(row) and shown(row):
                size += size_of(row)
                if len(found) == limit or (found and size > most_bytes):
                    return EventPage(found, after)
                found.append(row)
            after = row.seq
        looked += len(rows)
        if len(rows) < _AT_ONCE:
            return EventPage(found, None)
    return EventPage(found, after)


def _next_rows(reader: LogReader, wanted: EventQuery, after: int) -> Sequence[Record]:
    read = partial(reader.read, user=wanted.user, type=wanted.type, since_us=wanted.since_us)
    if wanted.order is Order.ASC:
        return read(after, _AT_ONCE)
    return read(0, _AT_ONCE, newest=True, before=after or None)[::-1]


def newest_place(reader: LogReader, user: str, count: int) -> int:
    """The place in the log before the last ``count`` rows of a user."""
    last = reader.read(0, 1, user=user, history=True, newest=True)
    if not last or last[0].position <= count:
        return 0
    return place(FromPosition(last[0].position - count + 1), reader, reader.head(), user)


class PassedPage(NamedTuple):
    """What came into the log, superseded versions and deletions too, up to ``through``; ``more``: there is more now."""

    events: list[Record]
    through: int
    more: bool


def changes(
    reader: LogReader,
    after: int,
    limit: int,
    shown: Callable[[Record], bool],
    user: str | None = None,
    *,
    most_bytes: int = MOST_BYTES,
) -> PassedPage:
    """The next rows of one user or of everybody, as far as ``shown`` lets them through."""
    found: list[Record] = []
    size = rows = 0
    while True:
        part = reader.stretch(after, min(_AT_ONCE, limit - rows), look=_LOOK, user=user)
        for row in part.rows:
            if shown(row):
                size += size_of(row)
                if found and size > most_bytes:
                    return PassedPage(found, after, more=True)
                found.append(row)
            after = row.seq
        rows += len(part.rows)
        after = part.through
        if not part.more or rows >= limit or len(part.rows) < _AT_ONCE:
            return PassedPage(found, after, part.more)


class Story(NamedTuple):
    """One event: its newest version, and the older ones, newest first."""

    event: Record
    history: list[Record]


def story(reader: LogReader, user: str, event_id: str) -> Story | None:
    """An event with what it superseded, of very long the newest; None when there is none, or its content was purged."""
    event = reader.find(user, event_id)
    if event is None or not event.body:
        return None
    older = reader.superseded_by(event.seq, event.seq, newest=_STORY).get(event.seq, [])
    return Story(event, list(_within(MOST_BYTES, sorted(older, key=lambda each: -each.seq))))


def _within(most_bytes: int, rows: Sequence[Record]) -> Iterator[Record]:
    for row in rows:
        most_bytes -= size_of(row)
        if most_bytes < 0:
            return
        if row.body:
            yield row
