"""What a change of the registry costs a service that knows 100 users, or 40,000."""

import time

from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.registry import Registry
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, progress
from tests.support.crowd import add_crowd

_SIZES = (100, 40_000)


def users(setting: Setting) -> list[Result]:
    """A removal is seen, a consent is seen, and everything is read at the start; with few users and with many."""
    results = []
    for size in _SIZES:
        progress(f"  {size:,} users")
        path = setting.data(f"users-{size}") / "registry.db"
        with Registry.open(path) as registry, Registry.open(path) as own:
            add_crowd(registry, size)
            starts, removals, consents = [], [], []
            for _ in range(setting.repeats):
                began = time.perf_counter()
                with Registry.open(path) as fresh:
                    directory = Directory(fresh)
                starts.append(time.perf_counter() - began)
            directory = Directory(own)
            for number in range(max(10, setting.repeats)):
                registry.remove_device(f"crowd-{number}", "watch", time.time_ns() // 1000)
                began = time.perf_counter()
                assert directory.refresh() == {f"crowd-{number}-watch"}
                removals.append((time.perf_counter() - began) * 1000)
                registry.consent.withdraw(f"crowd-{number}", "*", time.time_ns() // 1000)
                began = time.perf_counter()
                directory.refresh()
                consents.append((time.perf_counter() - began) * 1000)
        for work, unit, values, limit in (
            ("everything is read", "s", starts, 1.5),
            ("a removal is seen", "ms", removals, 250.0),
            ("a withdrawal is seen", "ms", consents, 250.0),
        ):
            median = sorted(values)[len(values) // 2]
            results.append(
                Result(
                    row="users",
                    work=f"{work}, {size:,} users",
                    unit=unit,
                    values=values,
                    target=f"≤ {limit:g} {unit}",
                    met=median <= limit,
                )
            )
    return results


ROWS = {"users": users}
