"""What a run was asked for, and the measurement that several rows share."""

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.bench.floor import measure
from tests.support.bench.load import flood_for, stored_events
from tests.support.bench.stock import stock_amqtt
from tests.support.identities import logins
from tests.support.service import Service
from tests.support.wire import Login

ANONYMOUS = [Login(client_id=f"d{n}", topic=f"users/u0/devices/d{n}/events") for n in range(10)]


@dataclass(slots=True, kw_only=True)
class Setting:
    """What a run was asked for: ``seconds`` is the length of one measurement, ``full`` those of docs/guarantees.md."""

    directory: Path
    seconds: float
    repeats: int
    full: bool

    def data(self, name: str) -> Path:
        """A data directory of its own."""
        path = self.directory / name / "data"
        path.mkdir(mode=0o700, parents=True)
        return path


def progress(text: str) -> None:
    """What is being done, for the person who waits."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def floods(setting: Setting, service: Service, who: Sequence[Login], prefix: str, **task: Any) -> list[dict[str, Any]]:
    """One measurement for each repeat, after a short one that warms the service up."""
    measured = []
    for turn in range(setting.repeats):
        before = stored_events(service.data)
        found = flood_for(
            setting.seconds,
            service.mqtt,
            who,
            f"{prefix}{turn}",
            guess=20_000 / task.get("events_per_message", 1),
            **task,
        )
        # A service that stores nothing would be fast.
        gained = stored_events(service.data) - before
        assert gained == found["events"] + found["trial_events"], f"{gained} of {found['events']} events are stored"
        progress(f"  {found['events_per_second']:,.0f} events/s, p99 {found['p99_ms']:.1f} ms")
        measured.append(found)
    return measured


def throughput(
    setting: Setting, key: str, *, events_per_message: int, window: int
) -> tuple[list[dict[str, Any]], dict[str, list[float]], float]:
    """The floods of a fresh service, both floors, and stock amqtt's rate of messages with the same bytes."""
    data = setting.data(key)
    who = logins(data, users=1, devices=10)
    with Service(data) as service:
        measured = floods(setting, service, who, key[:3], events_per_message=events_per_message, window=window)
    progress("  the floors")
    floors = measure(data.parent, 100_000, events_per_message, setting.repeats)
    progress("  stock amqtt")
    with stock_amqtt() as address:
        stock = [
            flood_for(
                setting.seconds,
                address,
                ANONYMOUS,
                f"s{turn}",
                guess=2000 / events_per_message,
                events_per_message=events_per_message,
                window=window,
            )["events_per_second"]
            for turn in range(setting.repeats)
        ]
    return measured, floors, statistics.median(stock)
