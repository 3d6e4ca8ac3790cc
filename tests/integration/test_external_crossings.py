"""The canary on real brokers: each channel opened by itself is found, and a broker without rules ends the bridge."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.broker.external.canary import Canary, CrossingError
from healthsync_mqtt.broker.external.canary_world import world_of
from healthsync_mqtt.broker.external.identities import ADMIN, own_principals
from healthsync_mqtt.broker.external.mosquitto.dynsec import CONTROL, role_name
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.mqtt.links.port import ClientLogin
from healthsync_mqtt.mqtt.links.probe import talk
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry
from tests.support import child
from tests.support.built_brokers import BuiltBroker, mochi, rumqttd
from tests.support.external_bridge import BridgeProcess
from tests.support.java_brokers import JavaBroker
from tests.support.mosquitto import Mosquitto, wait_listening
from tests.support.patience import PATIENCE_S

TOPICS = TopicRegistry.load()
RULES = AccessRules(TOPICS)
WORLD = world_of("main")
ROLE = role_name(WORLD.intruder.client_id)


def topic_of(key: str) -> str:
    """The channel's topic in the world of the canary that must not notice."""
    user = str(WORLD.victim.user)
    ids = {"user": user, "bridge": user, "client": WORLD.victim.client_id, "type": "heart_rate"}
    return TOPICS.build(key, **{name: ids.get(name, "probe") for name in TOPICS[key].template.variables})


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as made:
        asyncio.run(made.provision())
        yield made


async def fly(broker: Mosquitto) -> list[str]:
    """What could be crossed."""
    try:
        await Canary(broker.address, lambda name: broker.store.need(name, ""), broker.topics, WORLD).fly()
    except CrossingError as error:
        return error.crossings
    return []


async def command(broker: Mosquitto, name: str, *rules: tuple[str, str]) -> None:
    said = [
        {"command": name, "rolename": ROLE, "acltype": kind, "topic": topic, "priority": 5, "allow": True}
        for kind, topic in rules
    ]
    async with talk(broker.address) as admin:
        await admin.login(ClientLogin(client_id="opener", username=ADMIN, password=broker.store.need(ADMIN, "")))
        await admin.publish(CONTROL, json.dumps({"commands": said}).encode())


@pytest.mark.real_server
@pytest.mark.parametrize("key", sorted(channel.key for channel in TOPICS))
async def test_every_channel_that_is_open_to_a_stranger_is_named(broker: Mosquitto, key: str) -> None:
    topic = topic_of(key)
    reading = (("subscribeLiteral", topic), ("publishClientReceive", topic))
    writing = (("publishClientSend", topic),)
    assert not RULES.may_subscribe(WORLD.intruder, topic).allowed
    if key not in {"enroll_request", "gateway_request"}:  # no canary publishes there
        await command(broker, "addRoleACL", *reading)
        assert await fly(broker) == [f"a client can read {topic}"]
        await command(broker, "removeRoleACL", *reading)
    if key not in {"enroll_response", "gateway_answer"}:  # nor reads there
        await command(broker, "addRoleACL", *writing)
        assert f"a client can publish to {topic}" in await fly(broker)
        await command(broker, "removeRoleACL", *writing)
    await command(broker, "addRoleACL", *reading, *writing)
    assert await fly(broker)
    await command(broker, "removeRoleACL", *reading, *writing)
    assert await fly(broker) == []


async def bridge_ends(broker: Mosquitto) -> str:
    """Start a bridge that must not stay; its log. How long its canary flies is the machine's affair."""
    with BridgeProcess(broker.data).start(wait=False) as bridge:
        assert await asyncio.to_thread(bridge.wait_end) == ConfigError.exit_code, bridge.log()
        return bridge.log()


@pytest.mark.real_server
async def test_a_mosquitto_without_rules_ends_the_bridge(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, canary=True, host="127.0.0.1", tls=False)
    for name in own_principals(["main"]):
        broker.store.ensure(name)
    config = tmp_path / "open.conf"
    config.write_text(f"listener {broker.port} 127.0.0.1\nallow_anonymous true\n")
    process = await asyncio.to_thread(_mosquitto, config)
    try:
        wait_listening(broker.port, process)
        assert "renew its access rules" in await bridge_ends(broker)
    finally:
        child.end(process)


def _mosquitto(config: Path) -> "subprocess.Popen[bytes]":
    return child.start([shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", str(config)])


@pytest.mark.real_server
@pytest.mark.parametrize("name", ["HiveMq", "Moquette", "Artemis"])
async def test_a_java_broker_without_rules_ends_the_bridge(tmp_path: Path, name: str) -> None:
    with await asyncio.to_thread(JavaBroker, tmp_path, name, ruled=False, canary=True) as broker:
        assert "renew its access rules" in await bridge_ends(broker)


@pytest.mark.parametrize("program", [pytest.param(mochi, marks=pytest.mark.real_server), rumqttd])
async def test_a_broker_that_was_built_without_rules_ends_the_bridge(
    tmp_path: Path, program: Callable[[], Path]
) -> None:
    built = await asyncio.to_thread(program)
    with BuiltBroker(tmp_path, built, canary=True) as broker:
        assert "renew its access rules" in await bridge_ends(broker)


@pytest.mark.real_server
async def test_a_bridge_works_on_hivemq_whose_access_is_decided_by_the_hooks(tmp_path: Path) -> None:
    """HiveMQ CE sends nothing new while a message is unacknowledged: the canary may not stand before the work."""
    made = await asyncio.to_thread(JavaBroker, tmp_path, "HiveMq", ruled=True, canary=True)
    with made.registry() as registry:
        registry.add_user("alice", "all", 0)
        registry.add_device("alice", "watch", 0)
    made.store.ensure("alice-watch")
    with made as broker:
        await asyncio.to_thread(_leave_something_waiting, broker)
        async with talk(broker.address) as watch:
            await watch.login(broker.account("alice-watch"))
            await watch.subscribe("users/alice/devices/watch/receipts")
            with BridgeProcess(broker.data):
                for number in range(3):
                    event = {"id": f"night-{number}", "type": "heart_rate", "start_time": "2025-11-23T06:00:00Z"}
                    body = json.dumps(event | {"value": {"bpm": 70}}).encode()
                    await watch.publish("users/alice/devices/watch/events", body)
                await watch.hear(until=b"night-2", seconds=PATIENCE_S)
                assert watch.heard(b"night-2")
    with open_reader(broker.data) as reader:
        assert {record.id for record in reader.read(0, 100, user="alice")} >= {
            "waiting",
            "night-0",
            "night-1",
            "night-2",
        }


def _leave_something_waiting(broker: JavaBroker) -> None:
    """A bridge was there; what came after it waits, unacknowledged."""
    with BridgeProcess(broker.data):
        pass

    async def publish() -> None:
        async with talk(broker.address) as watch:
            await watch.login(broker.account("alice-watch"))
            event = {"id": "waiting", "type": "heart_rate", "start_time": "2025-11-23T06:00:00Z", "value": {"bpm": 70}}
            await watch.publish("users/alice/devices/watch/events", json.dumps(event).encode())

    asyncio.run(publish())
