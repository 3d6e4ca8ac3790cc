"""What time it is, for what cannot be undone: nothing is purged by a clock that has only itself to say so.

The clock of the machine is believed as long as it agrees with how long the service ran. What it is ahead of that by
more than a clock may be corrected, or a machine may be off, is doubted: then time goes on as the service runs, until a
device sends an event of the time that the clock shows. Devices have clocks of their own.
"""

import time
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Final, Self

from bridge.cursors import Cursors
from bridge.ports import Chores, Commit
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("bridge")

LEAP_US: Final = 2 * 86_400_000_000
"""So far ahead, the clock is still believed: a machine that was off over the weekend, a clock that was corrected."""
_KEEP_S: Final = 3600.0
_PREFIX: Final = "clock:"
_NAME: Final = "goes_by"


class ClockState(Enum):
    """Whether the clock of the machine is believed."""

    BELIEVED = auto()
    DOUBTED = auto()


class Calendar:
    """The time that purging goes by. An observer of commits; ``look`` is called every second or so.

    ``known_us``: a time that had certainly come before, if one is known.
    """

    def __init__(
        self,
        chores: Chores,
        known_us: int | None,
        *,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kept = Cursors(chores, _PREFIX)
        self._clock_us = clock_us
        self._monotonic = monotonic
        self._at = monotonic()
        #: the time at ``_at``, by what is believed
        self._reached_us = clock_us() if known_us is None else known_us
        self._kept_at = self._at - _KEEP_S
        self.state = ClockState.BELIEVED
        self._judge()

    @classmethod
    def of(cls, reader: LogReader, chores: Chores) -> Self:
        """Go on from what was kept in the log; else from when its newest row came in."""
        known_us = reader.cursor(_PREFIX + _NAME)
        if known_us is None:
            newest = reader.read(0, 1, history=True, newest=True)
            known_us = newest[0].received_us if newest else None
        return cls(chores, known_us)

    @property
    def ahead_s(self) -> float:
        """For how many seconds the clock is ahead of what is believed; 0 while it is believed."""
        return 0.0 if self.state is ClockState.BELIEVED else (self._clock_us() - self._now_us()) / 1e6

    def now_us(self) -> int:
        """The time to purge by: what is believed, and never later than the clock says."""
        self._judge()
        return min(self._clock_us(), self._now_us())

    def look(self) -> None:
        """Judge the clock anew, and keep every hour what is believed."""
        self._judge()
        if self._at - self._kept_at >= _KEEP_S:
            self.keep()

    def keep(self) -> None:
        """Write down what is believed, with the next commit."""
        self._judge()
        self._kept_at = self._at
        self._kept.move(_NAME, self._reached_us)
        self._kept.keep()

    def committed(self, commit: Commit) -> None:
        """A doubted clock is believed when a device has sent an event of its time."""
        if self.state is ClockState.BELIEVED:
            return
        if max(_stored(commit), default=0) + LEAP_US >= self._clock_us():
            self._reached_us, self._at = self._clock_us(), self._monotonic()
            self.state = ClockState.BELIEVED
            log.info("bridge.clock_believed", clock=iso(self._reached_us))

    def _now_us(self) -> int:
        """What is believed, as long as the service ran since."""
        return self._reached_us + int((self._monotonic() - self._at) * 1e6)

    def _judge(self) -> None:
        clock_us, reached_us = self._clock_us(), self._now_us()
        doubted = clock_us > reached_us + LEAP_US
        self._reached_us, self._at = reached_us if doubted else max(reached_us, clock_us), self._monotonic()
        if doubted and self.state is ClockState.BELIEVED:
            log.warning(
                "bridge.clock_doubted",
                clock=iso(clock_us),
                goes_by=iso(reached_us),
                fix="set the clock; if it is right, nothing is to be done: an event of today ends this",
            )
        self.state = ClockState.DOUBTED if doubted else ClockState.BELIEVED


def _stored(commit: Commit) -> Iterator[int]:
    """When the events began that this commit has stored."""
    for outcome in commit.outcomes:
        for event, seq in zip(outcome.decoded.events, outcome.seqs, strict=True):
            if seq:
                yield event.start_us
