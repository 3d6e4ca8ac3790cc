"""The order of the stages: decode, consent, journal, acknowledge, publish. The only place that acknowledges.

Deliveries are decoded as they come. While one group is being committed the next one gathers; when the commit is done
its senders are told and the next group is written. So the group grows with the load and the disk's latency is shared.
"""

import asyncio
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple, Protocol

from bridge.decode.delivery import DEFAULT, Limits, decode
from bridge.jobs.daily_limit import DailyVolume
from bridge.stages.acknowledge import Addressee, Outcome, acknowledge, by_device, receipts
from bridge.stages.consent import Gate
from bridge.stages.journal import Journal
from bridge.stages.quarantine import announcement, quarantined
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.event import Decoded
from healthsync_mqtt.storage.port import Item, Quarantined
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.outage import Outage
from healthsync_mqtt.topics.registry import TopicRegistry

log = get_logger("bridge")

_RETRY_FIRST_S = 0.1
_RETRY_MOST_S = 5.0


class State(Enum):
    """What the pipeline waits for."""

    IDLE = auto()
    COMMITTING = auto()
    #: the last commit failed; the same group is written again after a pause
    RETRYING = auto()
    STOPPED = auto()


class Outlet(Protocol):
    """Where the bridge's own messages go."""

    def listening(self, topic: str) -> bool:
        """Whether anybody would get a message on this topic."""

    def send(self, topic: str, payload: bytes) -> None:
        """Publish, not retained."""

    def resume(self) -> None:
        """The backlog is worked off: read again."""


class _Waiting(NamedTuple):
    delivery: Delivery
    decoded: Decoded


class Pipeline:
    """Takes deliveries, stores their events, tells their senders. Runs on one event loop."""

    def __init__(
        self,
        *,
        journal: Journal,
        registry: TopicRegistry,
        counters: Counters,
        bridge_id: str,
        gate: Gate,
        limits: Limits = DEFAULT,
        backlog_limit: int = 64 * 1024 * 1024,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._journal = journal
        self._registry = registry
        self._counters = counters
        self.gate = gate
        self._limits = limits
        self._backlog_limit = backlog_limit
        self._clock_us = clock_us
        self._loop = asyncio.get_running_loop()
        self._outage = Outage(log, "bridge.journal")
        self._rejected_topic = registry.build("bridge_rejected", bridge=bridge_id)
        self._receipt_topics: dict[Addressee, str] = {}
        self._state = State.IDLE
        self._scheduled = False
        self._full = False
        self._backlog = 0
        self._waiting: list[_Waiting] = []
        self._group: list[Outcome] = []
        self._refused: list[Quarantined] = []
        self._chores: list[Callable[[], None]] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._retry_s = _RETRY_FIRST_S
        self._commit_from: float | None = None
        self.outlet: Outlet | None = None
        self.volume = DailyVolume(0)
        #: called with the head seq after each commit
        self.on_commit: Callable[[int], None] = lambda _: None
        #: called when something failed in a way that only a restart can mend
        self.on_fatal: Callable[[Exception], None] = lambda _: None

    @property
    def healthy(self) -> bool:
        """Whether the last commit worked."""
        return not self._outage.ongoing

    @property
    def commit_running_s(self) -> float:
        """Seconds since the commit that is under way began; 0 between commits."""
        return 0.0 if self._commit_from is None else self._loop.time() - self._commit_from

    def submit(self, deliveries: list[Delivery]) -> bool:
        """Decode, ask for consent, queue; True when the backlog is full: read no more before ``Outlet.resume``."""
        now_us = self._clock_us()
        limits, screen = self._limits, self.gate.screen
        counters = self._counters
        waiting = self._waiting
        counters.messages_received += len(deliveries)
        for delivery in deliveries:
            origin = delivery.origin
            decoded = screen(decode(delivery.payload, origin, now_us, limits), origin.user, now_us)
            counters.received += decoded.total
            self._backlog += len(delivery.payload)
            waiting.append(_Waiting(delivery, decoded))
        self._schedule()
        self._full = self._full or self._backlog > self._backlog_limit
        return self._full

    def chore(self, work: Callable[[], None]) -> None:
        """Do something with the journal between two commits and make it durable."""
        self._chores.append(work)
        self._schedule()

    async def drain(self) -> None:
        """Wait until everything submitted so far is committed and acknowledged, or the pipeline has stopped."""
        await self._idle.wait()

    async def drain_within(self, seconds: float) -> None:
        """``drain``, but no longer than this; what is left then is said in the log."""
        try:
            async with asyncio.timeout(seconds):
                await self.drain()
        except TimeoutError:
            log.warning("bridge.not_drained", events=self._counters.in_flight)

    def stop(self) -> None:
        """Give up what is not committed: it is counted as failed and nobody was told otherwise."""
        self._state = State.STOPPED
        self._counters.failed += self._counters.in_flight
        self._counters.messages_failed += self._counters.messages_in_flight
        self._idle.set()

    # -- one group

    def _schedule(self) -> None:
        self._idle.clear()
        if self._state is State.IDLE and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        """Write the next group and start its commit."""
        self._scheduled = False
        if self._state is State.STOPPED:
            return
        group, self._waiting = self._waiting, []
        chores, self._chores = self._chores, []
        if not group and not chores:
            self._state = State.IDLE
            self._idle.set()
            return
        self._state = State.COMMITTING
        self._attempt(group, chores)

    def _attempt(self, group: list[_Waiting], chores: list[Callable[[], None]]) -> None:
        received_us = self._clock_us()
        items: list[Item] = []
        self._refused = []
        for delivery, decoded in group:
            origin = delivery.origin
            items += [Item(origin, event) for event in decoded.events]
            if decoded.rejections:
                self._refused += quarantined(origin, decoded.rejections, received_us)
        try:
            seqs = self._journal.write(items, self._refused, received_us)
            for work in chores:
                work()
        except StoreError as error:
            self._failed(error, group, chores)
            return
        except Exception as error:  # noqa: BLE001  # whatever it is, nobody may wait for this group for ever
            self._give_up(error)
            return
        self._group = []
        at = 0
        for delivery, decoded in group:
            end = at + len(decoded.events)
            self._group.append(Outcome(delivery, decoded, seqs[at:end]))
            at = end
        self._commit_from = self._loop.time()
        self._journal.commit(lambda head, error: self._committed(head, error, group, chores))

    def _committed(
        self, head: int, error: StoreError | None, group: list[_Waiting], chores: list[Callable[[], None]]
    ) -> None:
        took, self._commit_from = self.commit_running_s, None
        if self._state is State.STOPPED:
            return
        if error is not None:
            self._failed(error, group, chores)
            return
        self._outage.worked(self._loop.time())
        self._retry_s = _RETRY_FIRST_S
        outcomes, self._group = self._group, []
        try:
            self._counters.commit(took, self._clock_us())
            self._count(outcomes)
            acknowledge(outcomes)
            self._tell(outcomes, head)
            self.on_commit(head)
        except Exception as failure:  # noqa: BLE001  # the same
            self._give_up(failure)
            return
        if self._full and self._backlog < self._backlog_limit // 2:
            self._full = False
            if self.outlet is not None:
                self.outlet.resume()
        self._write()

    def _failed(self, error: StoreError, group: list[_Waiting], chores: list[Callable[[], None]]) -> None:
        """Nothing was stored and nobody was told. The same group is tried again: senders wait, nothing is dropped."""
        self._outage.failed(self._loop.time(), error=str(error), hint=error.hint)
        if not error.retryable:
            self._give_up(error)
            return
        self._state = State.RETRYING
        self._loop.call_later(self._retry_s, self._again, group, chores)
        self._retry_s = min(_RETRY_MOST_S, self._retry_s * 2)

    def _give_up(self, error: Exception) -> None:
        self.stop()
        self.on_fatal(error)

    def _again(self, group: list[_Waiting], chores: list[Callable[[], None]]) -> None:
        if self._state is State.RETRYING:
            self._state = State.COMMITTING
            self._attempt(group, chores)

    # -- after the commit

    def _count(self, outcomes: list[Outcome]) -> None:
        counters = self._counters
        for delivery, decoded, seqs in outcomes:
            self._backlog -= len(delivery.payload)
            duplicates = seqs.count(0)
            counters.duplicate += duplicates
            counters.stored += len(seqs) - duplicates
            counters.message(stored=len(seqs) > duplicates, rejected=bool(decoded.rejections))
            for rejection in decoded.rejections:
                counters.reject(rejection.reason.value)

    def _tell(self, outcomes: list[Outcome], head: int) -> None:
        outlet = self.outlet
        if outlet is None:
            return
        now_us = self._clock_us()
        for addressee, told in by_device(outcomes).items():
            self.volume.add(addressee.user, addressee.device, sum(each.decoded.total for each in told), now_us)
            topic = self._receipt_topic(addressee)
            if outlet.listening(topic):
                for receipt in receipts(told, self._journal.epoch, head):
                    outlet.send(topic, receipt)
        if self._refused and outlet.listening(self._rejected_topic):
            for row in self._refused:
                outlet.send(self._rejected_topic, announcement(row))

    def _receipt_topic(self, addressee: Addressee) -> str:
        topic = self._receipt_topics.get(addressee)
        if topic is None:
            topic = self._registry.build("receipts", user=addressee.user, device=addressee.device)
            self._receipt_topics[addressee] = topic
        return topic
