"""Persistent sessions, what they are owed and retained messages last over a restart of the service and a kill -9."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.mqtt.codec.packets import ConnectCode, Property
from tests.support.inprocess import House, opened
from tests.support.peer import Identity, Peer, event
from tests.support.peer5 import Peer5
from tests.support.service import Service


def device(service: Service, user: str, name: str) -> Identity:
    (made,) = service.cli("device", "add", user, name)
    return Identity(client_id=made["client_id"], token=made["token"], user=user, device=name)


@pytest.fixture
async def peers() -> AsyncIterator[list[Peer]]:
    opened: list[Peer] = []
    yield opened
    for peer in opened:
        await peer.leave()


async def connect(service: Service, identity: Identity, peers: list[Peer], *, clean: bool = False) -> tuple[Peer, bool]:
    peer = await Peer.open(service.ready["mqtt"])
    peers.append(peer)
    answer = await peer.connect(identity, clean=clean)
    assert answer.code == ConnectCode.ACCEPTED
    return peer, answer.session_present


def ids(payload: bytes) -> list[str]:
    found = json.loads(payload)
    return [each["id"] for each in (found if isinstance(found, list) else [found])]


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_restart_changes_nothing_for_who_does_not_subscribe_again(
    tmp_path: Path, end: str, peers: list[Peer]
) -> None:
    """paho and others do not subscribe again by themselves: 15 of 200 events came, and nothing was said."""
    with Service(tmp_path / "data") as service:
        service.cli("user", "add", "alice", "--consent", "all")
        watch = device(service, "alice", "watch")
        (made,) = service.cli("subscriber", "add", "app", "--users", "alice")
        app_id = Identity(client_id=made["client_id"], token=made["token"])
        app, present = await connect(service, app_id, peers)
        assert not present
        assert await app.subscribe((watch.status, 1), ("users/alice/canonical/+", 1)) == (1, 1)
        await app.leave()
        phone, _ = await connect(service, watch, peers)
        await phone.publish(watch.events, event("e-before"))
        for n in range(50):
            await phone.publish(watch.status, b"%d" % n, 1, retain=n == 49)
        assert await phone.subscribe((watch.receipts, 1)) == (1,)  # durable, and so is all that was said before
        (service.kill if end == "kill" else service.stop)()
        service.start()
        phone, present = await connect(service, watch, peers)
        assert present
        await phone.publish(watch.events, event("e-after"))
        app, present = await connect(service, app_id, peers)
        assert present
        seen: list[bytes] = []
        events: list[str] = []
        while len(seen) < 50 or len(events) < 2:
            message = await app.message()
            if message.topic.decode() == watch.status:
                seen.append(message.payload)
            else:
                events += ids(message.payload)
        # In the order of the messages; the will or a second run's status may not come between.
        assert seen[:50] == [b"%d" % n for n in range(50)]
        assert events == ["e-before", "e-after"]
        late, _ = await connect(service, device(service, "alice", "late"), peers, clean=True)
        assert await late.subscribe(("users/alice/devices/late/status", 1)) == (1,)
        (other,) = service.cli("subscriber", "add", "late-app", "--users", "alice")
        reader, _ = await connect(service, Identity(client_id=other["client_id"], token=other["token"]), peers)
        assert await reader.subscribe((watch.status, 1)) == (1,)
        kept = await reader.message()
        assert (kept.payload, kept.retain) == (b"49", True)


async def test_a_suback_is_a_promise_even_when_the_service_is_killed_at_once(tmp_path: Path, peers: list[Peer]) -> None:
    """Killed within 0.3 s of the SUBACK, a subscriber never got its first event."""
    with Service(tmp_path / "data") as service:
        service.cli("user", "add", "alice", "--consent", "all")
        watch = device(service, "alice", "watch")
        (made,) = service.cli("subscriber", "add", "app", "--users", "alice")
        app_id = Identity(client_id=made["client_id"], token=made["token"])
        phone, _ = await connect(service, watch, peers)
        await phone.publish(watch.events, event("before"))
        app, _ = await connect(service, app_id, peers)
        assert await app.subscribe(("users/alice/canonical/+", 1)) == (1,)
        await phone.publish(watch.events, event("first"))
        service.kill()
        service.start()
        app, present = await connect(service, app_id, peers)
        assert present
        assert ids((await app.message()).payload) == ["first"]


async def test_a_session_that_was_to_end_with_its_connection_leaves_no_place_after_a_kill(
    tmp_path: Path, peers: list[Peer]
) -> None:
    """It had lasted, and was taken up once more to end with its connection: the kill ended both."""
    with Service(tmp_path / "data") as service:
        service.cli("user", "add", "alice", "--consent", "all")
        watch = device(service, "alice", "watch")
        (made,) = service.cli("subscriber", "add", "app", "--users", "alice")
        app_id = Identity(client_id=made["client_id"], token=made["token"])

        async def reader(expiry_s: int) -> tuple[Peer5, bool]:
            peer = await Peer5.open(service.ready["mqtt"])
            peers.append(peer)
            answer = await peer.connect(app_id, clean=False, about={Property.SESSION_EXPIRY: expiry_s})
            assert answer.code == 0
            return peer, answer.session_present

        phone, _ = await connect(service, watch, peers)
        app, _ = await reader(1_000)
        await app.ask(("users/alice/canonical/+", 1))
        await phone.publish(watch.events, event("heard"))
        assert ids((await app.message()).payload) == ["heard"]
        app, present = await reader(0)
        assert present
        await app.ask(("users/alice/canonical/+", 1))  # durable, and so is that the session is to end
        service.kill()
        service.start()
        phone, _ = await connect(service, watch, peers)
        await phone.publish(watch.events, event("missed"))
        app, present = await reader(1_000)
        assert not present
        await app.ask(("users/alice/canonical/+", 1))
        await phone.publish(watch.events, event("later"))
        assert ids((await app.message()).payload) == ["later"], "an event of before this session came"


async def test_an_acknowledged_message_for_an_absent_client_outlasts_a_kill_at_once(
    tmp_path: Path, peers: list[Peer]
) -> None:
    """It was acknowledged before it was written down, and lost for 20 ms."""
    with Service(tmp_path / "data") as service:
        service.cli("user", "add", "alice", "--consent", "all")
        watch = device(service, "alice", "watch")
        (made,) = service.cli("subscriber", "add", "app", "--users", "alice")
        app_id = Identity(client_id=made["client_id"], token=made["token"])
        app, _ = await connect(service, app_id, peers)
        assert await app.subscribe((watch.status, 1)) == (1,)
        await app.leave()
        sent: list[bytes] = []
        for turn in range(4):
            phone, _ = await connect(service, watch, peers)
            for n in range(3):
                sent.append(b"%d of %d" % (n, turn))
                await phone.publish(watch.status, sent[-1], 1 + n % 2, retain=True)
            service.kill()
            service.start()
        app, present = await connect(service, app_id, peers)
        assert present
        assert [(await app.message()).payload for _ in sent] == sent
        (shown,) = service.cli("status")
        assert shown["sessions"] == {"written": True, "dropped_messages": 0, "router_restarts": 0}


async def test_what_was_acknowledged_or_given_up_does_not_come_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with opened(data) as house:
        watch, app_id = house.device("alice"), house.subscriber("app", ["alice"])
        app = await house.connect(app_id, clean=False)
        assert await app.subscribe((watch.status, 2), (watch.commands, 1)) == (2, 0x80)
        phone = await house.connect(watch, clean=False)
        for n in range(5):
            await phone.publish(watch.status, b"%d" % n, 2)
        assert [(await app.message()).payload for _ in range(3)] == [b"0", b"1", b"2"]
        held = [await app.message(acknowledge=False) for _ in range(2)]
        assert [message.payload for message in held] == [b"3", b"4"]
    async with opened(data) as house:
        app = await connected(house, app_id, present=True)
        again = [await app.message() for _ in range(2)]
        assert [(m.payload, m.packet_id, m.dup) for m in again] == [(m.payload, m.packet_id, True) for m in held]
        assert await app.settle() == []
    async with opened(data) as house:
        app = await house.knock()
        answer = await app.connect(app_id, clean=True)
        assert not answer.session_present
    async with opened(data) as house:
        await connected(house, app_id, present=False)


async def connected(house: House, identity: Identity, *, present: bool) -> Peer:
    peer = await house.knock()
    answer = await peer.connect(identity, clean=False)
    assert (answer.code, answer.session_present) == (ConnectCode.ACCEPTED, present)
    return peer


async def test_who_lost_the_right_in_the_meantime_has_nothing_left(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with opened(data) as house:
        watch, app_id = house.device("alice"), house.subscriber("app", ["alice"])
        phone = await house.connect(watch, clean=False)
        assert await phone.subscribe((watch.commands, 1)) == (1,)
        await phone.publish(watch.status, b"here", 1, retain=True)
        registry = house.registry
        await house.until(lambda: house.door.sessions.retained.get(watch.status) is not None, "it is retained")
        registry.remove_device("alice", "watch", 1)
        sessions_db = house.settings.paths.sessions_db
        assert sessions_db.stat().st_mode & 0o077 == 0
        # The service ends before it has looked.
    async with opened(data) as house:
        assert [entry for entry in house.door.sessions.snapshot() if entry["client_id"] == watch.client_id] == []
        app = await house.connect(app_id)
        assert await app.subscribe((watch.status, 1)) == (1,)
        assert await app.settle() == []


@pytest.mark.parametrize("wall", [0.0, 4e9])
async def test_no_clock_that_is_set_ends_a_session(tmp_path: Path, wall: float, monkeypatch: Any) -> None:
    data = tmp_path / "data"
    async with opened(data) as house:
        app_id = house.subscriber("app", ["alice"])
        app = await house.connect(app_id, clean=False)
        await app.disconnect()
        await house.until(lambda: house.door.sessions.connected == 0, "it is gone")
        monkeypatch.setattr(house.door, "_clock", lambda: wall)
        house.door.expire_sessions()
        assert len(house.door.sessions.snapshot()) == 1
    async with opened(data) as house:
        monkeypatch.setattr(house.door, "_clock", lambda: wall)
        house.door.expire_sessions()
        assert len(house.door.sessions.snapshot()) == 1
        house.door.sessions.expire(house.door.sessions.now() + 8 * 86_400)
        assert house.door.sessions.snapshot() == []
    async with opened(data) as house:
        assert house.door.sessions.snapshot() == []


async def test_messages_that_found_no_room_are_counted_over_all_sessions(tmp_path: Path) -> None:
    async with opened(tmp_path / "data", {"limits": {"session_queue": 10}}) as house:
        watch, app_id = house.device("alice"), house.subscriber("app", ["alice"])
        app = await house.connect(app_id, clean=False)
        assert await app.subscribe((watch.status, 1)) == (1,)
        await app.leave()
        await house.until(lambda: house.door.sessions.connected == 0, "it is gone")
        assert house.door.sessions.dropped == 0
        phone = await house.connect(watch)
        for n in range(13):
            await phone.publish(watch.status, b"%d" % n, 1)
        assert house.door.sessions.dropped == 3
