"""A pipeline over the in-memory log whose commits wait for a word, with sources and outlets that take notes."""

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

from bridge.folds import Folds
from bridge.pipeline import Pipeline
from bridge.ports import Chores, Commit
from bridge.stages.journal import Journal
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.model.declaration import NOTHING_DECLARED
from healthsync_mqtt.model.delivery import Delivery, DeliveryVerdict
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.testing.memory_outlet import MemoryOutlet
from healthsync_mqtt.topics.registry import TopicRegistry
from tests.support.consent import agreeing
from tests.support.patience import PATIENCE_S

NOW_US = 1_795_413_600_000_000
REGISTRY = TopicRegistry.load()


class GatedLog(MemoryEventLog):
    """Commits only when the gate is open; fails with each error of ``faults`` first."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.faults: list[StoreError] = []
        self.commits = 0

    def commit(self) -> int:
        self.gate.wait(PATIENCE_S)
        if self.faults:
            self.rollback()
            raise self.faults.pop(0)
        self.commits += 1
        return super().commit()


class Notes:
    """A source that remembers which tokens were acknowledged, and how much was stored by then."""

    def __init__(self, log: GatedLog) -> None:
        self._log = log
        self.tokens: list[int] = []
        self.verdicts: list[DeliveryVerdict] = []
        self.calls: list[list[int]] = []
        self.stored_then: list[int] = []
        self.resumed = 0
        self.charged: list[int] = []

    def acknowledge(self, tokens: Sequence[int], verdicts: Sequence[DeliveryVerdict] = ()) -> None:
        self.verdicts += verdicts
        self.calls.append(list(tokens))
        self.tokens += tokens
        self.stored_then.append(len(self._log.committed.log))

    def charge(self, cost: int) -> None:
        self.charged.append(cost)

    def resume(self) -> None:
        self.resumed += 1


class Outbox(MemoryOutlet):
    """An outlet whose messages are read."""

    @property
    def sent(self) -> list[tuple[str, dict[str, Any]]]:
        return [(topic, json.loads(payload)) for topic, payload in self.messages]


class Heads:
    """An observer that notes how far the log is at each commit."""

    def __init__(self) -> None:
        self.heads: list[int] = []

    def committed(self, commit: Commit) -> None:
        self.heads.append(commit.head)


class Bench:
    """Everything together."""

    def __init__(self, **options: Any) -> None:
        self.log: Any = options.pop("log", None) or GatedLog()
        self.journal = Journal(self.log)
        self.counters = Counters()
        self.outbox = Outbox()
        self.chores = Chores()
        self.told: list[Exception] = []
        watch = Heads()
        remembering = self.log if isinstance(self.log, MemoryEventLog) else MemoryEventLog()
        self.heads = watch.heads
        gate, clock_us = options.pop("gate", None) or agreeing("alice", "bob"), options.pop("clock_us", lambda: NOW_US)
        declared = options.pop("declared", lambda *_: NOTHING_DECLARED)
        self.pipeline = Pipeline(
            journal=self.journal,
            registry=REGISTRY,
            counters=self.counters,
            bridge_id="main",
            clock_us=clock_us,
            gate=gate,
            chores=self.chores,
            outlet=self.outbox,
            observers=(watch, *options.pop("observers", ())),
            failed=self.told.append,
            folds=Folds(remembering.reader(), REGISTRY, gate, declared, clock_us),
            **options,
        )

    def source(self) -> Notes:
        return Notes(self.log)

    async def settle(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.pipeline.drain()

    def close(self) -> None:
        if isinstance(self.log, GatedLog):
            self.log.gate.set()
        self.pipeline.stop()
        self.journal.close()

    def ids(self) -> list[str]:
        return [record.id for record in self.log.committed.log]

    def balanced(self) -> bool:
        found = self.counters.snapshot()
        parts = ("stored", "duplicate", "rejected", "failed", "in_flight")
        return found["in_flight"] >= 0 and found["received"] == sum(found[part] for part in parts)


def origin(user: str = "alice", device: str = "watch") -> Origin:
    return Origin(user, device, None, f"users/{user}/devices/{device}/events")


def event(event_id: str, bpm: int = 72, **fields: Any) -> dict[str, Any]:
    return {"id": event_id, "type": "heart_rate", "start_time": "2026-11-23T05:00:00Z", "value": {"bpm": bpm}} | fields


def delivery(source: Notes, token: int, payload: Any, sender: Origin | None = None) -> Delivery:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Delivery(source, token, sender or origin(), data)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # what is waited for happens on this loop, without an event of its own
            await asyncio.sleep(0)
