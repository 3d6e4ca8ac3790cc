"""A right that became another: its connection closes, and what is left of it goes on where it was.

Only a right that ended takes its session, and the place in the log, with it.
"""

import asyncio
import json
import time
from collections.abc import Callable

import pytest

from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.erasure import ErasureStep
from tests.support.inprocess import House
from tests.support.looks import is_connected, registry_looked
from tests.support.peer import Identity, Peer, event

Change = Callable[[Registry], object]

FILTERS = tuple(f"users/{user}/canonical/{kind}" for user in ("alice", "bob") for kind in ("heart_rate", "steps"))


def erased(registry: Registry) -> None:
    """alice is erased, as far as the registry goes."""
    now_us = int(time.time() * 1e6)
    erasure = registry.erase("alice", now_us)
    while erasure.step is not ErasureStep.registry:
        erasure = registry.erasures.advance(erasure, now_us)
    registry.erasures.forget(erasure, now_us)


def granted(**changes: object) -> Change:
    def change(registry: Registry) -> None:
        with registry.write():
            registry._tables.update("subscribers", "app", changes)

    return change


BOBS = frozenset(f"bob-{number}" for number in range(5))
STEPS = frozenset(f"{user}-{number}" for user in ("alice", "bob") for number in (0, 2, 4))
SHRUNK: dict[str, tuple[Change, frozenset[str]]] = {
    "a person is erased": (erased, BOBS),
    "a user is taken out of the grant": (granted(users='["bob"]'), BOBS),
    "a type is taken out of the grant": (granted(types='["steps"]'), STEPS | {"alice-status"}),
}
"""The change, and which of the debts are owed after it."""
ENDED: dict[str, Change] = {
    "nobody is left": granted(users="[]"),
    "no type is left": granted(types="[]"),
    "suspended": lambda registry: registry.revocation.suspend_subscriber("app", 1),
    "its tokens are revoked": lambda registry: registry.revocation.revoke_subscriber_tokens("app"),
}


def steps(event_id: str) -> bytes:
    times = {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T00:01:00Z"}
    return json.dumps({"id": event_id, "type": "steps", **times, "value": {"steps": 7}}).encode()


async def given(peer: Peer, number: int) -> list[str]:
    return [json.loads((await peer.message(acknowledge=False)).payload)["id"] for _ in range(number)]


async def a_reader_with_debts(house: House) -> tuple[Identity, Peer, Identity]:
    """An app that was given ten events of two persons, and has acknowledged none; bob's watch, too."""
    alice, bob = house.device("alice"), house.device("bob")
    app = house.subscriber("app", ["alice", "bob"], ["heart_rate", "steps"])
    reader = await house.connect(app, clean=False)
    assert await reader.subscribe(*((each, 1) for each in FILTERS), (alice.status, 1)) == (1,) * 5
    for watch in (alice, bob):
        device = await house.connect(watch)
        for number in range(5):
            name = f"{watch.user}-{number}"
            await device.publish(watch.events, event(name) if number % 2 else steps(name))
        if watch is alice:
            await device.publish(alice.status, b'{"id": "alice-status"}', 1)
    assert set(await given(reader, 11)) == BOBS | STEPS | {"alice-status", "alice-1", "alice-3"}
    return app, reader, bob


@pytest.mark.parametrize("away", [False, True], ids=["connected", "away"])
@pytest.mark.parametrize(("change", "left"), SHRUNK.values(), ids=SHRUNK)
async def test_what_is_left_of_a_right_keeps_its_session_and_what_it_is_owed(
    house: House, change: Change, left: frozenset[str], away: bool
) -> None:
    app, reader, bob = await a_reader_with_debts(house)
    if away:
        await reader.leave()
        await house.until(lambda: not is_connected(house, "app"), "the app is away")
    await asyncio.to_thread(change, house.registry)
    await registry_looked(house)
    assert not is_connected(house, "app")
    if not away:
        await reader.closed()
    device = await house.connect(bob)
    await device.publish(bob.events, steps("later"))
    again = await house.knock()
    answer = await again.connect(app, clean=False)
    assert (answer.code, answer.session_present) == (0, True)
    came: list[str] = []
    while "later" not in came:
        came.append(json.loads((await again.message()).payload)["id"])
    assert sorted(came) == sorted(left | {"later"})
    assert await again.settle() == []


@pytest.mark.parametrize("change", ENDED.values(), ids=ENDED)
@pytest.mark.parametrize("changes", [{"limits.failed_login_base_s": 0.001}])
async def test_a_right_that_ended_takes_its_session_with_it(house: House, change: Change) -> None:
    _, reader, _ = await a_reader_with_debts(house)
    await asyncio.to_thread(change, house.registry)
    await registry_looked(house)
    await reader.closed()
    assert not house.edge.sessions.has("app")
