"""The job that takes rights away: nothing is forgotten before it had its effect, and nothing else holds it up."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from bridge.jobs.revocations import Revocations
from healthsync_mqtt.broker.embedded.door import FrontDoor
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.identity.keys.signing import Keyring
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.newcomers import Newcomers
from healthsync_mqtt.identity.login.tokens import TokenVerifier
from healthsync_mqtt.identity.registry import Registry
from tests.support.patience import PATIENCE_S


class Door:
    """Writes down who was revoked; can be made to fail."""

    def __init__(self) -> None:
        self.revoked: list[str] = []
        self.voided = 0
        self.broken = False

    def revoke(self, client_ids: list[str]) -> None:
        if self.broken:
            raise RuntimeError("a defect of ours")
        self.revoked += client_ids

    def void(self, _lost: object) -> None:
        if self.broken:
            raise RuntimeError("a defect of ours")
        self.voided += 1


class House:
    """A registry with one device, and the job."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        registry.add_user("alice", "all", 0)
        registry.add_device("alice", "watch", 0)
        directory = Directory(registry)
        self.door = Door()
        self.newcomers = Newcomers(Logins.of(directory, TokenVerifier(Keyring.generate())))
        self.job = Revocations(directory, self.newcomers, cast("FrontDoor", self.door), lambda: None)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with Registry.open(tmp_path / "registry.db") as registry:
        built = House(registry)
        yield built
        built.newcomers.close()


async def test_a_loss_that_had_no_effect_is_not_forgotten(house: House) -> None:
    house.registry.remove_device("alice", "watch", 1)
    house.registry.revocation.revoke_token("a-token", 1)
    house.door.broken = True
    with pytest.raises(RuntimeError):
        await house.job.look()
    house.door.broken = False
    await house.job.look()
    assert house.door.revoked == ["alice-watch"]
    assert house.door.voided == 1
    await house.job.look()
    assert (house.door.revoked, house.door.voided) == (["alice-watch"], 1)


@pytest.mark.parametrize(("devices", "most"), [(50, 4), (300, 5)])
async def test_of_very_many_that_lose_their_right_some_do_at_once(house: House, devices: int, most: int) -> None:
    """Fifty connections that ended in one piece were 25 ms of the loop, and a bystander's PUBACK waited for all."""
    for number in range(devices):
        house.registry.add_device("alice", f"d{number}", 0)
    await house.job.look()
    house.registry.revocation.suspend_user("alice", 1)
    seen = [0]

    async def beside() -> None:
        while len(house.door.revoked) <= devices:
            await asyncio.sleep(0)
            seen.append(len(house.door.revoked))

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(house.job.look(), beside())
    assert sorted(house.door.revoked) == sorted(["alice-watch", *(f"alice-d{number}" for number in range(devices))])
    assert max(after - before for before, after in pairwise(seen)) <= most
    assert len({*seen}) <= 65, "however many they are, they are gone soon"
    await house.job.look()
    assert len(house.door.revoked) == devices + 1


async def test_credentials_that_cannot_be_read_do_not_hold_up_what_the_registry_says(
    tmp_path: Path, house: House
) -> None:
    folder = tmp_path / "credentials"
    directory = Directory(house.registry)
    logins = Logins.of(directory, TokenVerifier(Keyring.generate()), CredentialStore(folder))
    newcomers = Newcomers(logins)
    try:
        job = Revocations(directory, newcomers, cast("FrontDoor", house.door), lambda: None)
        folder.write_text("no folder")
        house.registry.remove_device("alice", "watch", 1)
        for _ in range(2):
            with pytest.raises(ConfigError, match="credentials"):
                await job.look()
        assert house.door.revoked == ["alice-watch"]
    finally:
        newcomers.close()


async def test_a_full_executor_does_not_delay_it(house: House) -> None:
    release = threading.Event()
    loop = asyncio.get_running_loop()
    executor = ThreadPoolExecutor(1)
    loop.set_default_executor(executor)
    stuck: list[asyncio.Future[Any]] = [loop.run_in_executor(None, release.wait) for _ in range(3)]
    try:
        house.registry.remove_device("alice", "watch", 1)
        await asyncio.wait_for(house.job.look(), PATIENCE_S)
        assert house.door.revoked == ["alice-watch"]
        assert not any(each.done() for each in stuck)
    finally:
        release.set()
        await asyncio.gather(*stuck)
