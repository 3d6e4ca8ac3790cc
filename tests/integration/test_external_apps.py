"""Long messages of apps through Mosquitto: in both versions, as long as their login says, and told where longer."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from healthsync_mqtt.identity.login.passwords import hashed_password, new_password
from healthsync_mqtt.model.declaration import NOTHING_DECLARED, Declared
from healthsync_mqtt.mqtt.links.probe import talk
from healthsync_mqtt.storage.opening import open_reader
from tests.support.app_login import exported, minutes_of, night
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
    with broker, BridgeProcess(broker.data), open_reader(broker.data) as reader:
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
            heard = list(await app.hear(until=b"too_large", seconds=PATIENCE_S))
            whose = "alice", "phone", "health_auto_export"
            await app.publish(topic, night())
            await until(lambda: reader.format_state(*whose) != b"", "the format remembers a night")
            with broker.registry() as registry:
                registry.consent.withdraw("alice", ["sleep"], time.time_ns() // 1000)
            await until(lambda: reader.format_state(*whose) == b"", "what was remembered goes with the consent")
    told = [refusal for message in heard for refusal in json.loads(message.payload)["rejected"]]
    assert [(each["code"], each["limit"], each["topic"]) for each in told] == [("too_large", LONGEST, topic)]


class Provisioned(NamedTuple):
    """A broker with an app of alice's, and the password that was printed for it."""

    broker: Mosquitto
    printed: str


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provisioned]:
    broker, password = Mosquitto(tmp_path_factory.mktemp("refused")), new_password()
    with broker.registry() as registry:
        for user, name in (("alice", "phone"), ("alice", "watch"), ("bob", "phone")):
            if name == "phone":
                registry.add_user(user, "all", NOW)
            device = registry.add_device(user, name, NOW)
            if (user, name) == ("alice", "phone"):
                registry.apps.add(device, ["openscale"], NOTHING_DECLARED, hashed_password(password), NOW)
    with broker:
        asyncio.run(broker.provision())
        yield Provisioned(broker, password)


@pytest.mark.parametrize("version", [5, 4])
async def test_what_an_app_is_refused_at_mosquitto_and_what_it_is_told(provisioned: Provisioned, version: int) -> None:
    """docs/howto/apps.md says it: MQTT 3.1.1 has no word for a message that went nowhere."""
    broker = provisioned.broker
    account = broker.account("alice-phone")
    not_authorised = {4: 5, 5: 135}[version]
    for refused in (
        replace(account, password=provisioned.printed),
        replace(account, client_id="HealthAutoExport"),
        replace(account, client_id="HealthAutoExport", password=provisioned.printed),
    ):
        async with talk(broker.address) as app:
            assert (await app.login(refused, version=version)).code == not_authorised
    mine = "users/alice/devices/phone/"
    allowed = [f"{mine}formats/openscale", f"{mine}formats/openscale/1/measurements/insert", f"{mine}events"]
    refused_topics = [
        "openScaleSync/1/measurements/insert",  # the root that the app insists on: the embedded broker's alone
        f"{mine}formats/health_auto_export",
        "users/alice/devices/watch/formats/openscale",
        "users/bob/devices/phone/formats/openscale",
    ]
    async with talk(broker.address) as listener:
        await listener.login(broker.account("healthsync-bridge-main"), version=version)
        filters = broker.topics.bridge_filters()
        assert await listener.subscribe(*filters) == [1] * len(filters)
        for topic in refused_topics:
            async with talk(broker.address) as app:  # Mosquitto closes the connection after it
                assert (await app.login(account, version=version)).code == 0
                answer = await app.link.publish(topic, b"refused", qos=1)
                assert answer is not None
                assert answer.reason == (not_authorised if version == 5 else 0), topic
        async with talk(broker.address) as app:
            await app.login(account, version=version)
            for topic in allowed:
                await app.publish(topic, topic.encode())
            heard = await listener.hear(until=f"{mine}events".encode(), seconds=PATIENCE_S)
            assert [message.topic.decode() for message in heard] == allowed
            assert await app.subscribe(f"{mine}receipts") == [1]
            for topic_filter in ("users/alice/devices/watch/receipts", "users/alice/canonical/weight", "#"):
                (code,) = await app.subscribe(topic_filter)
                assert code >= 128, topic_filter
