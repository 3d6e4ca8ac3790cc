"""Long messages of apps through Mosquitto: in both versions, as long as their login says, and told where longer."""

import json
import time
from pathlib import Path

import pytest

from healthsync_mqtt.identity.login.passwords import hashed_password, new_password
from healthsync_mqtt.model.declared import Declared
from healthsync_mqtt.mqtt.links.probe import talk
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from tests.support.app_login import exported, minutes_of
from tests.support.external_bridge import BridgeProcess
from tests.support.mosquitto import Mosquitto
from tests.support.patience import PATIENCE_S, until

pytestmark = pytest.mark.real_server

NOW = time.time_ns() // 1000
LONGEST = 2_500_000


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_two_megabytes_are_stored_and_three_are_told(tmp_path: Path, protocol: str) -> None:
    """In MQTT 5 the broker dropped what is longer than a packet of everybody else, in 3.1.1 it came again for ever."""
    broker = Mosquitto(tmp_path, protocol=protocol)
    with broker.registry() as registry:
        registry.add_user("alice", "all", NOW)
        registry.add_user("bob", "all", NOW)
        registry.add_device("bob", "watch", NOW)
        phone = registry.add_device("alice", "phone", NOW)
        declared = Declared(bucket_s=60, longest=LONGEST)
        registry.apps.add(phone, ["health_auto_export"], declared, hashed_password(new_password()), NOW)
    with broker:
        await broker.provision()
    config = broker.directory / "mosquitto.conf"
    lines = [line for line in config.read_text().splitlines() if not line.startswith("max_packet_size")]
    config.write_text("\n".join([*lines, "max_packet_size 10000000", ""]))
    with broker, BridgeProcess(broker.data), SqliteLogReader.open(broker.settings.paths.events_db) as reader:
        async with talk(broker.address) as app, talk(broker.address) as watch:
            await app.login(broker.account("alice-phone"))
            await watch.login(broker.account("bob-watch"))
            assert await app.subscribe("users/alice/devices/phone/receipts") == [1]
            topic = "users/alice/devices/phone/formats/health_auto_export"
            for size in (LONGEST + 500_000, 2_000_000):
                await app.publish(topic, exported(minutes_of(size)), qos=1)
            moment = {"start_time": "2025-11-23T06:00:00Z", "value": {"bpm": 70}}
            event = json.dumps({"id": "short", "type": "heart_rate"} | moment)
            await watch.publish("users/bob/devices/watch/events", event.encode(), qos=1)
            wanted = 3 * minutes_of(2_000_000) + 1
            await until(lambda: reader.head() == wanted, "both are stored")
            heard = await app.hear(until=b"too_large", seconds=PATIENCE_S)
    told = [refusal for message in heard for refusal in json.loads(message.payload)["rejected"]]
    assert [(each["code"], each["limit"], each["topic"]) for each in told] == [("too_large", LONGEST, topic)]
