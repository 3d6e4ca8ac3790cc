"""Rights that end while they are used: connections close within a second, queues go, what was acknowledged stays."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from bridge import embedded
from bridge.jobs import consent_watch
from healthsync_mqtt.identity.login.tokens import TokenVerifier
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.mqtt.codec.packets import Puback, Publish
from tests.support.inprocess import Bystander, House
from tests.support.looks import is_connected, registry_looked
from tests.support.peer import Identity, event

WITHIN_S = 1.0

Change = Callable[[Registry, str], object]


def now_us() -> int:
    return int(time.time() * 1e6)


def jti(house: House) -> str:
    """The id of the token that alice's only connection was made with."""
    (found,) = (
        connection.login.jti
        for connection in house.door._connections
        if connection.login is not None and connection.login.principal.user == "alice"
    )
    assert found is not None
    return found


CHANGES: dict[str, Change] = {
    "device removed": lambda registry, _: registry.remove_device("alice", "watch", now_us()),
    "device suspended": lambda registry, _: registry.revocation.suspend_device("alice", "watch", now_us()),
    "user suspended": lambda registry, _: registry.revocation.suspend_user("alice", now_us()),
    "token revoked": lambda registry, token: registry.revocation.revoke_token(token, now_us()),
    "all tokens revoked": lambda registry, _: registry.revocation.revoke_device_tokens("alice", "watch", now_us()),
}


def test_looks_are_often_enough() -> None:
    """A loss is seen at the next look: two pauses, and their looks, are within the second that is promised."""
    assert 2 * embedded._REVOCATION_S < WITHIN_S
    assert 2 * embedded._KEYS_S <= WITHIN_S
    assert 2 * consent_watch._POLL_S < WITHIN_S


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("changes", [{"limits.failed_login_base_s": 0.001}])
async def test_t07_a_live_connection_is_closed_at_the_next_look(house: House, bob: Bystander, change: Change) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    await peer.publish(alice.events, event("before"))
    await asyncio.to_thread(change, house.registry, jti(house))
    await registry_looked(house)
    assert not is_connected(house, alice.client_id)
    await peer.closed()
    again = await house.knock()
    assert (await again.connect(alice)).code == 5
    assert house.stored("alice") == ["before"]
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [{"limits.failed_login_base_s": 0.001}])
async def test_t07_what_was_suspended_comes_back_with_the_same_token(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    rights = house.registry.revocation
    for suspend, resume in (
        (lambda: rights.suspend_device("alice", "watch", now_us()), lambda: rights.resume_device("alice", "watch")),
        (lambda: rights.suspend_user("alice", now_us()), lambda: rights.resume_user("alice")),
    ):
        assert suspend()
        assert not suspend()
        house.look()
        assert (await (await house.knock()).connect(alice)).code == 5
        assert resume()
        assert not resume()
        house.look()
        await (await house.connect(alice)).disconnect()
    await house.still_serves(bob)


async def test_t07_a_token_that_ends_closes_its_connection_and_a_new_one_goes_on(house: House, bob: Bystander) -> None:
    short = house.device("alice", lifetime_s=1200)
    peer = await house.connect(short, clean=False)
    await peer.publish(short.events, event("before"))
    house.age_tokens(1000)
    await peer.publish(short.events, event("still"))
    house.age_tokens(201)
    await peer.closed()
    assert (await (await house.knock()).connect(short, clean=False)).code == 5
    principal = house.registry.device("alice", "watch").principal
    fresh = Identity(client_id=short.client_id, token=house.token(principal, 3600), user="alice", device="watch")
    again = await house.connect(fresh, clean=False)
    await again.publish(fresh.events, event("after"))
    assert house.stored("alice") == ["before", "still", "after"]
    await house.still_serves(bob)


async def test_t15_what_waited_for_a_revoked_device_is_gone(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice, clean=False)
    assert await peer.subscribe((alice.commands, 1)) == (1,)
    await peer.disconnect()
    admin = await house.connect(house.admin())
    await admin.publish(alice.commands, b'{"secret": 1}')
    await house.until(lambda: house.door.sessions._sessions[alice.client_id].backlog == 1, "the command waits")
    house.registry.revocation.suspend_device("alice", "watch", now_us())
    house.look()
    house.registry.revocation.resume_device("alice", "watch")
    house.look()
    again = await house.knock()
    assert not (await again.connect(alice, clean=False)).session_present
    assert not any(type(packet) is Publish for packet in await again.settle())
    await house.still_serves(bob)


async def test_t15_a_revoked_subscriber_gets_nothing_of_what_was_in_flight(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    app = house.subscriber("alice-app", ["alice"])
    reader = await house.connect(app, clean=False)
    assert await reader.subscribe(("users/alice/canonical/+", 1)) == (1,)
    device = await house.connect(alice)
    await device.publish(alice.events, event("e1"))
    await reader.message(acknowledge=False)
    claims = TokenVerifier(house.edge.keys).verify(app.token, now=time.time())
    await asyncio.to_thread(house.registry.revocation.revoke_token, claims.jti, now_us())
    await reader.closed()
    assert (await (await house.knock()).connect(app, clean=False)).code == 5
    await house.still_serves(bob)


async def test_what_is_being_committed_at_the_revocation_is_kept(house: House, bob: Bystander) -> None:
    """It was received before; whether its sender still hears of it or not, nothing acknowledged is lost."""
    alice = house.device("alice")
    peer = await house.connect(alice)
    with house.held_commits() as held:
        peer.send(Publish(alice.events.encode(), event("e1"), 1, False, False, 9))
        await house.until(lambda: house.counters.received == 1, "the event has come")
        house.registry.remove_device("alice", "watch", now_us())
        house.look()
        held.gate.set()
        await peer.closed()
    await house.until(lambda: house.stored("alice") == ["e1"], "the event is stored")
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [{"limits.failed_login_base_s": 0.001, "limits.failed_login_max_s": 0.001}])
async def test_refused_logins_are_audited_in_few_rows(house: House, bob: Bystander) -> None:
    nobody = Identity(client_id="alice-watch", token="canary-of-a-token")
    for _ in range(30):
        assert (await (await house.knock()).connect(nobody)).code == 5
    await house.edge.refused.write()
    rows: list[Any] = [row for row in house.audit.rows() if row.action == "login.refused"]
    assert 1 <= len(rows) <= 3
    assert sum(row.detail["count"] for row in rows) == 30
    assert "canary-of-a-token" not in house.audit_bytes()
    assert "127.0.0.1" not in house.audit_bytes()
    assert house.audit.verify().first_bad is None
    await house.still_serves(bob)


async def test_t18_a_captured_publish_and_another_users_id_have_one_effect_each(house: House, bob: Bystander) -> None:
    alice, eve = house.device("alice"), house.device("eve")
    captured = Publish(alice.events.encode(), event("e1", 61), 1, False, False, 7)
    for _ in range(2):
        peer = await house.connect(alice)
        peer.send(captured)
        await peer.expect(Puback)
        await peer.disconnect()
    thief = await house.connect(eve)
    await thief.publish(eve.events, event("e1", 62))
    other = await house.connect(alice)
    await other.publish(alice.events, event("e1", 63))
    assert await thief.subscribe((eve.receipts, 1)) == (1,)
    thief.send(captured)
    assert await thief.expect(Puback) == Puback(captured.packet_id)
    assert [(each.code, each.field) for each in (await thief.receipt()).rejected] == [("not_allowed", "topic")]
    assert house.counters.refused_by_reason["not_allowed"] == 1
    records = house.service.reader.read(0, 10, history=True)
    assert [(record.user, record.id, record.body) for record in records] == [
        ("alice", "e1", b'{"value":{"bpm":61}}'),
        ("eve", "e1", b'{"value":{"bpm":62}}'),
    ]
    await house.still_serves(bob)
