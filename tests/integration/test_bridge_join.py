"""A user moves to another bridge of the installation: SQLite logs, real sink processes' parts, a real InfluxDB."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.model.event import Event, Op
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.sinks.bridge_part import BridgePart
from healthsync_mqtt.sinks.comparison import Comparison
from healthsync_mqtt.sinks.config import InfluxConfig, Sinks
from healthsync_mqtt.sinks.influx.backfill import drain
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.worker import assemble
from healthsync_mqtt.storage.opening import open_log, open_reader
from healthsync_mqtt.storage.port import Item
from tests.support.servers import Influxd
from tests.support.sink import NOW_US, event

pytestmark = pytest.mark.real_server

HALVES = (Shard(1, 2), Shard(2, 2))
ALICE = next(shard for shard in HALVES if shard.owns("alice"))
OTHER = next(shard for shard in HALVES if not shard.owns("alice"))
GUEST = next(name for name in ("bob", "carol", "dave", "erin", "frank") if not ALICE.owns(name))


@pytest.fixture
def influxd(tmp_path: Path) -> Iterator[Influxd]:
    with Influxd(tmp_path / "influxd") as server:
        yield server


class Bridge:
    """A bridge's data directory: its log, its sink on the shared bucket, its part of the users."""

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        path.mkdir(mode=0o700)
        self.shard = Shard()
        self.config = InfluxConfig(name="main", url=url, dialect="v1", deletes="delete", flush_s=0.0, settle_s=0.0)
        Sinks(path).put(self.config)

    def owns(self, shard: Shard) -> None:
        self.shard = shard
        (self.path / "healthsync.toml").write_text(f'[external]\nshard = "{shard.text}"\n')

    def store(self, *events: Event, user: str = "alice", device: str = "watch") -> list[int]:
        origin = Origin(user, device, None, f"users/{user}/devices/{device}/events")
        with open_log(self.path) as log:
            seqs = log.stage([Item(origin, one) for one in events], [], NOW_US)
            log.commit()
        return seqs

    def ship(self, *, again: bool = False) -> None:
        """As its worker does; ``again``: from the beginning, as after a lost cursor."""
        sinks, part = Sinks(self.path), BridgePart(self.path / "registry.db", self.shard)
        ledger = SinkLedger.open(sinks.ledger("main"))
        with open_log(self.path) as log, open_reader(self.path) as reader:
            cursor = 0 if again else reader.cursor("sink:main") or 0
            shipper = assemble(
                sinks, self.config, reader=part.rows(reader), ledger=ledger, cursor=cursor, keep=lambda _seq: None
            )
            drain(shipper, lambda _seq: None)
            log.set_cursor("sink:main", shipper.cursor)
            log.commit()
        ledger.close()

    def differences(self) -> int:
        with Comparison.open(self.path, self.config) as comparison:
            users = ("alice", GUEST)
            return sum(
                not one.difference.equal
                for user in users
                for one in comparison.run(user, "heart_rate", None, repairing=True)
            )


@pytest.fixture
def bridges(influxd: Influxd, tmp_path: Path) -> tuple[Bridge, Bridge, Callable[[], list[Any]]]:
    one, two = Bridge(tmp_path / "one", influxd.url), Bridge(tmp_path / "two", influxd.url)

    def points() -> list[Any]:
        return sorted(value for _, value in influxd.rows("SELECT bpm FROM heart_rate"))

    return one, two, points


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, "-c", "import sys; from healthsync_mqtt.cli.main import main; sys.exit(main())"]
    return subprocess.run([*program, *words], capture_output=True, text=True, check=False)


def said(*words: str) -> dict[str, Any]:
    done = run(*words, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_points_stay_one_corrections_hold_and_what_was_deleted_stays_deleted(
    bridges: tuple[Bridge, Bridge, Callable[[], list[Any]]],
) -> None:
    one, two, points = bridges
    one.store(*(event(name, {"bpm": bpm}) for name, bpm in (("a", 60), ("b", 61), ("c", 62), ("d", 63), ("e", 64))))
    one.store(event("a", {"bpm": 70}, version=1), event("d", op=Op.DELETE))
    one.store(event("z", {"bpm": 99}), user=GUEST)
    one.ship()
    assert points() == [61, 62, 64, 70, 99]

    command = ("bridge", "join", str(one.path), "--shard", ALICE.text, "--data", str(two.path))
    assert said(*command) == {"events": 7, "sinks": ["main"]}
    assert said(*command) == {"events": 0, "sinks": ["main"]}
    one.owns(OTHER)
    two.owns(ALICE)

    # What the device still holds of 72 hours comes again, an older version too: nothing of it is new.
    assert two.store(event("a", {"bpm": 60}), event("d", {"bpm": 63}), event("c", {"bpm": 62})) == [0, 0, 0]
    two.ship()
    assert points() == [61, 62, 64, 70, 99]
    # A correction that moves the point, and a delete, of events that only the first bridge has ever shipped.
    two.store(event("b", {"bpm": 81}, version=1, start_us=NOW_US + 9_000_000), event("c", op=Op.DELETE))
    two.store(event("n", {"bpm": 65}))
    two.ship()
    assert points() == [64, 65, 70, 81, 99]
    # The first bridge sends all of its log again, and compares it: it leaves alone what is not its own any more.
    one.ship(again=True)
    assert one.differences() == 0
    assert points() == [64, 65, 70, 81, 99]
    two.ship(again=True)
    assert two.differences() == 0
    assert points() == [64, 65, 70, 81, 99]


def test_two_bridges_know_a_new_user_by_one_name(
    bridges: tuple[Bridge, Bridge, Callable[[], list[Any]]],
) -> None:
    one, two, points = bridges
    one.store(event("a", {"bpm": 60}))
    said("bridge", "join", str(one.path), "--shard", OTHER.text, "--data", str(two.path))
    two.store(event("a", {"bpm": 60}))
    one.ship()
    two.ship()
    assert points() == [60], "one point, whichever bridge wrote it"


def test_bridges_that_named_a_user_differently_are_not_joined(
    bridges: tuple[Bridge, Bridge, Callable[[], list[Any]]],
) -> None:
    one, two, points = bridges
    for bridge in (one, two):
        bridge.store(event("a", {"bpm": 60}))
        bridge.ship()
    assert points() == [60, 60]
    command = ("bridge", "join", str(one.path), "--data", str(two.path))
    refused = run(*command)
    assert (refused.returncode != 0, "under other pseudonyms" in refused.stderr) == (True, True), refused
    with open_log(one.path):
        refused = run(*command)
    assert (refused.returncode != 0, "fix:" in refused.stderr) == (True, True), refused
