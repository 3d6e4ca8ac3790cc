"""A short run of scripts/soak: the same code, a few faults of each kind."""

from pathlib import Path

import pytest

from tests.support.soak.over_http import run_http
from tests.support.soak.scenario import Plan, run


@pytest.mark.soak
def test_what_was_acknowledged_survives_every_fault_of_the_soak(tmp_path: Path) -> None:
    plan = Plan(seed=20261123, kills=5, pauses=(1.5,), full_disks=1, restores=2, jumps=6, swaps=1, members=20)
    outcome = run(plan, tmp_path, lambda text: None)
    assert outcome.violations == ()
    assert outcome.faults.pop("member cut off") >= plan.members
    assert outcome.faults == {
        "kill -9": 5, "SIGSTOP": 1, "disk full": 1, "restore": 2, "clock jump": 6, "certificate swap": 1,
    }  # fmt: skip
    assert outcome.snapshots > 0
    assert outcome.stored == outcome.sent == outcome.acknowledged
    assert outcome.receipted > 0


@pytest.mark.soak
def test_what_http_answered_and_told_survives_the_ends_of_gateway_and_service(tmp_path: Path) -> None:
    outcome = run_http(20261123, 3, tmp_path, lambda text: None)
    assert outcome.violations == ()
    assert outcome.faults == {"gateway": 1, "service": 1, "both": 1}
    assert outcome.answered > 0
    assert outcome.deliveries > 0
    assert outcome.streams > 4
