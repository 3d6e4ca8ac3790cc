"""The order of a soak, and what it reports: used by scripts/soak in full and by the tests in short."""

import asyncio
import random
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.soak.faults import fill_disk, pause, small_disk
from tests.support.soak.run import Soak


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of each; ``pauses`` are the lengths of the stops in seconds."""

    seed: int
    kills: int = 200
    pauses: tuple[float, ...] = (3.0, 6.0)
    full_disks: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The figures of a soak; ``violations`` is empty when every promise held."""

    faults: dict[str, int]
    sent: int
    acknowledged: int
    receipted: int
    stored: int
    restart: float
    slowest_restart: float
    full_disk: tuple[str, ...]
    violations: tuple[str, ...]


async def soak(plan: Plan, directory: Path, say: Callable[[str], None]) -> Outcome:
    """Run ``plan`` with fresh data under ``directory``."""
    rng = random.Random(plan.seed)
    runs: list[Soak] = []
    how: list[str] = []

    first = Soak(data=directory / "data", rng=rng, say=say)
    runs.append(first)
    pauses = list(plan.pauses)
    # The stops are spread between the kills.
    moments = {int((number + 1) * plan.kills / (len(pauses) + 1)): length for number, length in enumerate(pauses)}
    try:
        async with first.load():
            await first.start()
            await first.wait_progress()
            for number in range(plan.kills):
                if number in moments:
                    await pause(first, moments.pop(number))
                await first.kill()
                if (number + 1) % 10 == 0:
                    say(
                        f"{number + 1} kills, {len(first.history.acknowledged)} acknowledged, "
                        f"{violations(runs)} violations"
                    )
            for length in moments.values():
                await pause(first, length)
        await first.finish()
    finally:
        first.service.kill()

    for number in range(plan.full_disks):
        # Short: the admin channel's socket lives in it, and the path of a socket has some 100 bytes.
        with (
            tempfile.TemporaryDirectory(prefix=f"full{number}-", dir=directory) as name,
            small_disk(Path(name)) as mounted,
        ):
            run = Soak(data=Path(name) / "data", rng=rng, say=say)
            runs.append(run)
            try:
                async with run.load():
                    how.append(await fill_disk(run, mounted=mounted and number % 2 == 0))
                await run.finish()
            finally:
                run.service.kill()
            say(f"full disk {number + 1}: {how[-1]}")
    return outcome(runs, how)


def violations(runs: list[Soak]) -> int:
    return sum(len(run.history.violations) for run in runs)


def outcome(runs: list[Soak], how: list[str]) -> Outcome:
    restarts = [seconds for run in runs for seconds in run.restarts]
    faults: dict[str, int] = {}
    for run in runs:
        for fault, count in run.faults.items():
            faults[fault] = faults.get(fault, 0) + count
    return Outcome(
        faults=faults,
        sent=sum(len(run.history.sent) for run in runs),
        acknowledged=sum(len(run.history.acknowledged) for run in runs),
        receipted=sum(len(run.history.receipted) for run in runs),
        stored=sum(len(run.check.stored) for run in runs),
        restart=statistics.median(restarts),
        slowest_restart=max(restarts),
        full_disk=tuple(how),
        violations=tuple(line for run in runs for line in run.history.violations),
    )


def run(plan: Plan, directory: Path, say: Callable[[str], None]) -> Outcome:
    """``soak`` for callers without an event loop."""
    return asyncio.run(soak(plan, directory, say))
