"""What a backup costs those who send meanwhile: the set that has many new events, made beside a steady load."""

import statistics
import time

from tests.support.bench.load import begin, fill, finish, generate
from tests.support.bench.result import Result
from tests.support.bench.rows import OPEN_LIMITS
from tests.support.bench.setting import Setting, progress
from tests.support.identities import logins
from tests.support.service import Service, run_cli

RATE = 1_000
TARGET_S = 10.0


def backup(setting: Setting) -> list[Result]:
    """PUBACK p99 at 1,000 events a second with and without it, in turns, and how long the set took."""
    events = 1_000_000 if setting.full else 100_000
    data = setting.data("backup")
    sets = data.parent / "sets"
    who = logins(data, users=10, devices=10)
    fill(data / "events.db", 1_000, run="first")
    run_cli(data, "backup", "create", str(sets))
    ratios, took, turns = [], [], []
    for turn in range(setting.repeats):
        progress(f"  {events:,} new events")
        fill(data / "events.db", events, run=f"more{turn}")
        with Service(data, env=OPEN_LIMITS) as service:
            generate(service.mqtt, who, mode="paced", run=f"w{turn}", rate=RATE, messages=RATE)
            messages = int(RATE * max(setting.seconds, 5))
            quiet = generate(service.mqtt, who, mode="paced", run=f"q{turn}", rate=RATE, messages=messages)
            load = begin(service.mqtt, who, mode="paced", run=f"b{turn}", rate=RATE, messages=messages)
            began = time.perf_counter()
            run_cli(data, "backup", "create", str(sets))
            took.append(time.perf_counter() - began)
            beside = finish(load)
        ratios.append(beside["p99_ms"] / quiet["p99_ms"])
        turns.append({"quiet": quiet, "beside": beside})
        progress(f"  {took[-1]:.1f} s; p99 {quiet['p99_ms']:.1f} ms, beside it {beside['p99_ms']:.1f} ms")
    median, slowest = statistics.median(ratios), statistics.median(took)
    work = f"a set with {events:,} new events"
    return [
        Result(
            row="backup",
            work=f"{work}: PUBACK p99 beside it, of that without",
            unit="x",
            values=ratios,
            target="≤ 1.5",
            met=median <= 1.5,
            detail={"turns": turns},
        ),
        Result(
            row="backup",
            work=f"{work}: written and read back",
            unit="s",
            values=took,
            target=f"≤ {TARGET_S:.0f} s for a million",
            met=slowest <= TARGET_S if setting.full else None,
        ),
    ]


ROWS = {"backup": backup}
