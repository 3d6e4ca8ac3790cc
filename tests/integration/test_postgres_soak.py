"""A short run of scripts/soak-postgres: the same code, a few faults of each kind."""

from pathlib import Path

import pytest

from tests.support.postgres import installed
from tests.support.soak_postgres import ServerPlan, soak


@pytest.mark.soak
@pytest.mark.real_server
@pytest.mark.skipif(not installed(), reason="postgresql is not installed: scripts/test installs it where it can")
async def test_what_was_acknowledged_survives_the_end_of_service_and_server(tmp_path: Path) -> None:
    plan = ServerPlan(seed=20261126, kills=2, server_kills=2, cuts=2, full_disks=1)
    outcome = await soak(plan, tmp_path, lambda text: None)
    assert outcome.violations == ()
    assert outcome.faults.pop("disk full", 1) == 1
    outcome.faults.pop("member cut off", None)
    assert outcome.faults == {"kill -9": 2, "server kill -9": 2, "connections cut": 2}
    assert outcome.stored == outcome.sent == outcome.acknowledged
    assert outcome.receipted > 0
