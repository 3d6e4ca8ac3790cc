"""docs/operations.md, a restored log: refused by the service, taken with --accept-restored, filled again by devices.

And the drill of docs/howto/backup.md: the disk is lost, a set is put back, the devices send what came after it.
"""

import asyncio
import shutil
from pathlib import Path

import pytest

from healthsync_mqtt.client import Backoff, Credentials, DeviceClient, SqliteOutbox
from healthsync_mqtt.storage.opening import open_reader
from tests.support.patience import PATIENCE_S
from tests.support.service import NotReadyError, Service, run_cli


def event(n: int) -> dict:
    return {"id": f"e{n}", "type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": 60}}


def login(service: Service, user: str, device: str) -> Credentials:
    service.cli("user", "add", user, "--consent", "all")
    (identity,) = service.cli("device", "add", user, device)
    return Credentials.from_mapping(identity)


def stored(data: Path) -> set[str]:
    with open_reader(data) as reader:
        return {record.id for record in reader.read(0, 999)}


async def send(service: Service, credentials: Credentials, outbox: Path, events: range) -> None:
    host, port = service.mqtts
    options = {"ca_file": service.ca_file, "backoff": Backoff(first=0.05, longest=0.2)}
    async with (
        DeviceClient(
            host, port, credentials=credentials, outbox=SqliteOutbox(outbox), batch_size=5, **options
        ) as device,
        asyncio.timeout(PATIENCE_S),
    ):
        await device.publish([event(n) for n in events])
        await device.drain()


async def test_acknowledged_events_come_back_although_others_pushed_the_log_on(tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup.db"
    with Service(data) as service:
        finn, gina = login(service, "finn", "watch"), login(service, "gina", "watch")
        await send(service, finn, tmp_path / "finn.db", range(10))
    shutil.copy(data / "events.db", backup)
    with Service(data) as service:
        await send(service, finn, tmp_path / "finn.db", range(10, 20))
    shutil.copy(backup, data / "events.db")
    refused = Service(data)
    with pytest.raises(NotReadyError) as caught:
        refused.start()
    refused.kill()
    assert "lost rows at its end" in str(caught.value)
    with Service(data, "--accept-restored") as service:
        await send(service, gina, tmp_path / "gina.db", range(100, 130))
        assert stored(data) == {f"e{n}" for n in (*range(10), *range(100, 130))}
        await send(service, finn, tmp_path / "finn.db", range(20, 21))
        assert stored(data) == {f"e{n}" for n in (*range(21), *range(100, 130))}


def epoch(data: Path) -> str:
    with open_reader(data) as reader:
        return reader.epoch


async def test_after_a_lost_disk_a_set_and_the_devices_give_back_every_event_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    data, new, sets, keys = (tmp_path / name for name in ("data", "new", "sets", "keys.tar"))
    service = Service(data).start()
    try:
        finn = login(service, "finn", "watch")
        await send(service, finn, tmp_path / "finn.db", range(10))
        service.cli("backup", "create", str(sets), "--keys", str(keys))
        await send(service, finn, tmp_path / "finn.db", range(10, 20))
        assert stored(data) == {f"e{n}" for n in range(20)}
        before = epoch(data)
    finally:
        service.kill()
    shutil.rmtree(data)
    run_cli(new, "restore", str(sets), "--data", str(new), "--keys", str(keys))
    assert stored(new) == {f"e{n}" for n in range(10)}, "what the set holds"
    with Service(new) as service:
        await send(service, finn, tmp_path / "finn.db", range(20, 21))
        assert stored(new) == {f"e{n}" for n in range(21)}
        assert epoch(new) != before
