"""What users' days come to, on its way to a sink, beside the events: one record a user, type and local day.

They are read from ``summaries.db`` by the number of its changes, not from the log: a late event, a correction, a
withdrawal change days, and each of them is a change. What the server may lose by a restart is sent again, as with
events.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from healthsync_mqtt.errors import ConfigError, StoreError
from healthsync_mqtt.sinks.config import SinkConfig
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.port import DaySink, Next, UserDay
from healthsync_mqtt.summaries.file import ChangedDay
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("sink")

_AT_ONCE: Final = 200
_POLL_S: Final = 2.0
_AGAIN_S: Final = 30.0


class DayFile(Protocol):
    """Where days are read."""

    def changes_after(self, change: int, limit: int) -> list[ChangedDay]:
        """See ``SummaryFile``."""
        ...

    def last_change(self) -> int:
        """See ``SummaryFile``."""
        ...


class DaysShipping:
    """Ships days to one sink. Used from one thread, between two pieces of the log.

    ``covers`` says whether a user agrees that a type is stored; what is not covered is not written. ``asks`` is told
    when the server is about to be waited for, and "" after it.
    """

    def __init__(
        self,
        config: SinkConfig,
        sink: DaySink,
        *,
        open_days: Callable[[], DayFile | None],
        ledger: SinkLedger,
        covers: Callable[[str, str], bool],
        owns: Callable[[str], bool] = lambda _user: True,
        asks: Callable[[str], None] = lambda _what: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._sink = sink
        self._open_days = open_days
        self._ledger = ledger
        self._covers = covers
        self._owns = owns
        self._asks = asks
        self._clock = clock
        self._days: DayFile | None = None
        self._generation: int | None = None
        self._place = ledger.days_place()
        self._sent_before = self._place
        self._unsettled: deque[tuple[float, int]] = deque()
        self._not_before = 0.0
        self._last = self._place
        self._trouble = ""

    def status(self) -> dict[str, object]:
        """What it adds to the sink's status: changes of days that are not there yet, and what they wait for."""
        return {"days_lag": max(0, self._last - self._place), "days_reason": self._trouble}

    def step(self) -> None:
        """Do the next piece, if it is time. StoreError."""
        now = self._clock()
        if now < self._not_before:
            return
        self._settle(now)
        changes = self._changes()
        if not changes:
            self._not_before = now + _POLL_S
            return
        self._asks("days")
        try:
            days = [day for each in changes if (day := self._day(each)) is not None]
            step = self._sink.send(days) if days else None
        except ConfigError:  # its token is not there: the sink itself says so
            self._sink.disconnect()
            self._not_before, self._trouble = now + _AGAIN_S, "no_token"
            return
        finally:
            self._asks("")
        if step is not None and step.next is not Next.DONE:
            self._not_before, self._trouble = now + (step.wait_s or _AGAIN_S), step.reason
            log.warning("sink.days_wait", sink=self._config.name, reason=step.reason)
            return
        self._place, self._trouble = changes[-1].change, ""
        self._unsettled.append((now, self._place))
        self._settle(now)

    def _changes(self) -> list[ChangedDay]:
        if self._days is None:
            self._days = self._open_days()
        if self._days is None:
            return []
        try:
            self._last = self._days.last_change()
            if self._last < self._place:  # another file: it was made again from the log
                self._place = 0
                self._unsettled.clear()
                self._ledger.keep_days_place(0)
            return self._days.changes_after(self._place, _AT_ONCE)
        except StoreError:
            self._days = None
            raise

    def _day(self, changed: ChangedDay) -> UserDay | None:
        user, type_name, day = changed.key
        if not self._owns(user):
            return None
        if changed.figures is not None and not self._covers(user, type_name):
            return None
        return UserDay(user, type_name, day, changed.figures, again=changed.change <= self._sent_before)

    def _settle(self, now: float) -> None:
        """Keep the place of what the server cannot lose any more; after its restart, go back to that."""
        generation = self._sink.generation
        if self._config.settle_s and self._generation and generation != self._generation:
            self._sent_before = max(self._sent_before, self._place)
            self._place = self._ledger.days_place()
            self._unsettled.clear()
        self._generation = generation
        settled = None
        while self._unsettled and now - self._unsettled[0][0] >= self._config.settle_s:
            _, settled = self._unsettled.popleft()
        if settled is not None:
            self._ledger.keep_days_place(settled)
