"""Home Assistant at a real RabbitMQ, which asks when somebody subscribes and never again: what its login sees."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.mqtt.codec.packets import Will
from healthsync_mqtt.mqtt.links.port import ClientLogin, ConnectionLostError
from healthsync_mqtt.mqtt.links.probe import Talk, talk
from tests.support.external_bridge import BridgeProcess
from tests.support.patience import PATIENCE_S
from tests.support.rabbitmq import RabbitMq, installed

pytestmark = pytest.mark.real_server

STATUS = "homeassistant/status"
CONFIGS = "homeassistant/device/+/+/config"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMq]:
    if not installed():
        pytest.skip("rabbitmq-server is not installed (Debian: apt install rabbitmq-server)")
    made = RabbitMq(tmp_path_factory.mktemp("rabbitmq"))
    now_us = time.time_ns() // 1000
    with made.registry() as registry:
        registry.add_user("alice", "all", now_us)
        registry.add_device("alice", "watch", now_us)
        registry.dashboards.enable("alice", ["heart_rate", "weight"], now_us)
        registry.add_subscriber("house", None, "*", now_us)
        registry.add_subscriber("ha", ["alice"], ["heart_rate"], now_us)
    with made:
        yield made


def account(broker: RabbitMq, principal: Principal) -> ClientLogin:
    token = DataDirectory(broker.data).identity(principal, user_id=None, device_id=None, epoch=0)["token"]
    return ClientLogin(client_id=principal.client_id, username=principal.client_id, password=token)


@asynccontextmanager
async def home(broker: RabbitMq, name: str) -> AsyncIterator[Talk]:
    """What Home Assistant does at CONNECT."""
    with broker.registry() as registry:
        login = account(broker, registry.subscriber(name).principal)
    async with talk(broker.address) as ha:
        await ha.login(login, will=Will(STATUS, b"offline", 0, False))
        assert ha.code == 0
        yield ha


async def send(broker: RabbitMq, *events: dict[str, Any]) -> None:
    with broker.registry() as registry:
        login = account(broker, registry.device("alice", "watch").principal)
    async with talk(broker.address) as watch:
        await watch.login(login)
        for each in events:
            await watch.publish("users/alice/devices/watch/events", json.dumps(each).encode())


def rate(event_id: str, bpm: int, hour: int) -> dict[str, Any]:
    return {"id": event_id, "type": "heart_rate", "start_time": f"2025-11-23T{hour:02}:00:00Z", "value": {"bpm": bpm}}


WEIGHT = {"id": "w", "type": "weight", "start_time": "2025-11-23T06:00:00Z", "value": {"kg": 71.5}}
NEWEST = "users/alice/latest/heart_rate"


@pytest.fixture(scope="module")
def bridge(broker: RabbitMq) -> Iterator[BridgeProcess]:
    with BridgeProcess(broker.data) as running:
        yield running


async def test_who_is_there_is_told_of_sensors_and_values(broker: RabbitMq, bridge: BridgeProcess) -> None:
    async with home(broker, "house") as house:
        assert await house.subscribe(CONFIGS, NEWEST, "users/alice/latest/weight") == [1, 1, 1]
        await house.publish(STATUS, b"online")
        await send(broker, rate("h1", 61, 6), WEIGHT)
        for words in (b'"bpm":61', b'"kg":71.5', b"healthsync:alice:heart_rate", b"healthsync:alice:weight"):
            await house.hear(until=words, seconds=PATIENCE_S)
        told = {each.topic.decode() for each in house.messages}
        assert told == {
            "homeassistant/device/alice/heart_rate/config",
            "homeassistant/device/alice/weight/config",
            NEWEST,
            "users/alice/latest/weight",
        }


async def test_who_comes_later_is_given_values_by_their_topic_and_sensors_when_it_says_that_it_is_there(
    broker: RabbitMq, bridge: BridgeProcess
) -> None:
    """RabbitMQ gives what it retained to filters without wildcards alone: docs/howto/home-assistant.md says so."""
    await send(broker, rate("h2", 62, 7))
    config = "homeassistant/device/alice/heart_rate/config"
    async with home(broker, "house") as house:  # both are retained, by topics without wildcards
        assert await house.subscribe(config, NEWEST) == [1, 1]
        for words in (b"healthsync:alice:heart_rate", b'"bpm":62'):
            await house.hear(until=words, seconds=PATIENCE_S)
            assert house.heard(words)
    async with home(broker, "house") as house:
        assert await house.subscribe(CONFIGS, NEWEST) == [1, 1]
        await house.hear(until=b'"bpm":62', seconds=PATIENCE_S)
        assert {each.topic.decode() for each in house.messages} == {NEWEST}
        house.messages.clear()
        await house.publish(STATUS, b"online")
        for words in (b"healthsync:alice:heart_rate", b"healthsync:alice:weight", b'"bpm":62'):
            await house.hear(until=words, seconds=PATIENCE_S)
            assert house.heard(words)


async def test_a_login_of_one_user_may_not_have_everybodys_sensors(broker: RabbitMq, bridge: BridgeProcess) -> None:
    async with home(broker, "ha") as ha:
        with pytest.raises(ConnectionLostError):
            await ha.subscribe(CONFIGS)
    async with home(broker, "ha") as ha:
        assert await ha.subscribe(NEWEST) == [1]
