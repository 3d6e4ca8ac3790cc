"""A short run of scripts/soak-external: kills and cuts on a real Mosquitto, and what devices were told is stored."""

import random
import shutil
from pathlib import Path

import pytest

from bridge.edges.namesake import NamesakeError
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.storage.opening import open_log
from tests.support.external_bridge import BridgeProcess
from tests.support.mosquitto import Mosquitto
from tests.support.patience import PATIENCE_S
from tests.support.soak_external import soak

pytestmark = [pytest.mark.real_server, pytest.mark.soak]

NOTHING = {"bridge_kills": 0, "broker_kills": 0, "cuts": 0, "away": 0, "shards": False}


@pytest.mark.parametrize(
    "faults",
    [
        {"bridge_kills": 4},
        {"broker_kills": 2},
        {"cuts": 2},
        {"away": 5_000},
        {"shards": True},
        {"restores": 1, "hangs": 1, "jumps": 2, "swaps": 1},
    ],
    ids=[
        "bridge killed",
        "broker killed",
        "network cut",
        "bridge away for 5,000 messages",
        "one of two bridges killed",
        "log put back, bridge stopped, clock moved, certificate swapped",
    ],
)
async def test_what_devices_were_told_is_stored_once(tmp_path: Path, faults: dict[str, int]) -> None:
    seed = 20_261_123
    rigs = await soak(tmp_path, random.Random(seed), **NOTHING | faults)
    assert [rig.violations for rig in rigs] == [[]]
    assert all(rig.acknowledged for rig in rigs)


async def test_two_bridges_on_one_data_directory_are_fenced(tmp_path: Path) -> None:
    """C17."""
    with Mosquitto(tmp_path) as broker:
        await broker.provision()
        with BridgeProcess(broker.data) as first:
            with BridgeProcess(broker.data).start(wait=False) as second:
                assert second.process is not None
                assert second.process.wait(PATIENCE_S) == UnavailableError.exit_code
                assert "another writer has the event log" in second.log()
            assert first.process is not None
            assert first.process.poll() is None
        open_log(broker.data).close()


async def test_of_two_bridges_with_one_id_the_younger_one_stops_and_the_older_one_goes_on(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        await broker.provision()
        with BridgeProcess(broker.data) as first:
            other = tmp_path / "other"
            shutil.copytree(
                broker.data, other, ignore=shutil.ignore_patterns("events.db*", "anchor*", "*.lock", "service*")
            )
            with BridgeProcess(other).start(wait=False) as second:
                assert second.process is not None
                assert second.process.wait(PATIENCE_S) == NamesakeError.exit_code
                assert "is at work already" in second.log()
            assert first.process is not None
            assert first.process.poll() is None
            assert first.end() == 0
        assert "bridge.namesake" in first.log()
