"""On an external broker: canonical events, published once for all subscribers by one cursor in the log.

The cursor moves over a row when the broker has acknowledged every message up to it, and is kept in the log, so a crash
of either side repeats some messages (subscribers tell them by ``seq``) and leaves out none.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass

from bridge.cursors import Cursors
from bridge.follow.canonical import canonical_parts, canonical_payload
from bridge.ports import Chores, Commit
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.mqtt.links.port import BrokerLink
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.topics.registry import TopicRegistry

_CHUNK = 500
_SUBSCRIBER = "subscriber:"
_AGAIN_S = 0.5


@dataclass(slots=True)
class _Chunk:
    """Rows that were sent: up to which seq, and how many of their messages are not acknowledged."""

    last: int
    owed: int = 0


class CanonicalPublisher:
    """Publishes the log's rows in their order while there is a connection."""

    def __init__(
        self,
        *,
        bridge_id: str,
        reader: LogReader,
        head: int,
        registry: TopicRegistry,
        chores: Chores,
        gate: ConsentGate,
        chunks: int = 4,
    ) -> None:
        self._gate = gate
        self._name = f"publish:{bridge_id}"
        self._reader = reader
        self._registry = registry
        self._cursors = Cursors(chores)
        self._most = chunks
        self._head = head
        self._link: BrokerLink | None = None
        self._sent: deque[_Chunk] = deque()
        self._wake = asyncio.Event()
        self._topics: dict[tuple[str, str], str] = {}
        known = reader.cursor(self._name)
        self._noted = known if known is not None else -1
        self._acknowledged = known if known is not None else _start(reader, self._head)
        self._position = self._acknowledged

    @property
    def lag(self) -> int:
        """Rows that the broker has not acknowledged yet."""
        return self._head - self._acknowledged

    def connected(self, link: BrokerLink | None) -> None:
        """Publish over this connection, from what the last one did not get acknowledged; None: there is none."""
        self._link = link
        self._sent = deque()
        self._position = self._acknowledged
        self._wake.set()

    def committed(self, commit: Commit) -> None:
        """The log has grown."""
        self._head = commit.head
        self._wake.set()

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._next():
                self._wake.set()
                await asyncio.sleep(0)

    def keep(self) -> None:
        """Write the cursor down, where it moved."""
        if self._acknowledged != self._noted:
            self._noted = self._acknowledged
            self._cursors.move(self._name, self._acknowledged)
        self._cursors.keep()

    def _next(self) -> bool:
        """Send one chunk; False when there is nothing to send, or enough is on its way."""
        link = self._link
        if link is None or not link.alive or self._position >= self._head or len(self._sent) >= self._most:
            return False
        records = self._reader.read(self._position, _CHUNK, history=True)
        if not records:
            self._position = self._head  # the rest is purged
            return False
        runs: dict[str, list[Record]] = {}
        now_us = time.time_ns() // 1000
        for record in records:
            if self._gate.shares(record, now_us):
                runs.setdefault(self._topic(record), []).append(record)
        before = self._position
        chunk = _Chunk(records[-1].seq, owed=1)
        self._sent.append(chunk)
        self._position = chunk.last
        for topic, run in runs.items():
            for part in canonical_parts(run):
                chunk.owed += 1
                payload = canonical_payload(part)
                if not link.send(topic, payload, done=lambda: self._taken(link, chunk)):
                    # Gone, or too much waits there: this chunk is sent again, from its start.
                    self._sent.remove(chunk)
                    self._position = before
                    asyncio.get_running_loop().call_later(_AGAIN_S, self._wake.set)
                    return False
        self._taken(link, chunk)
        return True

    def _taken(self, link: BrokerLink, chunk: _Chunk) -> None:
        if link is not self._link:
            return
        chunk.owed -= 1
        while self._sent and not self._sent[0].owed:
            self._acknowledged = self._sent.popleft().last
            self._wake.set()

    def _topic(self, record: Record) -> str:
        key = (record.user, record.type)
        topic = self._topics.get(key)
        if topic is None:
            if len(self._topics) > 100_000:
                self._topics.clear()
            topic = self._topics[key] = self._registry.build("canonical", user=record.user, type=record.type)
        return topic


def _start(reader: LogReader, head: int) -> int:
    """Where a log begins to be published here: where its embedded broker's subscribers were, else from now on."""
    positions = [seq for name, seq in reader.cursors().items() if name.startswith(_SUBSCRIBER)]
    return min(positions, default=head)
