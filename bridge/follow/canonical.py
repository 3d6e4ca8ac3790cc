"""Canonical events to subscribers. Each subscriber reads the event log at its own pace, by its own cursor.

A slow subscriber is behind, and nothing else: no event is dropped for it and nothing is buffered for it. The cursor of
a persistent session is kept in the log, so that it goes on after a crash of either side where its acknowledgements
ended.
"""

import asyncio
import time
from collections.abc import Callable, Iterator

from bridge.cursors import Cursors
from bridge.ports import Chores, Commit
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.broker.embedded.sessions.session import Message, Session
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.model.record import Record, canonical_json
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.topics.registry import TopicRegistry

_CHUNK = 500
_EVENTS_A_MESSAGE = 100
_BYTES_A_MESSAGE = 65_536
_BYTES_AT_ONCE = 262_144
_CURSOR = "subscriber:"


class Publisher:
    """Fills sessions with canonical events (the door's ``Feeder``)."""

    def __init__(
        self,
        *,
        reader: LogReader,
        head: int,
        registry: TopicRegistry,
        chores: Chores,
        gate: ConsentGate,
        sessions: Sessions,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._gate = gate
        self._clock_us = clock_us
        self._reader = reader
        self._registry = registry
        self._cursors = Cursors(chores, _CURSOR)
        self._head = head
        self._attached: set[Session] = set()
        self._positions: dict[str, int] = {
            name.removeprefix(_CURSOR): seq for name, seq in reader.cursors().items() if name.startswith(_CURSOR)
        }
        self._topics: dict[tuple[str, str], str] = {}
        self._chunk: tuple[int, list[Record]] = (-1, [])
        self._wake = asyncio.Event()
        #: whose filters count, and who sends
        self._match = sessions.index.match
        self._give = sessions.give
        self._forget = sessions.forget

    # -- the door's side

    def attach(self, session: Session) -> None:
        """Feed this session from its position: where its last acknowledgement was, or from now on."""
        if session.position is None:
            session.position = self._positions.get(session.client_id, self._head)
        self._attached.add(session)
        self._wake.set()

    def detach(self, session: Session) -> None:
        """Stop feeding; a persistent session goes on at what it has not acknowledged."""
        self._attached.discard(session)
        if session.persistent:
            self._note(session)
            self.keep()

    def forget(self, client_id: str) -> None:
        """No position is kept for this client."""
        if self._positions.pop(client_id, None) is not None:
            self._cursors.drop(client_id)
            self._cursors.keep()

    def wanted(self) -> None:
        """A session has room."""
        self._wake.set()

    # -- the bridge's side

    def committed(self, commit: Commit) -> None:
        """The log has grown."""
        self._head = commit.head
        if self._attached:
            self._wake.set()

    def narrowed(self, users: frozenset[str]) -> None:
        """The consent of these users to share has changed: what waits and may not go out any more is dropped."""
        if users:
            now_us = self._clock_us()
            parse, shares = self._registry.parse, self._gate.permits

            def withheld(topic: str) -> bool:
                parsed = parse(topic)
                return parsed is not None and parsed[0].key == "canonical" and not shares(**parsed[1], now_us=now_us)

            self._forget(withheld)

    @property
    def lag(self) -> int:
        """Events that the slowest connected subscriber has not been handed yet."""
        return max((self._head - (session.position or 0) for session in self._attached), default=0)

    async def run(self) -> None:
        """Feed for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._round():
                self._wake.set()
                await asyncio.sleep(0)

    def keep(self) -> None:
        """Write down how far persistent sessions have acknowledged, where that changed."""
        for session in self._attached:
            if session.persistent:
                self._note(session)
        self._cursors.keep()

    def _note(self, session: Session) -> None:
        position = session.acknowledged_position()
        if position is not None and self._positions.get(session.client_id) != position:
            self._positions[session.client_id] = position
            self._cursors.move(session.client_id, position)

    # -- one session

    def _round(self) -> bool:
        """One chunk for each session; False when nobody took any."""
        filled = [self._fill(session) for session in tuple(self._attached)]
        return any(filled)

    def _fill(self, session: Session) -> bool:
        """Hand the session its next events; False when it has them all or takes no more now."""
        after = session.position
        if after is None or after >= self._head or not session.room or not session.connected:
            return False
        records = self._read(after)
        if not records:
            session.position = self._head  # the rest is purged
            return False
        granted: dict[str, int] = {}
        runs: dict[str, list[Record]] = {}
        now_us, shares = self._clock_us(), self._gate.shares
        size, position = 0, after
        for record in records:
            position = record.seq
            topic = self._topic(record)
            if topic not in granted:
                granted[topic] = self._match(topic).get(session, -1)
            if granted[topic] >= 0 and shares(record, now_us):
                runs.setdefault(topic, []).append(record)
                size += len(record.body)
                if size > _BYTES_AT_ONCE:
                    break
        for topic, run in runs.items():
            name, qos = topic.encode(), min(1, granted[topic])
            for part in canonical_parts(run):
                self._give(session, Message(name, canonical_payload(part), qos, after=after))
        session.position = position
        return True

    def _read(self, after: int) -> list[Record]:
        """The next rows; subscribers at the same place share one read."""
        at, records = self._chunk
        if at != after or (len(records) < _CHUNK and (not records or records[-1].seq < self._head)):
            records = self._reader.read(after, _CHUNK, history=True)
            self._chunk = (after, records)
        return records

    def _topic(self, record: Record) -> str:
        key = (record.user, record.type)
        topic = self._topics.get(key)
        if topic is None:
            if len(self._topics) > 100_000:
                self._topics.clear()
            topic = self._topics[key] = self._registry.build("canonical", user=record.user, type=record.type)
        return topic


def canonical_parts(run: list[Record]) -> Iterator[list[Record]]:
    """A run of events as the messages it goes out in: bounded in number and size; one large event goes alone."""
    part: list[Record] = []
    size = 0
    for record in run:
        if part and (len(part) == _EVENTS_A_MESSAGE or size + len(record.body) > _BYTES_A_MESSAGE):
            yield part
            part, size = [], 0
        part.append(record)
        size += len(record.body)
    yield part


def canonical_payload(records: list[Record]) -> bytes:
    """One event, or an array of events, as DESIGN's canonical messages carry them."""
    if len(records) == 1:
        return canonical_json(records[0])
    return b"[" + b",".join(map(canonical_json, records)) + b"]"
