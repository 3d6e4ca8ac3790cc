"""A short run of scripts/soak-postgres: the same code, a few faults of each kind."""

from pathlib import Path

import pytest

from tests.support.postgres import NEEDED
from tests.support.rabbitmq import SERVER
from tests.support.soak_postgres import ServerPlan, soak, soak_shared

pytestmark = [*NEEDED, pytest.mark.soak]


async def test_what_was_acknowledged_survives_the_end_of_service_and_server(tmp_path: Path) -> None:
    plan = ServerPlan(seed=20261126, kills=2, server_kills=2, cuts=2, full_disks=1)
    outcome = await soak(plan, tmp_path, lambda text: None)
    assert outcome.violations == ()
    assert outcome.faults.pop("disk full", 1) == 1
    outcome.faults.pop("member cut off", None)
    assert outcome.faults == {"kill -9": 2, "server kill -9": 2, "connections cut": 2}
    assert outcome.stored == outcome.sent == outcome.acknowledged
    assert outcome.receipted > 0


@pytest.mark.skipif(
    not SERVER.exists(), reason="rabbitmq-server is not installed: scripts/test installs it where it can"
)
async def test_bridges_that_share_it_on_rabbitmq_survive_it_too(tmp_path: Path) -> None:
    plan = ServerPlan(seed=284, kills=2, server_kills=1, cuts=1, full_disks=0, partitions=1)
    rig = await soak_shared(plan, 2, tmp_path, lambda text: None, rabbitmq=True)
    assert rig.violations == []
    assert sum(rig.faults.values()) == 5
