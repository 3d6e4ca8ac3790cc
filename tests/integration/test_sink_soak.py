"""A short run of scripts/soak-sinks: the same code, every fault once."""

import random
from pathlib import Path

import pytest

from tests.support.soak_sinks import soak


@pytest.mark.real_server
@pytest.mark.soak
def test_after_every_fault_each_event_is_one_point(tmp_path: Path) -> None:
    (run,) = soak(tmp_path, random.Random(20_261_126), rounds=1, long_hangs=0, victoria_kills=0, say=lambda _line: None)
    assert run.violations == []
    assert run.faults == {
        "service kill -9": 1, "server kill -9": 1, "clock jump": 1, "restore": 1, "reconcile beside it": 1,
        "hung worker": 1,
    }  # fmt: skip
