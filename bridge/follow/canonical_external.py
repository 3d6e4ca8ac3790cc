"""On an external broker: canonical events, published once for all subscribers by one cursor in the log.

The cursor moves over a row when the broker has acknowledged every message up to it, and is kept in the log, so a crash
of either side repeats some messages (subscribers tell them by ``seq``) and leaves out none.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from bridge.cursors import Cursors
from bridge.follow.abandoned_cursors import received_after
from bridge.follow.canonical_events import CanonicalEvent, CanonicalEvents
from bridge.follow.loop import CursorLoop
from bridge.ports import UNSENT_FIX, Chores, Commit
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.model.catalogue import GUARDED
from healthsync_mqtt.mqtt.codec.packets import Puback
from healthsync_mqtt.mqtt.links.port import BrokerLink
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.topics.registry import TopicRegistry

log = get_logger("bridge")

_AGAIN_S: Final = 0.5
_REFUSED: Final = 0x80
_FOR_GOOD: Final = frozenset({0x90, 0x95, 0x99})
"""Reason codes that the same message gets again: invalid topic, too large, invalid payload."""


@dataclass(slots=True)
class _Page:
    """Rows that were sent: up to which seq, and how many of their messages are not acknowledged."""

    last: int
    owed: int = 0


class CanonicalPublisher:
    """Publishes the log's rows in their order while there is a connection, one message an event.

    A log that was never published here begins at the smallest of ``places``, where the subscribers of an embedded
    broker were; from now on when there are none.
    """

    def __init__(
        self,
        *,
        bridge_id: str,
        reader: LogReader,
        head: int,
        registry: TopicRegistry,
        chores: Chores,
        gate: ConsentGate,
        counters: Counters,
        places: Mapping[str, int],
        guarded: bool = False,
        shared: bool = False,
        pages: int = 4,
    ) -> None:
        """``guarded``: types that are asked for by name are published, too.

        ``shared``: one of several bridges of the log publishes, now this one and now another, from one place.
        """
        #: A broker decides when somebody subscribes, not when a message comes: `*` would bring these.
        self._withheld = frozenset[str]() if guarded else GUARDED
        self._gate = gate
        self._counters = counters
        own = f"publish:{bridge_id}"
        self._name = "publish" if shared else own
        self._reader = reader
        self._events = CanonicalEvents(reader, registry)
        self._cursors = Cursors(chores)
        self._most = pages
        self._head = head
        self._link: BrokerLink | None = None
        self._sent: deque[_Page] = deque()
        #: the broker has refused a message for now, and gets no more for a moment
        self._refused = False
        #: this bridge's turn begins: the one before it may have come further
        self._begins = False
        self._loop = CursorLoop(self._step)
        known = reader.cursor(self._name)
        if known is None:
            known = reader.cursor(own)
        self._noted = known if known is not None else -1
        self._acknowledged = known if known is not None else min(places.values(), default=head)
        self._position = self._acknowledged

    @property
    def lag(self) -> int:
        """Rows that the broker has not acknowledged yet."""
        return max(0, self._head - self._acknowledged)

    @property
    def lag_s(self) -> float:
        """For how many seconds the oldest of them has waited."""
        received_us = received_after(self._reader, self._acknowledged) if self.lag else None
        return 0.0 if received_us is None else max(0.0, time.time() - received_us / 1e6)

    async def run(self) -> None:
        """Follow for ever, from where the log says that its publisher was."""
        self._begins = True
        self._loop.wake()
        await self._loop.run()

    def connected(self, link: BrokerLink | None) -> None:
        """Publish over this connection, from what the last one did not get acknowledged; None: there is none."""
        self._link = link
        self._sent = deque()
        self._position = self._acknowledged
        self._loop.wake()

    def committed(self, commit: Commit) -> None:
        """The log has grown."""
        self._head = max(self._head, commit.head)
        self._loop.wake()

    def purged(self) -> None:
        """Bodies in the log were purged: nothing that was read before is handed out."""
        self._events.forget()

    def keep(self) -> None:
        """Write the cursor down, where it moved."""
        if self._acknowledged != self._noted:
            self._noted = self._acknowledged
            self._cursors.move(self._name, self._acknowledged)
        self._cursors.keep()

    def _step(self) -> bool:
        """Send one page; False when there is nothing to send, or enough is on its way."""
        if self._begins:
            self._begin()
        link = self._link
        if link is None or not link.alive or self._position >= self._head or len(self._sent) >= self._most:
            return False
        if self._refused:
            return False
        events, through, _ = self._events.after(self._position, self._head)
        before, now_us = self._position, time.time_ns() // 1000
        page = _Page(through, owed=1)
        self._sent.append(page)
        self._position = page.last
        for event in events:
            if event.record.type in self._withheld or not self._gate.shares(event.record, now_us):
                continue
            if len(event.payload) > link.room(event.topic):
                self._set_aside(event, link.room(event.topic))
                continue
            page.owed += 1
            if not link.send(event.topic, event.payload, done=partial(self._answered, link, page, event)):
                # Gone, or too much waits there: this page is sent again, from its start.
                self._sent.remove(page)
                self._position = before
                asyncio.get_running_loop().call_later(_AGAIN_S, self._loop.wake)
                return False
        self._taken(link, page)
        return True

    def _begin(self) -> None:
        known = self._reader.cursor(self._name)
        self._begins = False
        if known is not None and self._acknowledged == self._noted:
            # All that was read or noted here is in the log, unless the log has lost it: what came since is new then.
            self._acknowledged = self._noted = known
        else:
            self._acknowledged = max(self._acknowledged, -1 if known is None else known)
        self._sent = deque()
        self._position = self._acknowledged

    def _set_aside(self, event: CanonicalEvent, room: int) -> None:
        """Never sent: it stays in the log, and what comes after it does not wait."""
        self._counters.unsent["canonical"] += 1
        log.warning("bridge.not_sent", kind="canonical", seq=event.record.seq, room=room, fix=UNSENT_FIX)

    def _answered(self, link: BrokerLink, page: _Page, event: CanonicalEvent, answer: Puback) -> None:
        """The broker's word on one message: MQTT 5 can say no. What it may take later it is sent later."""
        if answer.reason < _REFUSED:
            self._taken(link, page)
        elif link is self._link and answer.reason in _FOR_GOOD:
            self._set_aside(event, link.room(event.topic))
            self._taken(link, page)
        elif link is self._link and not self._refused:
            self._refused = True
            self._sent = deque()
            self._position = self._acknowledged
            asyncio.get_running_loop().call_later(_AGAIN_S, self._try_again)

    def _try_again(self) -> None:
        self._refused = False
        self._loop.wake()

    def _taken(self, link: BrokerLink, page: _Page) -> None:
        if link is not self._link:
            return
        page.owed -= 1
        while self._sent and not self._sent[0].owed:
            self._acknowledged = self._sent.popleft().last
            self._loop.wake()
