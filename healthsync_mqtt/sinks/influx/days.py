"""What users' days come to, as points of a measurement of their own: one a user, type and local day.

A day that came to nothing loses its point.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from healthsync_mqtt.sinks.config import InfluxConfig
from healthsync_mqtt.sinks.influx.answers import AnswerVerdict, Means, judge, judge_deletion
from healthsync_mqtt.sinks.influx.line import Line
from healthsync_mqtt.sinks.influx.lineprotocol import UnmappableError, flag, number, tag_set
from healthsync_mqtt.sinks.influx.packer import mark
from healthsync_mqtt.sinks.influx.sink import LineServer
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.port import Next, SinkStep, UserDay
from healthsync_mqtt.sinks.series import SeriesSource
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("sink")

MEASUREMENT: Final = "daily_summary"
_DAY_NS: Final = 86_400 * 10**9
_LATER: Final = frozenset({Means.WAIT, Means.PAUSE, Means.DOUBT})
_DONE: Final = SinkStep(Next.DONE)


class _DayPoint(NamedTuple):
    """A day on its way. ``names`` None: its point goes. ``known`` are the fields that its point has."""

    line: Line
    day: int
    names: frozenset[str] | None
    known: frozenset[str] | None

    @property
    def clear(self) -> bool:
        """Whether what is there has to go first."""
        return self.names is None or (self.known is not None and not self.known <= self.names)


class InfluxDays:
    """See ``port.DaySink``. ``connect`` makes a connection, with the token of that moment; ConfigError without it."""

    def __init__(
        self,
        config: InfluxConfig,
        *,
        ledger: SinkLedger,
        pseudonym: Callable[[str], str],
        connect: Callable[[], LineServer],
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._pseudonym = pseudonym
        self._connect = connect
        self._server: LineServer | None = None

    @property
    def generation(self) -> int:
        """See ``port.DaySink``."""
        return 0 if self._server is None else self._server.connections

    def send(self, days: Sequence[UserDay]) -> SinkStep:
        """See ``port.DaySink``."""
        verdict = self._send([point for each in days if (point := self._point(each)) is not None])
        if verdict.means in _LATER:
            return SinkStep(Next.WAIT, verdict.reason, verdict.message, verdict.hint, verdict.wait_s)
        return _DONE

    def disconnect(self) -> None:
        """See ``port.DaySink``."""
        self._server = None

    def _point(self, day: UserDay) -> _DayPoint | None:
        if not self._ledger.knows(day.user):
            if day.figures is None:
                return None  # nothing of this user is there, or will be
            self._pseudonym(day.user)  # first: who is known already is given no new one
            self._ledger.admit(SeriesSource(MEASUREMENT, day.user, None, None, None))
        series = MEASUREMENT + tag_set([("user", self._pseudonym(day.user)), ("type", day.type)])
        known = self._ledger.day_fields(series, day.day)
        at_ns = day.day * _DAY_NS
        if day.figures is None:
            gone = known is not None or day.again
            return _DayPoint(Line(series, "", at_ns), day.day, None, known) if gone else None
        try:
            fields = [number(name, said) for name, said in _numbers(day.figures.figures)]
        except UnmappableError as error:
            log.warning("sink.day_refused", sink=self._config.name, type=day.type, reason=error.reason)
            return None
        if not fields:
            return None
        line = Line(series, ",".join(fields), at_ns)
        return _DayPoint(line, day.day, line.names, known)

    def _send(self, points: list[_DayPoint]) -> AnswerVerdict:
        """First what must go, then what is written. The answer that ended it."""
        verdict = AnswerVerdict(Means.ADVANCE)
        # Known before it is there: whatever ends this, the point of a day that comes to nothing can be taken away.
        self._ledger.keep_day_points((p.line.series, p.day, p.names) for p in points if p.names and p.known is None)
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
