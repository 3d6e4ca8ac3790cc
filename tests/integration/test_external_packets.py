"""A broker that cuts connections at long packets and does not say so: Mosquitto in MQTT 3.1.1."""

import gzip
import json
import time
from pathlib import Path

import pytest

from healthsync_mqtt.mqtt.links.probe import talk
from healthsync_mqtt.storage.opening import open_reader
from tests.support.external_bridge import BridgeProcess
from tests.support.mosquitto import Mosquitto
from tests.support.patience import PATIENCE_S, until

pytestmark = pytest.mark.real_server

NOW = time.time_ns() // 1000
MOST = 20_000


def event(name: str, samples: int = 1) -> bytes:
    value = {"samples": [[n, 60 + n % 2] for n in range(samples)]}
    start = "2025-11-23T06:00:00Z"
    return json.dumps([{"id": name, "type": "heart_rate", "start_time": start, "value": value}]).encode()


async def test_one_event_that_is_too_long_for_it_stops_nobody(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, protocol="3.1.1")
    with broker.registry() as registry:
        registry.add_user("alice", "all", NOW)
        registry.add_device("alice", "watch", NOW)
        registry.add_subscriber("dash", ["alice"], ["heart_rate"], NOW)
    with broker:
        await broker.provision()  # which takes longer packets than these
    config = broker.directory / "mosquitto.conf"
    lines = config.read_text().splitlines()
    (place,) = (number for number, line in enumerate(lines) if line.startswith("max_packet_size"))
    lines[place] = f"max_packet_size {MOST}"
    config.write_text("\n".join(lines))
    with broker, BridgeProcess(broker.data), open_reader(broker.data) as reader:
        async with talk(broker.address) as device, talk(broker.address) as dash:
            await dash.login(broker.account("dash"))
            assert await dash.subscribe("users/alice/canonical/heart_rate") == [1]
            await device.login(broker.account("alice-watch"))
            topic = "users/alice/devices/watch/events"
            await device.publish(topic, gzip.compress(event("long", 4_000)), qos=1)
            await device.publish(topic, event("short"), qos=1)
            await until(lambda: [row.id for row in reader.read(0, 9)] == ["long", "short"], "both are stored")
            heard = await dash.hear(until=b'"short"', seconds=PATIENCE_S)
            assert [json.loads(message.payload)["id"] for message in heard] == ["short"]
