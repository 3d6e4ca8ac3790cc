"""How long the questions of the explorer take in a sealed log: the last events with each filter, and counts."""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import psutil
from typer.testing import CliRunner

from healthsync_mqtt.cli.main import app
from healthsync_mqtt.storage.opening import codec_of
from tests.support.bench.load import fill, flood_for, stored_events
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, progress
from tests.support.identities import logins
from tests.support.service import Service

_EVENTS, _EVENTS_IN_FULL = 1_000_000, 20_000_000
_OF_ONE_USER = (
    "events list --user u1 --limit 50",
    "events list --user u1 --type heart_rate --since 2026-01-01 --limit 50",
    "events list --user u1 --device nothing --limit 50",
    "events list --user u1 --value bpm:60..61 --limit 50",
    "events list --user u1 --app no.such.app --limit 50",
    "events list --user u1 --provider oura --limit 50",
    "events list --user u1 --value bpm:300.. --limit 50",
    "events list --limit 50",
    "events list --device d0 --limit 50",
    "events stats --user u1",
    "events stats --user u1 --by type,day",
)
_OF_ALL = (
    "events stats",
    "events stats --by user,type,device,day",
    "events list --version 3 --limit 50",
    "events list --device nothing --limit 50",
    "events list --app no.such.app --limit 50",
    "events list --provider oura --limit 50",
    "events list --value bpm:300.. --limit 50",
    "events list --type weight --until 2001-01-01 --limit 50",
)

_KINDS = (("single events", 1, 500), ("batches of 50", 50, 20))


def explorer(setting: Setting) -> list[Result]:
    """The slowest of each kind; processor time is in the note, as reading may wait for the disk."""
    data = setting.data("explorer")
    events = _EVENTS_IN_FULL if setting.full else _EVENTS
    progress(f"  filling {events:,} events")
    ask = _asking(str(data))
    ask("user add u1 --consent all")
    ask("device add u1 nothing")
    fill(data / "events.db", events, codec=codec_of(data))
    results = []
    for what, lines in (
        ("of one user, or the last ones", _OF_ONE_USER),
        ("of everybody, about any rows", _OF_ALL),
    ):
        taken = []
        for line in lines:
            taken.append(ask(line))
            progress("    {:.2f} s, {:.2f} s of CPU: {}".format(*taken[-1], line))
        slowest = max(taken)
        progress(f"  {what}: {slowest[0]:.2f} s")
        results.append(
            Result(
                row="explorer",
                work=f"questions {what}, {events / 1e6:,.0f} M events",
                unit="s",
                values=[wall for wall, _ in taken],
                target="≤ 1 s at 20 M",
                met=slowest[0] <= 1.0 if setting.full else None,
                note=f"at most {max(cpu for _, cpu in taken):.2f} s of CPU",
            )
        )
    return results


def _explored(data: Path) -> tuple[bool, bool]:
    """Whether the log has counts and sketches: two services alike would cost the same."""
    with apsw.Connection(str(data / "events.db"), flags=apsw.SQLITE_OPEN_READONLY) as log:
        (row,) = log.execute("SELECT EXISTS (SELECT 1 FROM shelf_count), EXISTS (SELECT 1 FROM block_sketch)")
    return bool(row[0]), bool(row[1])


def _asking(data: str) -> Callable[[str], tuple[float, float]]:
    runner = CliRunner()

    def ask(line: str) -> tuple[float, float]:
        began, cpu = time.perf_counter(), time.process_time()
        done = runner.invoke(app, [*line.split(), "--data", data, "--json"])
        assert done.exit_code == 0, done.output
        return time.perf_counter() - began, time.process_time() - cpu

    return ask


def ingestion(setting: Setting) -> list[Result]:
    """What the explorer's counts, shelves, versions and sketches take of storing: services with them and without.

    Turns are short and many, and each begins with the other of the two. Processor time of the service counts: it is
    what bounds the rate, and what else the machine does is not in it.
    """
    kept = {which: setting.data(f"explorer-{which}") for which in ("with", "without")}
    who = {which: logins(data, users=10, devices=1) for which, data in kept.items()}
    started = {
        which: Service(data, wrapper=(sys.executable, "-m", "tests.support.bench.unexplored", which))
        for which, data in kept.items()
    }
    results = []
    with started["with"], started["without"]:
        for name, events, window in _KINDS:
            costs, ratios = [], []
            for turn in range(max(setting.repeats, 3) * 4):
                found = {}
                for which in sorted(started, reverse=bool(turn % 2)):
                    service = started[which]
                    process, before = psutil.Process(service.pid), stored_events(service.data)
                    began = sum(process.cpu_times()[:2])
                    flooded = flood_for(
                        setting.seconds / 4,
                        service.mqtt,
                        who[which],
                        f"{events}x{turn}",
                        guess=20_000 / events,
                        events_per_message=events,
                        window=window,
                    )
                    gained = stored_events(service.data) - before
                    found[which] = (sum(process.cpu_times()[:2]) - began) / gained, flooded["events_per_second"]
                costs.append(found["with"][0] / found["without"][0])
                ratios.append(found["with"][1] / found["without"][1])
                progress(f"  {name}: processor time {costs[-1]:.3f} x, rate {ratios[-1]:.3f} x")
            assert (_explored(kept["with"]), _explored(kept["without"])) == ((True, True), (False, False))
            results.append(
                Result(
                    row="explorer-cost",
                    work=f"{name} stored with the explorer's counts and sketches, against without: processor time",
                    unit="x",
                    values=costs,
                    target="≤ 1.05",
                    met=statistics.median(costs) <= 1.05,
                    note=f"rate {statistics.median(ratios):.3f} x",
                    detail={"rates": ratios},
                )
            )
    return results


ROWS = {"explorer": explorer, "explorer-cost": ingestion}
