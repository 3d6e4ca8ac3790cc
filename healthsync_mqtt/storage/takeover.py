"""Rows of another log into this one: a bridge takes over users whose events another bridge stored until now.

Everything of such a user goes along, superseded and purged rows too, in order. So a repeat stays a duplicate, a
correction finds what it corrects, and what was deleted stays deleted. What payload formats remember goes along.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Final

from healthsync_mqtt.model.event import Event
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.port import EventLog, Item, LogReader

_A_COMMIT: Final = 2_000


def take_over(
    log: EventLog, own: LogReader, other: LogReader, owns: Callable[[str], bool], types: Iterable[str]
) -> int:
    """Copy the rows of the users that ``owns`` names; how many were new here. May be done again at any time.

    Readers of ``log`` that were at its end are at its end afterwards, but for the sinks: whoever listens has had these
    events from the other bridge. Durable when it returns.
    """
    before = own.head()
    for name in types:
        if (purged_us := other.purged_before(name)) is not None:
            log.purge(name, purged_us, [])
    for portion in _portions(row for row in _rows(other) if owns(row.user)):
        for received_us, rows in groupby(portion, key=lambda row: row.received_us):
            log.stage([_item(row) for row in rows], [], received_us)
        log.commit()
    for memory in other.format_memories():
        if owns(memory.user):
            log.remember(memory)
    for name, seq in own.cursors().items():
        if seq >= before and not name.startswith(("sink:", "clock:")):
            log.set_cursor(name, own.head())
    log.commit()
    return own.head() - before


def _rows(other: LogReader) -> Iterator[Record]:
    """Every row in order."""
    at = 0
    while rows := other.every(at, _A_COMMIT):
        yield from rows
        at = rows[-1].seq


def _portions(rows: Iterable[Record]) -> Iterator[list[Record]]:
    portion: list[Record] = []
    for row in rows:
        portion.append(row)
        if len(portion) >= _A_COMMIT:
            yield portion
            portion = []
    if portion:
        yield portion


def _item(row: Record) -> Item:
    event = Event(row.id, row.type, row.start_us, row.end_us, row.version, row.op, row.body, 0)
    return Item(Origin(row.user, row.device, row.provider, ""), event)
