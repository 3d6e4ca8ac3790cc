"""scripts/soak: prints the seed first, the figures last; exit code 1 when a promise was broken."""

import argparse
import secrets
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.support.soak.over_http import HttpSoakError, run_http
from tests.support.soak.run import SoakError
from tests.support.soak.scenario import Plan, run


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Faults under load, checked by client histories.")
    parser.add_argument("--kills", type=int, default=200, help="kill -9 of the service (default 200)")
    parser.add_argument("--pauses", type=float, nargs="*", default=[3.0, 6.0, 30.0], help="SIGSTOP lengths in seconds")
    parser.add_argument("--full-disks", type=int, default=2, help="tmpfs and file limit in turn (default 2)")
    parser.add_argument("--restores", type=int, default=5, help="the log of some moments ago put back (default 5)")
    parser.add_argument("--jumps", type=int, default=10, help="moves of the clock, half of them at start (default 10)")
    parser.add_argument("--swaps", type=int, default=5, help="certificates replaced, file by file (default 5)")
    parser.add_argument("--members", type=int, default=100, help="cuts of members of a shared group (default 100)")
    parser.add_argument(
        "--http", type=int, metavar="KILLS", help="instead: kill -9 of gateway, service and both by HTTP"
    )
    parser.add_argument("--seed", type=int, help="repeat the random choices of a run")
    asked = parser.parse_args()
    seed = secrets.randbelow(1 << 32) if asked.seed is None else asked.seed
    say(f"SEED={seed}")
    plan = Plan(
        seed=seed,
        kills=asked.kills,
        pauses=tuple(asked.pauses),
        full_disks=asked.full_disks,
        restores=asked.restores,
        jumps=asked.jumps,
        swaps=asked.swaps,
        members=asked.members,
    )
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        try:
            found = run_http(seed, asked.http, Path(directory), say) if asked.http else run(plan, Path(directory), say)
        except (SoakError, HttpSoakError) as error:
            say(f"FAILED: {error}")
            return 1
    for name, value in asdict(found).items():
        if name != "violations":
            say(f"{name.replace('_', ' '):16} {value}")
    for line in found.violations[:50]:
        say(f"VIOLATION {line}")
    say(f"{len(found.violations)} violations")
    return bool(found.violations)


if __name__ == "__main__":
    sys.exit(main())
