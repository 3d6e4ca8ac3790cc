"""Which rows may say something inside: kept for blocks of the log, and asked before rows are read.

``seq`` counts up without gaps, so a block is so many rows, whoever writes them. Of each user with some rows in it there
is a sketch (``storage.sketch``). A writer that has staged all rows of a block has made them meanwhile, and writes them
with the commit that ends it. Where several wrote, and where something is taken out of a row, the sketches are taken
away in the same transaction, and rows are looked through again, a few with each commit.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

from healthsync_mqtt.keys.faults import KeyUnavailableError, TamperedError
from healthsync_mqtt.model.choice import Contents
from healthsync_mqtt.postgres.connection import Connection
from healthsync_mqtt.storage.port import NOBODY
from healthsync_mqtt.storage.postgres.arrays import BigintArray, TextArray
from healthsync_mqtt.storage.postgres.connection import fetch, run
from healthsync_mqtt.storage.postgres.sealing import StoredRow
from healthsync_mqtt.storage.postgres.statements import statements
from healthsync_mqtt.storage.sealing import SEALED
from healthsync_mqtt.storage.sketch import Gathering, UsersGathered, may_hold

_SQL = statements("sketches")
BLOCK_LOG2: Final = 14
"""Rows of a block. A log that has sketches has them for blocks of this many."""
_ROWS_PER_STEP: Final = 256
"""Rows that a commit looks through."""
_LEAST_ROWS: Final = 64
"""Rows of a user in a block that are worth a sketch: fewer are read as fast."""
_BLOCKS_AT_ONCE: Final = 64
"""Blocks whose sketches a reader has in memory."""
_LOCKED: Final = (KeyUnavailableError, TamperedError)
"""A user's key cannot be had, or not be used."""
_ALL: Final = ""
"""Stands for all rows of a block where a user is named."""


class BlockSketchMaking(NamedTuple):
    """What the writer lends: how a sketch of user and block is kept, and a row opened."""

    is_sealed: Callable[[], bool]
    #: The user, the block, the sketch, and the seq of one of the rows: None, where their key was destroyed meanwhile.
    seal: Callable[[str, int, bytes, int], bytes | None]
    #: The body of a row. TamperedError: it is damaged.
    body: Callable[[StoredRow], bytes]


class BlockSketches:
    """The writer's. What changes the log runs inside of its transactions."""

    def __init__(self, making: BlockSketchMaking) -> None:
        self._making = making
        #: The block that is being staged, its rows that were staged here, and what they hold.
        self._block, self._rows, self._gathered = -1, 0, UsersGathered[str]()
        #: Of blocks all of whose rows were staged here, and that no commit has ended yet.
        self._whole: dict[int, UsersGathered[str]] = {}
        #: A block that is looked through, which time, the row after which it goes on, and what those before hold.
        self._again: tuple[int, int, int, UsersGathered[str]] | None = None
        self._more = True

    def forget(self) -> None:
        """Drop what is half done in memory."""
        self._block, self._rows, self._gathered = -1, 0, UsersGathered()
        self._whole, self._again, self._more = {}, None, True

    def add(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Rows that are being staged, as they are written, with readable bodies."""
        for block, of_block in groupby(rows, _block_of):
            if block != self._block:
                self._block, self._rows, self._gathered = block, 0, UsersGathered()
            self._rows += self._gather(of_block)
            if self._rows == 1 << BLOCK_LOG2:
                self._whole[block] = self._gathered

    def _gather(self, rows: Iterable[tuple[Any, ...]]) -> int:
        """Keep what rows hold; how many they are."""
        together: defaultdict[tuple[str, str | None, str], list[bytes]] = defaultdict(list)
        gathered, sealed, number = self._gathered, self._making.is_sealed(), 0
        for seq, _, _, _, _, _, _, _, user, _, provider, kind, _, body in rows:
            number += 1
            if user != NOBODY:
                if user not in gathered:
                    gathered.begun(user, seq, _LEAST_ROWS, sealed=sealed)
                together[user, provider, kind].append(body)
        for (user, provider, kind), bodies in together.items():
            gathered[user].add(kind, provider, bodies)
        return number

    def finish(self, connection: Connection, before: int, head: int) -> None:
        """With a commit that moves the head: write what blocks hold that end by it, and look through some rows."""
        for block in range(before >> BLOCK_LOG2, head >> BLOCK_LOG2):
            gathered = self._whole.pop(block, None)
            if gathered is not None and not fetch(connection, _SQL["is_noted"], (block,))[0][0]:
                with suppress(*_LOCKED):
                    self._write(connection, block, gathered)
                    continue
            self._note(connection, block)
        try:
            self._step(connection, head)
        except _LOCKED:  # nobody's commit waits for a key: it is done some other time
            self._again, self._more = None, False

    def forget_rows(self, connection: Connection, seqs: Sequence[int], user: str | None = None) -> None:
        """These rows (of a user alone) will not hold what they do, or not be kept as they are."""
        asked = {"seqs": list(seqs), "user": user, "nobody": NOBODY, "width": BLOCK_LOG2}
        found = fetch(connection, _SQL["of_rows"], asked)
        for block, users in groupby(found, itemgetter(0)):
            if not self._making.is_sealed() or fetch(connection, _SQL["is_told"], (block,))[0][0]:
                run(connection, _SQL["forget_block"], (block,))
            else:
                for _, of_user in users:
                    run(connection, _SQL["forget"], (block, of_user))
            self._note(connection, block)

    def forget_user(self, connection: Connection, user: str) -> None:
        """Leave nothing of a user whose rows are gone."""
        run(connection, _SQL["forget_user"], (user,))

    def _step(self, connection: Connection, head: int) -> None:
        """Look through a few rows of the newest block that lost its sketches, or has none yet."""
        if self._again is None:
            found = fetch(connection, _SQL["newest_unsketched"], (head >> BLOCK_LOG2,)) if self._more else []
            if not found:
                self._more = False
                return
            block, times = found[0]
            self._again = block, times, block << BLOCK_LOG2, UsersGathered()
        block, times, after, gathered = self._again
        through = (block + 1) << BLOCK_LOG2
        wanted = {"block": block, "after": after, "through": through, "nobody": NOBODY, "limit": _ROWS_PER_STEP}
        rows = [StoredRow(*row) for row in fetch(connection, _SQL["rows_without"], wanted)]
        for row in rows:
            of_user = gathered.get(row.user)
            if of_user is None:
                of_user = gathered.begun(row.user, row.seq, _LEAST_ROWS, sealed=self._making.is_sealed())
            try:
                body = self._making.body(row)
            except TamperedError:  # whoever reads it is told so
                of_user.unread = True
            else:
                of_user.add(row.type, row.provider, [body])
        if len(rows) == _ROWS_PER_STEP:
            self._again = block, times, rows[-1].seq, gathered
            return
        self._again = None
        # Another bridge may have taken something out of them meanwhile, or have looked through them, too.
        if run(connection, _SQL["done"], (block, times)):
            try:
                self._write(connection, block, gathered)
            except _LOCKED:
                self._note(connection, block)
                raise

    def _note(self, connection: Connection, block: int) -> None:
        run(connection, _SQL["note_unsketched"], (block,))
        self._again, self._more = None, True

    def _write(self, connection: Connection, block: int, gathered: UsersGathered[str]) -> None:
        sealed = self._making.is_sealed()
        kept, told = gathered.kept(_LEAST_ROWS, partial(self._seal, block) if sealed else None)
        rows = [(user, sketch, SEALED if sealed else None) for user, sketch in kept]
        if told is not None:
            rows.append((_ALL, told, None))
        if rows:
            users, sketches, hows = zip(*rows, strict=True)
            run(connection, _SQL["add"], (block, TextArray.of(users), list(sketches), list(hows)))

    def _seal(self, block: int, user: str, gathered: Gathering, sketch: bytes) -> bytes | None:
        return self._making.seal(user, block, sketch, gathered.first)


class SketchedStretches:
    """For a reader, inside of its snapshot: what is left of stretches when their blocks were asked.

    ``opened`` makes of user, block, sketch and ``sealed`` the sketch as it was made: None where the user's key was
    destroyed; ``sketch.UNKNOWN`` where it is not to be trusted. A stretch is of the rows after its first number, up to
    its second.
    """

    def __init__(
        self, ask: Callable[[bytes, Any], list[Any]], opened: Callable[[str, int, bytes, int | None], bytes | None]
    ) -> None:
        self._ask = ask
        self._opened = opened

    def of(
        self,
        stretches: Iterable[tuple[int, int]],
        user: str | None,
        contents: Contents,
        type_name: str | None,
        *,
        newest: bool = False,
    ) -> Iterator[tuple[int, int]]:
        """Of stretches those that have a row (of the user alone) like that, perhaps; in their order."""
        for low, high in stretches:
            first, last = low >> BLOCK_LOG2, (high - 1) >> BLOCK_LOG2
            starts = range(first, last + 1, _BLOCKS_AT_ONCE)
            for start in reversed(starts) if newest else starts:
                end = min(last, start + _BLOCKS_AT_ONCE - 1)
                without = self._without(start, end, user, contents, type_name)
                runs = _runs(start, end, without)
                for one, other in reversed(runs) if newest else runs:
                    yield max(low, one << BLOCK_LOG2), min(high, (other + 1) << BLOCK_LOG2)

    def _without(self, first: int, last: int, user: str | None, contents: Contents, type_name: str | None) -> set[int]:
        """Blocks that have no row like that for sure."""
        asked = {"user": _ALL if user is None else user, "first": first, "last": last}
        by_users = list[int]()
        without: set[int] = set()
        for block, each, sketch, how in self._ask(_SQL["of_user"], asked):
            if not sketch:
                by_users.append(block)
            elif not self._may_hold(each, block, bytes(sketch), how, contents, type_name):
                without.add(block)
        kept = self._ask(_SQL["of_blocks"], (BigintArray.of(by_users),)) if by_users else []
        for block, rows in groupby(kept, itemgetter(0)):
            if not any(self._may_hold(each, block, bytes(one), how, contents, type_name) for _, each, one, how in rows):
                without.add(block)
        return without

    def _may_hold(  # noqa: PLR0917  # a row of the table, and what is asked
        self, user: str, block: int, stored: bytes, how: int | None, contents: Contents, type_name: str | None
    ) -> bool:
        return may_hold(self._opened(user, block, stored, how), contents, type_name)


def _block_of(row: tuple[Any, ...]) -> int:
    block: int = (row[0] - 1) >> BLOCK_LOG2
    return block


def _runs(first: int, last: int, without: set[int]) -> list[tuple[int, int]]:
    """The others of these numbers, as first and last of those that follow each other."""
    runs: list[tuple[int, int]] = []
    for block in range(first, last + 1):
        if block in without:
            continue
        if runs and runs[-1][1] == block - 1:
            runs[-1] = runs[-1][0], block
        else:
            runs.append((block, block))
    return runs
