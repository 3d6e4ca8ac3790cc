"""What a client can cause as often as it likes does not fill the log: some lines, then their number."""

import logging
from collections import Counter
from typing import Any

import pytest

from healthsync_mqtt.mqtt.codec.packets import Puback, Publish
from tests.support.inprocess import Bystander, House
from tests.support.peer import Peer, event
from tests.support.peer5 import Peer5


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.INFO, logger="healthsync")
    return lambda: Counter(record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("changes", [{"limits.failed_login_base_s": 0.001, "limits.failed_login_max_s": 0.001}])
async def test_refused_logins_of_one_address(house: House, bob: Bystander, lines: Any) -> None:
    alice = house.device("alice")
    for number in range(40):
        peer = await house.knock()
        assert (await peer.connect(alice, password=b"wrong%d" % number)).code == 5
        await peer.leave()
    assert house.counters.logins_refused == 40
    assert lines()["door.connection_refused"] == 5
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [{"limits.refused_publishes": 1_000}])
@pytest.mark.parametrize("kind", [Peer, Peer5])
async def test_refused_publishes_name_their_client_a_few_times(
    house: House, bob: Bystander, caplog: pytest.LogCaptureFixture, kind: type[Peer]
) -> None:
    """They were counted, and in `device why`; the log, where an operator looks first, had none of them."""
    alice = house.device("alice")
    peer = await kind.open(house.ready.mqtt)
    assert (await peer.connect(alice)).code == 0
    for number in range(1, 41):
        peer.send(Publish(b"users/bob/devices/watch/events", event("e"), 1, False, False, number))
        await peer.expect(Puback)
    said = [record for record in caplog.records if record.getMessage() == "door.publish_refused"]
    assert len(said) == 5
    keys = vars(said[0])["event_keys"]
    assert (keys["client_id"], keys["reason"]) == (alice.client_id, "not_allowed")
    assert keys["topic"] == "users/bob/devices/watch/events"
    assert keys["peer"]
    await peer.leave()
    await house.still_serves(bob)


async def test_connects_and_take_overs_of_one_client(house: House, bob: Bystander, lines: Any) -> None:
    alice = house.device("alice")
    for number in range(8):
        peer = await house.connect(alice)
        await peer.publish(alice.events, event(f"e{number}"))
    said = lines()
    assert said["door.connected"] <= 5 + 2  # the bystander's
    assert said["door.connection_closed"] <= 5
    await house.still_serves(bob)
