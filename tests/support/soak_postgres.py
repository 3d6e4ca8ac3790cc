"""scripts/soak-postgres: a service whose log is on PostgreSQL, and both of them ended under load.

Prints the seed first, the figures last; exit code 1 when a promise was broken.
"""

import argparse
import asyncio
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.support.external_bridge import Proxy, Wire
from tests.support.external_rig import Rig
from tests.support.postgres import Postgres
from tests.support.soak.failover import Clerk, Failovers
from tests.support.soak.faults import filled, small_disk, until_quiet
from tests.support.soak.pair import Pair
from tests.support.soak.run import Soak, SoakError
from tests.support.soak.scenario import Outcome, outcome

LONGEST_PARTITION_S = 14.0
"""Past 10 s the server ends the session of who leads."""
SHARED_DISK = "512m"
"""For the tables of bridges that share a log: what they store in ten minutes is a fraction."""
QUIET_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlan:
    """How often each."""

    seed: int
    kills: int = 200
    #: kill -9 of the server, all of it
    server_kills: int = 50
    #: every connection of the service ended by the server
    cuts: int = 50
    full_disks: int = 2
    #: nothing passes between some bridges and the server for a while, and no connection ends; where they share the log
    partitions: int = 0
    #: the server lost, and its standby that has all takes over; where bridges share the log
    failovers: int = 0
    #: the same with one that is behind
    losses: int = 0
    #: the rows on the server are sealed
    sealed: bool = False
    #: no fault begins after so long; 0: all of them do
    seconds: float = 0

    def faults(self) -> Iterator[str]:
        """All of them in an order that the seed decides, while there is time."""
        found = ["kill"] * self.kills + ["server"] * self.server_kills + ["cut"] * self.cuts
        found += ["full"] * self.full_disks + ["partition"] * self.partitions
        found += ["failover"] * self.failovers + ["loss"] * self.losses
        random.Random(self.seed).shuffle(found)
        began = time.monotonic()
        return (each for each in found if not self.seconds or time.monotonic() - began < self.seconds)


class Server:
    """The faults of a server."""

    def __init__(self, postgres: Postgres, disk: Path | None) -> None:
        self._postgres = postgres
        #: a small file system that the log's tables are on; None: none can be mounted
        self._disk = disk

    async def kill(self, soak: Soak) -> None:
        """A kill at any moment; it stays away for a while."""
        await asyncio.sleep(soak.rng.uniform(0, 0.9))
        await asyncio.to_thread(self._postgres.kill)
        soak.count("server kill -9")
        await asyncio.sleep(soak.rng.uniform(0, 0.5))
        await asyncio.to_thread(self._postgres.start)

    async def cut(self, soak: Soak) -> None:
        """Every connection ends, as in a failing network."""
        await asyncio.sleep(soak.rng.uniform(0, 0.5))
        await asyncio.to_thread(self._postgres.cut)
        soak.count("connections cut")

    async def fill(self, soak: Soak) -> None:
        """The disk of the tables is full for a while: nothing is acknowledged meanwhile."""
        if self._disk is None:
            return
        with filled(self._disk):
            await until_quiet(soak)
        soak.count("disk full")


async def soak(plan: ServerPlan, directory: Path, say: Callable[[str], None]) -> Outcome:
    """Run ``plan`` with fresh data under ``directory``."""
    rng = random.Random(plan.seed)
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(Postgres())
        disk = None
        if plan.full_disks:
            disk = postgres.root / "small"
            disk = disk if stack.enter_context(small_disk(disk)) else None
        data = postgres.directory(directory / "data", disk=disk)
        if plan.sealed:
            with (data / "healthsync.toml").open("a") as settings:
                settings.write('encryption = "rows"\n')
        run = Soak(data=data, rng=rng, say=say, sealed=plan.sealed)
        server = Server(postgres, disk)
        try:
            async with run.load():
                await run.start()
                await run.wait_progress()
                for number, fault in enumerate(plan.faults(), 1):
                    if fault == "kill":
                        await run.kill()
                    else:
                        await {"server": server.kill, "cut": server.cut, "full": server.fill}[fault](run)
                        await run.wait_progress(events=3)
                        await run.compare()
                    if number % 10 == 0:
                        say(f"{number} faults, {len(run.history.acknowledged)} acknowledged")
            await run.finish()
        finally:
            run.service.kill()
    return outcome([run], [])


async def soak_shared(
    plan: ServerPlan, bridges: int, directory: Path, say: Callable[[str], None], *, rabbitmq: bool = False
) -> tuple[Rig, Failovers]:
    """The same where so many bridges write one log, and go by one registry that somebody changes all the while.

    They share all messages of a Mosquitto, or each has a part of the users of a ``rabbitmq``.
    """
    rng = random.Random(plan.seed)
    names = ["main", *(f"bridge-{number}" for number in range(2, bridges + 1))]
    parts = [(name, f"{number}/{bridges}" if rabbitmq else "") for number, name in enumerate(names, 1)]
    async with AsyncExitStack() as stack:
        pair = stack.enter_context(Pair.running())
        hosts = pair.ports if plan.failovers or plan.losses else (pair.primary.port,)
        disk: Path | None = pair.primary.root / "small" if plan.full_disks else None
        if disk is not None and not stack.enter_context(small_disk(disk, SHARED_DISK)):
            disk = None
        wires = {name: [await stack.enter_async_context(Proxy(port)) for port in hosts] for name in names}
        rig = Rig(
            root=directory, rng=rng, bridges=parts, postgres=pair.primary, corrections=True, ships=True,
            ordered=rabbitmq,  # where a user has one bridge at a time; $share keeps no order
            hosts=hosts, bridge_hosts={name: [wire.port for wire in each] for name, each in wires.items()},
            rabbitmq=rabbitmq, disk=disk,
        )  # fmt: skip
        if len(hosts) > 1:
            pair.synchronous = plan.failovers > 0
            await asyncio.to_thread(pair.follow)
        failovers = Failovers(rig=rig, pair=pair, rng=rng)
        async with rig.running():
            clerk = Clerk(data=rig.broker.data)
            await asyncio.to_thread(clerk.hire)
            changing = asyncio.create_task(clerk.run())
            for number, fault in enumerate(plan.faults(), 1):
                if fault == "kill":
                    await rig.kill_bridge(rng.choice(names))
                elif fault == "partition":
                    cut = rng.choice([names, *([name] for name in names)])  # all of them, or one alone
                    for name in cut:
                        for wire in wires[name]:
                            wire.wire = Wire.SILENT
                    await asyncio.sleep(rng.uniform(0.5, LONGEST_PARTITION_S))
                    for name in cut:
                        for wire in wires[name]:
                            wire.wire = Wire.WHOLE
                    rig.fault("partition" if len(cut) > 1 else "partition of one")
                elif fault == "full":
                    if disk is not None:
                        with filled(disk):
                            await _until_quiet(rig)
                        rig.fault("disk full")
                elif fault in {"failover", "loss"}:
                    await (failovers.keep if fault == "failover" else failovers.lose)()
                else:
                    await asyncio.sleep(rng.uniform(0, 0.9))
                    await asyncio.to_thread(pair.primary.kill if fault == "server" else pair.primary.cut)
                    if fault == "server":
                        await asyncio.to_thread(pair.primary.start)
                    rig.fault({"server": "server kill -9", "cut": "connections cut"}[fault])
                say(f"{number} faults, {sum(map(len, rig.acknowledged.values()))} receipted")
            clerk.working = False
            await changing
        say(f"{rig.check()} stored")
        if not plan.losses:
            rig.violations += await asyncio.to_thread(clerk.check)  # its way there is in this loop
        say(f"{len(clerk.made)} changes of the registry, {len(clerk.refused)} refused, {len(clerk.unknown)} not known")
        for line in failovers.said():
            say(line)
    return rig, failovers


async def _until_quiet(rig: Rig) -> None:
    """Return when no receipt has come for a while: no bridge has room."""
    seen = -1
    while (now := sum(map(len, rig.acknowledged.values()))) != seen:
        seen = now
        await asyncio.sleep(QUIET_S)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak-postgres", description=str(__doc__).splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="kill -9 of the service (default 200)")
    parser.add_argument("--server-kills", type=int, default=50, help="kill -9 of PostgreSQL (default 50)")
    parser.add_argument("--cuts", type=int, default=50, help="all connections ended by the server (default 50)")
    parser.add_argument("--full-disks", type=int, default=2, help="no room for the tables (default 2)")
    parser.add_argument("--bridges", type=int, default=1, help="so many share it, on a Mosquitto (default 1: none)")
    parser.add_argument("--partitions", type=int, default=0, help="nothing passes to PostgreSQL (default 0; shared)")
    parser.add_argument("--failovers", type=int, default=0, help="to a synchronous standby (default 0; shared)")
    parser.add_argument("--losses", type=int, default=0, help="to a standby that is behind (default 0; shared)")
    parser.add_argument("--rabbitmq", action="store_true", help="on a RabbitMQ, each with a part of the users")
    parser.add_argument("--sealed", action="store_true", help="the rows on the server are sealed (of one service)")
    parser.add_argument("--seconds", type=float, default=0, help="no fault begins after so long (default: all do)")
    parser.add_argument("--seed", type=int, help="repeat the random choices of a run")
    asked = parser.parse_args()
    if asked.sealed and asked.bridges > 1:
        parser.error("a log that bridges share is not sealed")
    if (asked.partitions or asked.failovers or asked.losses) and asked.bridges == 1:
        parser.error("partitions and failovers are of bridges that share a log: --bridges 3")
    if asked.failovers and asked.losses:
        parser.error("what a failover may lose is another run's: --failovers or --losses")
    seed = secrets.randbelow(1 << 32) if asked.seed is None else asked.seed
    say(f"SEED={seed}")
    plan = ServerPlan(
        seed=seed, kills=asked.kills, server_kills=asked.server_kills, cuts=asked.cuts, full_disks=asked.full_disks,
        partitions=asked.partitions, failovers=asked.failovers, losses=asked.losses, sealed=asked.sealed,
        seconds=asked.seconds,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        if asked.bridges > 1:
            rig, _ = asyncio.run(soak_shared(plan, asked.bridges, Path(directory), say, rabbitmq=asked.rabbitmq))
            for line in [*(f"{name:16} {count}" for name, count in rig.faults.items()), *rig.violations]:
                say(line)
            say(f"{len(rig.violations)} violations")
            return bool(rig.violations)
        try:
            found = asyncio.run(soak(plan, Path(directory), say))
        except SoakError as error:
            say(f"FAILED: {error}")
            return 1
    for name, value in asdict(found).items():
        if name != "violations":
            say(f"{name.replace('_', ' '):16} {value}")
    for line in found.violations[:50]:
        say(f"VIOLATION {line}")
    say(f"{len(found.violations)} violations")
    return bool(found.violations)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
