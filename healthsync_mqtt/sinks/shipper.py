"""One sink at work: reads the log after its cursor, ships, moves the cursor when the sink has taken everything.

Nothing is kept in memory only: what is being sent is in the log, and the cursor moves after the server's answer. A
crash anywhere sends some points again, which overwrite themselves. ``step`` does the next piece of work and says when
to come again, so that tests need no clock.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from random import random
from typing import TYPE_CHECKING, Any

from healthsync_mqtt.model.times import iso
from healthsync_mqtt.sinks.config import SinkConfig
from healthsync_mqtt.sinks.port import Next, Rows, Shipment, Sink, SinkStep
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.outage import Outage

if TYPE_CHECKING:
    from healthsync_mqtt.model.record import Record

log = get_logger("sink")

_POLL_S = 0.2
_PROBE_S = 30.0
_MEND_S = 1.0
_FIRST_WAIT_S, _MOST_WAIT_S = 0.5, 60.0
_ROWS, _ROWS_A_READ, _BODY_BYTES = 5000, 250, 4_000_000
_NOTHING = SinkStep(Next.DONE)


class SinkPhase(StrEnum):
    """What a sink is doing."""

    IDLE = "idle"
    SHIPPING = "shipping"
    #: the server is away; tried again by itself
    WAITING = "waiting"
    #: an operator has to change something; tried again every 30 s in case it was changed on the other side
    PAUSED = "paused"


class Shipper:
    """Feeds one sink. Used from one thread. ``keep`` is told each new cursor.

    ``permit`` says whether consent covers a row now; what it does not cover is not shipped. ``asks`` is told what the
    sink is asked for, before each call that may wait for its server, and "" when the call is over.
    """

    def __init__(
        self,
        config: SinkConfig,
        sink: Sink[Any],
        *,
        reader: LogReader,
        cursor: int,
        keep: Callable[[int], None],
        permit: Callable[["Record"], bool] = lambda _record: True,
        asks: Callable[[str], None] = lambda _what: None,
        clock: Callable[[], float] = time.monotonic,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        jitter: Callable[[], float] = random,
    ) -> None:
        self.config = config
        self.cursor = cursor
        self.phase = SinkPhase.IDLE
        self.sink = sink
        self._reader = reader
        self._keep = keep
        self._permit = permit
        self._asks = asks
        self._clock = clock
        self._now_us = now_us
        self._jitter = jitter
        self._outage = Outage(log.bind(sink=config.name), "sink.server")
        self._shipment: Shipment | None = None
        self._through = cursor
        self._rows_since: float | None = None
        self._not_before = 0.0
        self._mend_at = 0.0
        self._wait_s = _FIRST_WAIT_S
        self._trouble = _NOTHING
        self._last_us = 0
        self._settled = cursor
        #: When each piece was taken, and where the cursor was after it: not yet safe from a crash of the server.
        self._unsettled: deque[tuple[float, int]] = deque()
        self._generation: int | None = None
        self._heard_at = 0.0
        self._shown: tuple[SinkPhase, str] | None = None
        self._since_us = 0
        self._counts = {"events": 0, "failures": 0}

    def step(self) -> float:
        """Do the next piece of work; the seconds until the next one is due."""
        if self.config.paused:
            self._pause(SinkStep(Next.PAUSE, "paused_by_operator", hint=f"healthsync sink resume {self.config.name}"))
            return _POLL_S
        now = self._clock()
        if now < self._not_before:
            return min(self._not_before - now, _POLL_S)
        if not self._settle(now):
            return _POLL_S
        if self._shipment is None and not self._read(now):
            return self._mend(now)
        return self._ship()

    def wake(self, config: SinkConfig) -> None:
        """The configuration has changed, or somebody wants it tried now."""
        self.config = config
        self.sink.disconnect()
        self._not_before = 0.0
        if self.phase is SinkPhase.PAUSED:
            self.phase = SinkPhase.IDLE

    def status(self) -> dict[str, Any]:
        """What ``sink status`` and ``bridge/{bridge}/status`` show."""
        head = self._reader.head()
        waits = self.phase in {SinkPhase.WAITING, SinkPhase.PAUSED}
        of_sink = self.sink.status()
        reason = self._trouble.reason if waits else ""
        if self._shown != (self.phase, reason):
            self._shown, self._since_us = (self.phase, reason), self._now_us()
        return {
            "sink": self.config.name,
            "state": self.phase.value,
            "since": iso(self._since_us),
            "reason": reason,
            "message": self._trouble.message if waits else "",
            "fix": self._trouble.hint if waits else "",
            "cursor": self.cursor,
            "lag": max(0, head - self.cursor),
            "last_written_at": iso(self._last_us) if self._last_us else None,
            **of_sink,
            "since_start": self._counts | dict(of_sink.get("since_start", {})),  # type: ignore[call-overload]
        }

    # -- one piece of the log

    def _read(self, now: float) -> bool:
        """Begin with the next rows; False while there are none, or too few that are too young."""
        with self._reader.snapshot():
            records: list[Record] = []
            size, after, more = 0, self.cursor, True
            while more and len(records) < _ROWS and size < _BODY_BYTES:
                rows = self._reader.read(after, _ROWS_A_READ)
                records += rows
                size += sum(len(row.body) for row in rows)
                more = len(rows) == _ROWS_A_READ
                after = rows[-1].seq if rows else after
            if not records:
                self._rows_since = None
                if self.phase is SinkPhase.SHIPPING:
                    self.phase = SinkPhase.IDLE
                return False
            if self._rows_since is None:
                self._rows_since = now
            if not more and now - self._rows_since < self.config.flush_s:
                return False
            superseding = any(record.version or record.op for record in records)
            older = self._reader.superseded_by(records[0].seq, records[-1].seq) if superseding else {}
        self._rows_since = None
        withheld = frozenset(record.seq for record in records if not record.op and not self._permit(record))
        self._shipment = self.sink.begin(Rows(records, older, records[-1].seq, withheld))
        self._through = records[-1].seq
        return True

    def _ship(self) -> float:
        assert self._shipment is not None
        with self._asking("ship"):
            step = self.sink.step(self._shipment)
        if self._generation is None and step.next in {Next.GO_ON, Next.DONE}:
            # From the first answer on: the server may be restarted while the first piece is on its way.
            self._generation = self.sink.generation
        if step.next is not Next.DONE:
            return self._heed(step)
        self._counts["events"] += self._shipment.events
        self._last_us = self._now_us()
        self._shipment = None
        if self._restarted():
            return 0.0
        self._heard_at = self._clock()
        self.cursor = self._through
        self._unsettled.append((self._heard_at, self.cursor))
        self._settle(self._heard_at)
        return 0.0

    def _mend(self, now: float) -> float:
        """Try again what was kept aside, one thing a second."""
        if now < self._mend_at:
            return _POLL_S
        with self._asking("mend"):
            step = self.sink.mend(self._now_us())
        if step.next in {Next.GO_ON, Next.DONE}:
            if step.next is Next.DONE:
                self._mend_at = now + _MEND_S
            else:
                self._worked()
            return _POLL_S
        return self._heed(step)

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        self._asks(what)
        try:
            yield
        finally:
            self._asks("")

    def _heed(self, step: SinkStep) -> float:
        if step.next is Next.PAUSE:
            self._pause(step)
            return _POLL_S
        if step.next is Next.WAIT:
            self._wait(step)
            return _POLL_S
        self._worked()
        self.phase = SinkPhase.SHIPPING
        return 0.0

    def _worked(self) -> None:
        self._outage.worked(self._clock())
        self._wait_s = _FIRST_WAIT_S
        if self.phase in {SinkPhase.WAITING, SinkPhase.PAUSED}:
            self.phase = SinkPhase.IDLE

    # -- a server may lose what it acknowledged when it crashes

    def _settle(self, now: float) -> bool:
        """Keep the cursor of what the server cannot lose any more; False while it does not answer.

        What was taken is safe when the same server, not restarted in between, was heard ``settle_s`` later.
        """
        settle_s = self.config.settle_s
        if settle_s and self._unsettled and now - self._unsettled[-1][0] >= settle_s and self._heard_at < now:
            with self._asking("probe"):
                step = self.sink.probe()
            if step.next is not Next.GO_ON:
                self._heed(step)
                return False
            self._worked()
            if self._restarted():
                return True
            self._heard_at = now
        settled = None
        while self._unsettled and self._heard_at - self._unsettled[0][0] >= settle_s:
            _, settled = self._unsettled.popleft()
        if settled is not None:
            self._settled = settled
            self._keep(settled)
        return True

    def _restarted(self) -> bool:
        """Whether the server may have lost what is not settled: that is sent again then."""
        before, self._generation = self._generation, self.sink.generation
        if not self.config.settle_s or before is None or before == self._generation:
            return False
        log.info("sink.sends_again", sink=self.config.name, after=self._settled)
        self._unsettled.clear()
        self._shipment = None
        self.cursor = self._settled
        return True

    # -- not now

    def _wait(self, step: SinkStep) -> None:
        """Exponential, jittered between half and all of it; what the server asks for is the least."""
        self.phase, self._trouble = SinkPhase.WAITING, step
        self._counts["failures"] += 1
        self._outage.failed(self._clock(), reason=step.reason, status=step.message)
        pause = self._wait_s * (0.5 + 0.5 * self._jitter())
        if step.wait_s is not None:
            pause = max(pause, step.wait_s * (1 + 0.1 * self._jitter()))
        self._not_before = self._clock() + pause
        self._wait_s = min(self._wait_s * 2, _MOST_WAIT_S)

    def _pause(self, step: SinkStep) -> None:
        """The server is asked again every 30 s; its token is read anew then."""
        if self.phase is not SinkPhase.PAUSED or self._trouble.reason != step.reason:
            log.warning("sink.paused", sink=self.config.name, reason=step.reason, message=step.message)
        self.phase, self._trouble = SinkPhase.PAUSED, step
        self.sink.disconnect()
        self._not_before = self._clock() + _PROBE_S
