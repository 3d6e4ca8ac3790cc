"""The bridge on a real RabbitMQ: tokens are passwords, the access hooks decide, and revocation closes connections."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.broker.external.identities import bridge_client_id
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.client import Credentials, DeviceClient
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.mqtt.codec.packets import Will
from healthsync_mqtt.mqtt.links.client import MqttTransport, tls_context
from healthsync_mqtt.mqtt.links.manners import OLD, PLAIN
from healthsync_mqtt.mqtt.links.port import ClientLogin, ConnectionLostError
from healthsync_mqtt.mqtt.links.probe import talk
from healthsync_mqtt.storage.opening import open_reader
from tests.support.external_bridge import BridgeProcess
from tests.support.patience import PATIENCE_S, until
from tests.support.rabbitmq import RabbitMq, installed
from tests.support.service import Service

pytestmark = pytest.mark.real_server

NOW = time.time_ns() // 1000


def event(name: str) -> bytes:
    return json.dumps(
        {"id": name, "type": "heart_rate", "start_time": "2025-11-23T06:00:00Z", "value": {"bpm": 72}}
    ).encode()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMq]:
    if not installed():
        pytest.skip("rabbitmq-server is not installed (Debian: apt install rabbitmq-server)")
    made = RabbitMq(tmp_path_factory.mktemp("rabbitmq"), canary=True)
    with made.registry() as registry:
        for user in ("alice", "bob"):
            registry.add_user(user, "all", NOW)
            registry.add_device(user, "watch", NOW)
        registry.add_device("alice", "lost", NOW)
        registry.add_subscriber("dash", ["alice"], None, NOW)
    with made:
        yield made


@pytest.fixture(scope="module")
def bridge(broker: RabbitMq) -> Iterator[BridgeProcess]:
    with BridgeProcess(broker.data) as running:
        yield running


def account(broker: RabbitMq, principal: Principal) -> ClientLogin:
    name = principal.client_id
    token = DataDirectory(broker.data).identity(principal, user_id=None, device_id=None, epoch=0)["token"]
    return ClientLogin(client_id=name, username=name, password=token)


def device(broker: RabbitMq, user: str, name: str = "watch") -> ClientLogin:
    with broker.registry() as registry:
        return account(broker, registry.device(user, name).principal)


def stored(data: Path, user: str) -> list[str]:
    with open_reader(data) as reader:
        return [record.id for record in reader.read(0, 10_000, user=user)]


async def test_an_event_is_stored_receipted_and_republished(broker: RabbitMq, bridge: BridgeProcess) -> None:
    with broker.registry() as registry:
        dash = account(broker, registry.subscriber("dash").principal)
    async with talk(broker.address) as watch, talk(broker.address) as reader:
        await reader.login(dash)
        assert await reader.subscribe("users/alice/canonical/+") == [1]
        await watch.login(device(broker, "alice"))
        await watch.subscribe("users/alice/devices/watch/receipts")
        await watch.publish("users/alice/devices/watch/events", event("rabbit"))
        await watch.hear(until=b"rabbit", seconds=PATIENCE_S)
        await reader.hear(until=b"rabbit", seconds=PATIENCE_S)
        assert json.loads(watch.messages[0].payload)["stored"] == ["rabbit"]
        assert json.loads(reader.messages[0].payload)["user_id"] == "alice"


async def test_sessions_end_when_the_setting_says_and_no_release_is_kept_from_starting(
    broker: RabbitMq, bridge: BridgeProcess
) -> None:
    queues = broker.management().call("GET", "/api/queues?columns=name,arguments")
    limit = broker.settings.limits.session_expiry_s
    # One of a session that ends with its connection has none.
    found = {each["arguments"].get("x-expires") for each in queues if bridge_client_id("main") in each["name"]}
    assert found - {None} == {limit * 1000}
    advanced = (broker.directory / "advanced.config").read_text()
    assert f"{{max_session_expiry_interval_seconds, {limit:.0f}}}" in advanced, "the word of 3.13 and later"
    conf = (broker.directory / "rabbitmq.conf").read_text()
    assert "subscription_ttl" not in conf, "3.13 refuses it"
    assert "session_expiry" not in conf, "3.12 refuses it"


async def test_the_second_user_is_out_of_reach(broker: RabbitMq, bridge: BridgeProcess) -> None:
    """T08, T09, T12, T13, T14, T16."""
    alice, bob = device(broker, "alice"), device(broker, "bob")
    async with talk(broker.address) as victim:
        await victim.login(bob)
        await victim.subscribe("users/bob/devices/watch/receipts", "users/bob/devices/watch/status")
        for thief in (
            ClientLogin(client_id=bob.client_id, username=alice.username, password=alice.password),
            ClientLogin(client_id=bob.client_id, username=bob.username, password=alice.password),
            ClientLogin(client_id="healthsync-bridge-main", username="healthsync-bridge-main", password=alice.password),
            ClientLogin(client_id="x", username="guest", password="guest"),
        ):
            assert await _refused(broker, thief)
        for name in ("users/bob/devices/watch/receipts", "users/bob/#", "#", "users/+/devices/+/status", "$share/g/#"):
            async with talk(broker.address) as spy:
                await spy.login(alice)
                try:
                    assert await spy.subscribe(name) == [128]
                except ConnectionLostError:
                    continue
        for name in ("users/bob/devices/watch/status", "users/bob/devices/watch/events", "users/bob/events"):
            async with talk(broker.address) as liar:
                await liar.login(alice, will=Will(name, event("will"), 1, retain=True))
                if liar.code == 0:
                    with pytest.raises(ConnectionLostError):
                        await liar.publish(name, event("lie"), retain=True)
        await victim.publish("users/bob/devices/watch/events", event("truth"))
        await victim.hear(until=b"truth", seconds=PATIENCE_S)
        assert not victim.heard(b"lie")
        assert not victim.heard(b'"will"')
    assert stored(broker.data, "bob") == ["truth"]


async def _refused(broker: RabbitMq, who: ClientLogin) -> bool:
    try:
        async with talk(broker.address) as connection:
            await connection.login(who)
            return connection.code != 0
    except ConnectionLostError:
        return True


async def test_a_revoked_device_is_thrown_out_within_a_minute(broker: RabbitMq) -> None:
    """T07, T15."""
    lost = device(broker, "alice", "lost")
    async with talk(broker.address) as connection:
        await connection.login(lost, clean=False)
        await connection.subscribe("users/alice/devices/lost/commands")
        with broker.registry() as registry:
            registry.remove_device("alice", "lost", NOW)
        with pytest.raises(ConnectionLostError):
            await connection.hear(seconds=60)
    assert await _refused(broker, lost)
    await until(lambda: not has_queue(broker, "alice-lost"), "what waited for it is gone")
    await until(broker.healthy, "nobody is owed an eviction")


async def test_a_reader_whose_right_shrank_keeps_its_session_and_what_waits_in_it(
    broker: RabbitMq, bridge: BridgeProcess
) -> None:
    with broker.registry() as registry:
        pair = account(broker, registry.add_subscriber("pair", ["alice", "bob"], None, NOW).principal)
    async with talk(broker.address) as reader:
        await reader.login(pair, clean=False)
        assert await reader.subscribe("users/alice/canonical/+", "users/bob/canonical/+") == [1, 1]
        with broker.registry() as registry, registry.write():
            registry._tables.update("subscribers", "pair", {"users": '["bob"]'})
        with pytest.raises(ConnectionLostError):
            await reader.hear(seconds=60)
    for user in ("alice", "bob"):
        async with talk(broker.address) as watch:
            await watch.login(device(broker, user))
            await watch.publish(f"users/{user}/devices/watch/events", event(f"shrunk-{user}"))
    async with talk(broker.address) as reader:
        await reader.login(pair, clean=False)
        await reader.hear(until=b"shrunk-bob", seconds=PATIENCE_S)
        assert [json.loads(each.payload)["user_id"] for each in reader.messages] == ["bob"]


def has_queue(broker: RabbitMq, client_id: str) -> bool:
    return broker.management().call("GET", f"/api/queues/%2F/mqtt-subscription-{client_id}qos1") is not None


async def test_without_the_hooks_nobody_gets_in(broker: RabbitMq) -> None:
    """T17: an access service that is away means no."""
    assert broker.hooks is not None
    broker.hooks.terminate()
    await asyncio.to_thread(broker.hooks.wait, 10)
    assert await _refused(broker, device(broker, "alice"))
    await asyncio.to_thread(broker.start_hooks)
    assert not await _refused(broker, device(broker, "alice"))


async def test_the_client_finds_the_version_that_is_spoken_here(broker: RabbitMq, bridge: BridgeProcess) -> None:
    who = device(broker, "alice")
    transport = MqttTransport(
        host="localhost",
        port=broker.port,
        client_id=who.client_id,
        username=who.username,
        tls=tls_context(broker.certificates.ca_cert),
    )
    async with transport.connect(who.password) as connection:
        answer = await connection.publish("users/alice/devices/watch/events", event("spoken"))
    assert transport.manners.next(0.0) in {OLD, PLAIN}  # RabbitMQ 3 speaks 3.1.1 alone, 4 both
    assert (answer is None) == (transport.manners.next(0.0) == OLD)
    await until(lambda: "spoken" in stored(broker.data, "alice"))


async def test_a_data_directory_moves_to_an_external_broker_and_back_and_no_device_changes(
    broker: RabbitMq, bridge: BridgeProcess
) -> None:
    """One token, one client, one CA: embedded, RabbitMQ, embedded again."""
    bridge.end()
    data = broker.data
    with broker.registry() as registry:
        watch = registry.device("alice", "watch")
    login = Credentials.from_mapping(DataDirectory(data).device_identity(watch))

    async def publish(port: int, name: str) -> int:
        ca = broker.certificates.ca_cert
        async with DeviceClient("localhost", port, credentials=login, ca_file=ca) as client:
            results = await client.publish([json.loads(event("moving")), json.loads(event(name))], within_s=PATIENCE_S)
            return results.stored

    with Service(data) as service:
        assert await publish(service.mqtts[1], "first") == 2
    with BridgeProcess(data):
        assert await publish(broker.port, "second") == 1
    with Service(data) as service:
        assert await publish(service.mqtts[1], "third") == 1
    await until(lambda: {"moving", "first", "second", "third"} <= set(stored(data, "alice")))
