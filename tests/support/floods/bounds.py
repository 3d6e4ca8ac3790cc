"""What a flood may cost others. Asserted in the service's own work, with margin: load elsewhere changes no verdict."""

from collections.abc import Iterator

from tests.support.floods.run import Found

CPU_P99_MS = 50.0
WALL_P99_MS = 250.0  # printed; no verdict
REVOKED_CPU_S = 1.0
GROWN_MB = 200.0


def broken(found: Found, *, margin: float = 1.0) -> Iterator[str]:
    """Which bounds did not hold."""
    if found.cpu_p99_ms > CPU_P99_MS * margin:
        yield f"a bystander's PUBACK waited for {found.cpu_p99_ms:.0f} ms of work, the bound is {CPU_P99_MS:.0f} ms"
    if found.revoked_cpu_s is not None and found.revoked_cpu_s > REVOKED_CPU_S * margin:
        yield f"a revocation took {found.revoked_cpu_s:.1f} s of work, the bound is {REVOKED_CPU_S:.0f} s"
    if found.grown_mb > GROWN_MB:
        yield f"memory grew by {found.grown_mb:.0f} MB, the bound is {GROWN_MB:.0f} MB"
