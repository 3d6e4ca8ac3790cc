"""A short run of scripts/soak: the same code, a few faults of each kind."""

from pathlib import Path

import pytest

from tests.support.soak.scenario import Plan, run


@pytest.mark.soak
def test_what_was_acknowledged_survives_kills_stops_and_a_full_disk(tmp_path: Path) -> None:
    plan = Plan(seed=20261123, kills=5, pauses=(1.5,), full_disks=1)
    outcome = run(plan, tmp_path, lambda text: None)
    assert outcome.violations == ()
    assert outcome.faults == {"kill -9": 5, "SIGSTOP": 1, "disk full": 1}
    assert outcome.stored == outcome.sent == outcome.acknowledged
    assert outcome.receipted > 0
