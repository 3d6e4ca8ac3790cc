"""A service takes by itself what it held while its clock was wrong, and keeps it over its own purging until then."""

import asyncio
import time
from pathlib import Path

from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.storage.port import Quarantined
from healthsync_mqtt.testing.log_items import rejected
from tests.support.inprocess import House, opened
from tests.support.patience import PATIENCE_S
from tests.support.peer import event


async def test_what_came_while_the_clock_said_1970_is_stored(tmp_path: Path) -> None:
    """The same files as such a service leaves: received in 1970, due long ago by a right clock."""
    due_us = time.time_ns() // 1000 - 60_000_000

    def held(name: str) -> Quarantined:
        one = rejected("alice", name, event(name))
        return one._replace(received_us=86_400_000_000, rejection=one.rejection._replace(due_us=due_us))

    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    with open_log(data) as log:
        log.stage([], [held("a"), held("b")], 86_400_000_000)
        log.commit()
    with Registry.open(load_settings(data).paths.registry_db) as registry:
        registry.add_user("alice", "all", 0)
    async with opened(data) as house:
        await stored(house, {"a", "b"})


async def stored(house: House, ids: set[str]) -> None:
    reader = house.service.reader
    async with asyncio.timeout(PATIENCE_S):
        while reader.rejected():  # noqa: ASYNC110  # a task of the service takes them, now and then
            await asyncio.sleep(0.02)
    assert {record.id for record in reader.read(0, 9)} == ids
