"""A server in memory and the sink that writes to it: away at times, and forgetting what it had just acknowledged."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from healthsync_mqtt.model.record import Record
from healthsync_mqtt.sinks.config import SinkConfig
from healthsync_mqtt.sinks.port import Next, Rows, SinkStep

SETTLE_S = 2.0
CONFIG = SinkConfig(kind="simulated", name="simulated", flush_s=0.3, settle_s=SETTLE_S)


class SimulatedServer:
    """Points by (user, event id). A crash loses the writes of the last moments, acknowledged ones too."""

    def __init__(self) -> None:
        self.points: dict[tuple[str, str], Any] = {}
        self.away = False
        self.generation = 0
        self._fresh: list[tuple[float, tuple[str, str], Any]] = []

    def put(self, key: tuple[str, str], value: Any, now: float) -> None:
        """Write a point, or delete it with None."""
        self._fresh = [each for each in self._fresh if now - each[0] < SETTLE_S / 2]
        self._fresh.append((now, key, self.points.get(key)))
        self._set(key, value)

    def crash(self, now: float) -> None:
        """Restart, as it was a moment ago."""
        self.generation += 1
        for at, key, before in reversed(self._fresh):
            if now - at < SETTLE_S / 2:
                self._set(key, before)
        self._fresh.clear()

    def _set(self, key: tuple[str, str], value: Any) -> None:
        if value is None:
            self.points.pop(key, None)
        else:
            self.points[key] = value


@dataclass(slots=True)
class Work:
    """A shipment: what goes first, then what is written, one request each."""

    rows: Rows
    left: list[tuple[tuple[str, str], Any]] = field(default_factory=list)

    @property
    def events(self) -> int:
        """How many rows it is of."""
        return len(self.rows.records)


class ServerSink:
    """The sink of a ``SimulatedServer`` (``sinks.port.Sink``): deletions first, then points, as for time series."""

    def __init__(self, server: SimulatedServer) -> None:
        self._server = server

    def warm_up(self, cursor: int) -> None:
        """Nothing has to be remembered."""

    def begin(self, rows: Rows) -> Work:
        """Deletions and points of these rows."""
        gone = [((record.user, record.id), None) for record in rows.records if record.op or record.seq in rows.older]
        there = [((record.user, record.id), _value(record)) for record in rows.records if not record.op]
        return Work(rows, [*gone, *there])

    def step(self, shipment: Work) -> SinkStep:
        """One request."""
        if self._server.away:
            return SinkStep(Next.WAIT, "unreachable")
        if not shipment.left:
            return SinkStep(Next.DONE)
        key, value = shipment.left.pop(0)
        self._server.put(key, value, asyncio.get_running_loop().time())
        return SinkStep(Next.GO_ON)

    def mend(self, now_us: int) -> SinkStep:  # noqa: ARG002
        """Nothing is kept aside."""
        return SinkStep(Next.DONE)

    def probe(self) -> SinkStep:
        """A sign of life."""
        return SinkStep(Next.WAIT, "unreachable") if self._server.away else SinkStep(Next.GO_ON)

    @property
    def generation(self) -> int:
        """Which life of the server answered last."""
        return self._server.generation

    def disconnect(self) -> None:
        """There is no connection."""

    def status(self) -> dict[str, object]:
        """Nothing to add."""
        return {}

    def close(self) -> None:
        """Nothing to release."""


class ConcurrentReader:
    """What another process sees: outside a snapshot, the service may commit between any two of its reads."""

    def __init__(self, reader: Any, between: Callable[[], None], chance: Random) -> None:
        self._reader = reader
        self._between = between
        self._chance = chance

    def __getattr__(self, name: str) -> Any:
        if not self._reader.held and self._chance.random() < 0.5:
            self._between()
        return getattr(self._reader, name)

    def snapshot(self) -> AbstractContextManager[None]:
        """One committed state for all that is read inside."""
        held: AbstractContextManager[None] = self._reader.snapshot()
        return held


def _value(record: Record) -> Any:
    return json.loads(record.body)["value"]
