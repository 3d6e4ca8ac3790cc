"""One sink at work: reads the log after its cursor, sends, moves the cursor when the server has taken everything.

Nothing is kept in memory only: what is being sent is in the log, and the cursor moves after the server's answer. A
crash anywhere sends some points again, which overwrite themselves. ``step`` does the next piece of work and says when
to come again, so that tests need no clock.
"""

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from random import random
from typing import TYPE_CHECKING, Any, Protocol

from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.sinks.config import SinkConfig
from healthsync_mqtt.sinks.influx.answers import Means, Verdict, judge, judge_deletion
from healthsync_mqtt.sinks.influx.dispatch import Dispatch
from healthsync_mqtt.sinks.influx.packing import Chunk, Packer
from healthsync_mqtt.sinks.ledger import Ledger
from healthsync_mqtt.sinks.port import Answer, Line, Refusal
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.outage import Outage

if TYPE_CHECKING:
    from healthsync_mqtt.model.record import Record

log = get_logger("sink")

_POLL_S = 0.2
_PROBE_S = 30.0
_FIRST_WAIT_S, _MOST_WAIT_S = 0.5, 60.0
_ROWS, _ROWS_A_READ, _BODY_BYTES = 5000, 250, 4_000_000


class Server(Protocol):
    """Where lines go."""

    @property
    def connections(self) -> int: ...

    def write(self, lines: list[str]) -> Answer: ...

    def delete(self, line: Line) -> Answer: ...


class Phase(StrEnum):
    """What a sink is doing."""

    IDLE = "idle"
    SHIPPING = "shipping"
    #: the server is away; tried again by itself
    WAITING = "waiting"
    #: an operator has to change something; tried again every 30 s in case it was changed on the other side
    PAUSED = "paused"


class Shipper:
    """Feeds one sink. Used from one thread. ``keep`` is told each new cursor; ``connect`` makes a server anew."""

    def __init__(
        self,
        sink: SinkConfig,
        *,
        reader: LogReader,
        packer: Packer,
        ledger: Ledger,
        connect: Callable[[], Server],
        cursor: int,
        keep: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        jitter: Callable[[], float] = random,
    ) -> None:
        self.sink = sink
        self.cursor = cursor
        self.phase = Phase.IDLE
        self._reader = reader
        self._packer = packer
        self._ledger = ledger
        self._connect = connect
        self._keep = keep
        self._clock = clock
        self._now_us = now_us
        self._jitter = jitter
        self._outage = Outage(log.bind(sink=sink.name), "sink.server")
        self._server: Server | None = None
        self._proven = False
        self._chunk: Chunk | None = None
        self._dispatch: Dispatch | None = None
        self._rows_since: float | None = None
        self._not_before = 0.0
        self._wait_s = _FIRST_WAIT_S
        self._verdict = Verdict(Means.ADVANCE)
        self._last_us = 0
        self._settled = cursor
        self._unsettled: deque[tuple[float, int]] = deque()
        self._connections = 0
        self._counts = {"events": 0, "points": 0, "refused": 0, "deleted": 0, "requests": 0, "failures": 0}

    def step(self) -> float:
        """Do the next piece of work; the seconds until the next one is due."""
        if self.sink.paused:
            self._pause(Verdict(Means.PAUSE, "paused_by_operator", hint=f"healthsync sink resume {self.sink.name}"))
            return _POLL_S
        now = self._clock()
        self._settle(now)
        if now < self._not_before:
            return min(self._not_before - now, _POLL_S)
        if self._chunk is None and not self._read(now):
            return _POLL_S
        return self._send()

    def wake(self, sink: SinkConfig) -> None:
        """The configuration has changed, or somebody wants it tried now."""
        self.sink = sink
        self._disconnect()
        self._not_before = 0.0
        if self.phase is Phase.PAUSED:
            self.phase = Phase.IDLE

    def status(self) -> dict[str, Any]:
        """What ``sink status`` and ``bridge/{bridge}/status`` show."""
        head = self._reader.head()
        waits = self.phase in {Phase.WAITING, Phase.PAUSED}
        return {
            "sink": self.sink.name,
            "state": self.phase.value,
            "reason": self._verdict.reason if waits else "",
            "message": self._verdict.message if waits else "",
            "fix": self._verdict.hint if waits else "",
            "cursor": self.cursor,
            "lag": max(0, head - self.cursor),
            "last_written_at": iso(self._last_us) if self._last_us else None,
            "refused_lines": self._ledger.refused_count(),
            "series": self._ledger.series_count(),
            "users_over_series_budget": len(self._ledger.over_budget),
            "since_start": dict(self._counts),
        }

    # -- one chunk

    def _read(self, now: float) -> bool:
        """Pack the next rows; False while there are none, or too few that are too young."""
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
            if self.phase is Phase.SHIPPING:
                self.phase = Phase.IDLE
            return False
        if self._rows_since is None:
            self._rows_since = now
        if not more and now - self._rows_since < self.sink.flush_s:
            return False
        self._rows_since = None
        self._chunk = self._packer.pack(records)
        self._dispatch = Dispatch(self._chunk.lines, self.sink.batch_bytes)
        return True

    def _send(self) -> float:
        assert self._chunk is not None
        assert self._dispatch is not None
        try:
            server = self._server = self._server or self._connect()
        except ConfigError as error:
            self._pause(Verdict(Means.PAUSE, "no_token", message=str(error), hint=error.hint))
            return _POLL_S
        wall = datetime.fromtimestamp(self._now_us() / 1e6, UTC)
        if self._chunk.erasures:
            verdict = judge_deletion(server.delete(self._chunk.erasures[0]), wall)
            if verdict.means is Means.ADVANCE:
                self._chunk.erasures.pop(0)
                self._counts["deleted"] += 1
        elif part := self._dispatch.part:
            lines = [sent.line.text for sent in part]
            verdict = judge(server.write(lines), lines, wall, proven=self._proven)
            self._dispatch.took(verdict)
            self._proven = self._proven or verdict.means is Means.ADVANCE
        else:
            self._finish(self._chunk, self._dispatch)
            return 0.0
        self._counts["requests"] += 1
        return self._heed(verdict)

    def _heed(self, verdict: Verdict) -> float:
        if verdict.means is Means.PAUSE:
            self._pause(verdict)
            return _POLL_S
        if verdict.means is Means.WAIT:
            self._wait(verdict)
            return _POLL_S
        self._outage.worked(self._clock())
        self._wait_s = _FIRST_WAIT_S
        self.phase = Phase.SHIPPING
        return 0.0

    def _finish(self, chunk: Chunk, dispatch: Dispatch) -> None:
        refusals = list(chunk.refusals)
        for (seq, place, _), verdict in dispatch.refused:
            refusals.append(Refusal(seq, place, verdict.reason, 400, verdict.message))
        if refusals:
            self._ledger.refuse(refusals, self._now_us())
            log.warning(
                "sink.lines_refused", sink=self.sink.name, lines=len(refusals), first=refusals[0].seq,
                reasons=sorted({refusal.reason for refusal in refusals}),
            )  # fmt: skip
        self._counts["events"] += chunk.events
        self._counts["points"] += dispatch.accepted
        self._counts["refused"] += len(refusals)
        self._last_us = self._now_us()
        self._chunk = self._dispatch = None
        assert self._server is not None
        opened, self._connections = self._connections, self._server.connections
        if self.sink.settle_s and opened and self._connections != opened:
            # The server may have crashed in between and lost what it had acknowledged: send that again.
            self._unsettled.clear()
            self.cursor = self._settled
            return
        self.cursor = chunk.through
        self._unsettled.append((self._clock(), chunk.through))
        self._settle(self._clock())

    def _settle(self, now: float) -> None:
        """Keep the cursor of what the server cannot lose any more."""
        settled = None
        while self._unsettled and now - self._unsettled[0][0] >= self.sink.settle_s:
            _, settled = self._unsettled.popleft()
        if settled is not None:
            self._settled = settled
            self._keep(settled)

    def _disconnect(self) -> None:
        self._server = None
        if self._connections:
            self._connections = -1  # the next one is a new one

    # -- not now

    def _wait(self, verdict: Verdict) -> None:
        """Exponential, jittered between half and all of it; what the server asks for is the least."""
        self.phase, self._verdict = Phase.WAITING, verdict
        self._counts["failures"] += 1
        self._outage.failed(self._clock(), reason=verdict.reason, status=verdict.message)
        pause = self._wait_s * (0.5 + 0.5 * self._jitter())
        if verdict.wait_s is not None:
            pause = max(pause, verdict.wait_s * (1 + 0.1 * self._jitter()))
        self._not_before = self._clock() + pause
        self._wait_s = min(self._wait_s * 2, _MOST_WAIT_S)

    def _pause(self, verdict: Verdict) -> None:
        """The server is asked again every 30 s; its token is read anew then."""
        if self.phase is not Phase.PAUSED or self._verdict.reason != verdict.reason:
            log.warning("sink.paused", sink=self.sink.name, reason=verdict.reason, message=verdict.message)
        self.phase, self._verdict = Phase.PAUSED, verdict
        self._disconnect()
        self._not_before = self._clock() + _PROBE_S
