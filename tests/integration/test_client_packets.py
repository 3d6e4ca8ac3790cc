"""The device client against a service that takes short packets, in both versions of MQTT."""

import dataclasses
from pathlib import Path

import pytest

from healthsync_mqtt.client import Credentials, DeviceClient, Rejected
from healthsync_mqtt.errors import DeniedError
from healthsync_mqtt.mqtt.links.client import MqttTransport
from healthsync_mqtt.mqtt.links.manners import BEST, OLD, Manner, Manners
from tests.support.inprocess import House, opened


def event(number: int, size: int = 0) -> dict:
    source = {"app": "x" * size} if size else {}
    start = "2026-01-01T00:00:00Z"
    return {"id": f"e{number}", "type": "heart_rate", "start_time": start, "value": {"bpm": 60}} | source


def client(house: House, manner: Manner, **options: object) -> DeviceClient:
    identity = house.device("alice")
    host, _, port = house.ready.mqtt.rpartition(":")
    login = Credentials(
        user_id="alice",
        device_id="watch",
        client_id=identity.client_id,
        username=identity.client_id,
        token=identity.token,
    )
    transport = MqttTransport(
        host=host,
        port=int(port),
        client_id=identity.client_id,
        username=identity.client_id,
        tls=None,
        manners=Manners(manner),
    )
    return DeviceClient(host, credentials=login, transport=transport, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("manner", [OLD, BEST], ids=["3.1.1", "5"])
async def test_batches_are_packed_to_fit_and_what_never_will_is_told(tmp_path: Path, manner: Manner) -> None:
    async with opened(tmp_path / "data", {"limits.max_packet": 4096}) as house:
        async with client(house, manner, batch_size=100) as watch:
            results = await watch.publish([event(1), event(2, 9_000), *(event(n) for n in range(3, 103))])
            assert results.stored == 101
            assert [(each.id, each.reason) for each in results if isinstance(each, Rejected)] == [("e2", "too_large")]
        assert house.counters.connections_opened == 1
        assert len(house.stored()) == 101


async def test_in_3_1_1_a_client_with_another_topic_hears_that_it_may_not(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as house:
        async with client(house, OLD, fail_when_denied=True) as watch:
            watch._link._topics = dataclasses.replace(watch._link._topics, events="users/alice/nothing")
            house.door.kick("alice-watch")
            with pytest.raises(DeniedError, match="users/alice/devices/watch/events"):
                await watch.publish(event(1))
        assert house.stored() == []
