"""What a client can cause as often as it likes does not fill the log: some lines, then their number."""

import logging
from collections import Counter
from typing import Any

import pytest

from tests.support.inprocess import Bystander, House
from tests.support.peer import event


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


async def test_connects_and_take_overs_of_one_client(house: House, bob: Bystander, lines: Any) -> None:
    alice = house.device("alice")
    for number in range(8):
        peer = await house.connect(alice)
        await peer.publish(alice.events, event(f"e{number}"))
    said = lines()
    assert said["door.connected"] <= 5 + 2  # the bystander's
    assert said["door.connection_closed"] <= 5
    await house.still_serves(bob)
