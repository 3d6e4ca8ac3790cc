"""Keeping the index in step with the log, a little with each commit, in proportion to the rows of the commit.

Everything runs inside the commit's transaction and is mostly one SQL statement, so the interpreter is free meanwhile.
A failed commit undoes it; the index is then read again from what is committed. What many rows cost at once is spread:
the filter takes each commit's rows, and of a full dictionary one commit makes the run and a later one the block, with
rows of others between them: whoever waits for the one seldom waits for both. And a commit of few rows leaves what is
due to the next of many, where there was one right before: that of one event would have what a flood's commits owe.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice, pairwise
from operator import itemgetter
from typing import Any

import apsw

from healthsync_mqtt.storage.sketch import LONG
from healthsync_mqtt.storage.sqlite import index as identities
from healthsync_mqtt.storage.sqlite.connection import fetch, fetch_value
from healthsync_mqtt.storage.sqlite.counts import BlockTally, count_block, count_old_block
from healthsync_mqtt.storage.sqlite.index import IDENTITY_MASK, SQL, Filter, IdentityIndex
from healthsync_mqtt.storage.sqlite.sketches import Sketches

_SEQ, _SENDER_AND_TYPE, _VERSION, _OP, _START, _BODY = 0, slice(2, 6), 6, 7, 8, 12
"""Where in a row that is written."""
_version, _start, _body = map(itemgetter, (_VERSION, _START, _BODY))


class Upkeep:
    """Turns the newest rows into a block of the index, merges runs, and saves the filter.

    ``words`` are the log's names by their numbers.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        index: IdentityIndex,
        sketches: Sketches,
        words: Mapping[int | None, str | None],
    ) -> None:
        self._connection = connection
        self._words = words
        self._index = index
        self._sketches = sketches
        self._tuning = index.tuning
        self._credit = 0
        #: Commits of few rows since one of many.
        self._few = self._tuning.commits_left
        self._saving: tuple[Filter, int, int] | None = None
        #: The filter that was added to last, and how many of the dictionary are in it.
        self._fed: Filter | None = None
        self._in_filter = 0
        #: The last of the rows that have a run and no block yet; 0 when there are none.
        self._blockless = 0
        #: Rows that were staged since it was made; the block is made when they pay for a step.
        self._since_run = 0
        #: Whether the dictionary has those, too.
        self._run_read = False
        #: Rows that were staged and are neither counted nor read yet, by user, device, provider and type; how many.
        self._new: defaultdict[tuple[int, int | None, int | None, int], list[Any]] = defaultdict(list)
        self._new_rows = 0
        #: What the rows since the last run are, and those of the run that has no block; None: it is not known.
        self.tally: BlockTally | None = None
        self._block_tally: BlockTally | None = None
        #: Commits until the next old block is put on its shelf and counted, and whether there is one.
        self._old_block_in = self._tuning.commits_per_old_block
        self._old_blocks = True

    def forget(self) -> None:
        """Drop what is half done in memory; to be called when the index is read again."""
        self._saving = self._fed = None
        self._in_filter = 0
        self.forget_tally()
        if not self._index.recent:
            self.tally = BlockTally()
        self._old_blocks = True
        last_of_runs = fetch_value(self._connection, SQL["last_of_runs"])
        self._blockless = last_of_runs if last_of_runs > self._index.indexed_through else 0
        self._run_read = bool(self._blockless)

    def forget_tally(self) -> None:
        """Rows since the last block are not what they were when they were staged."""
        self.tally = self._block_tally = None
        self._new.clear()
        self._new_rows = 0
        self._sketches.forget()

    def add(self, rows: Sequence[tuple[Any, ...]], breaks: Sequence[int], *, supersede: bool) -> None:
        """Rows of users that are being staged, as they are written, with readable ids and bodies.

        From each of ``breaks`` to the next all rows are of one sender and type; the first is 0. ``supersede``: whether
        one of them takes the place of a row.
        """
        if not rows or (self.tally is None and self._sketches.gathered is None):
            return
        if self.tally is not None and supersede:
            self.tally.supersedes = True
        new = self._new
        for first, end in pairwise((*breaks, len(rows))):
            new[rows[first][_SENDER_AND_TYPE]].extend(rows[first:end])
        self._new_rows += len(rows)
        if self._new_rows >= self._tuning.rows_at_once or max(map(len, map(_body, rows))) > LONG:
            self._look_at_new()

    def emptied(self) -> None:
        """The dictionary was emptied: its rows have a run that is committed."""
        self._index.recent = {}
        self._in_filter = 0

    def run(self, staged_rows: int, head: int) -> bool:
        """Do the share of work that ``staged_rows`` pay for; ``head`` is the last staged row.

        True when the dictionary has become a run, and can be ``emptied`` once the transaction is committed.
        """
        self._feed_filter()
        self._since_run += staged_rows
        flushed = not self._leaves_work(staged_rows) and self._do_what_is_due(staged_rows, head)
        self._credit += staged_rows
        while self._credit >= self._tuning.rows_per_step:
            self._credit -= self._tuning.rows_per_step
            saved, merged = self._save_part(), self._merge_step()
            if not saved and not merged:
                self._credit = 0
        return flushed

    def _look_at_new(self) -> None:
        tally, gathered = self.tally, self._sketches.gathered
        for (user, device, provider, kind), rows in self._new.items():
            if tally is not None:
                empty = [row[_START] for row in rows if row[_OP] or not row[_BODY]]
                tally.add((user, kind, device or 0, provider or 0), list(map(_start, rows)), empty)
                tally.has_versions = tally.has_versions or any(map(_version, rows))
            if gathered is not None:
                of_user = gathered.get(user) or self._sketches.begun(gathered, user, rows[0][_SEQ])
                of_user.add(str(self._words[kind]), self._words[provider], list(map(_body, rows)))
        self._new.clear()
        self._new_rows = 0

    def _leaves_work(self, staged_rows: int) -> bool:
        """Whether a commit of so many rows leaves what is due to one that has more, or none: of duplicates, mostly."""
        if staged_rows * self._tuning.few_per_block >= self._tuning.rows_per_block or not staged_rows:
            self._few = 0
            return False
        self._few += 1
        return self._few <= self._tuning.commits_left

    def _do_what_is_due(self, staged_rows: int, head: int) -> bool:
        flushed = False
        if self._blockless:
            if self._since_run >= self._tuning.rows_per_step:
                self._add_block()
        elif len(self._index.recent) >= self._tuning.rows_per_block:
            self._add_run(head)
            flushed = True
        if self._index.catch_up is not None and self._index.catch_up.step(staged_rows):
            self._index.catch_up = None
        self._old_block_in -= 1
        if self._old_blocks and self._old_block_in <= 0:
            self._old_block_in = self._tuning.commits_per_old_block
            shelved = self._shelve_old()
            self._old_blocks = count_old_block(self._connection, self._index.indexed_through) or shelved
        self._sketches.step()
        return flushed

    def _feed_filter(self) -> None:
        """Add to the filter what the dictionary got since the last time, or all of it where the filter is another."""
        recent = self._index.recent
        if not recent:
            return
        held = self._index.filter_for_next_rows()
        if held is not self._fed:
            self._fed, self._in_filter = held, 0
        held.add_all(islice(reversed(recent), len(recent) - self._in_filter))
        self._in_filter = len(recent)

    def _add_run(self, head: int) -> None:
        first = self._index.indexed_through + 1
        run = fetch_value(self._connection, SQL["add_run"], (0, first, head, None))
        fetch(self._connection, SQL["fill_run"], (run, first, head))
        self._blockless, self._since_run = head, 0
        self._look_at_new()
        self._block_tally, self.tally = self.tally, BlockTally()
        self._sketches.add_run(head - first + 1)
        for level, first_seq, last_seq in fetch(self._connection, SQL["full_level"], (self._tuning.runs_per_level,)):
            target = fetch_value(self._connection, SQL["add_run"], (level + 1, first_seq, last_seq, 0))
            fetch(self._connection, SQL["aim_level"], {"target": target, "level": level})

    def _add_block(self) -> None:
        first, last = self._index.indexed_through + 1, self._blockless
        fetch(self._connection, SQL["add_block"], (last,))
        fetch(self._connection, SQL["fill_block"], {"first": first, "last": last})
        fetch(self._connection, SQL["add_known_users"], (last,))
        count_block(self._connection, first, last, self._block_tally)
        self._block_tally = None
        self._sketches.add_block(last, first)
        self._index.indexed_through, self._blockless = last, 0
        if self._run_read:  # the dictionary was read from the log, with the rows that have this run
            self._run_read = False
            self._index.recent = {each: seq for each, seq in self._index.recent.items() if seq > last}
            self._in_filter = len(self._index.recent)

    def _shelve(self, first: int, last: int) -> None:
        """Put the block of these rows on its shelf."""
        fetch(
            self._connection, SQL["fill_shelf"], {"shelf": last >> identities.SHELF_LOG2, "first": first, "last": last}
        )

    def _shelve_old(self) -> bool:
        """Put the newest block of an older log that is on no shelf on its own. False: all are."""
        last = fetch_value(self._connection, SQL["unshelved"])
        if last:
            before = fetch_value(self._connection, SQL["block_before"], (last,))
            self._shelve(before + 1, last)
            fetch(self._connection, SQL["set_unshelved"], (before,))
        return bool(last)

    def _merge_step(self) -> bool:
        for target, low, rows in fetch(self._connection, SQL["merge_in_progress"]):
            # Identities are uniform, so an equal slice of their range is an equal share of the rows.
            width = IDENTITY_MASK * self._tuning.moves_per_step // rows
            high = min(low + width, IDENTITY_MASK)
            part = {"target": target, "low": low, "high": high}
            fetch(self._connection, SQL["move_identities"], part)
            fetch(self._connection, SQL["drop_moved"], part)
            if high == IDENTITY_MASK:
                fetch(self._connection, SQL["drop_merged_runs"], (target,))
                fetch(self._connection, SQL["set_merged_below"], (None, target))
            else:
                fetch(self._connection, SQL["set_merged_below"], (high + 1, target))
            return True
        return False

    def _save_part(self) -> bool:
        """Write the next part of a filter that has grown enough since it was saved."""
        if self._saving is None and self._index.catch_up is None:
            self._saving = self._unsaved_filter()
        if self._saving is None:
            return False
        held, part, through = self._saving
        size = min(self._tuning.part_bytes, len(held.bits))
        # Rows added while the parts are written only set more bits: the saved filter holds at least what it claims.
        bits = bytes(held.bits[part * size : (part + 1) * size])
        fetch(self._connection, SQL["set_filter_part"], (held.generation, part, bits))
        if (part + 1) * size < len(held.bits):
            self._saving = (held, part + 1, through)
        else:
            fetch(self._connection, SQL["set_filter_through"], (through, held.generation))
            held.through = through
            self._saving = None
        return True

    def _unsaved_filter(self) -> tuple[Filter, int, int] | None:
        for held in self._index.filters:
            if held.last_seq is not None:
                if held.through < held.last_seq:
                    return held, 0, held.last_seq
            elif self._index.indexed_through - held.through >= max(self._tuning.rows_per_snapshot, held.capacity // 16):
                return held, 0, self._index.indexed_through
        return None
