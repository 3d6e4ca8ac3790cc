"""The order of a soak, and what it reports: used by scripts/soak in full and by the tests in short."""

import asyncio
import random
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.support.soak.faults import fill_disk, pause, small_disk
from tests.support.soak.putting_back import restore
from tests.support.soak.run import Soak
from tests.support.soak.surroundings import JUMPS, jump, swap_certificates

Fault = Callable[[Soak], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of each; ``pauses`` are the lengths of the stops in seconds."""

    seed: int
    kills: int = 200
    pauses: tuple[float, ...] = (3.0, 6.0)
    full_disks: int = 2
    restores: int = 5
    jumps: int = 10
    swaps: int = 5
    #: how often at least members of the shared group are cut off
    members: int = 100

    def between(self) -> list[Fault]:
        """The faults that are spread between the kills, in an order that the seed decides."""
        found: list[Fault] = [partial(pause, seconds=length) for length in self.pauses]
        found += [restore] * self.restores + [swap_certificates] * self.swaps
        found += [
            partial(jump, seconds=JUMPS[number % len(JUMPS)], booting=number // len(JUMPS) % 2 == 1)
            for number in range(self.jumps)
        ]
        random.Random(self.seed).shuffle(found)
        return found


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
    snapshots: int
    full_disk: tuple[str, ...]
    violations: tuple[str, ...]


async def soak(plan: Plan, directory: Path, say: Callable[[str], None]) -> Outcome:
    """Run ``plan`` with fresh data under ``directory``."""
    rng = random.Random(plan.seed)
    runs: list[Soak] = []
    how: list[str] = []

    first = Soak(data=directory / "data", rng=rng, say=say)
    runs.append(first)
    faults = plan.between()
    done = 0
    try:
        async with first.load():
            await first.start()
            await first.wait_progress()
            for number in range(plan.kills):
                while done < len(faults) * (number + 1) // plan.kills:
                    await faults[done](first)
                    done += 1
                await first.kill()
                if (number + 1) % 10 == 0:
                    say(
                        f"{number + 1} kills, {len(first.history.acknowledged)} acknowledged, "
                        f"{violations(runs)} violations"
                    )
            for fault in faults[done:]:
                await fault(first)
            await first.member_cuts(plan.members)
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
        snapshots=sum(run.snapshots for run in runs),
        full_disk=tuple(how),
        violations=tuple(line for run in runs for line in run.history.violations),
    )


def run(plan: Plan, directory: Path, say: Callable[[str], None]) -> Outcome:
    """``soak`` for callers without an event loop."""
    return asyncio.run(soak(plan, directory, say))
