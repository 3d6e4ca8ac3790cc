import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from healthsync_mqtt.client import Backoff, Credentials, DeviceClient, MemoryOutbox, SqliteOutbox

from .fake_service import FakeClock, FakeService

CREDENTIALS = Credentials(
    user_id="alice", device_id="watch", client_id="alice-watch", username="alice-watch", token="t"
)


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "file"])
def outbox(request, tmp_path: Path):
    return MemoryOutbox() if request.param == "memory" else SqliteOutbox(tmp_path / "outbox.db")


@pytest.fixture
def make_client(service: FakeService, clock: FakeClock):
    def make(**options) -> DeviceClient:
        with contextlib.suppress(RuntimeError):  # no loop
            # One thread: whoever waits for its own work in it has waited for the outbox, however slow the disk is.
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        options = {
            "transport": service,
            "clock": clock,
            "rng": Random(7),
            "backoff": Backoff(first=1, longest=60),
        } | options
        return DeviceClient("fake", credentials=CREDENTIALS, **options)

    return make
