"""How many events there are of what: kept for whole blocks with each, counted when asked for in the rows after them.

A row is in the counts when its block is, it is an event with a body, and nothing in a block supersedes it. Whatever
changes one of these changes the counts in the same transaction: the block of what supersedes a row, and a purge and an
erasure of rows that are counted. The rows of the next block are tallied while they are staged, because sorting them
afterwards costs four times as much; where that was lost, or is not true any more, they are sorted.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import apsw

from healthsync_mqtt.storage.sqlite import index as identities
from healthsync_mqtt.storage.sqlite.connection import fetch, fetch_value
from healthsync_mqtt.storage.sqlite.shelves import Shelves
from healthsync_mqtt.storage.sqlite.statements import statements
from healthsync_mqtt.storage.whole_days import DAY_US, CutDay, WholeDays

SQL = statements("counting")
_INDEX_SQL = statements("index")


class BlockTally:
    """What rows are that were staged one after another: their numbers, and what else their block must be told of."""

    __slots__ = ("events", "has_versions", "supersedes")

    def __init__(self) -> None:
        #: By user, type, device, provider (numbers of names; 0: none) and day of such rows: how many are events.
        self.events: dict[tuple[int, int, int, int, int], int] = {}
        self.has_versions = False
        #: Whether one of them takes the place of a row.
        self.supersedes = False

    def add(self, whose: tuple[int, int, int, int], starts: Sequence[int], empty: Iterable[int]) -> None:
        """Rows of one user, type, device and provider; ``empty`` start those that are no event with a body."""
        first, last = min(starts) // DAY_US, max(starts) // DAY_US
        days = {first: len(starts)} if first == last else Counter([start // DAY_US for start in starts])
        for start in empty:
            days[start // DAY_US] -= 1
        for day, events in days.items():
            key = *whose, day
            self.events[key] = self.events.get(key, 0) + events


def count_block(connection: apsw.Connection, first: int, last: int, tally: BlockTally | None) -> None:
    """Count the newest block, these rows, and no longer what they supersede. ``tally``: of them, where it is known."""
    shelf = last >> identities.SHELF_LOG2
    block = {"shelf": shelf, "first": first, "last": last}
    if tally is None:
        fetch(connection, SQL["count_block"], block)
    else:
        rows = [(shelf, *key, events) for key, events in sorted(tally.events.items())]
        connection.executemany(SQL["add_count"], rows).fetchall()
    if tally is None or tally.supersedes:
        superseded = {
            "first": first, "last": last, "width": identities.SHELF_LOG2,
            "uncounted": fetch_value(connection, SQL["uncounted"]),
        }  # fmt: skip
        fetch(connection, SQL["uncount_superseded_by"], superseded)
    if tally is None or tally.has_versions:
        fetch(connection, SQL["fill_versions"], block)


def count_old_block(connection: apsw.Connection, indexed: int) -> bool:
    """Count the newest block that is not; ``indexed`` is the last row of all blocks. False: all are."""
    last = fetch_value(connection, SQL["uncounted"])
    if last:
        before = fetch_value(connection, _INDEX_SQL["block_before"], (last,))
        block = {"shelf": last >> identities.SHELF_LOG2, "first": before + 1, "last": last, "indexed": indexed}
        for each in ("count_block", "uncount_superseded", "fill_versions"):
            fetch(connection, SQL[each], block)
        fetch(connection, SQL["set_uncounted"], (before,))
    return bool(last)


def uncount(connection: apsw.Connection, seqs: Sequence[int], user: int | None = None) -> None:
    """Rows (of a user alone) that are about to lose their body, or their user, are no longer counted."""
    wanted = {
        "indexed": fetch_value(connection, _INDEX_SQL["indexed_through"]),
        "uncounted": fetch_value(connection, SQL["uncounted"]),
        "width": identities.SHELF_LOG2,
        "seqs": json.dumps(list(seqs)),
        "user": user,
    }
    fetch(connection, SQL["uncount_rows"], wanted)


def forget_versions(connection: apsw.Connection, seqs: Sequence[int], user: int) -> None:
    """Leave nothing of the versions of these rows of a user."""
    connection.executemany(SQL["forget_version"], [{"seq": seq, "user": user} for seq in seqs]).fetchall()


def forget_counts(connection: apsw.Connection, user: int) -> None:
    """Leave nothing that counts rows of a user, or says of which types they were."""
    last = fetch_value(connection, _INDEX_SQL["indexed_through"]) >> identities.SHELF_LOG2
    # What a log of before has on its shelves, too.
    for each in ("forget_counts", "forget_shelves"):
        fetch(connection, SQL[each], {"last": last, "user": user})


class CountedRows(NamedTuple):
    """So many rows of user, type, device, provider (numbers of names; 0: none) and day."""

    user: int
    type: int
    device: int
    provider: int
    day: int
    events: int


class Counts:
    """What a reader asks for, in numbers of names; inside of a snapshot."""

    def __init__(self, connection: apsw.Connection, shelves: Shelves) -> None:
        self._connection = connection
        self._shelves = shelves

    def rows(self, wanted: dict[str, Any], *, days: bool) -> Iterator[CountedRows]:
        """Counts that add up to what there is; without ``days``, all of them are of day 0.

        Whole days are in what is kept. Of a day that is asked for in part the rows on its shelves are looked at.
        """
        days_of = WholeDays.between(wanted["since"], wanted["until"])
        indexed, uncounted = self._shelves.indexed_through(), self._shelves.counted_after()
        asked = wanted | {"days": days, "indexed": indexed, "uncounted": uncounted}
        yield from self._scanned(asked, 0, uncounted)
        yield from self._scanned(asked, indexed, None)
        for part in days_of.parts:
            yield from self._part_of_day(asked, part)
        if days_of.none:
            return
        whole = {"first_day": days_of.first, "end_day": days_of.end, "last": indexed >> identities.SHELF_LOG2}
        yield from self._ask("kept" if wanted["user"] is None else "kept_of_user", asked | whole)
        edges = {"since": days_of.since_us, "until": days_of.until_us}
        yield from self._ask("superseded_since", asked | edges)

    def lost(self, users: Sequence[int], is_gone: Callable[[str, bytes, int], bool]) -> list[int]:
        """Those of them whose oldest sealed row cannot be opened any more."""
        indexed = self._shelves.indexed_through()
        only = users[0] if len(users) == 1 else None
        newer = {
            user: (event_id, body, how)
            for user, _, how, event_id, body in fetch(
                self._connection, SQL["sealed_since"], {"indexed": indexed, "user": only}
            )
        }
        found = []
        for user in users:
            oldest = self._oldest_sealed(user, indexed) or newer.get(user)
            if oldest is not None and is_gone(*oldest):
                found.append(user)
        return found

    def _oldest_sealed(self, user: int, indexed: int) -> tuple[str, bytes, int] | None:
        for low, high in self._shelves.of_user(user, 0, indexed):
            part = {"user": user, "low": low, "high": high}
            for how, event_id, body in fetch(self._connection, SQL["sealed_of_user"], part):
                return event_id, body, how
        return None

    def _part_of_day(self, asked: dict[str, Any], part: CutDay) -> Iterator[CountedRows]:
        wanted, uncounted = asked | {"since": part.since, "until": part.until}, asked["uncounted"]
        for low, high in self._shelves.with_rows(asked, uncounted, asked["indexed"], part.day, part.day + 1):
            yield from self._scanned(wanted, low, high)

    def _scanned(self, asked: dict[str, Any], after: int, through: int | None) -> Iterator[CountedRows]:
        """Of the rows after ``after``, up to ``through``; None: after all blocks."""
        if through is not None and after >= through:
            return
        if through is None or asked["user"] is None:
            yield from self._ask("scan", asked | {"after": after, "through": through})
            return
        for low, high in self._shelves.of_user(asked["user"], after, asked["indexed"], through, type_no=asked["type"]):
            yield from self._ask("scan_of_user", asked | {"after": after, "low": low, "high": high})

    def _ask(self, name: str, wanted: dict[str, Any]) -> Iterator[CountedRows]:
        return (CountedRows(*row) for row in fetch(self._connection, SQL[name], wanted))
