"""Pages of the log for one question: a bounded look each, what the caller may see of it, and where to go on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.port import LogReader

MOST: Final = 1_000
"""Events of one page."""
_AT_ONCE: Final = 500
_LOOK: Final = 10_000
"""Rows that are looked at for a page. One that ends there is short, and says where to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which events of a user are asked for; times are of their start."""

    user: str
    type: str | None = None
    device: str | None = None
    since_us: int | None = None
    until_us: int | None = None

    def fits(self, record: Record) -> bool:
        """What the log does not choose by itself."""
        in_time = self.until_us is None or record.start_us < self.until_us
        return in_time and self.device in {None, record.device} and not record.op


class EventPage(NamedTuple):
    """Events in log order, and the place to go on from; None: there were no more."""

    events: list[Record]
    after: int | None


def page(reader: LogReader, wanted: EventQuery, after: int, limit: int, shown: Callable[[Record], bool]) -> EventPage:
    """The newest versions of events behind ``after``, deleted ones left out, as far as ``shown`` lets them through."""
    found: list[Record] = []
    looked = 0
    while looked < _LOOK:
        rows = reader.read(after, _AT_ONCE, user=wanted.user, type=wanted.type, since_us=wanted.since_us)
        for row in rows:
            if wanted.fits(row) and shown(row):
                if len(found) == limit:
                    return EventPage(found, after)
                found.append(row)
            after = row.seq
        looked += len(rows)
        if len(rows) < _AT_ONCE:
            return EventPage(found, None)
    return EventPage(found, after)


class PassedPage(NamedTuple):
    """What came into the log, superseded versions and deletions too, up to ``through``; ``more``: there is more now."""

    events: list[Record]
    through: int
    more: bool


def changes(
    reader: LogReader, after: int, limit: int, shown: Callable[[Record], bool], user: str | None = None
) -> PassedPage:
    """The next rows of one user or of everybody, as far as ``shown`` lets them through."""
    found = reader.stretch(after, limit, look=_LOOK, user=user)
    return PassedPage([row for row in found.rows if shown(row)], found.through, found.more)


class Story(NamedTuple):
    """One event: its newest version, and the older ones, newest first."""

    event: Record
    history: list[Record]


def story(reader: LogReader, user: str, event_id: str) -> Story | None:
    """An event with what it superseded; None when there is none, or its content was purged."""
    event = reader.find(user, event_id)
    if event is None or not event.body:
        return None
    older = reader.superseded_by(event.seq, event.seq).get(event.seq, [])
    return Story(event, sorted((each for each in older if each.body), key=lambda each: -each.seq))
