"""What a flood may cost others. What is timed is asserted by ``scripts/floods`` alone: a test asserts ``harmed``."""

import math
from collections.abc import Iterator

from tests.support.floods.run import Found
from tests.support.floods.sums import disk_mb, memory_mb

CPU_P99_MS = 50.0
WALL_P99_MS = 250.0
REVOKED_S = 1.0
GROWN_MB = 200.0
DISK_MB = 400.0
"""By how much more there may be after one flood; how much in all is stated, see ``sums``."""


def harmed(found: Found) -> Iterator[str]:
    """Which bounds did not hold that no load of the machine changes."""
    if found.revoked_s == math.inf:
        yield "a revoked connection was never closed"
    if found.grown_mb > GROWN_MB:
        yield f"memory grew by {found.grown_mb:.0f} MB, the bound is {GROWN_MB:.0f} MB"
    if found.disk_mb > DISK_MB:
        yield f"the data directory grew by {found.disk_mb:.0f} MB, the bound is {DISK_MB:.0f} MB"
    if found.quiet_revoked_s == math.inf:
        yield "a revoked connection that did nothing was never closed"
    if found.peak_mb > (bound := memory_mb(found.connections)):
        yield f"memory was {found.peak_mb:.0f} MB, the stated bound is {bound:.0f} MB"
    if found.kept_mb > (bound := disk_mb()):
        yield f"the data directory holds {found.kept_mb:.0f} MB beside events, the stated bound is {bound:.0f} MB"


def broken(found: Found) -> Iterator[str]:
    """Which bounds did not hold."""
    yield from harmed(found)
    if found.cpu_p99_ms > CPU_P99_MS:
        yield f"a bystander's PUBACK waited for {found.cpu_p99_ms:.0f} ms of work, the bound is {CPU_P99_MS:.0f} ms"
    if found.wall_p99_ms > WALL_P99_MS:
        yield f"a bystander's PUBACK took {found.wall_p99_ms:.0f} ms, the bound is {WALL_P99_MS:.0f} ms"
    if found.revoked_s is not None and REVOKED_S < found.revoked_s < math.inf:
        yield f"a revocation took {found.revoked_s:.1f} s, the bound is {REVOKED_S:.0f} s"
    if REVOKED_S < found.quiet_revoked_s < math.inf:
        yield f"a revocation of one who did nothing took {found.quiet_revoked_s:.1f} s, the bound is {REVOKED_S:.0f} s"
