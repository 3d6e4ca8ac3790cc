"""Where in the log rows of somebody, or of something, may lie: found by shelves, and not by looking at rows."""

from collections.abc import Iterator, Mapping
from typing import Any

import apsw

from healthsync_mqtt.storage.sqlite import index as identities
from healthsync_mqtt.storage.sqlite.connection import fetch, fetch_value
from healthsync_mqtt.storage.sqlite.statements import statements

_SQL = statements("shelves")
_INDEX_SQL = statements("index")
_COUNTING_SQL = statements("counting")


class Shelves:
    """For a reader, inside of its snapshot. A stretch is of the rows after its first number, up to its second."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def indexed_through(self) -> int:
        """The last row of all blocks."""
        through: int = fetch_value(self._connection, _INDEX_SQL["indexed_through"])
        return through

    def unshelved(self) -> int:
        """The last row of the blocks of before that are on no shelf yet."""
        unshelved: int = fetch_value(self._connection, _INDEX_SQL["unshelved"])
        return unshelved

    def of_user(
        self,
        user: int,
        after: int,
        indexed: int,
        through: int | None = None,
        *,
        type_no: int | None = None,
        newest: bool = False,
    ) -> Iterator[tuple[int, int]]:
        """Where blocks with rows of the user may lie: their last rows are after the first number, up to the second.

        In their order, or the last ones first. A block on a shelf without the user is left out; one that is on none
        yet is not.
        """
        unshelved, width = self.unshelved(), identities.SHELF_LOG2
        end = indexed if through is None else self.block_end(through, indexed)
        old, start = (after, min(unshelved, end)), max(after, unshelved)
        if old[0] < old[1] and not newest:
            yield old
        # Blocks that are counted need not be on their shelves otherwise.
        which = "with_user_of_before" if self.counted_after() else "with_user"
        for shelf in self._found(which, start + 1, end, {"user": user, "type": type_no}, newest=newest):
            yield max(start, (shelf << width) - 1), min(end, ((shelf + 1) << width) - 1)
        if old[0] < old[1] and newest:
            yield old

    def counted_after(self) -> int:
        """The last row of the blocks of before that are not counted yet: 0 where all are."""
        after: int = fetch_value(self._connection, _COUNTING_SQL["uncounted"])
        return after

    def only_user_of(self, device: int) -> int | None:
        """The one user who has rows of this device in counted blocks; None where there are none, or several."""
        users = fetch(self._connection, _SQL["users_of_device"], (device,))
        return users[0][0] if len(users) == 1 else None

    def with_rows(
        self,
        wanted: Mapping[str, Any],
        after: int,
        through: int,
        first_day: int | None,
        end_day: int | None,
        *,
        newest: bool = False,
    ) -> Iterator[tuple[int, int]]:
        """Stretches with rows of this user, type and device (None: any) that start on these days; of counted blocks."""
        if after >= through:
            return
        asked = {key: wanted[key] for key in ("user", "type", "device")}
        asked |= {"first_day": first_day, "end_day": end_day}
        which = "with_rows" if asked["user"] is None else "with_rows_of_user"
        for shelf in self._found(which, after + 1, self._block_end(through), asked, newest=newest):
            low, high = (self._block_before(edge << identities.SHELF_LOG2) for edge in (shelf, shelf + 1))
            if max(after, low) < min(through, high):
                yield max(after, low), min(through, high)

    def block_end(self, seq: int, indexed: int) -> int:
        """The last row of the block that has this one, of all blocks at most."""
        return indexed if seq >= indexed else self._block_end(seq)

    def _found(
        self, which: str, first_row: int, last_row: int, asked: dict[str, Any], *, newest: bool
    ) -> Iterator[int]:
        """Shelves that have something of it, between those of two rows."""
        first, last = first_row >> identities.SHELF_LOG2, last_row >> identities.SHELF_LOG2
        while first_row <= last_row and first <= last:
            places = {"first": last, "last": first, "step": -1} if newest else {"first": first, "last": last, "step": 1}
            found = fetch(self._connection, _SQL[which], asked | places)
            if not found:
                return
            shelf = found[0][0]
            yield shelf
            first, last = (first, shelf - 1) if newest else (shelf + 1, last)

    def _block_end(self, seq: int) -> int:
        """The last row of the block that has this one."""
        end: int = fetch_value(self._connection, _SQL["block_end"], (seq,))
        return end

    def _block_before(self, seq: int) -> int:
        before: int = fetch_value(self._connection, _INDEX_SQL["block_before"], (seq,))
        return before
