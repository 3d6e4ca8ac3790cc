"""Old refusals out of the quarantine, some with each commit: whoever waits for one waits for these, too.

What goes is looked for in a thread and on a connection of its own. Nothing is kept: what a crash cuts off starts again.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, Self

from bridge.ports import Chores
from bridge.stages.journal import Journal
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.port import LogReader

LOOK_S: Final = 5.0
_REST_S: Final = 3600.0
_AT_ONCE_S: Final = 5.0
"""For so long one look or one question takes out; then it says that there are more."""
_ROWS_A_LOOK: Final = 10_000
_ROWS_A_COMMIT: Final = 500
_DAY_US: Final = 86_400_000_000


class OldRefusals:
    """Those of one log, which are kept for so many ``days``. ``open_reader`` is called in a thread."""

    def __init__(
        self,
        chores: Chores,
        *,
        days: int,
        open_reader: Callable[[], LogReader],
        clock_us: Callable[[], int],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chores = chores
        self._days = days
        self._open_reader = open_reader
        self._clock_us = clock_us
        self._monotonic_s = monotonic_s
        self._rests_until_s = 0.0

    @classmethod
    def of(cls, settings: Settings, chores: Chores, clock_us: Callable[[], int]) -> Self:
        """Those of a data directory, as its settings have it."""
        root = settings.paths.root
        return cls(chores, days=settings.quarantine.days, open_reader=lambda: open_reader(root), clock_us=clock_us)

    async def look(self) -> None:
        """To be called again and again: take out what is too old, with an hour between the last and the first.

        Not what is due to be tried again: it is old because the clock was wrong, perhaps.
        """
        if self._monotonic_s() < self._rests_until_s:
            return
        now_us = self._clock_us()
        if await self.purge(now_us - self._days * _DAY_US, spare_due_us=now_us):
            self._rests_until_s = self._monotonic_s() + _REST_S

    async def purge(self, before_us: int, user: str | None = None, *, spare_due_us: int | None = None) -> bool:
        """Take out what was last refused before a time, of a user alone, for some seconds; whether that was all.

        What is gone is durably so. UnavailableError: the service stops.
        """
        until_s, after = self._monotonic_s() + _AT_ONCE_S, 0
        while numbers := await asyncio.to_thread(self._old, after, before_us, user, spare_due_us):
            for at in range(0, len(numbers), _ROWS_A_COMMIT):
                if self._monotonic_s() >= until_s:
                    return False
                await self._take_out(numbers[at : at + _ROWS_A_COMMIT], before_us, spare_due_us)
            after = numbers[-1]
        return True

    async def _take_out(self, numbers: Sequence[int], before_us: int, spare_due_us: int | None) -> None:
        def write(journal: Journal) -> None:
            journal.purge_rejected(numbers, before_us, spare_due_us=spare_due_us)

        await self._chores.durable(write)

    def _old(self, after: int, before_us: int, user: str | None, spare_due_us: int | None) -> list[int]:
        with self._open_reader() as reader:
            return reader.rejected_old(after, _ROWS_A_LOOK, before_us, user=user, spare_due_us=spare_due_us)
