"""What the flood suite makes of what it measured: the rank of a p99, and which figures it refuses."""

import math
from dataclasses import replace
from typing import Any

import pytest

from tests.support.floods.__main__ import again, parser, rounds_of, users_of
from tests.support.floods.bounds import broken, harmed
from tests.support.floods.run import Found, p99
from tests.support.floods.sums import disk_mb, memory_mb


@pytest.mark.parametrize(
    ("count", "large", "wanted"),
    [(20, 1, 9.0), (100, 1, 1.0), (100, 2, 9.0), (150, 1, 1.0), (150, 2, 9.0), (200, 2, 1.0), (200, 3, 9.0)],
)
def test_one_in_a_hundred_may_be_larger_and_no_more(count: int, large: int, wanted: float) -> None:
    assert p99([9.0] * large + [1.0] * (count - large)) == wanted


QUIET = Found(
    kind="pingreq", connections=1, users=1, waits=100, cpu_p99_ms=1.0, wall_p99_ms=2.0, grown_mb=0.0, disk_mb=0.0,
    peak_mb=200.0, kept_mb=10.0, revoked_s=0.1, revoked_cpu_s=0.1, quiet_revoked_s=0.1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "within", "beyond"),
    [("cpu_p99_ms", 49.0, 51.0), ("wall_p99_ms", 249.0, 251.0), ("revoked_s", 0.9, 1.1), ("quiet_revoked_s", 0.9, 1.1)],
)
def test_times_are_judged_by_the_hour_and_not_in_ci(name: str, within: float, beyond: float) -> None:
    fine: dict[str, Any] = {name: within}
    late: dict[str, Any] = {name: beyond}
    assert list(broken(replace(QUIET, **fine))) == []
    slow = replace(QUIET, **late)
    assert len(list(broken(slow))) == 1
    assert list(harmed(slow)) == []


@pytest.mark.parametrize(
    ("name", "within", "beyond"),
    [
        ("peak_mb", memory_mb(1) - 1, memory_mb(1) + 1),
        ("kept_mb", disk_mb() - 1, disk_mb() + 1),
        ("grown_mb", 199.0, 201.0),
        ("disk_mb", 399.0, 401.0),
        ("revoked_s", 1.0, math.inf),
        ("quiet_revoked_s", 1.0, math.inf),
    ],
)
def test_what_no_load_of_the_machine_changes_is_judged_in_ci_too(name: str, within: float, beyond: float) -> None:
    fine: dict[str, Any] = {name: within}
    harmful: dict[str, Any] = {name: beyond}
    assert list(harmed(replace(QUIET, **fine))) == []
    assert len(list(harmed(replace(QUIET, **harmful)))) == 1


def test_more_connections_may_take_more() -> None:
    assert list(harmed(replace(QUIET, connections=50, peak_mb=memory_mb(50) - 1))) == []
    assert len(list(harmed(replace(QUIET, connections=49, peak_mb=memory_mb(50) - 1)))) == 1


@pytest.mark.parametrize("kind", ["pingreq", "pingreq+puback"])
def test_what_a_broken_row_says_to_type_is_the_same_flood(kind: str) -> None:
    typed = again(replace(QUIET, kind=kind, connections=50, users=10), seconds=2.5, profile="strict").split()
    asked = parser().parse_args(typed[1:])
    assert rounds_of(asked.only, together=asked.together) == [tuple(kind.split("+"))]
    assert (asked.connections, asked.users, asked.seconds, asked.profile) == ([50], 10, 2.5, "strict")


def test_without_together_they_are_floods_of_their_own() -> None:
    assert rounds_of(["pingreq", "puback"], together=False) == [("pingreq",), ("puback",)]


def test_the_hour_goes_round_between_one_user_and_many() -> None:
    assert [users_of(None, connections=50, number=number, hour=True) for number in range(4)] == [1, 50, 1, 50]
    assert users_of(None, connections=50, number=1, hour=False) == 1
    assert users_of(10, connections=50, number=0, hour=True) == 10
    assert users_of(10, connections=1, number=0, hour=True) == 1
