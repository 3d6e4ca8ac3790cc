"""Many seeds on all cores: what ``scripts/simulate-faults`` runs; exit 1 and the seed where a promise breaks."""

import argparse
import gc
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from healthsync_mqtt.testing.simulator.world import SeedOutcome, SimulatedFault, simulate


def arguments(words: Iterable[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/simulate-faults",
        description="The service on virtual time, with faults from a seed; the promises are checked on the way.",
    )
    parser.add_argument("--seeds", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument(
        "--only", action="append", choices=[fault.value for fault in SimulatedFault], help="only these faults"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep-going", action="store_true", help="try every seed, also after one that broke")
    parser.add_argument("--show", action="store_true", help="what happened in each seed")
    return parser.parse_args(None if words is None else list(words))


def say(outcome: SeedOutcome) -> None:
    """What happened, and what broke."""
    print(f"seed {outcome.seed}: {outcome.events} events; {', '.join(outcome.faults) or 'no fault'}")
    for violation in outcome.violations:
        print(f"  broken: {violation}")


class Task:
    """One seed, in a process of its own."""

    def __init__(self, only: frozenset[SimulatedFault] | None) -> None:
        self._only = only

    def __call__(self, seed: int) -> SeedOutcome:
        return simulate(seed, only=self._only)


def _begin() -> None:
    """In each process. The log of the simulated service is noise here; what counts is what was broken.

    The collector goes over what was imported never, and over a run seldom: it took a fifth of the time.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    logging.disable(logging.CRITICAL)
    sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # as long as the process lives


def main(words: Iterable[str] | None = None) -> int:
    """Try the seeds. 1 when a promise broke."""
    asked = arguments(words)
    only = None if asked.only is None else frozenset(map(SimulatedFault, asked.only))
    began, tried, events, broken = time.monotonic(), 0, 0, 0
    seeds = range(asked.first, asked.first + asked.seeds)
    with multiprocessing.get_context("spawn").Pool(asked.processes, initializer=_begin) as pool:
        for outcome in pool.imap_unordered(Task(only), seeds, chunksize=4):
            tried += 1
            events += outcome.events
            if outcome.violations or asked.show:
                say(outcome)
            if outcome.violations:
                broken += 1
                if not asked.keep_going:
                    print(f"again: scripts/simulate-faults --seeds 1 --first {outcome.seed} --show")
                    pool.terminate()
                    break
    took = time.monotonic() - began
    print(f"{tried} seeds, {events} events, {broken} broken; {tried / took:.1f} seeds/s")
    return 1 if broken else 0
