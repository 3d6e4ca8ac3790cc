"""Which blocks may hold a row that says something inside: kept for some together, and asked before rows are read.

Of each user with some rows in them there is a sketch (``storage.sketch``), made of the rows while they are staged and
written with the last of those blocks. What takes something out of a row, or a row out of a block, takes the sketch away
in the same transaction; then, and in blocks of before, rows are looked through again, a few with each commit.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple

import apsw

from healthsync_mqtt.keys.faults import KeyUnavailableError, TamperedError
from healthsync_mqtt.model.choice import Contents
from healthsync_mqtt.storage.sealing import SEALED
from healthsync_mqtt.storage.sketch import Gathering, UsersGathered, may_hold
from healthsync_mqtt.storage.sqlite.connection import fetch, fetch_value
from healthsync_mqtt.storage.sqlite.index import Tuning
from healthsync_mqtt.storage.sqlite.statements import statements

_SQL = statements("sketches")
_INDEX_SQL = statements("index")
_LOCKED: Final = (KeyUnavailableError, TamperedError)
"""A user's key cannot be had, or not be used."""


class SketchMaking(NamedTuple):
    """What the writer lends: how a sketch of user and block is kept, and a row opened."""

    is_sealed: Callable[[], bool]
    #: The user's number, the block, the sketch, and the stored id, body and mark of one of the rows: None, where their
    #: key was destroyed meanwhile.
    seal: Callable[[int, int, bytes, Any], bytes | None]
    #: Of a row with ``sealed`` behind: its body, its type and its provider. TamperedError: it is damaged.
    told: Callable[[Any], tuple[bytes, str, str | None]]


class Sketches:
    """The writer's. Runs inside of its transactions."""

    def __init__(self, connection: apsw.Connection, making: SketchMaking, tuning: Tuning) -> None:
        self._connection = connection
        self._making = making
        self._rows_per_step = tuning.rows_per_sketching
        self._least_rows = tuning.rows_per_sketch
        self._rows_together = tuning.rows_sketched_together
        #: Of the rows since blocks last had their sketches, and of those that get them with the next block; None: it is
        #: not known.
        self.gathered: UsersGathered[int] | None = None
        self._of_blocks: UsersGathered[int] | None = None
        #: How many rows those are, the blocks that wait for sketches, and whether the next block brings them.
        self._rows = 0
        self._blocks: list[int] = []
        self._complete = False
        #: Those that are looked through again (the last of their blocks), the next row, and what those before hold.
        self._again: tuple[int, int, UsersGathered[int]] | None = None
        self._more = True

    def begun(self, gathered: UsersGathered[int], user: int, seq: int) -> Gathering:
        """Where rows of the user are added; this one is the first."""
        return gathered.begun(user, seq, self._least_rows, sealed=self._making.is_sealed())

    def forget(self) -> None:
        """Drop what is half done in memory."""
        self._of_blocks = self._again = None
        self.gathered = UsersGathered() if fetch_value(self._connection, _SQL["all_sketched"]) else None
        self._blocks = [block for (block,) in fetch(self._connection, _SQL["alone"])]
        self._rows, self._complete, self._more = 0, False, True

    def add_run(self, rows: int) -> None:
        """So many rows have a run, and get their block next."""
        self._rows += rows
        self._complete = self._rows >= self._rows_together
        if self._complete:
            self._of_blocks, self.gathered, self._rows = self.gathered, UsersGathered(), 0

    def add_block(self, block: int, first: int) -> None:
        """They have it; ``first`` is the first of them."""
        self._blocks.append(block)
        if not self._complete:
            return
        self._complete, blocks, self._blocks = False, self._blocks, []
        if blocks[0] != block:
            first = fetch_value(self._connection, _INDEX_SQL["block_before"], (blocks[0],)) + 1
        together = [(each, block, first) for each in blocks]
        self._connection.executemany(_SQL["put_together"], together).fetchall()
        gathered, self._of_blocks = self._of_blocks, None
        if gathered is not None:
            with suppress(*_LOCKED):
                self._write(block, gathered)
                return
        self._note(block)

    def step(self) -> None:
        """Look through a few rows of the newest block that lost its sketches, or has none yet.

        Nobody's commit waits for a key: without it that is done some other time.
        """
        try:
            self._step()
        except _LOCKED:
            self._again, self._more = None, False

    def _step(self) -> None:
        if self._again is None:
            block = fetch_value(self._connection, _SQL["newest_unsketched"]) if self._more else None
            if block is None:
                self._more = False
                return
            self._again = block, fetch_value(self._connection, _SQL["first_of"], (block,)), UsersGathered()
        block, first, gathered = self._again
        wanted = {"first": first, "last": block, "limit": self._rows_per_step}
        rows = fetch(self._connection, _SQL["rows_without"], wanted)
        together: defaultdict[tuple[int, str, str | None], list[bytes]] = defaultdict(list)
        for row in rows:
            of_user = gathered.get(row[2]) or self.begun(gathered, row[2], row[0])
            try:
                body, type_name, provider = self._making.told(row)
            except TamperedError:  # whoever reads it is told so
                of_user.unread = True
            else:
                together[row[2], type_name, provider].append(body)
        for (user, type_name, provider), bodies in together.items():
            gathered[user].add(type_name, provider, bodies)
        if len(rows) == self._rows_per_step:
            self._again = block, rows[-1][0] + 1, gathered
            return
        self._again = None
        self._write(block, gathered)
        fetch(self._connection, _SQL["done"], (block,))

    def forget_rows(self, seqs: Sequence[int], user: int | None = None) -> None:
        """These rows (of a user alone) will not hold what they do, or not be kept as they are."""
        for block, of_user in fetch(self._connection, _SQL["of_rows"], {"seqs": json.dumps(list(seqs)), "user": user}):
            self._forget(block, of_user)

    def forget_user(self, user: int) -> None:
        """Leave nothing of a user whose rows are gone."""
        fetch(self._connection, _SQL["forget_user"], (user,))

    def _forget(self, block: int, user: int) -> None:
        if not self._making.is_sealed() or fetch_value(self._connection, _SQL["is_told"], (block,)):
            fetch(self._connection, _SQL["forget_block"], (block,))
        else:
            fetch(self._connection, _SQL["forget"], {"block": block, "user": user})
        self._note(block)

    def _note(self, block: int) -> None:
        fetch(self._connection, _SQL["note_unsketched"], (block,))
        self._again, self._more = None, True

    def _write(self, block: int, gathered: UsersGathered[int]) -> None:
        sealed = self._making.is_sealed()
        kept, told = gathered.kept(self._least_rows, partial(self._seal, block) if sealed else None)
        rows = [(block, user, sketch, SEALED if sealed else None) for user, sketch in kept]
        if told is not None:
            rows.append((block, 0, told, None))
        self._connection.executemany(_SQL["add"], rows).fetchall()

    def _seal(self, block: int, user: int, gathered: Gathering, sketch: bytes) -> bytes | None:
        stored = fetch(self._connection, _SQL["stored_row"], (gathered.first,))[0]
        return self._making.seal(user, block, sketch, stored)


class SketchedBlocks:
    """For a reader, inside of its snapshot: what is left of stretches when their blocks were asked.

    ``opened`` makes of user, block, sketch and ``sealed`` the sketch as it was made: None where the user's key was
    destroyed; ``sketch.UNKNOWN`` where it is not to be trusted.
    """

    def __init__(
        self, connection: apsw.Connection, opened: Callable[[int, int, bytes, int | None], bytes | None]
    ) -> None:
        self._connection = connection
        self._opened = opened

    def of_user(
        self,
        stretches: Iterable[tuple[int, int]],
        user: int,
        contents: Contents,
        type_name: str | None,
        *,
        newest: bool = False,
    ) -> Iterator[tuple[int, int]]:
        """Of stretches of blocks those that have a row of the user like that, perhaps."""
        which = _SQL["of_user_backward" if newest else "of_user"]
        asked, may_hold = 0, True
        for low, high in stretches:
            for block, together, sketch, how in fetch(
                self._connection, which, {"user": user, "low": low, "high": high}
            ):
                if together != asked:
                    asked = together
                    may_hold = sketch is None or self._may_hold(user, together, sketch, how, contents, type_name)
                if may_hold:
                    yield block - 1, block

    def of_all(
        self, stretches: Iterable[tuple[int, int]], contents: Contents, type_name: str | None, *, newest: bool = False
    ) -> Iterator[tuple[int, int]]:
        """Of stretches of rows in blocks those that have one like that, perhaps."""
        which = _SQL["blocks_backward" if newest else "blocks"]
        asked, may_hold = 0, True
        for low, high in stretches:
            last = fetch_value(self._connection, _SQL["block_of"], (high,))
            for block, together in fetch(self._connection, which, {"low": low, "high": last}):
                if together != asked:
                    asked = together
                    may_hold = together is None or self._block_may_hold(together, contents, type_name)
                if may_hold:
                    before = fetch_value(self._connection, _INDEX_SQL["block_before"], (block,))
                    yield max(low, before), min(high, block)

    def _block_may_hold(self, block: int, contents: Contents, type_name: str | None) -> bool:
        kept = {user: (sketch, how) for user, sketch, how in fetch(self._connection, _SQL["of_block"], (block,))}
        whole = kept.pop(0, None)
        if whole is None:
            return True
        if whole[0]:
            return self._may_hold(0, block, *whole, contents, type_name)
        return any(self._may_hold(user, block, *each, contents, type_name) for user, each in kept.items())

    def _may_hold(  # noqa: PLR0917  # a row of the table, and what is asked
        self, user: int, block: int, stored: bytes, how: int | None, contents: Contents, type_name: str | None
    ) -> bool:
        return may_hold(self._opened(user, block, stored, how), contents, type_name)
