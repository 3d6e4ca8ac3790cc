"""A short run of scripts/soak-postgres: the same code, a few faults of each kind."""

from pathlib import Path

import pytest

from tests.support.postgres import NEEDED
from tests.support.rabbitmq import SERVER
from tests.support.soak.faults import small_disk
from tests.support.soak_postgres import ServerPlan, soak, soak_shared

pytestmark = [*NEEDED, pytest.mark.soak]


@pytest.fixture
def disks(tmp_path: Path) -> int:
    """How many small disks can be mounted for one that is to be full: 1, or 0 where this process may not mount."""
    with small_disk(tmp_path / "small") as mounted:
        return int(mounted)


async def test_what_was_acknowledged_survives_the_end_of_service_and_server(tmp_path: Path, disks: int) -> None:
    plan = ServerPlan(seed=20261126, kills=2, server_kills=2, cuts=2, full_disks=1)
    outcome = await soak(plan, tmp_path, lambda text: None)
    assert outcome.violations == ()
    assert outcome.faults.pop("disk full", 0) == disks
    outcome.faults.pop("member cut off", None)
    assert outcome.faults == {"kill -9": 2, "server kill -9": 2, "connections cut": 2}
    assert outcome.stored == outcome.sent == outcome.acknowledged
    assert outcome.receipted > 0


async def test_three_bridges_that_share_all_messages_survive_it(tmp_path: Path, disks: int) -> None:
    """Mosquitto's ``$share``: any bridge may have any event of anybody; what a sink has is compared."""
    plan = ServerPlan(seed=286, kills=3, server_kills=1, cuts=1, full_disks=1, partitions=1)
    rig, _ = await soak_shared(plan, 3, tmp_path / "soak", lambda text: None)
    assert rig.violations == []
    assert rig.faults.pop("disk full", 0) == disks
    partitions = rig.faults.pop("partition", 0) + rig.faults.pop("partition of one", 0)
    assert (partitions, rig.faults) == (1, {"bridge kill -9": 3, "server kill -9": 1, "connections cut": 1})


@pytest.mark.skipif(
    not SERVER.exists(), reason="rabbitmq-server is not installed: scripts/test installs it where it can"
)
async def test_bridges_that_share_it_on_rabbitmq_survive_it_too(tmp_path: Path) -> None:
    plan = ServerPlan(seed=284, kills=2, server_kills=1, cuts=1, full_disks=0, partitions=1)
    rig, _ = await soak_shared(plan, 2, tmp_path, lambda text: None, rabbitmq=True)
    assert rig.violations == []
    assert sum(rig.faults.values()) == 5


async def test_bridges_go_on_where_a_synchronous_standby_takes_over(tmp_path: Path) -> None:
    """And the one that was the primary follows it then, so that it can take over in its turn."""
    plan = ServerPlan(seed=1903, kills=0, server_kills=0, cuts=0, full_disks=0, failovers=2)
    rig, _ = await soak_shared(plan, 2, tmp_path, lambda text: None)
    assert rig.violations == []
    assert sum(count for name, count in rig.faults.items() if name.startswith("failover")) == 2


async def test_devices_bring_back_what_an_asynchronous_standby_lost(tmp_path: Path) -> None:
    """When somebody has done what the page says: all stopped, one accepts, the others as always."""
    plan = ServerPlan(seed=1904, kills=0, server_kills=0, cuts=0, full_disks=0, losses=1)
    rig, failovers = await soak_shared(plan, 2, tmp_path, lambda text: None)
    assert rig.violations == []
    [lost] = failovers.lost
    assert lost > 0
    assert len(failovers.healed) == 1
