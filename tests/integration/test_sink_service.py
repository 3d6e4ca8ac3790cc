"""The whole way: a device publishes, the service stores, its sink's process ships, a real InfluxDB is asked."""

import asyncio
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from healthsync_mqtt.mqtt.links.probe import talk
from healthsync_mqtt.storage.opening import open_reader
from tests.support.external_bridge import BridgeProcess
from tests.support.mosquitto import Mosquitto
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.servers import Influxd
from tests.support.service import Service, run_cli

pytestmark = pytest.mark.real_server


def publish(service: Service, who: dict[str, str], first: int, count: int) -> None:
    """One batch at QoS 1 with mosquitto_pub, which ends when it is acknowledged: it is in the log then."""
    events = [
        {
            "id": f"e{place}",
            "type": "heart_rate",
            "start_time": f"2026-09-21T{place // 3600 % 24:02d}:{place // 60 % 60:02d}:{place % 60:02d}Z",
            "value": {"bpm": 60 + place % 90},
        }
        for place in range(first, first + count)
    ]
    host, port = service.mqtt
    command = ["mosquitto_pub", "-h", host, "-p", str(port), "-q", "1", "-t", "users/alice/devices/watch/events"]
    login = ["-i", who["client_id"], "-u", who["username"], "-P", who["token"]]
    subprocess.run([*command, *login, "-m", json.dumps(events)], check=True, timeout=PATIENCE_S)


def counted(server: Influxd) -> int:
    rows = server.rows("SELECT count(bpm) FROM heart_rate")
    return int(rows[0][1]) if rows else 0


def ready(data: Path, server: Influxd) -> dict[str, str]:
    run_cli(data, "user", "add", "alice", "--consent", "all")
    who: dict[str, str] = run_cli(data, "device", "add", "alice", "watch")[0]
    run_cli(data, "sink", "add", "influxdb", server.url, "--name", "main", "--dialect", "v1")
    return who


def test_every_event_is_a_point_after_kills_of_both_sides(tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = Influxd(tmp_path / "influxd").start()
    who = ready(data, server)
    total = 0
    service = Service(data)
    try:
        for turn in range(int(os.environ.get("HEALTHSYNC_SINK_KILLS", "6"))):
            service.start()
            publish(service, who, total, 300)
            total += 300
            if turn % 2:
                wait_until(lambda seen=total - 300: counted(server) >= seen)
                server.kill()
                publish(service, who, total, 100)
                total += 100
                service.kill()
                server.start()
            else:
                service.kill()
        service.start()
        publish(service, who, 0, 300)  # sent again: duplicates
        wait_until(lambda: counted(server) == total)
        values = sorted(value for _, value in server.rows("SELECT bpm FROM heart_rate"))
        assert values == sorted(60 + place % 90 for place in range(total))
        assert service.cli("sink", "reconcile", "main", check=False)[0]["equal"] is True
        wait_until(lambda: service.cli("sink", "status", "main")[0]["lag"] == 0)
        assert service.cli("status")[0]["sinks"][0]["sink"] == "main"
        assert service.stop() == 0
    finally:
        if service.running:
            service.kill()
        server.kill()


def test_an_outage_is_a_delay_and_the_service_says_why(tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = Influxd(tmp_path / "influxd").start()
    who = ready(data, server)
    server.kill()
    with Service(data) as service:
        publish(service, who, 0, 500)
        wait_until(lambda: run_cli(data, "sink", "status", "main", check=False)[0]["state"] == "waiting")
        shown = service.cli("status")[0]["sinks"][0]
        assert (shown["reason"], shown["lag"]) == ("unreachable", 500)
        (said,) = run_cli(data, "sink", "status", "main", check=False)
        assert said["where"] == server.url
        assert said["message"] == "there is no connection to it"
        assert "does the server run" in said["fix"]
        server.start()
        wait_until(lambda: counted(server) == 500)
        # What the user's day comes to follows, as a measurement of its own.
        wait_until(lambda: [row[1] for row in server.rows('SELECT "count" FROM daily_summary')] == [500])
    server.kill()


async def test_a_bridge_on_an_external_broker_ships_and_purges_too(tmp_path: Path) -> None:
    now = time.time_ns() // 1000
    broker = Mosquitto(tmp_path)
    with broker.registry() as registry:
        registry.add_user("alice", "all", now)
        registry.add_device("alice", "watch", now)
    with Influxd(tmp_path / "influxd") as server, broker:
        await broker.provision()
        run_cli(broker.data, "sink", "add", "influxdb", server.url, "--name", "main", "--dialect", "v1")
        with BridgeProcess(broker.data):
            async with talk(broker.address) as device:
                await device.login(broker.account("alice-watch"))
                await device.publish(
                    "users/alice/devices/watch/events",
                    b'{"id":"e1","type":"heart_rate","start_time":"2026-09-21T00:00:00Z","value":{"bpm":61}}',
                )
            await asyncio.to_thread(wait_until, lambda: counted(server) == 1)
        config = broker.data / "healthsync.toml"
        config.write_text(f"{config.read_text()}\n[retention]\ndays = {{ heart_rate = 1 }}\n")
        with BridgeProcess(broker.data), open_reader(broker.data) as log:
            await asyncio.to_thread(wait_until, lambda: not log.read(0, 10))
            assert log.head() == 1
        assert counted(server) == 1
