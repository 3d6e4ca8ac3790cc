"""Reconcile beside a shipper that works: nothing live is deleted, and it says equal only of what is equal."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_sink_reconcile import Installation, pseudonym

from healthsync_mqtt.model.event import Op
from healthsync_mqtt.sinks.influx.readback import Readback
from tests.support.servers import Influxd
from tests.support.sink import NOW_US, event, pulses

pytestmark = pytest.mark.real_server

BATCH, MOVED_US = 120, 400_000_000_000
ROUNDS = 2


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path / "data")
    yield installation
    installation.close()


class Traffic:
    """One step stores and ships: new events, and of the batch before every third moved, every fifth deleted."""

    def __init__(self, home: Installation) -> None:
        self._home = home
        self.batches = 0
        self.alive: set[int] = set()

    def step(self) -> None:
        first = self.batches * BATCH
        self.batches += 1
        self._home.store(*pulses(BATCH, first=first))
        self.alive |= {NOW_US + place * 1_000_000 for place in range(first, first + BATCH)}
        self._home.ship()
        before = range(max(0, first - BATCH), first)
        self._home.store(*[
            event(f"e{place}", {"bpm": 60}, start_us=NOW_US + MOVED_US + place * 1_000_000, version=1)
            for place in before if place % 3 == 0
        ], *[event(f"e{place}", version=2, op=Op.DELETE) for place in before if place % 5 == 0])  # fmt: skip
        for place in before:
            if place % 3 == 0 or place % 5 == 0:
                self.alive.discard(NOW_US + place * 1_000_000)
            if place % 3 == 0 and place % 5:
                self.alive.add(NOW_US + MOVED_US + place * 1_000_000)
        self._home.ship()

    def around(self, read: Callable[..., Any]) -> Callable[..., Any]:
        """Reading of the bucket, with a step before it and one after it: between any two looks of reconcile."""

        def busy(*words: Any) -> Any:
            self.step()
            found = read(*words)
            self.step()
            return found

        return busy


def hearts(server: Influxd) -> set[int]:
    """The whole seconds that have a heart rate."""
    return {int(at) // 1_000_000_000 * 1_000_000 for at, _ in server.rows("SELECT bpm FROM heart_rate")}


def test_beside_a_running_shipper_nothing_live_goes_and_equal_is_equal(
    home: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Influxd(tmp_path / "influxd") as server:
        home.add(server.url, "--dialect", "v1")
        home.store(event("w", {"kg": 71.5}, "weight"))
        traffic = Traffic(home)
        traffic.step()
        alice = pseudonym(home, "alice")
        at = server.rows("SELECT kg FROM weight")[0][0]
        with monkeypatch.context() as patch:
            patch.setattr(Readback, "read", traffic.around(Readback.read))
            for _ in range(ROUNDS):
                server._post(f"DELETE FROM weight WHERE time = {at}", db="healthsync")
                before = traffic.batches
                found = home.run("reconcile", "main")
                assert traffic.batches > before
                weight = [row for row in found if row["measurement"] == "weight"]
                assert [(row["missing"], row["equal"], row["repaired"]) for row in weight] == [(1, False, True)]
        assert hearts(server) == traffic.alive
        assert server.rows("SELECT kg FROM weight") == [[at, 71.5]]
        assert home.differing() == []
        server.write(f"heart_rate,device=watch,user={alice} bpm=1.0 {NOW_US * 1000 - 1_000_000}")
        assert [row[0] for row in home.differing("--dry-run", code=1)] == ["heart_rate"]
