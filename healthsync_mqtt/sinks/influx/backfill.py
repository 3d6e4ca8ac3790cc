"""Work on a sink beside the process that feeds it: ship a part of the log again, repair what reconcile found.

Both are safe while the service runs, because every write is one that can be repeated. What superseded a row while it
was being sent again is applied once more at the end, and what superseded that, until nothing did: then whatever comes
later is shipped by the service after our last write, and no point that was deleted meanwhile is back.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.sinks.config import InfluxConfig
from healthsync_mqtt.sinks.influx.answers import MAX_WAIT_S, AnswerVerdict, Means, judge, judge_deletion
from healthsync_mqtt.sinks.influx.dispatch import Dispatch, SentLine
from healthsync_mqtt.sinks.influx.line import Line
from healthsync_mqtt.sinks.influx.sink import LineServer
from healthsync_mqtt.sinks.shipper import Shipper, SinkPhase
from healthsync_mqtt.storage.port import LogReader

_GIVE_UP_AFTER = 8
_FIRST_WAIT_S = 0.5


class Slice:
    """The part of a log that is to be shipped: rows up to ``through``, of one user or type, from a start time on.

    With ``superseding`` only rows that can supersede others: later versions and tombstones.
    """

    def __init__(
        self,
        reader: LogReader,
        *,
        through: int,
        user: str | None = None,
        type: str | None = None,  # noqa: A002
        since_us: int | None = None,
        superseding: bool = False,
    ) -> None:
        self._reader = reader
        self._through = through
        self._user = user
        self._type = type
        self._since_us = since_us
        self._superseding = superseding

    def read(self, after: int, limit: int, **_: object) -> list[Record]:
        """The next rows of the slice, without those that are superseded; none only at its end."""
        while after < self._through:
            rows = self._reader.read(after, limit, user=self._user, type=self._type, since_us=self._since_us)
            wanted = [row for row in rows if row.seq <= self._through]
            if self._superseding:
                wanted = [row for row in wanted if row.version or row.op]
            if wanted or not rows:
                return wanted
            after = rows[-1].seq
        return []

    def head(self) -> int:
        """The last row."""
        return self._through

    def snapshot(self) -> AbstractContextManager[None]:
        """As the log's."""
        return self._reader.snapshot()

    def get(self, seq: int) -> Record | None:
        """As the log's."""
        return self._reader.get(seq)

    def find(self, user: str, event_id: str) -> Record | None:
        """As the log's."""
        return self._reader.find(user, event_id)

    def superseded_by(self, first: int, last: int) -> dict[int, list[Record]]:
        """As the log's."""
        return self._reader.superseded_by(first, last)


def drain(shipper: Shipper, progress: Callable[[int], None], sleep: Callable[[float], None] = time.sleep) -> None:
    """Ship to the end of the shipper's slice. UnavailableError when the sink is paused or away for good."""
    away = 0.0
    while True:
        before = shipper.cursor
        wait = shipper.step()
        if shipper.cursor != before:
            progress(shipper.cursor)
        status = shipper.status() if shipper.phase in {SinkPhase.PAUSED, SinkPhase.WAITING} else {}
        if shipper.phase is SinkPhase.PAUSED:
            raise UnavailableError(f"{status['reason']}: {status['message']}".rstrip(": "), hint=status["fix"])
        away = away + wait if status else 0.0
        if away > MAX_WAIT_S:
            raise UnavailableError(f"the server is away: {status['reason']}", hint="try again when it is back")
        if shipper.phase is SinkPhase.IDLE and wait:
            return
        if wait:
            sleep(wait)


def overtaken(reader: LogReader, since: int, ship: Callable[[Slice, int], None]) -> None:
    """Apply what superseded rows after ``since``, again and again until a look finds nothing that did.

    ``ship`` sends the rows of a slice after a seq, to the end.
    """
    while True:
        head = reader.head()
        later = Slice(reader, through=head, superseding=True)
        if not later.read(since, 1):
            return
        ship(later, since)
        since = head


def repair(
    server: LineServer,
    config: InfluxConfig,
    write: Sequence[Line],
    erase: Sequence[Line],
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Erase, then write; how many deletions and lines the server refused. UnavailableError when it takes nothing."""
    marks: list[Line] = []
    refused = 0
    if config.deletes == "delete":
        for line in erase:
            verdict = _insist(lambda line=line: judge_deletion(server.delete(line), datetime.now(UTC)), sleep)  # type: ignore[misc]
            refused += verdict.means is not Means.ADVANCE
    else:
        marks = list(erase)
    lines = [SentLine(0, place, line) for place, line in enumerate([*marks, *write])]
    dispatch = Dispatch(lines, config.batch_bytes)
    while part := dispatch.part:
        texts = [sent.line.text for sent in part]
        dispatch.took(_insist(lambda texts=texts: judge(server.write(texts), texts, datetime.now(UTC)), sleep))  # type: ignore[misc]
    return refused + len(dispatch.refused)


def _insist(attempt: Callable[[], AnswerVerdict], sleep: Callable[[float], None]) -> AnswerVerdict:
    wait = _FIRST_WAIT_S
    for _ in range(_GIVE_UP_AFTER):
        verdict = attempt()
        if verdict.means is Means.PAUSE:
            raise UnavailableError(f"{verdict.reason}: {verdict.message}".rstrip(": "), hint=verdict.hint)
        if verdict.means not in {Means.WAIT, Means.DOUBT}:
            return verdict
        sleep(max(wait, verdict.wait_s or 0.0))
        wait *= 2
    raise UnavailableError(f"the server is away: {verdict.reason}", hint="try again when it is back")
