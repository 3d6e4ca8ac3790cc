"""Home Assistant at a real Mosquitto with provisioned rights: what it sees, over kills of bridge and broker."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.identity.consent.decisions import Purpose
from healthsync_mqtt.mqtt.codec.packets import Will
from healthsync_mqtt.mqtt.links.port import ConnectionLostError
from healthsync_mqtt.mqtt.links.probe import Talk, talk
from tests.support.external_bridge import BridgeProcess
from tests.support.mosquitto import Mosquitto
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.real_server

STATUS = "homeassistant/status"


def now_us() -> int:
    return time.time_ns() // 1000


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    made = Mosquitto(tmp_path)
    with made.registry() as registry:
        for user in ("alice", "bob"):
            registry.add_user(user, "all", now_us())
            registry.add_device(user, "watch", now_us())
            registry.dashboards.enable(user, ["heart_rate", "weight"], now_us())
        registry.add_subscriber("ha", ["alice"], ["heart_rate"], now_us())
        registry.add_subscriber("house", None, "*", now_us())
    with made:
        asyncio.run(made.provision())
        yield made


@asynccontextmanager
async def home(broker: Mosquitto, name: str) -> AsyncIterator[Talk]:
    """What Home Assistant does after its CONNECT."""
    async with talk(broker.address) as ha:
        await ha.login(broker.account(name), will=Will(STATUS, b"offline", 0, False))
        assert ha.code == 0
        assert await ha.subscribe("homeassistant/#") == [1]
        await ha.publish(STATUS, b"online")
        yield ha


async def send(broker: Mosquitto, user: str, *events: dict[str, Any]) -> None:
    async with talk(broker.address) as device:
        await device.login(broker.account(f"{user}-watch"))
        for each in events:
            await device.publish(f"users/{user}/devices/watch/events", json.dumps(each).encode())


def rate(event_id: str, bpm: int, at: str = "2025-11-23T06:00:00Z") -> dict[str, Any]:
    return {"id": event_id, "type": "heart_rate", "start_time": at, "value": {"bpm": bpm}}


WEIGHT = {"id": "w", "type": "weight", "start_time": "2025-11-23T06:00:00Z", "value": {"kg": 71.5}}


async def retained(broker: Mosquitto) -> dict[str, bytes]:
    """What somebody who comes now is given, of everybody's."""
    async with talk(broker.address) as house:
        await house.login(broker.account("house"))
        assert await house.subscribe("homeassistant/#", "users/+/latest/+") == [1, 1]
        await house.publish(STATUS, b"online")  # its answer comes after what is retained
        await house.hear(seconds=0.2)
        return {each.topic.decode(): each.payload for each in house.messages if each.payload}


async def until_retained(
    broker: Mosquitto, wanted: dict[str, Any], *, again: tuple[str, dict[str, Any]] | None = None
) -> None:
    """The newest values by topic are these, and there is a discovery for each and no other."""
    seen: dict[str, Any] = {}
    async with asyncio.timeout(PATIENCE_S):
        while seen != wanted:
            if again is not None:
                await send(broker, *again)
            found = await retained(broker)
            states = {topic: json.loads(body) for topic, body in found.items() if topic.startswith("users/")}
            seen = {topic: body.get("bpm", body.get("kg")) for topic, body in states.items()}
            configs = {json.loads(body)["state_topic"] for topic, body in found.items() if topic.endswith("/config")}
            if configs != set(seen):
                seen = {}


async def test_it_sees_its_own_user_and_type_and_nothing_else(broker: Mosquitto) -> None:
    with BridgeProcess(broker.data):
        for user in ("alice", "bob"):
            await send(broker, user, rate("h", 61), WEIGHT)
        topics = {f"users/{user}/latest/{name}" for user in ("alice", "bob") for name in ("heart_rate", "weight")}
        await until_retained(broker, {topic: 61 if topic.endswith("rate") else 71.5 for topic in topics})
        async with home(broker, "house") as house, home(broker, "ha") as ha:
            await ha.hear(until=b"bpm", seconds=PATIENCE_S)
            assert await ha.subscribe(
                "users/alice/latest/heart_rate", "users/alice/latest/weight", "users/bob/latest/heart_rate", STATUS
            ) == [1, 128, 128, 1]  # the last is below what it may have; nothing of it comes
            await send(broker, "bob", rate("h2", 62, "2025-11-23T07:00:00Z"))
            await send(broker, "alice", rate("h2", 63, "2025-11-23T07:00:00Z"))
            await ha.hear(until=b'"bpm":63', seconds=PATIENCE_S)
            assert {each.topic.decode() for each in ha.messages} == {
                "homeassistant/device/alice/heart_rate/config",
                "users/alice/latest/heart_rate",
            }
            await house.hear(seconds=0.2)
            assert not [each for each in house.messages if each.topic == STATUS.encode()]
        for topic in ("homeassistant/device/alice/heart_rate/config", "users/alice/latest/heart_rate"):
            async with talk(broker.address) as ha:
                await ha.login(broker.account("ha"))
                with suppress(ConnectionLostError):  # Mosquitto closes the connection, or says nothing
                    await ha.publish(topic, b"{}", retain=True)
            assert (await retained(broker))[topic] != b"{}"


@pytest.mark.parametrize("killed", ["bridge", "broker"])
async def test_what_is_taken_back_is_cleared_after_a_kill(broker: Mosquitto, killed: str) -> None:
    with BridgeProcess(broker.data) as bridge:
        for user in ("alice", "bob"):
            await send(broker, user, rate("h", 61))
        shown = {f"users/{user}/latest/heart_rate": 61 for user in ("alice", "bob")}
        await until_retained(broker, shown)
        if killed == "broker":
            broker.kill()
        else:
            bridge.kill()
        with broker.registry() as registry:
            registry.dashboards.disable("alice", ["heart_rate"], now_us())
            registry.consent.withdraw("bob", ["heart_rate"], now_us(), purposes=(Purpose.share,))
        if killed == "broker":
            await asyncio.to_thread(broker.start)
            await broker.provision()
        else:
            assert await retained(broker)  # nobody was there to clear it
            await asyncio.to_thread(bridge.start)
        await until_retained(broker, {})
        # A broker that was killed may have forgotten the bridge: what it acknowledges before that is back goes nowhere.
        await until_retained(broker, {"users/alice/latest/weight": 71.5}, again=("alice", WEIGHT))


async def test_a_broker_that_forgot_everything_is_told_again(broker: Mosquitto) -> None:
    with BridgeProcess(broker.data):
        await send(broker, "alice", rate("h", 61))
        await until_retained(broker, {"users/alice/latest/heart_rate": 61})
        broker.kill()
        for path in broker.directory.glob("*.db"):
            path.unlink()
        await asyncio.to_thread(broker.start)
        await broker.provision()
        await until_retained(broker, {"users/alice/latest/heart_rate": 61})
