"""The bridge on a real Mosquitto, with rendered configuration and provisioned access: the whole path, and its guard."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.broker.external.canary_world import COMMON, world_of
from healthsync_mqtt.broker.external.identities import ADMIN
from healthsync_mqtt.broker.external.mosquitto.dynsec import role_name
from healthsync_mqtt.broker.external.promises import examine
from healthsync_mqtt.client import Credentials, DeviceClient
from healthsync_mqtt.mqtt.codec.packets import Will
from healthsync_mqtt.mqtt.links.client import MqttTransport, tls_context
from healthsync_mqtt.mqtt.links.manners import PLAIN
from healthsync_mqtt.mqtt.links.port import ClientLogin, ConnectionLostError
from healthsync_mqtt.mqtt.links.probe import Talk, talk
from healthsync_mqtt.storage.opening import open_reader
from tests.support.external_bridge import BridgeProcess
from tests.support.mosquitto import Mosquitto
from tests.support.patience import PATIENCE_S, until

pytestmark = pytest.mark.real_server

NOW = time.time_ns() // 1000


def event(name: str, bpm: int = 72) -> bytes:
    return json.dumps(
        {"id": name, "type": "heart_rate", "start_time": "2025-11-23T06:00:00Z", "value": {"bpm": bpm}}
    ).encode()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    made = Mosquitto(tmp_path_factory.mktemp("mosquitto"), canary=True, canary_interval_s=2.0)
    with made.registry() as registry:
        for user in ("alice", "bob"):
            registry.add_user(user, "all", NOW)
            registry.add_device(user, "watch", NOW)
        registry.add_device("alice", "lost", NOW)
        registry.add_subscriber("dash", ["alice"], ["heart_rate"], NOW)
        registry.add_subscriber("phone", ["alice"], None, NOW)
    with made:
        asyncio.run(made.provision())
        yield made


@pytest.fixture(scope="module")
def bridge(broker: Mosquitto) -> Iterator[BridgeProcess]:
    with BridgeProcess(broker.data) as running:
        yield running


@pytest.fixture
async def bob(broker: Mosquitto) -> AsyncIterator[Talk]:
    async with talk(broker.address) as connection:
        await connection.login(broker.account("bob-watch"))
        assert connection.code == 0
        yield connection


def stored(broker: Mosquitto, user: str) -> list[str]:
    with open_reader(broker.data) as reader:
        return [record.id for record in reader.read(0, 10_000, user=user)]


async def test_an_event_is_stored_receipted_and_republished(broker: Mosquitto, bridge: BridgeProcess) -> None:
    async with talk(broker.address) as device, talk(broker.address) as dash:
        await dash.login(broker.account("dash"))
        assert await dash.subscribe("users/alice/canonical/heart_rate", "users/alice/canonical/steps") == [1, 128]
        await device.login(broker.account("alice-watch"))
        assert await device.subscribe("users/alice/devices/watch/receipts") == [1]
        await device.publish("users/alice/devices/watch/events", event("whole-path"))
        await device.hear(until=b"whole-path", seconds=PATIENCE_S)
        await dash.hear(until=b"whole-path", seconds=PATIENCE_S)
    receipt = json.loads(device.messages[0].payload)
    assert (receipt["stored"], receipt["duplicate"], receipt["rejected"]) == (["whole-path"], [], [])
    canonical = json.loads(dash.messages[0].payload)
    assert (canonical["user_id"], canonical["device_id"], canonical["value"]) == ("alice", "watch", {"bpm": 72})
    assert "whole-path" in stored(broker, "alice")
    assert bridge.process is not None


async def test_a_request_for_changes_is_refused_at_once(broker: Mosquitto, bridge: BridgeProcess) -> None:
    async with talk(broker.address) as watch:
        await watch.login(broker.account("alice-watch"))
        assert await watch.subscribe("changes/alice-watch/response") == [1]
        await watch.publish("changes/alice-watch/request", b'{"transaction": "t-1"}')
        await watch.hear(until=b"t-1", seconds=PATIENCE_S)
        answer = json.loads(watch.messages[0].payload)
        assert (answer["status"], answer["reason"], answer["transaction"]) == ("error", "unavailable", "t-1")


async def test_the_device_client_works_as_on_the_embedded_broker(broker: Mosquitto, bridge: BridgeProcess) -> None:
    account = broker.account("alice-watch")
    login = Credentials(
        user_id="alice", device_id="watch", client_id="alice-watch", username="alice-watch", token=account.password
    )
    async with DeviceClient("localhost", broker.port, credentials=login, ca_file=broker.settings.external.ca_file) as c:
        results = await c.publish([json.loads(event(f"client-{n}", 60 + n)) for n in range(20)], within_s=PATIENCE_S)
    assert results.stored == 20


async def test_the_client_speaks_mqtt_5_here_and_is_told_what_it_may_not(
    broker: Mosquitto, bridge: BridgeProcess
) -> None:
    account, ca_file = broker.account("alice-watch"), broker.settings.external.ca_file
    transport = MqttTransport(
        host="localhost", port=broker.port, client_id="alice-watch", username="alice-watch", tls=tls_context(ca_file)
    )
    for _ in range(2):  # the second time it knows that the authentication method is not known here
        async with transport.connect(account.password) as connection:
            assert (connection.tells, connection.renews) == (False, False)
            own = await connection.publish("users/alice/devices/watch/events", event("spoken"))
            foreign = await connection.publish("users/bob/devices/watch/events", event("spoken"))
        assert own is not None
        assert own.code in {0, 0x10}
        assert foreign is not None
        assert foreign.code == 0x87
        assert transport.manners.next(0.0) == PLAIN
    await until(lambda: "spoken" in stored(broker, "alice"))


async def test_commands_and_presence_pass_between_clients(broker: Mosquitto, bridge: BridgeProcess) -> None:
    async with talk(broker.address) as device, talk(broker.address) as phone:
        await device.login(broker.account("alice-watch"), will=Will("users/alice/devices/watch/status", b"L1", 1, True))
        assert await device.subscribe("users/alice/devices/watch/commands") == [1]
        await phone.login(broker.account("phone"))
        assert await phone.subscribe("users/alice/devices/+/status") == [1]
        await phone.publish("users/alice/devices/watch/commands", b"command-1")
        await device.hear(until=b"command-1", seconds=PATIENCE_S)
        assert device.heard(b"command-1")
        device.abort()
        await phone.hear(until=b"L1", seconds=PATIENCE_S)
        assert phone.heard(b"L1")


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("username", ["alice-watch", "bob-watch"])
async def test_a_login_with_another_client_id_is_refused_and_disturbs_nobody(
    broker: Mosquitto, bob: Talk, username: str, clean: bool
) -> None:
    """T08."""
    await bob.subscribe("users/bob/devices/watch/receipts")
    password = broker.account("alice-watch").password
    async with talk(broker.address) as thief:
        await thief.login(ClientLogin(client_id="bob-watch", username=username, password=password), clean=clean)
        assert thief.code in {4, 5}
    await bob.publish("users/bob/devices/watch/status", b"still here")


@pytest.mark.parametrize("client_id", ["healthsync-bridge-main", "bob-watch", "healthsync-admin", "nobody"])
async def test_wrong_credentials_are_refused(broker: Mosquitto, client_id: str) -> None:
    """T09."""
    for password in ("", "wrong", broker.account("alice-watch").password):
        async with talk(broker.address) as stranger:
            await stranger.login(ClientLogin(client_id=client_id, username=client_id, password=password))
            assert stranger.code in {4, 5}


@pytest.mark.parametrize(
    "name", ["#", "+", "a/b", "../", "$SYS", ".*", "__proto__", "\ufeff", "\u202ex", "x" * 500, ""]
)
async def test_odd_names_do_not_log_in(broker: Mosquitto, name: str) -> None:
    """T11, at the broker."""
    try:
        async with talk(broker.address) as odd:
            await odd.login(ClientLogin(client_id=name, username=name, password="x"))
            assert odd.code
    except ConnectionLostError:
        pass


async def test_a_second_users_topics_cannot_be_read(broker: Mosquitto, bob: Talk, bridge: BridgeProcess) -> None:
    """T12: refused one by one, also behind an allowed filter, and nothing comes."""
    foreign = (
        "users/bob/devices/watch/receipts", "users/bob/#", "#", "+/+/devices/+/status", "users/+/devices/+/receipts",
        "$share/g/#", "$share/g/users/bob/devices/watch/status", "$SYS/#", "users/+/canonical/+",
        "$CONTROL/dynamic-security/#", "users/alice/#", "users/alice/canonical/heart_rate",
        "bridge/main/rejected",
    )  # fmt: skip
    async with talk(broker.address) as alice:
        await alice.login(broker.account("alice-watch"))
        codes = await alice.subscribe("users/alice/devices/watch/receipts", *foreign)
        assert codes == [1] + [128] * len(foreign)
        await bob.publish("users/bob/devices/watch/status", b"of-bob", retain=True)
        await bob.publish("users/bob/devices/watch/events", event("of-bob"))
        await until(lambda: "of-bob" in stored(broker, "bob"))
        assert await alice.hear(seconds=0.3) == []


async def test_a_will_or_a_message_to_another_user_arrives_nowhere(
    broker: Mosquitto, bob: Talk, bridge: BridgeProcess
) -> None:
    """T13, T14, T16."""
    topics = (
        "users/bob/devices/watch/status", "users/bob/devices/watch/commands", "users/bob/devices/watch/receipts",
        "users/bob/devices/watch/events", "users/bob/events", "users/alice/devices/watch/receipts",
        "users/alice/devices/watch/commands", "users/alice/canonical/heart_rate", "bridge/main/status",
        "users/bob/canonical/heart_rate", "$SYS/broker/version", "$CONTROL/dynamic-security/v1",
    )  # fmt: skip
    await bob.subscribe(*topics[:3])
    async with talk(broker.address) as bridge_eye, talk(broker.address) as own:
        await own.login(broker.account("alice-lost"))
        await bridge_eye.login(broker.account("dash"))
        await bridge_eye.subscribe("users/alice/canonical/heart_rate")
        for number, topic in enumerate(topics):
            for retain in (False, True):
                async with talk(broker.address) as alice:
                    await alice.login(broker.account("alice-watch"), will=Will(topic, event(f"w{number}"), 1, retain))
                    if alice.code == 0:
                        with contextlib.suppress(ConnectionLostError):
                            await alice.publish(topic, event(f"x{number}"), retain=retain)
                    alice.abort()
        await bob.publish("users/bob/devices/watch/events", event("sentinel"))
        await until(lambda: "sentinel" in stored(broker, "bob"))
        await bridge_eye.hear(seconds=0.3)
        assert not any(mark in m.payload for m in bridge_eye.messages for mark in (b'"x', b'"w'))
    await bob.hear(until=b"sentinel", seconds=PATIENCE_S)
    assert [m.payload for m in bob.messages if b'"x' in m.payload or b'"w' in m.payload] == []
    assert not [name for name in stored(broker, "bob") if name.startswith(("x", "w"))]


async def test_a_payload_cannot_name_another_user(broker: Mosquitto, bridge: BridgeProcess) -> None:
    """T16: the topic says whose event it is."""
    lie = json.dumps(json.loads(event("lie")) | {"user_id": "bob"}).encode()
    async with talk(broker.address) as alice:
        await alice.login(broker.account("alice-watch"))
        await alice.subscribe("users/alice/devices/watch/receipts")
        await alice.publish("users/alice/devices/watch/events", lie)
        await alice.hear(until=b"identity_mismatch", seconds=PATIENCE_S)
        assert alice.heard(b"identity_mismatch")
    assert "lie" not in stored(broker, "bob") + stored(broker, "alice")


async def test_a_revoked_device_is_thrown_out_and_may_not_come_back(broker: Mosquitto) -> None:
    """T07, T15: within one provisioning; what waited for it is not delivered."""
    async with talk(broker.address) as lost, talk(broker.address) as phone:
        await lost.login(broker.account("alice-lost"), clean=False)
        await lost.subscribe("users/alice/devices/lost/commands")
        with broker.registry() as registry:
            registry.remove_device("alice", "lost", NOW)
        done = await broker.provision()
        assert done.commands == {"disableClient": 1}
        with pytest.raises(ConnectionLostError):
            await lost.hear(seconds=5)
        await phone.login(broker.account("phone"))
        await phone.publish("users/alice/devices/lost/commands", b"late")
        async with talk(broker.address) as again:
            await again.login(broker.account("alice-lost"), clean=False)
            assert again.code in {4, 5}


async def test_what_a_removed_device_sends_is_refused_before_the_broker_has_heard_of_it(
    broker: Mosquitto, bridge: BridgeProcess
) -> None:
    """Nothing follows the registry for the broker: the device is let in, and the bridge takes nothing of it."""
    with broker.registry() as registry:
        registry.add_device("alice", "sold", NOW)
    await broker.provision()
    async with talk(broker.address) as sold:
        await sold.login(broker.account("alice-sold"))
        await sold.subscribe("users/alice/devices/sold/receipts")
        await sold.publish("users/alice/devices/sold/events", event("before"))
        await sold.hear(until=b"before", seconds=PATIENCE_S)
        with broker.registry() as registry:
            registry.remove_device("alice", "sold", NOW + 1)
        refused = await _told(sold, "after", lambda receipt: receipt["rejected"])
        (why,) = refused["rejected"]
        assert (why["code"], why["message"], "retry" in why) == ("not_allowed", "this device was removed", False)
        assert why["id"] not in stored(broker, "alice")
        with broker.registry() as registry:
            registry.add_device("alice", "sold", NOW + 2)
        taken = await _told(sold, "again", lambda receipt: receipt["stored"])
        assert taken["stored"][0] in stored(broker, "alice")


async def _told(device: Talk, name: str, wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """The first receipt that is wanted, of one event after the other."""
    number = 0
    async with asyncio.timeout(PATIENCE_S):
        while True:
            number += 1
            await device.publish("users/alice/devices/sold/events", event(f"{name}-{number}"))
            await device.hear(until=b'%s-%d"' % (name.encode(), number), seconds=PATIENCE_S)
            receipt: dict[str, Any] = json.loads(device.messages[-1].payload)
            if wanted(receipt):
                return receipt


async def test_provisioning_twice_says_nothing_the_second_time(broker: Mosquitto, bob: Talk) -> None:
    await broker.provision()
    done = await broker.provision()
    assert dict(done.commands) == {}
    await bob.publish("users/bob/devices/watch/status", b"not thrown out")


async def test_runs_of_provisioning_at_once_do_not_end_each_other(broker: Mosquitto) -> None:
    """As with --watch on several machines: each has its own answers, on its own connection."""
    await broker.provision()
    done = await asyncio.gather(*(broker.provision() for _ in range(4)))
    assert [dict(each.commands) for each in done] == [{}] * 4


async def test_what_the_broker_can_promise(broker: Mosquitto) -> None:
    findings = await examine(broker.address, broker.store, broker.topics, "main", COMMON)
    assert {each.name: each.good for each in findings} == {
        "mqtt5": True,
        "redelivery": True,
        "queue": True,
        "client_id_binding": True,
    }


async def test_the_bridge_stops_when_the_rules_can_be_crossed(broker: Mosquitto, tmp_path: Path) -> None:
    """T17: a rule that allows too much stops the bridge at its next canary, and it does not start again."""
    spare = Mosquitto(tmp_path / "spare", canary=True, canary_interval_s=1.0)
    with spare:
        await spare.provision()
        with BridgeProcess(spare.data) as running:
            await _allow_everything(spare)
            await until(lambda: running.process is not None and running.process.poll() is not None)
            assert running.end() == 78
            assert "can be crossed" in running.log()
        with BridgeProcess(spare.data).start(wait=False) as refused:
            await until(lambda: refused.process is not None and refused.process.poll() is not None)
            assert refused.end() == 78


async def _allow_everything(broker: Mosquitto) -> None:
    loose = [{"acltype": kind, "topic": "#", "priority": 0, "allow": True} for kind in ("subscribePattern", "publishClientReceive")]  # noqa: E501  # fmt: skip
    commands = [
        {"command": "addRoleACL", "rolename": role_name(world_of("main").intruder.client_id)} | acl for acl in loose
    ]
    async with talk(broker.address) as admin:
        password = broker.store.need(ADMIN, "")
        await admin.login(ClientLogin(client_id="loose", username=ADMIN, password=password))
        await admin.publish("$CONTROL/dynamic-security/v1", json.dumps({"commands": commands}).encode())


async def test_a_revoked_or_rotated_password_ends_at_the_broker(broker: Mosquitto) -> None:
    """`token revoke`, remove and add, and `broker password rotate` reach what Mosquitto has learnt."""
    with broker.registry() as registry:
        registry.add_device("alice", "old", NOW)
    await broker.provision()

    async def accepted(account: ClientLogin) -> bool:
        async with talk(broker.address) as connection:
            return not (await connection.login(account)).code

    first = broker.account("alice-old")
    assert await accepted(first)
    with broker.registry() as registry:
        registry.revocation.revoke_device_tokens("alice", "old", NOW)
    await broker.provision()
    second = broker.account("alice-old")
    assert (await accepted(first), await accepted(second)) == (False, True)
    with broker.registry() as registry:
        registry.remove_device("alice", "old", NOW)
        registry.add_device("alice", "old", NOW + 1)
    await broker.provision()
    third = broker.account("alice-old")
    assert (await accepted(second), await accepted(third)) == (False, True)
    broker.store.rotate("alice-old", 9)
    await broker.provision()
    assert (await accepted(third), await accepted(broker.account("alice-old"))) == (False, True)
