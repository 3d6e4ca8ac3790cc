"""Faults of a sink on real servers: ``python -m tests.support.soak_sinks``. Every point is read back and compared.

Events are added, moved, corrected and deleted while they are shipped, so that a chunk read in two states, a deletion
that comes between, or a reconcile beside it would leave a point too many or too few.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from healthsync_mqtt.mqtt.links.port import Address, ClientLogin
from healthsync_mqtt.mqtt.links.probe import talk
from healthsync_mqtt.storage.anchor import AnchorFile
from healthsync_mqtt.storage.opening import encryption
from healthsync_mqtt.storage.sqlite.comparison import anchor_path
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from tests.support.servers import Influxd, VictoriaMetrics
from tests.support.service import NotReadyError, Service, run_cli
from tests.support.shifted import WallClock
from tests.support.soak.putting_back import copy_log, put_back

#: Far enough back that no clock of a fault finds an event in the future.
BASE = datetime(2024, 1, 1, tzinfo=UTC)
MOVED = timedelta(days=60)
NEW, CHANGED, DELETED = 300, 40, 20
AT_ONCE = 50
#: The sink's time-out: a worker that hangs is killed after twice this and 10 seconds.
TIMEOUT_S = 1.0
WITHIN_S = 90.0
Point = tuple[int, float]


class SinkSoakError(Exception):
    """The installation did not do what it must for the soak to go on."""


@dataclass(slots=True)
class Known:
    """What the device knows of its event: version, time and value; None when it is deleted."""

    version: int
    point: Point | None


@dataclass(slots=True, kw_only=True)
class SinkSoak:
    """An installation with one device and one sink, and everything that the device sent."""

    root: Path
    server: Influxd | VictoriaMetrics
    rng: random.Random
    dialect: str = "v1"
    events: dict[str, Known] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    #: Payloads since the last copy of the log: what a device keeps for 72 hours.
    kept: list[bytes] = field(default_factory=list)
    data: Path = field(init=False)
    clock: WallClock = field(init=False)
    service: Service = field(init=False)
    account: ClientLogin = field(init=False)

    def __post_init__(self) -> None:
        self.data = self.root / "data"
        self.clock = WallClock(self.root / "clock")
        self.service = Service(self.data, env=self.clock.env)
        run_cli(self.data, "user", "add", "alice", "--consent", "all")
        who = run_cli(self.data, "device", "add", "alice", "watch")[0]
        self.account = ClientLogin(client_id=who["client_id"], username=who["username"], password=who["token"])
        add = ("sink", "add", "influxdb", self.server.url, "--name", "main", "--dialect", self.dialect)
        run_cli(self.data, *add)
        run_cli(self.data, "sink", "set", "main", "--timeout-s", str(TIMEOUT_S))

    # -- the device

    def batch(self, *, during: Callable[[], None] = lambda: None) -> None:
        """New, moved, corrected and deleted events, acknowledged when this returns; ``during`` runs after the login."""
        wire = [self._new() for _ in range(NEW)]
        alive = [name for name, known in self.events.items() if known.point]
        wire += [self._changed(name) for name in self.rng.sample(alive, min(CHANGED, len(alive)))]
        alive = [name for name, known in self.events.items() if known.point]
        wire += [self._deleted(name) for name in self.rng.sample(alive, min(DELETED, len(alive)))]
        payloads = [json.dumps(wire[at : at + AT_ONCE]).encode() for at in range(0, len(wire), AT_ONCE)]
        self.kept += payloads
        asyncio.run(self._publish(payloads, during))

    def _new(self) -> dict[str, Any]:
        number = len(self.events)
        return self._told(f"e{number}", 0, BASE + timedelta(seconds=number))

    def _changed(self, name: str) -> dict[str, Any]:
        """Every other one moves, which leaves a point to be deleted."""
        known = self.events[name]
        assert known.point
        at = datetime.fromtimestamp(known.point[0] / 1000, UTC)
        if self.rng.random() < 0.5:
            version = known.version + 1
            at = BASE + MOVED * (version % 9 + 1) + timedelta(seconds=int(name[1:]))
        return self._told(name, known.version + 1, at)

    def _told(self, name: str, version: int, at: datetime) -> dict[str, Any]:
        bpm = self.rng.randrange(40, 200)
        self.events[name] = Known(version, (round(at.timestamp() * 1000), float(bpm)))
        start = f"{at:%Y-%m-%dT%H:%M:%S}Z"
        return {"id": name, "type": "heart_rate", "start_time": start, "version": version, "value": {"bpm": bpm}}

    def _deleted(self, name: str) -> dict[str, Any]:
        known = self.events[name]
        assert known.point
        at = datetime.fromtimestamp(known.point[0] / 1000, UTC)
        self.events[name] = Known(known.version + 1, None)
        start = f"{at:%Y-%m-%dT%H:%M:%S}Z"
        return {"id": name, "type": "heart_rate", "start_time": start, "version": known.version + 1, "op": "delete"}

    async def _publish(self, payloads: list[bytes], during: Callable[[], None]) -> None:
        host, port = self.service.mqtt
        async with talk(Address(host=host, port=port)) as device:
            await device.login(self.account)
            if device.code:
                raise SinkSoakError(f"CONNACK {device.code}")
            during()
            for payload in payloads:
                await device.publish("users/alice/devices/watch/events", payload)

    # -- faults

    def count(self, fault: str) -> None:
        self.faults[fault] = self.faults.get(fault, 0) + 1

    def kill_service(self) -> None:
        """kill -9 while it ships."""
        self.batch()
        self.service.kill()
        self.service.start()
        self.count("service kill -9")

    def kill_server(self) -> None:
        """The server dies while it takes lines, events go on, then the service dies too."""
        self.batch()
        self.server.kill()
        self.batch()
        self.service.kill()
        self.server.start()
        self.service.start()
        self.count("server kill -9")

    def hang(self, *, to_the_end: bool) -> None:
        """The sink's process is stopped while events come; ``to_the_end``: until it is said and it is killed."""
        pid = self._worker()
        os.kill(pid, signal.SIGSTOP)
        try:
            self.batch()
            if to_the_end:
                self.until(lambda: self._shown()["state"] == "hung", "a worker that hangs is not said")
                self.until(lambda: not _alive(pid), "a worker that hangs is not killed")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.count("hung worker, killed" if to_the_end else "hung worker")

    def jump(self) -> None:
        """The clock moves while events come and are shipped, and is put right."""
        self.batch(during=lambda: self.clock.shift(self.rng.choice((-7200.0, 30.0, 3600.0, -200 * 86_400.0))))
        time.sleep(0.3)
        self.clock.shift(0)
        self.count("clock jump")

    def restore(self) -> None:
        """The log of some moments ago is put back; the device sends again what it kept."""
        log, copy = self.data / "events.db", self.root / "backup.db"
        self.kept.clear()
        copy_log(log, copy)
        with SqliteLogReader.open(copy) as reader:
            copied = reader.head()
        self.batch()
        while (anchor := AnchorFile(anchor_path(log)).read()) is None or anchor.head <= copied:
            self.batch()
        self.service.kill()
        put_back(copy, log)
        try:
            self.service.start()
        except NotReadyError as error:
            if "--accept-restored" not in str(error):
                raise
        else:
            raise SinkSoakError("a log that was put back was opened without a word")
        self.service.start("--accept-restored")
        asyncio.run(self._publish(list(self.kept), lambda: None))
        self.count("restore")

    def reconcile(self) -> None:
        """Compare and repair while events come and are shipped; what it does is seen at the next look."""
        self.batch()
        run_cli(self.data, "sink", "reconcile", "main", check=False, timeout=120)
        self.count("reconcile beside it")

    # -- what must hold

    def settle(self) -> None:
        """Return when the sink has caught up; then the server holds exactly what the device knows."""
        self.until(lambda: run_cli(self.data, "sink", "status", "main", check=False)[0]["lag"] == 0, "it lags behind")
        expected = sorted(known.point for known in self.events.values() if known.point)
        deadline = time.monotonic() + WITHIN_S
        while (found := self._points()) != expected and time.monotonic() < deadline:
            time.sleep(0.2)
        if found != expected:
            have, want = set(found), set(expected)
            self.violations.append(
                f"{len(want - have)} points are missing, {len(have - want)} too many after {self.faults}"
            )

    def equal(self) -> None:
        """Reconcile agrees, when nothing goes on; and what was shipped came out of a sealed log."""
        if (mode := encryption(self.data).mode) != "rows":
            self.violations.append(f"the log of the soak is not sealed: {mode}")
        days = run_cli(self.data, "sink", "reconcile", "main", "--dry-run", check=False, timeout=300)
        if not days or not all(day["equal"] for day in days):
            self.violations.append("reconcile finds a difference although nothing goes on")
        if refused := run_cli(self.data, "rejected", "list"):
            self.violations.append(f"{len(refused)} events were refused: {refused[0]['reason']}")

    def _points(self) -> list[Point]:
        if isinstance(self.server, VictoriaMetrics):
            gone = {key for key, value in self.server.samples("heart_rate_deleted").items() if value}
            samples = self.server.samples("heart_rate_bpm").items()
            return sorted((key[1], value) for key, value in samples if key not in gone)
        rows = self.server.rows("SELECT bpm FROM heart_rate")
        return sorted((int(at) // 1_000_000, float(bpm)) for at, bpm in rows)

    def _shown(self) -> dict[str, Any]:
        sinks: list[dict[str, Any]] = self.service.cli("status")[0]["sinks"]
        return sinks[0] if sinks else {"state": "not started"}

    def _worker(self) -> int:
        """The process that feeds the sink; it is started a moment after the service is ready."""
        found: list[int] = []

        def there() -> bool:
            found[:] = _workers(self.service.pid)
            return bool(found)

        self.until(there, "there is no worker")
        return found[0]

    def until(self, holds: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not holds():
            if time.monotonic() > deadline:
                raise SinkSoakError(f"{otherwise}\n{self.service.log_tail()}")
            time.sleep(0.1)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Server and service; both end."""
        with self.service:
            yield


def _workers(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            of = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if of == parent and b"healthsync_mqtt.sinks.worker" in words:
                found.append(int(folder.name))
    return found


def _alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def soak(
    root: Path, rng: random.Random, *, rounds: int, long_hangs: int, victoria_kills: int, say: Callable[[object], None]
) -> list[SinkSoak]:
    """All faults, ``rounds`` times each in an order that the seed decides; then kills of a server that forgets."""
    done = []
    with Influxd(root / "influxd") as server:
        run = SinkSoak(root=root, server=server, rng=rng)
        done.append(run)
        with run.running():
            run.batch()
            for number in range(rounds):
                faults: list[Callable[[], None]] = [
                    run.kill_service, run.kill_server, run.jump, run.restore, run.reconcile,
                    lambda number=number: run.hang(to_the_end=number < long_hangs),  # type: ignore[misc]
                ]  # fmt: skip
                rng.shuffle(faults)
                for fault in faults:
                    fault()
                run.settle()
                say({"round": number + 1, "events": len(run.events), "violations": len(run.violations)})
            run.equal()
    if victoria_kills:
        done.append(_forgetful(root / "forgetful", rng, victoria_kills))
    for each in done:
        say({"faults": each.faults, "events": len(each.events), "violations": each.violations})
    return done


def _forgetful(root: Path, rng: random.Random, kills: int) -> SinkSoak:
    """VictoriaMetrics acknowledges what is in memory: what a kill may cost is sent again."""
    root.mkdir()
    with VictoriaMetrics(root / "victoria") as server:
        run = SinkSoak(root=root, server=server, rng=rng, dialect="victoria")
        with run.running():
            for _ in range(kills):
                run.batch()
                run.until(lambda: bool(server.samples("heart_rate_bpm")), "nothing arrives")
                server.kill()
                run.batch()
                server.start()
                run.count("forgetful server kill -9")
                run.settle()
            run.equal()
    return run


def main() -> int:
    """Exit code 1 for any violation."""
    parser = argparse.ArgumentParser(prog="scripts/soak-sinks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="of every fault (default 20)")
    parser.add_argument("--long-hangs", type=int, default=2, help="until the hung worker is killed (default 2)")
    parser.add_argument("--victoria-kills", type=int, default=5, help="of a server that forgets (default 5)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    given = parser.parse_args()

    def say(line: object) -> None:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    say({"seed": given.seed})
    with tempfile.TemporaryDirectory(prefix="soak-sinks-") as name:
        try:
            done = soak(
                Path(name),
                random.Random(given.seed),
                rounds=given.rounds,
                long_hangs=given.long_hangs,
                victoria_kills=given.victoria_kills,
                say=say,
            )
        except SinkSoakError as error:
            say({"failed": str(error)})
            return 1
    return any(run.violations for run in done)


if __name__ == "__main__":
    sys.exit(main())
