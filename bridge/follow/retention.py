"""Old events out of the log, by type, once every sink has them: their bodies are purged, their ids stay known.

A sweep looks through the shipped part of the log in a thread and on a connection of its own, and hands what it finds to
the pipeline in small portions, one between two commits. A sweep that came to what a sink does not have yet waits for
that sink, and starts again after an hour. Nothing is kept: a sweep that a crash cuts off starts again.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Self

from bridge.ports import Chores
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.sinks.config import Sinks
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("bridge")

_DAY_US = 86_400_000_000
_ROWS_A_LOOK = 20_000
_ROWS_A_COMMIT = 500
_PAUSE_S = 0.1
_BEHIND_S = 5.0
_FAILED_S = 60.0
_REST_S = 3600.0


class _Portion(NamedTuple):
    type: str
    before_us: int
    seqs: list[int]


class _Look(NamedTuple):
    portions: list[_Portion]
    through: int
    behind: bool


class Retention:
    """The sweeps of one log. ``days`` by type; ``open_reader`` is called in a thread; ``sinks`` names all sinks.

    ``clock_us`` is a clock to purge by; ``purged`` is called after each portion.
    """

    def __init__(
        self,
        days: Mapping[str, int],
        *,
        chores: Chores,
        open_reader: Callable[[], LogReader],
        sinks: Callable[[], Iterable[str]],
        clock_us: Callable[[], int],
        purged: Callable[[], None] = lambda: None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._days = days
        self._changed = asyncio.Event()
        self._resting = False
        self._chores = chores
        self._open_reader = open_reader
        self._sinks = sinks
        self._clock_us = clock_us
        self._told = purged
        self._monotonic_s = monotonic_s
        self._began_s = monotonic_s()
        self._behind = False
        self._position = 0
        self._found: list[_Portion] = []
        self._purged = 0

    @classmethod
    def of(cls, settings: Settings, chores: Chores, clock_us: Callable[[], int], purged: Callable[[], None]) -> Self:
        """The sweeps of the log of a data directory, as its settings and its sinks have it."""
        paths = settings.paths
        return cls(
            settings.retention.days,
            chores=chores,
            open_reader=lambda: open_reader(paths.root),
            sinks=Sinks(paths.root).names,
            clock_us=clock_us,
            purged=purged,
        )

    def use(self, days: Mapping[str, int]) -> None:
        """Keep for so long from now on."""
        self._days = days
        self._found.clear()
        self._behind = False
        self._start_again()
        self._changed.set()

    async def run(self) -> None:
        """Sweep for ever, with a rest after each sweep, while a sink is behind, or while everything is kept."""
        while True:
            try:
                more = bool(self._days) and await self.step()
                rest_s = _PAUSE_S if more else _BEHIND_S if self._behind else _REST_S
            except (HealthSyncError, OSError) as error:
                log.error("bridge.retention_failed", error=error)  # noqa: TRY400  # no traceback
                rest_s = _FAILED_S
            await self._rest(rest_s)

    async def _rest(self, seconds: float) -> None:
        self._resting = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._resting = False
        self._changed.clear()

    async def step(self) -> bool:
        """Purge one portion, or look for more; False when the sweep has come to its end."""
        if self._found:
            portion = self._found[0]
            await self._purge(portion)
            if self._found and self._found[0] is portion:
                del self._found[0]
            return True
        days = self._days
        look = await asyncio.to_thread(self._look, days, self._position, self._clock_us())
        if self._days is not days:
            return True
        self._found += look.portions
        self._behind = look.behind
        if look.through > self._position:
            self._position = look.through
            return True
        if self._purged:
            log.info("bridge.events_purged", events=self._purged)
        self._purged = 0
        if not self._behind or self._monotonic_s() - self._began_s >= _REST_S:
            self._start_again()
        return False

    def _start_again(self) -> None:
        self._position = 0
        self._began_s = self._monotonic_s()

    async def _purge(self, portion: _Portion) -> None:
        """Hand one portion over, and wait until it is durable: two never share a commit."""
        await self._chores.durable(lambda journal: journal.purge(*portion))
        self._purged += len(portion.seqs)
        self._told()

    def _look(self, days: Mapping[str, int], after: int, now_us: int) -> _Look:
        """What the next rows behind ``after`` hold that every sink has."""
        with self._open_reader() as reader:
            return self._look_with(reader, days, after, now_us)

    def _look_with(self, reader: LogReader, days: Mapping[str, int], after: int, now_us: int) -> _Look:
        cursors = reader.cursors()
        head = reader.head()
        shipped = min((cursors.get(f"sink:{name}", 0) for name in self._sinks()), default=head)
        through = min(after + _ROWS_A_LOOK, shipped)
        portions: list[_Portion] = []
        if through > after:
            for name, kept in days.items():
                before_us = now_us - kept * _DAY_US
                seqs = reader.purgeable(name, before_us, after, through, shipped)
                portions += [
                    _Portion(name, before_us, seqs[at : at + _ROWS_A_COMMIT])
                    for at in range(0, len(seqs), _ROWS_A_COMMIT)
                ]
        return _Look(portions, through, behind=shipped < head)
