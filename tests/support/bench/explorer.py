"""How long the questions of the explorer take in a sealed log: the last events with each filter, and counts."""

import time
from collections.abc import Callable

from typer.testing import CliRunner

from healthsync_mqtt.cli.main import app
from healthsync_mqtt.storage.opening import codec_of
from tests.support.bench.load import fill
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, progress

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


def _asking(data: str) -> Callable[[str], tuple[float, float]]:
    runner = CliRunner()

    def ask(line: str) -> tuple[float, float]:
        began, cpu = time.perf_counter(), time.process_time()
        done = runner.invoke(app, [*line.split(), "--data", data, "--json"])
        assert done.exit_code == 0, done.output
        return time.perf_counter() - began, time.process_time() - cpu

    return ask


ROWS = {"explorer": explorer}
