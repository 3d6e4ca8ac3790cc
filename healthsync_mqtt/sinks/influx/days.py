"""What users' days come to, as points of a measurement of their own: one a user, type and local day.

They are read from ``summaries.db`` by the number of its changes, not from the log: a late event, a correction, a
withdrawal change days, and each of them is a change. A day that came to nothing loses its point. What the server may
lose by a restart is sent again, as with events.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol

from healthsync_mqtt.errors import ConfigError, StoreError
from healthsync_mqtt.sinks.config import InfluxConfig
from healthsync_mqtt.sinks.influx.answers import AnswerVerdict, Means, judge, judge_deletion
from healthsync_mqtt.sinks.influx.line import Line
from healthsync_mqtt.sinks.influx.lineprotocol import UnmappableError, flag, number, tag_set
from healthsync_mqtt.sinks.influx.packing import mark
from healthsync_mqtt.sinks.influx.sink import LineServer
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.series import SeriesSource
from healthsync_mqtt.summaries.file import ChangedDay
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("sink")

MEASUREMENT: Final = "daily_summary"
_AT_ONCE: Final = 200
_POLL_S: Final = 2.0
_AGAIN_S: Final = 30.0
_DAY_NS: Final = 86_400 * 10**9
_LATER: Final = frozenset({Means.WAIT, Means.PAUSE, Means.DOUBT})


class DayFile(Protocol):
    """Where days are read."""

    def changes_after(self, change: int, limit: int) -> list[ChangedDay]:
        """See ``SummaryFile``."""
        ...

    def last_change(self) -> int:
        """See ``SummaryFile``."""
        ...


class _DayPoint(NamedTuple):
    """A day on its way. ``names`` None: its point goes."""

    line: Line
    day: int
    names: frozenset[str] | None
    clear: bool


class DaysShipping:
    """Ships days to one server. Used from one thread, between two pieces of the log.

    ``covers`` says whether a user agrees that a type is stored; what is not covered is not written. ``asks`` is told
    when the server is about to be waited for, and "" after it.
    """

    def __init__(
        self,
        config: InfluxConfig,
        *,
        open_days: Callable[[], DayFile | None],
        ledger: SinkLedger,
        pseudonym: Callable[[str], str],
        covers: Callable[[str, str], bool],
        connect: Callable[[], LineServer],
        owns: Callable[[str], bool] = lambda _user: True,
        asks: Callable[[str], None] = lambda _what: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._open_days = open_days
        self._ledger = ledger
        self._pseudonym = pseudonym
        self._covers = covers
        self._connect = connect
        self._owns = owns
        self._asks = asks
        self._clock = clock
        self._days: DayFile | None = None
        self._server: LineServer | None = None
        self._connections = 0
        self._place = ledger.days_place()
        self._sent_before = self._place
        self._unsettled: deque[tuple[float, int]] = deque()
        self._not_before = 0.0

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
            verdict = self._send([point for each in changes if (point := self._point(each)) is not None])
        except ConfigError:  # its token is not there: the sink itself says so
            self._server = None
            self._not_before = now + _AGAIN_S
            return
        finally:
            self._asks("")
        if verdict.means in _LATER:
            self._not_before = now + (verdict.wait_s or _AGAIN_S)
            log.warning("sink.days_wait", sink=self._config.name, reason=verdict.reason)
            return
        self._place = changes[-1].change
        self._unsettled.append((now, self._place))
        self._settle(now)

    def _changes(self) -> list[ChangedDay]:
        if self._days is None:
            self._days = self._open_days()
        if self._days is None:
            return []
        try:
            if self._days.last_change() < self._place:  # another file: it was made again from the log
                self._place = 0
                self._unsettled.clear()
                self._ledger.keep_days_place(0)
            return self._days.changes_after(self._place, _AT_ONCE)
        except StoreError:
            self._days = None
            raise

    def _settle(self, now: float) -> None:
        """Keep the place of what the server cannot lose any more; after its restart, go back to that."""
        connections = 0 if self._server is None else self._server.connections
        if self._config.settle_s and self._connections and connections != self._connections:
            self._sent_before = max(self._sent_before, self._place)
            self._place = self._ledger.days_place()
            self._unsettled.clear()
        self._connections = connections
        settled = None
        while self._unsettled and now - self._unsettled[0][0] >= self._config.settle_s:
            _, settled = self._unsettled.popleft()
        if settled is not None:
            self._ledger.keep_days_place(settled)

    def _point(self, changed: ChangedDay) -> _DayPoint | None:
        user, type_name, day = changed.key
        if not self._owns(user):
            return None
        again = changed.change <= self._sent_before
        if not self._ledger.knows(user):
            if changed.figures is None or not self._covers(user, type_name):
                return None  # nothing of this user is there, or will be
            self._pseudonym(user)  # first: who is known already is given no new one
            self._ledger.admit(SeriesSource(MEASUREMENT, user, None, None, None))
        series = MEASUREMENT + tag_set([("user", self._pseudonym(user)), ("type", type_name)])
        known = self._ledger.day_fields(series, day)
        if changed.figures is None:
            return _DayPoint(Line(series, "", day * _DAY_NS), day, None, clear=True) if known or again else None
        if not self._covers(user, type_name):
            return None
        try:
            fields = [number(name, said) for name, said in _numbers(changed.figures.figures)]
        except UnmappableError as error:
            log.warning("sink.day_refused", sink=self._config.name, type=type_name, reason=error.reason)
            return None
        if not fields:
            return None
        line = Line(series, ",".join(fields), day * _DAY_NS)
        return _DayPoint(line, day, line.names, clear=known is not None and not known <= line.names)

    def _send(self, points: list[_DayPoint]) -> AnswerVerdict:
        """First what must go, then what is written. The answer that ended it."""
        verdict = AnswerVerdict(Means.ADVANCE)
        marks = self._config.deletes == "mark"
        lines: list[str] = []
        for point in points:
            if point.clear and not marks:
                verdict = judge_deletion(self._open().delete(Line(point.line.series, "", point.line.time_ns)), _wall())
                if verdict.means in _LATER:
                    return verdict
                if verdict.means is not Means.ADVANCE:
                    log.warning("sink.day_refused", sink=self._config.name, reason=verdict.reason)
            if point.names is not None:
                more = f",{flag('deleted', False)}" if marks else ""
                lines.append(point.line._replace(fields=point.line.fields + more).text)
            elif marks:
                lines.append(mark(point.line).text)
        if lines:
            verdict = self._written(lines)
            if verdict.means in _LATER:
                return verdict
        self._ledger.drop_day_points((point.line.series, point.day) for point in points if point.names is None)
        self._ledger.keep_day_points((p.line.series, p.day, p.names) for p in points if p.names is not None)
        return AnswerVerdict(Means.ADVANCE)

    def _written(self, lines: list[str]) -> AnswerVerdict:
        """All of them together; one by one where the server does not take one of them."""
        verdict = judge(self._open().write(lines), lines, _wall())
        if verdict.means is Means.ADVANCE or verdict.means in _LATER:
            return verdict
        for line in lines:
            verdict = judge(self._open().write([line]), [line], _wall())
            if verdict.means in _LATER:
                return verdict
            if verdict.means is not Means.ADVANCE:
                log.warning("sink.day_refused", sink=self._config.name, reason=verdict.reason, message=verdict.message)
        return AnswerVerdict(Means.ADVANCE)

    def _open(self) -> LineServer:
        if self._server is None:
            self._server = self._connect()
        return self._server


def _numbers(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a day's figures: times as seconds since 1970, of several numbers each with its name before it."""
    for name, said in figures.items():
        if name == "sources":
            yield "sources", float(len(said))
        elif isinstance(said, Mapping):
            yield from _numbers(said, f"{prefix}{name}_")
        elif isinstance(said, str):
            yield f"{prefix}{name.removesuffix('_time')}_s", datetime.fromisoformat(said).timestamp()
        elif isinstance(said, int | float) and not isinstance(said, bool):
            yield prefix + name, float(said)


def _wall() -> datetime:
    return datetime.now(UTC)
