"""The metrics port of a bridge on a real Mosquitto: ready with its broker, not ready without."""

import asyncio
import json
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support.external_bridge import BridgeProcess
from tests.support.mosquitto import Mosquitto
from tests.support.patience import PATIENCE_S, until
from tests.support.ports import free_port

pytestmark = pytest.mark.real_server


def ask(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def test_readiness_follows_the_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("HEALTHSYNC_METRICS__PORT", str(port))
    broker = Mosquitto(tmp_path / "mosquitto")
    with broker.registry() as registry:
        registry.add_user("alice", "all", time.time_ns() // 1000)
    with broker:
        await broker.provision()
        with BridgeProcess(broker.data):
            assert await asyncio.to_thread(ask, port, "/readyz") == (200, '{"ready": true, "problems": []}\n')
            _, text = await asyncio.to_thread(ask, port, "/metrics")
            assert 'broker_mode="external"} 1\n' in text
            assert "\nhealthsync_broker_connected 1\n" in text
            broker.kill()
            await until(lambda: ask(port, "/readyz")[0] == 503)
            status, body = await asyncio.to_thread(ask, port, "/readyz")
            assert (status, json.loads(body)["problems"]) == (503, ["broker_disconnected"])
            assert (await asyncio.to_thread(ask, port, "/healthz"))[0] == 200
