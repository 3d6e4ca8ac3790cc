"""``broker.moved_to``: an installation that is served elsewhere sends its clients there."""

from pathlib import Path

import pytest

from healthsync_mqtt.client import Credentials, DeviceClient, MovedError
from healthsync_mqtt.client.backoff import Backoff
from healthsync_mqtt.config.settings import load_settings
from tests.support.inprocess import House
from tests.support.outsider import CONNACK, DISCONNECT, PINGRESP, Listener, Outsider

MOVED = {"broker.moved_to": "new.example:8883"}


@pytest.mark.parametrize("changes", [MOVED | {"limits.failed_login_base_s": 0.01}], ids=["moved"])
@pytest.mark.parametrize("listener", list(Listener), ids=lambda listener: listener.name.lower())
async def test_who_comes_to_an_installation_that_has_moved_is_sent_there(house: House, listener: Listener) -> None:
    alice = house.device("alice")
    for token, code, where in (("nonsense", 0x86, None), (alice.token, 0x9D, "new.example:8883")):
        watch = await Outsider.open(getattr(house.ready, listener.value), listener, house.tls)
        answer = await watch.connect(alice.client_id, token)
        assert (answer.kind, answer.reason, answer.about.get("server_reference")) == (CONNACK, code, where)
        assert await watch.over() == []
        await watch.leave()
    old = await house.knock()
    assert (await old.connect(alice)).code == 3
    await old.closed()


async def test_who_is_connected_is_sent_there_at_a_reload_and_may_come_back_when_it_is_taken_back(house: House) -> None:
    alice, root = house.device("alice"), house.settings.paths.root
    ports = {"broker.mqtt_port": 0, "broker.mqtts_port": 0, "broker.wss_port": 0}
    watch = await Outsider.open(house.ready.mqtt, Listener.PLAIN, house.tls)
    await watch.connect(alice.client_id, alice.token)
    stranger = await Outsider.open(house.ready.mqtt, Listener.PLAIN, house.tls)
    await house.service.reload(load_settings(root, ports | MOVED))
    (farewell,) = await watch.over()
    assert (farewell.kind, farewell.reason) == (DISCONNECT, 0x9D)
    assert farewell.about["server_reference"] == "new.example:8883"
    await house.service.reload(load_settings(root, ports))
    assert (await stranger.connect(alice.client_id, alice.token)).reason == 0
    stranger.packet(0xC0, b"")
    assert (await stranger.next()).kind == PINGRESP
    for each in (watch, stranger):
        await each.leave()


@pytest.mark.parametrize("changes", [MOVED], ids=["moved"])
async def test_the_python_client_says_where_and_asks_in_no_older_version(house: House) -> None:
    alice = house.device("alice")
    host, _, port = house.ready.mqtts.rpartition(":")
    credentials = Credentials(
        user_id="alice", device_id="watch", client_id=alice.client_id, username=alice.client_id, token=alice.token
    )
    slow = Backoff(first=60.0, longest=60.0)
    client = DeviceClient(host, int(port), credentials=credentials, ca_file=Path(house.ready.ca_file), backoff=slow)
    with pytest.raises(MovedError) as moved:
        async with client:
            pass
    assert "new.example:8883" in str(moved.value)
    assert moved.value.hint
    assert house.counters.logins_refused == 0
    assert house.counters.connections_opened == 1
