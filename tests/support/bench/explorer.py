"""How long the questions of the explorer take in a sealed log: the last events with each filter, and counts."""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
from typer.testing import CliRunner

from healthsync_mqtt.cli.main import app
from healthsync_mqtt.storage.opening import codec_of
from tests.support.bench.load import EVENTS_AT_ONCE, begin, fill, finish, flood_for, stored_events
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, progress
from tests.support.identities import logins
from tests.support.service import Service
from tests.support.wire import Login
from tests.support.workload import event_id

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
    "events history {first} --user u1",
    "events tail --user u1 --count 1",
    "events export --user u1 --format jsonl --app no.such.app",
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
    first = event_id("fill", EVENTS_AT_ONCE)  # the second user has the second batch
    results = []
    for what, lines in (
        ("of one user, or the last ones", _OF_ONE_USER),
        ("of everybody, about any rows", _OF_ALL),
    ):
        taken = []
        for line in lines:
            taken.append(ask(line.format(first=first)))
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

    Both get the same at the same time, so that what else the machine does meanwhile is on both sides. In turns it was
    now on one side and now on the other: single turns came to 0.8 to 1.6 times as much. Processor time of the services
    counts: it is what bounds the rate.
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
            load = {"events_per_message": events, "window": window}
            rates = [
                flood_for(1, service.mqtt, who[which], f"{events}x", guess=20_000 / events, **load)[
                    "messages_per_second"
                ]
                for which, service in started.items()
            ]
            messages = int(min(rates) * setting.seconds / 4)
            costs, ratios, spent = [], [], []
            for turn in range(max(setting.repeats, 3) * 4):
                run = f"{events}x{turn}"
                found = _at_once(started, who, bool(turn % 2), {"run": run, "messages": messages} | load)
                spent.append(found["with"][0])
                costs.append(found["with"][0] / found["without"][0])
                ratios.append(found["with"][1] / found["without"][1])
                progress(f"  {name}: processor time {costs[-1]:.3f} x of {found['without'][0] * 1e6:.1f} us an event")
            assert (_explored(kept["with"]), _explored(kept["without"])) == ((True, True), (False, False))
            cost, rate = statistics.median(spent) * 1e6, statistics.median(ratios)
            results.append(
                Result(
                    row="explorer-cost",
                    work=f"{name} stored with the explorer's counts and sketches, against without: processor time",
                    unit="x",
                    values=costs,
                    target="≤ 1.05",
                    met=statistics.median(costs) <= 1.05,
                    note=f"{cost:.1f} us an event with them; rate {rate:.3f} x",
                    detail={"rates": ratios, "seconds_per_event": spent},
                )
            )
    return results


def _at_once(
    started: dict[str, Service], who: dict[str, list[Login]], reverse: bool, task: dict[str, Any]
) -> dict[str, tuple[float, float]]:
    """One flood of each service, beside each other: processor time an event, and events a second."""
    order = sorted(started, reverse=reverse)
    before = {which: stored_events(started[which].data) for which in order}
    began = {which: _processor_s(started[which].pid) for which in order}
    running = {which: begin(started[which].mqtt, who[which], **task) for which in order}
    rates = {which: finish(generator)["events_per_second"] for which, generator in running.items()}
    found = {}
    for which in order:
        gained = stored_events(started[which].data) - before[which]
        found[which] = (_processor_s(started[which].pid) - began[which]) / gained, rates[which]
    return found


def _processor_s(pid: int) -> float:
    """Processor time of a process, by its clock in Linux: what is counted elsewhere goes by hundredths of a second."""
    return time.clock_gettime(~pid << 3 | 2)


ROWS = {"explorer": explorer, "explorer-cost": ingestion}
