"""InfluxDB, and what speaks its protocol, as a sink: lines and deletions on their way, and what is kept aside.

A line or a deletion that the server will not take never stops the others. What the server refused in its own words is
kept in the ledger; what it fails on is tried again, later each time; what it took later is forgotten there.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.sinks.config import InfluxConfig
from healthsync_mqtt.sinks.influx.answers import AnswerVerdict, Means, judge, judge_deletion, unanswered
from healthsync_mqtt.sinks.influx.dispatch import Dispatch, SentLine
from healthsync_mqtt.sinks.influx.line import Line, ServerAnswer
from healthsync_mqtt.sinks.influx.packer import Chunk, Packer, mark
from healthsync_mqtt.sinks.ledger import OwedPoint, RefusedLine, SinkLedger
from healthsync_mqtt.sinks.port import Next, Rows, SinkStep
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("sink")

#: Tries of one shipment that the server fails on before its lines are suspected.
_DOUBTS = 6
_FIRST_RETRY_S, _MOST_RETRY_S = 60, 6 * 3600
_S_US = 1_000_000
_GO_ON, _DONE = SinkStep(Next.GO_ON), SinkStep(Next.DONE)


class LineServer(Protocol):
    """Where lines go."""

    @property
    def connections(self) -> int: ...

    def write(self, lines: list[str]) -> ServerAnswer: ...

    def delete(self, line: Line) -> ServerAnswer: ...

    def delete_person(self, subject: str) -> ServerAnswer | None: ...

    def probe(self) -> ServerAnswer: ...


@dataclass(slots=True)
class InfluxShipment:
    """A chunk and what is left of it to send."""

    chunk: Chunk
    dispatch: Dispatch
    doubts: int = 0

    @property
    def events(self) -> int:
        """How many rows it is of."""
        return self.chunk.events


class InfluxSink:
    """See ``port.Sink``. ``connect`` makes a server anew, with the token as it is then."""

    def __init__(
        self,
        config: InfluxConfig,
        *,
        packer: Packer,
        ledger: SinkLedger,
        connect: Callable[[], LineServer],
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._config = config
        self._packer = packer
        self._ledger = ledger
        self._connect = connect
        self._now_us = now_us
        self._server: LineServer | None = None
        self._generation = 0
        self._connections = 0
        #: A line that the server took: whether it takes any now can be tried with it, for it overwrites itself.
        self._witness: str | None = None
        self._counts = {"points": 0, "refused": 0, "deleted": 0, "requests": 0}

    def warm_up(self, cursor: int) -> None:
        """See ``port.Sink``."""
        self._packer.warm_up(cursor)

    def begin(self, rows: Rows) -> InfluxShipment:
        """See ``port.Sink``."""
        chunk = self._packer.pack(rows)
        return InfluxShipment(chunk, Dispatch(chunk.lines, self._config.batch_bytes))

    def step(self, shipment: InfluxShipment) -> SinkStep:
        """See ``port.Sink``. First what must go, then what is written: a point may be both."""
        chunk, dispatch = shipment.chunk, shipment.dispatch
        try:
            if chunk.erasures:
                return self._erase(chunk)
            if part := dispatch.part:
                return self._write(shipment, [sent.line.text for sent in part])
        except ConfigError as error:
            return _no_token(error)
        self._finish(chunk, dispatch)
        return _DONE

    def mend(self, now_us: int) -> SinkStep:
        """See ``port.Sink``: persons who are erased first, then a point that is owed, then a refused event."""
        try:
            if leaving := self._ledger.erasing_due(now_us):
                return self._erase_person(*leaving, now_us)
            if owed := self._ledger.owed_due(now_us):
                return self._settle(owed, now_us)
            if due := self._ledger.refused_due(now_us):
                return self._write_again(*due, now_us)
        except ConfigError as error:
            return _no_token(error)
        return _DONE

    def retry_all(self) -> None:
        """Everything that is kept aside is due: somebody has changed something, on one side or the other."""
        self._ledger.owed_due_now()

    def probe(self) -> SinkStep:
        """See ``port.Sink``."""
        try:
            answer = self._open().probe()
        except ConfigError as error:
            return _no_token(error)
        return _GO_ON if answer.status else _step(unanswered(answer))

    @property
    def generation(self) -> int:
        """See ``port.Sink``."""
        if self._server is not None and self._server.connections != self._connections:
            self._generation += 1
            self._connections = self._server.connections
        return self._generation

    def disconnect(self) -> None:
        """See ``port.Sink``."""
        self._server = None
        self._connections = 0

    def status(self) -> dict[str, Any]:
        """See ``port.Sink``."""
        owed = self._ledger.owed(1)
        return {
            "refused_lines": self._ledger.refused_count(),
            "owed_deletions": self._ledger.owed_count(),
            "owed_reason": f"{owed[0].reason}: {owed[0].message}" if owed else "",
            "erasures_owed": len(self._ledger.erasing()),
            "series": self._ledger.series_count(),
            "users_over_series_budget": len(self._ledger.over_budget),
            "since_start": dict(self._counts),
        }

    def close(self) -> None:
        """See ``port.Sink``."""
        self.disconnect()

    # -- one request

    def _open(self) -> LineServer:
        if self._server is None:
            self._server = self._connect()
        return self._server

    def _judge(self, lines: list[str]) -> AnswerVerdict:
        self._counts["requests"] += 1
        return judge(self._open().write(lines), lines, self._wall())

    def _wall(self) -> datetime:
        return datetime.fromtimestamp(self._now_us() / 1e6, UTC)

    def _write(self, shipment: InfluxShipment, lines: list[str]) -> SinkStep:
        verdict = self._judge(lines)
        if verdict.means is Means.DOUBT:
            verdict = self._doubt(shipment, verdict)
        if verdict.means in {Means.WAIT, Means.PAUSE}:
            return _step(verdict)
        if verdict.means is Means.ADVANCE:
            self._witness = lines[0]
        shipment.dispatch.took(verdict)
        return _GO_ON

    def _doubt(self, shipment: InfluxShipment, verdict: AnswerVerdict) -> AnswerVerdict:
        """The server fails on these lines: an outage, unless it takes others at the same time."""
        shipment.doubts += 1
        if shipment.doubts < _DOUBTS:
            return verdict._replace(means=Means.WAIT)
        if self._witness is not None:
            taken = self._judge([self._witness]).means is Means.ADVANCE
            return verdict._replace(means=Means.BISECT if taken else Means.WAIT)
        if len(shipment.dispatch.part) > 1:
            return verdict._replace(means=Means.HALVE)  # one of the halves may be taken, and is the witness then
        shipment.dispatch.put_off()
        return verdict._replace(means=Means.WAIT)

    def _erase(self, chunk: Chunk) -> SinkStep:
        seq, line = chunk.erasures[0]
        self._counts["requests"] += 1
        verdict = judge_deletion(self._open().delete(line), self._wall())
        if verdict.means in {Means.WAIT, Means.PAUSE}:
            return _step(verdict)
        if verdict.means is Means.ADVANCE:
            self._counts["deleted"] += 1
        else:
            owed = OwedPoint(line.series, line.time_ns, seq, 0, verdict.reason, verdict.message)
            self._ledger.owe([owed], self._now_us() + _FIRST_RETRY_S * _S_US)
            log.warning("sink.deletion_owed", sink=self._config.name, seq=seq, message=verdict.message)
        chunk.erasures.pop(0)
        return _GO_ON

    def _erase_person(self, subject: str, tries: int, now_us: int) -> SinkStep:
        """Delete every point of a person."""
        self._counts["requests"] += 1
        answer = self._open().delete_person(subject)
        if answer is None:
            self._ledger.erase_later(
                subject, now_us + _retry_us(tries), "this server deletes nothing: drop its database"
            )
            return _GO_ON
        verdict = judge_deletion(answer, self._wall())
        if verdict.means in {Means.WAIT, Means.PAUSE}:
            return _step(verdict)
        if verdict.means is Means.ADVANCE:
            self._ledger.erased(subject)
        else:
            self._ledger.erase_later(subject, now_us + _retry_us(tries), f"{verdict.reason}: {verdict.message}")
        return _GO_ON

    def _finish(self, chunk: Chunk, dispatch: Dispatch) -> None:
        refusals = list(chunk.refusals)
        failed: list[RefusedLine] = []
        for (seq, place, _), verdict in dispatch.refused:
            kept = RefusedLine(
                seq, place, verdict.reason, 500 if verdict.reason == "server_error" else 400, verdict.message
            )
            (failed if kept.status == 500 else refusals).append(kept)
        refused = {(one.seq, one.place) for one in (*refusals, *failed)}
        before = self._ledger.refused_between(chunk.first, chunk.through)
        written = {(sent.seq, sent.place) for sent in chunk.lines if sent.seq} - refused
        self._ledger.accept(before & written)
        self._keep_refused(refusals, failed, self._now_us(), 0)
        self._counts["points"] += dispatch.accepted
        self._counts["refused"] += len(refused)

    def _keep_refused(self, refusals: list[RefusedLine], failed: list[RefusedLine], now_us: int, tries: int) -> None:
        self._ledger.refuse(refusals, now_us)
        self._ledger.refuse(failed, now_us, now_us + _retry_us(tries))
        if refusals or failed:
            log.warning(
                "sink.lines_refused", sink=self._config.name, lines=len(refusals) + len(failed),
                first=min(one.seq for one in (*refusals, *failed)),
                reasons=sorted({one.reason for one in (*refusals, *failed)}),
            )  # fmt: skip

    # -- what was kept aside

    def _settle(self, owed: OwedPoint, now_us: int) -> SinkStep:
        """Delete the point, then write what the latest version has there: it may have come back since."""
        gone = Line(owed.series, "", owed.time_ns)
        latest = self._packer.latest(owed.seq)
        lines = self._packer.lines(latest) if latest is not None else []
        back = [line.text for line in lines if line.time_ns == owed.time_ns]
        if self._config.deletes == "mark":
            back = [mark(gone).text, *back]
        else:
            self._counts["requests"] += 1
            verdict = judge_deletion(self._open().delete(gone), self._wall())
            if verdict.means in {Means.WAIT, Means.PAUSE}:
                return _step(verdict)
            if verdict.means is not Means.ADVANCE:
                again = owed._replace(reason=verdict.reason, message=verdict.message)
                self._ledger.owe([again], now_us + _retry_us(owed.tries))
                return _GO_ON
            self._counts["deleted"] += 1
        if back:
            verdict = self._judge(back)
            if verdict.means is not Means.ADVANCE:
                return _step(verdict) if verdict.means in {Means.WAIT, Means.PAUSE} else self._later(owed, now_us)
        self._ledger.settle(owed.series, owed.time_ns)
        return _GO_ON

    def _later(self, owed: OwedPoint, now_us: int) -> SinkStep:
        self._ledger.owe([owed], now_us + _retry_us(owed.tries))
        return _GO_ON

    def _write_again(self, seq: int, tries: int, now_us: int) -> SinkStep:
        """The lines of one event that the server failed on, each alone."""
        record = self._packer.latest(seq)
        if record is None or record.seq != seq:
            self._ledger.forgive([seq])
            return _GO_ON
        places = self._ledger.refused_between(seq, seq)
        lines = [
            SentLine(seq, place, line)
            for place, line in enumerate(self._packer.lines(record))
            if (seq, place) in places
        ]
        for sent in lines:
            verdict = self._judge([sent.line.text])
            if verdict.means in {Means.WAIT, Means.PAUSE}:
                return _step(verdict)
            if verdict.means is Means.ADVANCE:
                self._ledger.accept([(seq, sent.place)])
                continue
            failing = verdict.means is Means.DOUBT
            kept = [RefusedLine(seq, sent.place, verdict.reason, 500 if failing else 400, verdict.message)]
            self._keep_refused([] if failing else kept, kept if failing else [], now_us, tries)
        if not lines:
            self._ledger.forgive([seq])
        return _GO_ON


def _retry_us(tries: int) -> int:
    return int(min(_FIRST_RETRY_S << min(tries, 20), _MOST_RETRY_S)) * _S_US


def _step(verdict: AnswerVerdict) -> SinkStep:
    next_ = Next.PAUSE if verdict.means is Means.PAUSE else Next.WAIT
    return SinkStep(next_, verdict.reason, verdict.message, verdict.hint, verdict.wait_s)


def _no_token(error: ConfigError) -> SinkStep:
    return SinkStep(Next.PAUSE, "no_token", str(error), error.hint)
