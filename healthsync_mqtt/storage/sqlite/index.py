"""Which row of the log holds an event id: a dictionary over the newest rows, sorted runs on disk for the rest.

A new event must be told from 20 million old ones without a look at the disk: the filter answers "in no run" from
memory, wrongly "perhaps" about once in two hundred times. Opening reads none of it, so that a start takes as long with
20 million rows as with none: see ``CatchUp``.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from mmap import mmap

import apsw

from healthsync_mqtt.storage.sqlite.connection import fetch, fetch_value
from healthsync_mqtt.storage.sqlite.statements import statements

SQL = statements("index")

#: Identities are non-negative SQLite integers.
IDENTITY_MASK = (1 << 63) - 1

SHELF_LOG2 = 19
"""Rows of the log that one shelf is for: blocks are on the shelf of their last row."""

_BITS_PER_IDENTITY = 16
_LARGEST_FILTER_LOG2 = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Sizes of the index. The defaults are measured; tests use small ones to reach every state."""

    #: Rows in the dictionary before they become a block and a run; two commits in so many rows are some 2 ms slower.
    rows_per_block: int = 2048
    #: A commit of less than one so-many-th of them leaves what is due to the next of more, so many commits after one.
    few_per_block: int = 40
    commits_left: int = 8
    #: Commits between two blocks of an older log that are put on their shelves.
    commits_per_old_block: int = 16
    #: Staged rows that are counted and read for their sketches together, at least: one by one each takes twice as much.
    rows_at_once: int = 256
    #: Rows that a commit looks through for what they hold, of blocks where that is not known: some 2 ms.
    rows_per_sketching: int = 256
    #: Rows whose blocks have their sketches together, at least: a sketch of few rows costs as much as one of many.
    rows_sketched_together: int = 16_384
    #: Rows of a user in them that are worth a sketch: fewer are read as fast.
    rows_per_sketch: int = 64
    #: Runs of a level that are merged into one of the next.
    runs_per_level: int = 16
    #: One step of upkeep (a slice of a merge and a part of the filter) is done for so many staged rows.
    rows_per_step: int = 128
    #: Identities that one merge step moves. A row is moved once per level, so this is 4 levels' worth.
    moves_per_step: int = 512
    #: Size of the first filter; the following ones are 4 times larger, up to 2**30 bits (67 million rows).
    first_filter_log2: int = 24
    #: Rows before the filter is saved again, at least; more for a large filter.
    rows_per_snapshot: int = 131_072
    #: Bytes of one part of a saved filter.
    part_bytes: int = 65_536
    #: After a start: saved parts that one commit reads, and identities that it looks through, for each staged row and
    #: at least. Some 4 ms a commit until all is caught up.
    parts_per_catch_up: int = 32
    identities_per_row: int = 16
    identities_per_catch_up: int = 4096


def identity_function(secret: bytes) -> Callable[[int, str], int]:
    """The keyed hash of (user number, event id). Keyed, so that no sender can choose ids that collide."""
    seeded = blake2b(digest_size=8, key=secret)

    def identity(user: int, event_id: str) -> int:
        digest = seeded.copy()
        digest.update(f"{user}:{event_id}".encode())
        return int.from_bytes(digest.digest(), "big") >> 1

    return identity


class Filter:
    """The identities of the rows ``first_seq`` and later, up to its capacity. Three bits each, only ever set."""

    __slots__ = ("bits", "bits_log2", "capacity", "first_seq", "generation", "last_seq", "mask", "through", "unread")

    def __init__(self, generation: int, bits_log2: int, first_seq: int, through: int) -> None:
        self.generation = generation
        self.bits_log2 = bits_log2
        # Mapped, not filled: pages of zeros cost nothing until they are used.
        self.bits = mmap(-1, 1 << (bits_log2 - 3))
        self.mask = (1 << bits_log2) - 1
        self.capacity = (1 << bits_log2) // _BITS_PER_IDENTITY
        self.first_seq = first_seq
        #: The saved parts hold every identity up to this seq.
        self.through = through
        #: The last row of a full filter; None while rows are still added.
        self.last_seq: int | None = None
        #: Saved parts that are not in ``bits`` yet.
        self.unread: set[int] = set()

    def add_part(self, part: int, saved: bytes) -> None:
        """Add the bits of a saved part to what was set meanwhile."""
        start = part * len(saved)
        held = int.from_bytes(self.bits[start : start + len(saved)], "little")
        self.bits[start : start + len(saved)] = (held | int.from_bytes(saved, "little")).to_bytes(len(saved), "little")

    def places(self, identity: int) -> tuple[int, int, int]:
        """The numbers of the bits of an identity."""
        return identity & self.mask, (identity >> 31) & self.mask, (identity + (identity >> 31)) & self.mask

    def add_all(self, identities: Iterable[int]) -> None:
        bits, mask = self.bits, self.mask
        for identity in identities:
            place = identity & mask
            bits[place >> 3] |= 1 << (place & 7)
            place = (identity >> 31) & mask
            bits[place >> 3] |= 1 << (place & 7)
            place = (identity + (identity >> 31)) & mask
            bits[place >> 3] |= 1 << (place & 7)


class IdentityIndex:
    """The writer's index. Reads through the writer's own connection, so it sees what is staged."""

    def __init__(self, connection: apsw.Connection, tuning: Tuning) -> None:
        self._connection = connection
        self.tuning = tuning
        self.recent: dict[int, int] = {}
        self.indexed_through = 0
        self.filters: list[Filter] = []
        self._tables: list[tuple[mmap, int]] = []
        #: None once the filters hold everything.
        self.catch_up: CatchUp | None = None

    def load(self) -> None:
        """Read the committed state: the rows after the runs, and which filters there are; not what is in them.

        A filter that is in memory already is kept: bits of rows that were rolled back only make it say "perhaps".
        """
        self.indexed_through = fetch_value(self._connection, SQL["indexed_through"])
        self.recent = dict(fetch(self._connection, SQL["unindexed"], (self.indexed_through,)))
        in_memory = {held.generation: held for held in self.filters}
        filters: list[Filter] = []
        for generation, bits_log2, first_seq, through in fetch(self._connection, SQL["filters"]):
            held = in_memory.get(generation) or Filter(generation, bits_log2, first_seq, through)
            held.through = through
            held.last_seq = None
            if filters:
                filters[-1].last_seq = first_seq - 1
            filters.append(held)
        self.filters = filters
        if filters and not in_memory:
            self.catch_up = CatchUp(self._connection, filters, self.indexed_through, self.tuning)
        self._refresh_tables()

    def known(self, identities: Iterable[int]) -> dict[int, int]:
        """The newest row with each of these that has one.

        The runs are asked for all of them at once: one after the other, an event that is there already cost three
        times as much as a new one, which no run is asked for.
        """
        recent, tables, catch_up = self.recent, self._tables, self.catch_up
        found: dict[int, int] = {}
        perhaps: list[int] = []
        for identity in identities:
            if (seq := recent.get(identity)) is not None:
                found[identity] = seq
                continue
            if catch_up is not None and catch_up.perhaps(identity):
                perhaps.append(identity)
                continue
            for bits, mask in tables:
                place = identity & mask
                if bits[place >> 3] >> (place & 7) & 1:
                    place = (identity >> 31) & mask
                    if bits[place >> 3] >> (place & 7) & 1:
                        place = (identity + (identity >> 31)) & mask
                        if bits[place >> 3] >> (place & 7) & 1:
                            perhaps.append(identity)
                            break
        if perhaps:
            found.update(fetch(self._connection, SQL["newest_of_all"], (json.dumps(perhaps),)))
        return found

    def newest(self, identity: int) -> int:
        """The newest row with this identity, 0 when there is none."""
        return self.known((identity,)).get(identity, 0)

    def filter_for_next_rows(self) -> Filter:
        """The filter to add to; a new and larger one when the last is full."""
        first_seq = self.indexed_through + 1
        if self.filters and first_seq - self.filters[-1].first_seq < self.filters[-1].capacity:
            return self.filters[-1]
        bits_log2 = self.tuning.first_filter_log2
        if self.filters:
            self.filters[-1].last_seq = self.indexed_through
            bits_log2 = min(self.filters[-1].bits_log2 + 2, max(_LARGEST_FILTER_LOG2, bits_log2))
        added = Filter(len(self.filters) + 1, bits_log2, first_seq, self.indexed_through)
        fetch(self._connection, SQL["add_filter"], (added.generation, bits_log2, first_seq, added.through))
        self.filters.append(added)
        self._refresh_tables()
        return added

    def _refresh_tables(self) -> None:
        # Newest first: it is the largest, and a resent event is most often a new one.
        self._tables = [(held.bits, held.mask) for held in reversed(self.filters)]


class CatchUp:
    """What the filters of a log that was just opened do not hold yet, and how they come to hold it.

    Saved parts are read when a look-up needs them, the rest a few with each commit. Rows that are newer than their
    saved filter are looked up in their runs, until the filter holds them: they are taken over by slices of the range of
    identities, because merges move identities from run to run but never change them.
    """

    def __init__(self, connection: apsw.Connection, filters: Sequence[Filter], head: int, tuning: Tuning) -> None:
        self._connection = connection
        self._filters = filters
        self._tuning = tuning
        self._behind = [held for held in filters if held.through < (head if held.last_seq is None else held.last_seq)]
        #: Identities below this are in the filters, whichever rows have them.
        self._low = 0 if self._behind else IDENTITY_MASK + 1
        self._after = min((held.through for held in self._behind), default=head)
        for held in filters:
            if held.through >= held.first_seq:
                held.unread = set(range(max(1, len(held.bits) // tuning.part_bytes)))

    def perhaps(self, identity: int) -> bool:
        """Whether a row may have it that the filters do not tell of; then only the runs know."""
        for held in self._filters:
            if held.unread:
                for place in held.places(identity):
                    self._read(held, place // (8 * self._tuning.part_bytes))
        if identity < self._low:
            return False
        return bool(fetch(self._connection, SQL["is_after"], (identity, self._after)))

    def step(self, staged_rows: int) -> bool:
        """Catch up by a piece whose size follows the commit's. True at the end."""
        parts = self._tuning.parts_per_catch_up
        for held in self._filters:
            while held.unread and parts:
                self._read(held, min(held.unread))
                parts -= 1
        if self._low <= IDENTITY_MASK:
            self._take_over(max(self._tuning.identities_per_catch_up, staged_rows * self._tuning.identities_per_row))
        return self._low > IDENTITY_MASK and not any(held.unread for held in self._filters)

    def _take_over(self, identities: int) -> None:
        rows = fetch_value(self._connection, SQL["rows_in_runs_after"], (self._after,))
        width = IDENTITY_MASK * identities // max(rows, 1)
        high = min(self._low + width, IDENTITY_MASK)
        found = fetch(self._connection, SQL["identities_after"], {"after": self._after, "low": self._low, "high": high})
        for held in self._behind:
            last = held.last_seq
            held.add_all(one for one, seq in found if seq > held.through and (last is None or seq <= last))
        self._low = high + 1

    def _read(self, held: Filter, part: int) -> None:
        if part in held.unread:
            for (saved,) in fetch(self._connection, SQL["filter_part"], (held.generation, part)):
                held.add_part(part, saved)
            held.unread.discard(part)
