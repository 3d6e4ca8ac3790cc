"""scripts/floods: a line a flood; exit code 1 when a bystander waited too long or a revocation came too late."""

import argparse
import math
import random
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path

from tests.support.floods.bounds import broken
from tests.support.floods.kinds import KINDS
from tests.support.floods.profile import PROFILES, as_environment
from tests.support.floods.run import Found, flood, settle
from tests.support.identities import logins
from tests.support.service import Service


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def line(found: Found) -> str:
    """A flood in one line."""
    revoked = "" if found.revoked_s is None else f", these in {found.revoked_s:.2f} s"
    kind = found.kind if len(found.kind) <= 40 else f"{found.kind.count('+') + 1} kinds mixed"
    return (
        f"{kind:40} x{found.connections:<3} of {found.users:<3} PUBACK p99 of {found.waits:4} "
        f"{found.cpu_p99_ms:6.1f} ms of work, {found.wall_p99_ms:7.1f} ms; "
        f"memory {found.grown_mb:+.0f} to {found.peak_mb:.0f} MB, disk {found.disk_mb:+.0f} to {found.kept_mb:.0f} MB "
        f"beside events, a quiet one revoked in {found.quiet_revoked_s:.2f} s{revoked}"
    )


def again(found: Found, *, seconds: float, profile: str) -> str:
    """What to type for the same flood alone."""
    kinds = found.kind.split("+")
    words = [f"--only {kind}" for kind in kinds] + ["--together"] * (len(kinds) > 1)
    words += [
        f"--connections {found.connections}",
        f"--users {found.users}",
        f"--seconds {seconds:g}",
        f"--profile {profile}",
    ]
    return f"scripts/floods {' '.join(words)}"


def rounds_of(only: list[str] | None, *, together: bool) -> list[tuple[str, ...]]:
    """What is flooded with at once, one after the other, before any pairs."""
    names = [kind.name for kind in KINDS if not only or kind.name in only]
    if together:
        return [tuple(names)]
    alone: list[tuple[str, ...]] = [(name,) for name in names]
    return alone if only else [*alone, tuple(kind.name for kind in KINDS if kind.login), tuple(names)]


def users_of(asked: int | None, *, connections: int, number: int, hour: bool) -> int:
    """Of how many users the attackers of a round are: in the hour of one and of as many as there are, in turns."""
    if asked is None:
        return connections if hour and number % 2 else 1
    return min(asked, connections)


def parser() -> argparse.ArgumentParser:
    """What may be asked for."""
    parser = argparse.ArgumentParser(prog="scripts/floods", description="Every kind of flood beside a bystander.")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each flood (default 3)")
    parser.add_argument("--hours", type=float, default=0.0, help="so long: all of them, then pairs in a random order")
    parser.add_argument("--seed", type=int, default=1, help="of that order (default 1)")
    parser.add_argument("--only", choices=sorted(kind.name for kind in KINDS), action="append", help="only these")
    parser.add_argument("--together", action="store_true", help="those of --only at once, not one after the other")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 50], help="attackers at once (default 1 50)")
    parser.add_argument(
        "--users",
        type=int,
        help="whose devices the attackers are (default 1; with --hours one and each its own, in turns)",
    )
    parser.add_argument(
        "--profile", choices=sorted(PROFILES), default="default", help="the limits (docs/howto/limits.md)"
    )
    return parser


def main() -> int:
    asked = parser().parse_args()
    rounds = rounds_of(asked.only, together=asked.together)
    until = math.inf
    if asked.hours:
        pairs = list(combinations([kind.name for kind in KINDS], 2))
        random.Random(asked.seed).shuffle(pairs)
        rounds += pairs
        until = time.monotonic() + asked.hours * 3600
    failed = 0
    with tempfile.TemporaryDirectory(prefix="floods-") as directory:
        data = Path(directory) / "data"
        bystander, quiet = logins(data, users=2, devices=1)
        limits = PROFILES[asked.profile]()
        pause_s = 2.0 / limits.get("device_messages_per_s", 200)
        with Service(data, env=as_environment(limits)) as service:
            for number, kinds in enumerate(rounds):
                if time.monotonic() > until:
                    say(f"{number} of {len(rounds)} had their turn")
                    break
                for count in asked.connections if len(kinds) == 1 else [max(asked.connections)]:
                    settle(service, within_s=60.0)
                    # Devices of its own: those of a flood of reconnections look cloned for a minute.
                    users = users_of(asked.users, connections=count, number=number, hour=bool(asked.hours))
                    made = logins(data, users=users, devices=-(-count // users), named=f"x{count}-{number}-")[:count]
                    found = flood(
                        service, kinds, bystander, tuple(made), quiet=quiet, seconds=asked.seconds, pause_s=pause_s
                    )  # fmt: skip
                    say(line(found))
                    reasons = list(broken(found))
                    failed += len(reasons)
                    for reason in reasons:
                        say(f"  BROKEN: {reason}")
                    if reasons:
                        say(f"  again: {again(found, seconds=asked.seconds, profile=asked.profile)}")
    say(f"{failed} broken")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
