"""A sink in a test: a log in memory, a shipper on it, a clock that is turned by hand."""

import json
from pathlib import Path
from typing import Any

from healthsync_mqtt.model.event import Event, Op
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.sinks.config import InfluxConfig
from healthsync_mqtt.sinks.influx.http import Influx
from healthsync_mqtt.sinks.influx.mapping import Mapper
from healthsync_mqtt.sinks.influx.packer import Packer
from healthsync_mqtt.sinks.influx.sink import InfluxSink, LineServer
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.shipper import Shipper, SinkPhase
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.port import Item
from tests.support.influx_double import InfluxDouble
from tests.support.patience import PATIENCE_S

NOW_US = 1_790_000_000_000_000


class Rig:
    """``rig.store(...)`` puts events into the log, ``rig.ship()`` works until the sink has nothing to do now."""

    def __init__(
        self, path: Path, url: str = "http://127.0.0.1:9", server: LineServer | None = None, **values: Any
    ) -> None:
        self.config = InfluxConfig(**{"name": "main", "url": url, "flush_s": 0.0, "timeout_s": PATIENCE_S} | values)
        self.log = MemoryEventLog()
        self.ledger = SinkLedger.open(path / "main.db", budget=self.config.series_budget)
        self.now = 0.0
        self.connects = 0
        self._server = server
        self._influx: list[Influx] = []
        self.kept: list[int] = []
        self.permit: Any = lambda _record: True
        self.reader: Any = self.log.reader()
        self.restart()

    def restart(self) -> None:
        """What a crash leaves: the log, the ledger, and the cursor that was kept."""
        mapper = Mapper(lambda user: f"s-{user}", self.ledger, marks=self.config.deletes == "mark")
        packer = Packer(self.log.reader(), mapper, self.ledger, self.config.deletes)
        cursor = self.kept[-1] if self.kept else 0
        sink = InfluxSink(
            self.config, packer=packer, ledger=self.ledger, connect=self._connect,
            now_us=lambda: NOW_US + round(self.now * 1e6),
        )  # fmt: skip
        sink.warm_up(cursor)
        self.shipper = Shipper(
            self.config,
            sink,
            reader=self.reader,
            cursor=cursor,
            keep=self.kept.append,
            permit=self._permits,
            clock=lambda: self.now,
            now_us=lambda: NOW_US + round(self.now * 1e6),
            jitter=lambda: 1.0,
        )

    def _permits(self, record: Record) -> bool:
        return bool(self.permit(record))

    def _connect(self) -> LineServer:
        self.connects += 1
        if self._server is not None:
            return self._server
        self._influx.append(Influx(self.config, self.config.token.read()))
        return self._influx[-1]

    def close(self) -> None:
        for influx in self._influx:
            influx.close()
        self.ledger.close()

    def store(self, *events: Event, user: str = "alice", device: str = "watch") -> int:
        """Commit events of a user's device; the head."""
        origin = Origin(user, device, None, f"users/{user}/devices/{device}/events")
        self.log.stage([Item(origin, event) for event in events], [], NOW_US)
        return self.log.commit()

    def ship(self, steps: int = 5000) -> SinkPhase:
        """Work until a pause is asked for; the phase then."""
        for _ in range(steps):
            if self.shipper.step() > 0:
                return self.shipper.phase
        raise AssertionError("it never rests")

    def later(self, seconds: float) -> SinkPhase:
        self.now += seconds
        return self.ship()


def event(
    event_id: str,
    value: object = None,
    type_name: str = "heart_rate",
    *,
    start_us: int = NOW_US,
    end_us: int | None = None,
    version: int = 0,
    op: int = Op.UPSERT,
    source: dict[str, str] | None = None,
) -> Event:
    """An event; a heart rate of 72 unless told otherwise."""
    body = {"value": {"bpm": 72} if value is None else value} | ({"source": source} if source else {})
    raw = json.dumps(body).encode() if op == Op.UPSERT else b"{}"
    return Event(event_id, type_name, start_us, end_us, version, op, raw, 0)


def pulses(count: int, *, first: int = 0, step_us: int = 1_000_000, stem: str = "e") -> list[Event]:
    """Heart rates of 60 to 149, a second apart."""
    return [
        event(f"{stem}{place}", {"bpm": 60 + place % 90}, start_us=NOW_US + place * step_us)
        for place in range(first, first + count)
    ]


def bpm(server: InfluxDouble) -> list[Any]:
    """The heart rates, in order of time, that ``server`` holds."""
    return server.values("heart_rate", "bpm")
