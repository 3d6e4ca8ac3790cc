"""What users' days come to: a follower of the log with a file of its own, and what subscribers are told of it.

The log is read in small pieces, in a thread, and days that a piece touches are worked out when there is time: at most
a twentieth of it while events come in fast, and all of it otherwise. So a backfill is read first and its days are
worked out once. Nothing is read that came in a moment ago: until then every word about consent has arrived here.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from bridge.courtesy import Courtesy
from bridge.follow.agreement import agreed_text, agrees, both_cover
from bridge.follow.board import Digests, RetainedBoard
from bridge.ground import Ground
from bridge.ports import Shelf
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.identity.consent.decisions import ALWAYS, NO_PERMISSION, Permission
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.catalogue import CATALOGUE, GUARDED
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.summaries.day import day_json
from healthsync_mqtt.summaries.file import SummaryFile
from healthsync_mqtt.summaries.preferences import Preferences
from healthsync_mqtt.topics.registry import TopicRegistry

P = ParamSpec("P")
R = TypeVar("R")

LOOK_S: Final = 0.25
_SETTLED_S: Final = 1.5
"""For how long a row has been in the log when it is read: consent is known within a second."""
_BUSY_ROWS: Final = 50
"""New rows between two looks, or while one piece is read, from which on the service has better things to do."""
_ROW_BYTES: Final = 2_048
"""A body of more counts as so many rows more: a series of twenty thousand numbers takes as long as a hundred rows."""
_ROWS: Final = 2_000
_PIECES: Final = 40
_BUSY_SHARE: Final = 0.05
_BUSY_PIECE: Final = 200
_DAYS: Final = 50
_SHARE: Final = 0.1
"""How much of the time days are worked out, where the same ones are touched again and again."""
_PURGE_S: Final = 3600.0
_BACK: Final = 6
"""Days before the newest one, of which the last with something to tell is told."""


class Summaries:
    """``look`` is called again and again. ``open_reader`` opens a reader for the thread that reads.

    ``head`` is asked by the event loop alone, whose reader it is of. ``owns`` says whether a user's events are in this
    log; ``withheld`` are types that are retained for nobody there.
    """

    def __init__(
        self,
        *,
        head: Callable[[], int],
        open_reader: Callable[[], LogReader],
        topics: TopicRegistry,
        gate: ConsentGate,
        shelf: Shelf,
        preferences: Preferences,
        file: SummaryFile,
        courtesy: Courtesy | None = None,
        withheld: frozenset[str] = frozenset(),
        owns: Callable[[str], bool] = lambda _user: True,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._head = head
        self._open_reader = open_reader
        self._reader: LogReader | None = None
        self._gate = gate
        self._preferences = preferences
        self._file = file
        self._pause = (courtesy or Courtesy()).pause
        self._withheld = withheld | GUARDED
        self._owns = owns
        self._clock_us = clock_us
        self._monotonic_s = monotonic_s
        self._heads: deque[tuple[float, int]] = deque()
        self._horizon = file.seq
        self._last_head = head()
        #: for how many rows each of those counts that are read now, as the last of them did
        self._weight = 1
        self._consent_version = -1
        self._permissions: dict[str, Permission] = {}
        self._expiring: dict[str, int] = {}
        #: who said something that is not in the file yet
        self._unheard: set[str] = set()
        self._work_at = 0.0
        self._busy_until = 0.0
        self._purge_at: float | None = 0.0
        self._board: RetainedBoard[str] = RetainedBoard(
            shelf,
            topic=lambda user: topics.build("insight", user=user, kind="daily"),
            message=self._message,
            show=self._show,
            shown=file.shown(),
            version=lambda: gate.version,
            monotonic_s=monotonic_s,
        )
        self._lock = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="summaries")

    @property
    def caught_up(self) -> bool:
        """Whether everything that is in the log is in the days, and told."""
        return self._file.seq >= self._head() and not self._file.waiting and self._board.idle

    @property
    def heard(self) -> bool:
        """Whether the file goes by what users agree to now."""
        now_us = self._clock_us()
        return (
            self._consent_version == self._gate.version
            and not self._unheard
            and all(now_us < until_us for until_us in self._expiring.values())
        )

    def purged(self) -> None:
        """Bodies in the log were purged."""
        if self._purge_at is None:
            self._purge_at = self._monotonic_s() + _PURGE_S

    async def look(self) -> None:
        """Hear what people say, read the log on, work out days, tell what is different. StoreError: tried again."""
        async with self._lock:
            head = self._note_head()
            busy = self._is_much(head - self._last_head)
            self._last_head = head
            await self._read_preferences()
            await self._read_consent()
            await self._purge()
            read = await self._read(busy=busy)
            if read or busy:
                await self._work_out(busy=busy)
            await self._board.renew()
            if self._gate.version == self._consent_version:  # else everything is asked again
                await self._board.publish()
            await self._board.write()

    async def forget(self, user: str) -> None:
        """Nothing of an erased user is in the file. UnavailableError while the broker may still retain a day."""
        async with self._lock:
            if agrees(self._gate.insights.get(user, NO_PERMISSION), self._clock_us()):
                raise UnavailableError("the end of a consent has not been heard yet", hint="it is within a second")
            if not self._board.free_of(user):
                raise UnavailableError("a day may still be retained", hint="is the broker connected?")
            for kept in (self._expiring, self._permissions):
                kept.pop(user, None)
            self._unheard.discard(user)
            await self._in_thread(self._file.forget_person, user)

    async def close(self) -> None:
        """Let go of the log and the file, when what is under way has ended."""
        async with self._lock:
            await self._board.write()
            if self._reader is not None:
                await self._in_thread(self._reader.close)
                self._reader = None
            await self._in_thread(self._file.close)
            self._thread.shutdown()

    async def _in_thread(self, work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        """All that uses the file or reads the log, one thing after the other, also when a look was given up."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *arguments, **named))

    def _note_head(self) -> int:
        now, head = self._monotonic_s(), self._head()
        self._heads.append((now, head))
        while self._heads and self._heads[0][0] <= now - _SETTLED_S:
            self._horizon = self._heads.popleft()[1]
        return head

    # -- what people say

    async def _read_preferences(self) -> None:
        found = await self._in_thread(self._preferences.read)
        if found is None:
            return
        for user in self._file.people() | found.keys():
            order = found.get(user, ())
            if self._owns(user) and self._file.preferred(user) != order:
                await self._in_thread(self._file.prefer, user, order)

    async def _read_consent(self) -> None:
        now_us, gate = self._clock_us(), self._gate
        changed = {user for user, until_us in self._expiring.items() if until_us <= now_us}
        if gate.version != self._consent_version:
            self._consent_version = gate.version
            now = dict(gate.insights)
            known = self._permissions.keys() | now.keys() | self._file.people()
            changed |= {user for user in known if self._permissions.get(user) is not now.get(user)}
            changed |= {user for user in self._file.people() if user not in now and self._file.agreed(user)}
            self._permissions = now
            # Who may be told is another question, which is asked of everybody of whom something is or may be retained.
            self._board.touch(self._board.keys)
            self._board.touch(user for user in changed if self._owns(user))
        self._unheard |= changed
        for user in sorted(self._unheard):
            self._expiring.pop(user, None)
            if not self._owns(user):
                self._unheard.discard(user)
                continue
            agreed, until_us = agreed_text(self._permissions.get(user, NO_PERMISSION), now_us)
            if until_us < ALWAYS:
                self._expiring[user] = until_us
            # Who agrees to nothing, and of whom there is nothing, is not named.
            named = user in self._file.people() or agrees(self._permissions.get(user, NO_PERMISSION), now_us)
            if named and agreed != self._file.agreed(user):
                await self._in_thread(self._file.agree, user, agreed, self._since)
                self._board.touch((user,))
            self._unheard.discard(user)

    def _since(self, user: str, type_name: str) -> int | None:
        span = self._permissions.get(user, NO_PERMISSION).span(type_name)
        return span.since_us if self._clock_us() < span.until_us else None

    # -- the log

    async def _purge(self) -> None:
        if self._purge_at is None or self._monotonic_s() < self._purge_at:
            return
        self._purge_at = None
        await self._in_thread(self._forget_purged)

    def _forget_purged(self) -> None:
        reader = self._log()
        for type_name in CATALOGUE:
            before_us = reader.purged_before(type_name)
            if before_us is not None:
                self._file.purge(type_name, before_us)

    def _log(self) -> LogReader:
        if self._reader is None:
            self._reader = self._open_reader()
        return self._reader

    async def _read(self, *, busy: bool) -> bool:
        """Take the next rows in; whether there are none left that may be read now."""
        if busy:
            began = self._monotonic_s()
            if began < self._busy_until:
                return False
            more = await self._in_thread(self._piece, _BUSY_PIECE)
            ended = self._monotonic_s()
            self._busy_until = ended + (ended - began) / _BUSY_SHARE
            return not more
        for _ in range(_PIECES):
            before = self._head()
            if not await self._in_thread(self._piece, _ROWS):
                return True
            if self._gate.version != self._consent_version or self._is_much(self._head() - before):
                return False
        return False

    def _is_much(self, rows: int) -> bool:
        """Whether so many new rows are more than is read beside all else."""
        return rows * self._weight > _BUSY_ROWS

    def _piece(self, size: int) -> bool:
        """Take one piece in, in a thread; whether there may be more."""
        reader, file = self._log(), self._file
        if file.epoch != reader.epoch or file.seq > reader.head():
            file.begin_anew(reader.epoch)
        if file.seq >= self._horizon:
            return False
        found = reader.stretch(file.seq, max(1, size // self._weight), look=size * 10)
        if found.rows:
            self._weight = max(1, sum(len(row.body) for row in found.rows) // (len(found.rows) * _ROW_BYTES))
        through = min(found.through, self._horizon)
        rows = [row for row in found.rows if row.seq <= through and self._wanted(row)]
        self._pause()
        older = {}
        if rows and any(row.version or row.op for row in rows):
            older = reader.superseded_by(rows[0].seq, rows[-1].seq)
        file.take(through, rows, older, self._pause)
        return through < self._horizon

    def _wanted(self, row: Record) -> bool:
        since_us = self._since(row.user, row.type)
        return since_us is not None and since_us <= row.received_us and self._owns(row.user)

    async def _work_out(self, *, busy: bool) -> None:
        while (began := self._monotonic_s()) >= self._work_at:
            changed = await self._in_thread(self._file.work_out, _DAYS, self._since, pause=self._pause)
            ended = self._monotonic_s()
            self._board.touch(key.user for key in changed)
            waiting = self._file.waiting
            if busy or not waiting:
                self._work_at = ended + (ended - began) / (_BUSY_SHARE if busy else _SHARE)
            if not waiting:
                return

    # -- what is told

    async def _show(self, digests: Digests[str]) -> None:
        await self._in_thread(self._file.show, digests)

    async def _message(self, user: str) -> bytes:
        return await self._in_thread(self._day_told, user)

    def _day_told(self, user: str) -> bytes:
        """The newest day that has something to tell; empty: there is none."""
        newest = self._file.newest_day(user)
        if newest is None:
            return b""
        now_us = self._clock_us()
        days = self._file.days(user, newest - _BACK, newest)
        for day in sorted(days, reverse=True):
            told = {name: found for name, found in days[day].items() if self._told(user, name, now_us)}
            if told:
                return day_json(day, told, user=user)
        return b""

    def _told(self, user: str, type_name: str, now_us: int) -> bool:
        """Whether subscribers may know a figure: only where all that it is made of may be shared."""
        share, evaluated = self._gate.share.get(user, NO_PERMISSION), self._gate.insights.get(user, NO_PERMISSION)
        return type_name not in self._withheld and both_cover(share, evaluated, type_name, now_us)


@asynccontextmanager
async def summaries(
    base: Ground, shelf: Shelf, *, registry_db: Path, withheld: frozenset[str], owns: Callable[[str], bool]
) -> AsyncIterator[Summaries | None]:
    """The follower of a data directory; None where there is no topic for it."""
    if not base.keeps_files or "insight" not in base.topics.channels:
        yield None
        return
    paths = base.settings.paths
    with ExitStack() as opened:
        preferences = Preferences(Registry.open(registry_db))
        opened.callback(preferences.close)
        file = SummaryFile.open(paths.summaries_db)
        opened.callback(file.close)
        yield Summaries(
            head=base.reader.head,
            open_reader=lambda: open_reader(paths.root),
            topics=base.topics,
            gate=base.gate,
            shelf=shelf,
            preferences=preferences,
            file=file,
            courtesy=base.courtesy,
            withheld=withheld,
            owns=owns,
        )
