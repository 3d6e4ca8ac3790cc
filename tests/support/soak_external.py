"""Faults of a bridge on a real Mosquitto, decided by a history checker: ``python -m tests.support.soak_external``."""

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from tests.support.external_bridge import Proxy
from tests.support.external_rig import Rig
from tests.support.soak.surroundings import JUMPS


async def soak(
    root: Path,
    rng: random.Random,
    *,
    bridge_kills: int,
    broker_kills: int,
    cuts: int,
    away: int,
    shards: bool,
    restores: int = 0,
    hangs: int = 0,
    jumps: int = 0,
    swaps: int = 0,
) -> list[Rig]:
    """All faults, one kind after the other, each on a broker and log of its own."""
    rigs: list[Rig] = []

    async def run(name: str, work: Callable[[Rig, Proxy], Awaitable[None]], *, ordered: bool, **how: object) -> None:
        rig = Rig(root=root / name, rng=rng, ordered=ordered, **how)  # type: ignore[arg-type]
        rigs.append(rig)
        async with rig.running() as proxy:
            await work(rig, proxy)
        stored = rig.check()
        say({"run": name, "faults": rig.faults, "stored": stored, "violations": rig.violations})

    async def bridge_dies(rig: Rig, _proxy: Proxy) -> None:
        for _ in range(bridge_kills):
            await rig.kill_bridge()

    async def broker_dies(rig: Rig, _proxy: Proxy) -> None:
        for _ in range(broker_kills):
            await rig.kill_broker()

    async def wire_breaks(rig: Rig, proxy: Proxy) -> None:
        for _ in range(cuts):
            await rig.break_wire(proxy)

    async def bridge_is_away(rig: Rig, _proxy: Proxy) -> None:
        await asyncio.sleep(0.3)
        await asyncio.to_thread(rig.processes["main"].end, signal.SIGTERM)
        rig.fault("bridge away")
        await rig.in_order(away)
        await asyncio.to_thread(rig.processes["main"].start)

    async def around_it(rig: Rig, proxy: Proxy) -> None:
        faults: list[Callable[[], Awaitable[None]]] = [rig.restore] * restores
        faults += [partial(rig.hang, 9.0)] * hangs  # the broker waits for 7.5 s
        faults += [partial(rig.jump, JUMPS[number % len(JUMPS)]) for number in range(jumps)]
        faults += [partial(rig.swap_certificate, proxy)] * swaps
        rng.shuffle(faults)
        for fault in faults:
            await fault()

    async def one_of_two_dies(rig: Rig, _proxy: Proxy) -> None:
        for number in range(max(2, bridge_kills // 10)):
            await rig.kill_bridge(("main", "second")[number % 2])

    if bridge_kills:
        # Messages wait at the broker in their order; a device sends again only what has no receipt, later.
        await run("bridge", bridge_dies, ordered=True)
    if broker_kills:
        await run("broker", broker_dies, ordered=False)
    if cuts:
        await run("wire", wire_breaks, ordered=True)
    if away:
        await run("away", bridge_is_away, ordered=False)
    if restores or hangs or jumps or swaps:
        await run("around", around_it, ordered=False)
    if shards:
        await run("shards", one_of_two_dies, ordered=True, bridges=(("main", "1/2"), ("second", "2/2")))
    return rigs


def say(line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Exit code 1 for any violation."""
    parser = argparse.ArgumentParser(prog="scripts/soak-external", description=__doc__)
    parser.add_argument("--bridge-kills", type=int, default=200)
    parser.add_argument("--broker-kills", type=int, default=50)
    parser.add_argument("--cuts", type=int, default=40)
    parser.add_argument("--away", type=int, default=5000, help="messages while the bridge is away")
    parser.add_argument("--restores", type=int, default=10)
    parser.add_argument("--hangs", type=int, default=5)
    parser.add_argument("--jumps", type=int, default=10)
    parser.add_argument("--swaps", type=int, default=10)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    given = parser.parse_args()
    say({"seed": given.seed})
    with tempfile.TemporaryDirectory(prefix="soak-external-") as name:
        rigs = asyncio.run(
            soak(
                Path(name),
                random.Random(given.seed),
                bridge_kills=given.bridge_kills,
                broker_kills=given.broker_kills,
                cuts=given.cuts,
                away=given.away,
                shards=True,
                restores=given.restores,
                hangs=given.hangs,
                jumps=given.jumps,
                swaps=given.swaps,
            )
        )
    return any(rig.violations for rig in rigs)


if __name__ == "__main__":
    sys.exit(main())
