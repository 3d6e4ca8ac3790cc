"""Members of a running service: who is new enters at once, who is removed is gone, who is refused is told why."""

import asyncio
import sqlite3
import time

import pytest

from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.mqtt.codec.packets import Publish
from tests.support.crowd import add_crowd
from tests.support.inprocess import Bystander, House
from tests.support.looks import is_connected, registry_looked
from tests.support.peer import Identity, event


def now_us() -> int:
    return time.time_ns() // 1000


def added(house: House, user: str, device: str) -> Identity:
    """A device that the service has not heard of yet."""
    made = house.registry.add_device(user, device, now_us())
    return Identity(client_id=made.client_id, token=house.token(made.principal, 600), user=user, device=device)


async def test_a_device_that_was_just_added_enters_at_the_first_try(house: House, bob: Bystander) -> None:
    house.device("alice")
    for number in range(3):
        peer = await house.connect(added(house, "alice", f"new-{number}"))
        await peer.publish(f"users/alice/devices/new-{number}/events", event(f"e{number}"))
    assert house.stored("alice") == ["e0", "e1", "e2"]
    await house.still_serves(bob)


async def test_what_is_sent_behind_a_connect_that_waits_is_not_lost(house: House, bob: Bystander) -> None:
    house.device("alice")
    new = added(house, "alice", "eager")
    peer = await house.knock()
    connecting = asyncio.ensure_future(peer.connect(new))
    await asyncio.sleep(0)
    peer.send(Publish(b"users/alice/devices/eager/events", event("e1"), 1, False, False, 7))
    assert (await connecting).code == 0
    await house.until(lambda: house.stored("alice") == ["e1"], "the event is stored")
    await house.still_serves(bob)


async def test_a_locked_registry_holds_up_who_is_new_and_nobody_else(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    new = added(house, "alice", "late")
    holder = sqlite3.connect(house.service.ground.settings.paths.registry_db, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    waiting = asyncio.ensure_future(house.connect(new))
    for number in range(5):
        await (await house.connect(alice)).publish(alice.events, event(f"e{number}"))
        await house.still_serves(bob)
    assert not waiting.done()
    holder.rollback()
    holder.close()
    await waiting


async def test_g7_with_40_000_users_a_removal_is_no_reading_of_them(
    house: House, bob: Bystander, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(add_crowd, house.registry, 40_000)
    await asyncio.to_thread(house.edge.logins.catch_up)  # so many at once are read as a whole
    alice = house.device("alice")
    peer = await house.connect(alice)
    await peer.publish(alice.events, event("before"))
    monkeypatch.setattr(Registry, "roster", lambda _: pytest.fail("everybody was read"))
    await asyncio.to_thread(house.registry.remove_device, "alice", "watch", now_us())
    await registry_looked(house)
    assert not is_connected(house, alice.client_id)
    await peer.closed()
    again = await house.connect(added(house, "alice", "ring"))
    await again.publish("users/alice/devices/ring/events", event("after"))
    assert house.stored("alice") == ["before", "after"]
    await house.still_serves(bob)


@pytest.mark.parametrize("who", ["user", "subscriber"])
async def test_g7_who_is_removed_is_gone_at_the_next_look(house: House, bob: Bystander, who: str) -> None:
    alice, app = house.device("alice"), house.subscriber("alice-app", ["alice"])
    peer = await house.connect(alice if who == "user" else app)
    if who == "user":
        await asyncio.to_thread(house.registry.remove_user, "alice", now_us())
    else:
        await asyncio.to_thread(house.registry.remove_subscriber, "alice-app", now_us())
    await registry_looked(house)
    assert not is_connected(house, (alice if who == "user" else app).client_id)
    await peer.closed()
    assert (await (await house.knock()).connect(alice if who == "user" else app)).code == 5
    await house.still_serves(bob)


async def test_live_connections_are_listed_and_can_be_closed(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    serving = house.service.serving
    listed = {each["client_id"]: each for each in serving.clients()}  # type: ignore[attr-defined]
    assert listed["alice-watch"]["role"] == "device"
    assert listed["alice-watch"]["address"] == "127.0.0.1"
    assert listed["alice-watch"]["protocol"] == "MQTT 3.1.1"
    assert listed["alice-watch"]["connected_at"].endswith("Z")
    assert serving.kick("alice-watch")  # type: ignore[attr-defined]
    await peer.closed()
    assert not serving.kick("alice-watch")  # type: ignore[attr-defined]
    await house.connect(alice)
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [{"limits.failed_login_base_s": 0.001, "limits.failed_login_max_s": 0.001}])
async def test_a_refused_login_is_known_by_the_name_it_claimed(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    wrong = Identity(client_id=alice.client_id, token="a.b.c", user="alice", device="watch")
    assert (await (await house.knock()).connect(wrong)).code == 5
    await house.edge.refused.write()
    (refused,) = house.registry.refused_logins.of("alice-watch")
    assert (refused.address, refused.count) == ("127.0.0.1", 1)
    assert refused.reason.startswith("the token is not three parts")
    await house.still_serves(bob)
