"""What insights subscribers are told: the newest of each kind that all who it rests on may know, while they may.

Another process finds them (``healthsync_mqtt.insights``) and writes them into insights.db; nothing is here before it
did. What a user takes back is told no more at the next look; it is out of the file when the days have heard of it too.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import msgspec

from bridge.follow.agreement import agreed_text, agrees, both_cover
from bridge.follow.board import Digests, RetainedBoard
from bridge.ground import Ground
from bridge.own_process import KeptProcess
from bridge.ports import Shelf
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.errors import StoreError, UnavailableError
from healthsync_mqtt.identity.consent.decisions import ALWAYS, NO_PERMISSION, Permission
from healthsync_mqtt.insights.file import InsightFile, Key
from healthsync_mqtt.insights.wording import KIND as REPORT
from healthsync_mqtt.model.catalogue import GUARDED
from healthsync_mqtt.summaries.reader import DayReader
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.topics.registry import TopicRegistry

P = ParamSpec("P")
R = TypeVar("R")

log = get_logger("insights")

LOOK_S: Final = 0.5
_RIPE_S: Final = 2.0
_LEAST_DAYS: Final = 7
"""Somebody has so many days before there is a process: of fewer nothing can be said."""
_CHANGES: Final = 1_000
_SILENCE_S: Final = 60.0
_MODULE: Final = "healthsync_mqtt.insights"
_encode: Final = msgspec.json.Encoder().encode


class Insights:
    """``look`` is called again and again, ``run`` is a task of its own.

    ``heard`` says whether the file of days goes by what users agree to now. ``owns`` says whether a user is served
    here; ``withheld`` are types that are retained for nobody there.
    """

    def __init__(
        self,
        data: Path,
        insights_db: Path,
        summaries_db: Path,
        *,
        topics: TopicRegistry,
        gate: ConsentGate,
        shelf: Shelf,
        heard: Callable[[], bool],
        withheld: frozenset[str] = frozenset(),
        owns: Callable[[str], bool] = lambda _user: True,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        command: tuple[str, ...] = (sys.executable, "-m", _MODULE),
    ) -> None:
        self._insights_db = insights_db
        self._summaries_db = summaries_db
        self._topics = topics
        self._gate = gate
        self._shelf = shelf
        self._heard = heard
        self._withheld = withheld | GUARDED
        self._owns = owns
        self._clock_us = clock_us
        self._command = (*command, "--data", str(data))
        self._kept = KeptProcess("insights", silence_s=_SILENCE_S)
        self._file: InsightFile | None = None
        self._board: RetainedBoard[Key] | None = None
        self._change = 0
        self._consent_version = -1
        self._reports_version = -1
        self._permissions: dict[str, Permission] = {}
        self._expiring: dict[str, int] = {}
        #: who agrees to something else, and may still have findings of before
        self._changed: set[str] = set()
        #: what those agree to of whom there may be reports, and when it ends by itself
        self._phrased: dict[str, Permission] = {}
        self._phrased_until: dict[str, int] = {}
        self._lock = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="insights")

    async def look(self) -> None:
        """Hear what people say, and tell what is different. StoreError: tried again."""
        async with self._lock:
            board = await self._opened()
            if board is None or self._file is None:
                return
            await self._hear(board, self._file)
            await self._hear_of_reports(self._file)
            await self._read(board, self._file)
            await board.renew()
            await board.publish()
            await board.write()

    async def run(self) -> None:
        """Keep the process running that finds them, from when on there is enough to look at."""
        while not await self._in_thread(self._ripe):  # noqa: ASYNC110  # another process writes the file
            await asyncio.sleep(_RIPE_S)

        async def starting() -> tuple[str, ...]:
            return self._command

        await self._kept.run(starting, lambda _said: None, lambda: None)

    async def forget(self, user: str) -> None:
        """Nothing of an erased user is in the file. UnavailableError while the broker may still retain something."""
        async with self._lock:
            board = await self._opened()
            if board is None or self._file is None:
                return
            if agrees(self._gate.insights.get(user, NO_PERMISSION), self._clock_us()):
                raise UnavailableError("the end of a consent has not been heard yet", hint="it is within a second")
            await self._in_thread(self._file.withdraw, user)
            own = [key for key in board.keys if key[0] == user]
            left = [key for key in own if not board.free_of(key)]
            if left:
                raise UnavailableError("an insight may still be retained", hint="is the broker connected?")
            for kept in (self._permissions, self._expiring, self._phrased, self._phrased_until):
                kept.pop(user, None)
            self._changed.discard(user)
            await self._in_thread(self._file.forget_person, user)

    async def close(self) -> None:
        """Let go of the file, when what is under way has ended."""
        async with self._lock:
            if self._board is not None:
                await self._board.write()
            if self._file is not None:
                await self._in_thread(self._file.close)
            self._thread.shutdown()

    async def _in_thread(self, work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *arguments, **named))

    async def _opened(self) -> RetainedBoard[Key] | None:
        if self._file is None and self._insights_db.exists():
            self._file = await self._in_thread(InsightFile.open, self._insights_db)
            self._board = RetainedBoard(
                self._shelf,
                topic=lambda key: self._topics.build("insight", user=key[0], kind=key[1]),
                message=self._message,
                show=self._show,
                shown=await self._in_thread(self._file.shown),
                version=lambda: self._gate.version,
            )
        return self._board

    async def _show(self, digests: Digests[Key]) -> None:
        assert self._file is not None
        await self._in_thread(self._file.show, digests)

    def _ripe(self) -> bool:
        try:
            days = DayReader.open(self._summaries_db)
            if days is None:
                return False
            with days:
                return days.somebody_has(_LEAST_DAYS)
        except StoreError as error:  # the task of the days says it, too
            log.debug("insights.days_unread", error=error)
            return False

    # -- what people say

    async def _hear(self, board: RetainedBoard[Key], file: InsightFile) -> None:
        now_us, gate = self._clock_us(), self._gate
        changed = {user for user, until_us in self._expiring.items() if until_us <= now_us}
        if gate.version != self._consent_version:
            first = self._consent_version < 0
            self._consent_version = gate.version
            now = dict(gate.insights)
            changed |= {
                user for user in self._permissions.keys() | now if self._permissions.get(user) is not now.get(user)
            }
            if first:
                changed |= await self._in_thread(file.users)
            self._permissions = now
            # Who may be told is another question, which is asked of all of which something is or may be retained.
            board.touch(board.keys)
        for user in changed:
            self._expiring.pop(user, None)
            until_us = agreed_text(self._permissions.get(user, NO_PERMISSION), now_us)[1]
            if until_us < ALWAYS:
                self._expiring[user] = until_us
        self._changed |= changed
        board.touch(key for key in board.keys if key[0] in changed)
        if not self._changed or not self._heard():
            return
        for user in list(self._changed):
            text, _ = agreed_text(self._permissions.get(user, NO_PERMISSION), now_us)
            kept = await self._in_thread(file.looked_at, user)
            if kept.agreed != text or not text:
                await self._in_thread(file.withdraw, user)
            self._changed.discard(user)

    async def _hear_of_reports(self, file: InsightFile) -> None:
        """What may not be phrased any more is in no report."""
        now_us, now = self._clock_us(), self._gate.analysis
        changed = {user for user, until_us in self._phrased_until.items() if until_us <= now_us}
        if self._reports_version != self._gate.version:
            first = self._reports_version < 0
            self._reports_version, now = self._gate.version, dict(now)
            changed |= {user for user, before in self._phrased.items() if now.get(user) is not before}
            if first:
                changed |= await self._in_thread(file.reported)
            self._phrased_until |= {
                user: agreed_text(agreed, now_us)[1]
                for user, agreed in now.items()
                if self._phrased.get(user) is not agreed
            }
            self._phrased = now
        for user in changed:
            agreed = now.get(user, NO_PERMISSION)
            await self._in_thread(file.withdraw_reports, user, may=partial(_phrases, agreed, now_us))
            self._phrased_until[user] = agreed_text(agreed, now_us)[1]
        for user in [user for user, until_us in self._phrased_until.items() if until_us >= ALWAYS]:
            del self._phrased_until[user]

    # -- what is told

    async def _read(self, board: RetainedBoard[Key], file: InsightFile) -> None:
        changes = await self._in_thread(file.changes_after, self._change, _CHANGES)
        board.touch(key for key, _ in changes if self._owns(key[0]))
        if changes:
            self._change = changes[-1][1]

    async def _message(self, key: Key) -> bytes:
        """The newest findings of a kind that may be told, those of one day; empty: there are none."""
        user, kind = key
        if self._file is None:
            return b""
        text, _ = agreed_text(self._gate.insights.get(user, NO_PERMISSION), self._clock_us())
        if not text or (await self._in_thread(self._file.looked_at, user)).agreed != text:
            return b""  # what was found was of what was agreed to before
        now_us = self._clock_us()
        found = await self._in_thread(self._file.newest, user, kind)
        if kind == REPORT:
            agreed = self._gate.analysis.get(user, NO_PERMISSION)
            found = [each for each in found if all(_phrases(agreed, now_us, name) for name in each.types)]
        told = [each.event for each in found if all(self._told(user, name, now_us) for name in each.types)]
        told = [each for each in told if each["day"] == told[0]["day"]]
        return _encode({"user_id": user, "kind": kind, "day": told[0]["day"], "findings": told}) if told else b""

    def _told(self, user: str, type_name: str, now_us: int) -> bool:
        """Whether subscribers may know of a type: only where all that it is made of may be shared."""
        share, evaluated = self._gate.share.get(user, NO_PERMISSION), self._gate.insights.get(user, NO_PERMISSION)
        return type_name not in self._withheld and both_cover(share, evaluated, type_name, now_us)


def _phrases(agreed: Permission, now_us: int, type_name: str) -> bool:
    """Whether what was found of a type may be phrased, whenever that had come in: it is asked of what is found now."""
    return now_us < agreed.span(type_name).until_us


@asynccontextmanager
async def insights(
    base: Ground,
    shelf: Shelf,
    *,
    heard: Callable[[], bool],
    withheld: frozenset[str],
    owns: Callable[[str], bool],
) -> AsyncIterator[Insights | None]:
    """The follower of a data directory; None where there is no topic for it."""
    if not base.keeps_files or "insight" not in base.topics.channels:
        yield None
        return
    paths = base.settings.paths
    yield Insights(
        paths.root,
        paths.insights_db,
        paths.summaries_db,
        topics=base.topics,
        gate=base.gate,
        shelf=shelf,
        heard=heard,
        withheld=withheld,
        owns=owns,
    )
