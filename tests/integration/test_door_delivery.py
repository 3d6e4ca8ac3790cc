"""What subscribers get: QoS, retained, sessions, redelivery, take-over, keep-alive, wills, expiry, revocation."""

import asyncio
import dataclasses
import json
import time

import pytest

from healthsync_mqtt.mqtt.codec.packets import Pingreq, Puback, Pubcomp, Publish, Pubrec, Pubrel, Will
from tests.support.inprocess import Bystander, House
from tests.support.looks import is_connected, registry_looked
from tests.support.peer import Identity, Peer, event


async def pair(house: House, **options: bool) -> tuple[Identity, Peer, Identity, Peer]:
    """alice's watch and an app that may read alice."""
    watch, app = house.device("alice"), house.subscriber("app", ["alice"])
    return watch, await house.connect(watch), app, await house.connect(app, **options)


async def routed(house: House) -> None:
    """Wait until amqtt has nothing more to deliver."""
    embedded = house.door._embedded
    await house.until(lambda: embedded._sent == embedded._delivered, "amqtt has delivered everything")


@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_qos_is_the_lower_of_both(house: House, qos: int, granted: int) -> None:
    watch, device, _, app = await pair(house)
    assert await app.subscribe((watch.status, granted)) == (granted,)
    await device.publish(watch.status, b"on", qos)
    message = await app.message()
    assert (message.payload, message.qos, message.retain, message.dup) == (b"on", min(qos, granted), False, False)
    assert await app.settle() == []


@pytest.mark.parametrize("granted", [0, 1, 2])
async def test_canonical_events_come_at_the_granted_qos_up_to_one(house: House, granted: int) -> None:
    watch, device, _, app = await pair(house)
    assert await app.subscribe(("users/alice/canonical/+", granted)) == (granted,)
    await device.publish(watch.events, event("a"))
    message = await app.message()
    assert (message.qos, message.retain) == (min(granted, 1), False)
    record = json.loads(message.payload)
    assert (record["id"], record["user_id"], record["device_id"], record["seq"]) == ("a", "alice", "watch", 1)


async def test_an_empty_message_that_is_not_retained_is_a_message(house: House) -> None:
    watch, device, app_id, app = await pair(house, clean=False)
    await device.subscribe((watch.commands, 1))
    await app.publish(watch.commands, b"", 1)
    message = await device.message()
    assert (message.payload, message.qos) == (b"", 1)
    assert await app.subscribe((watch.status, 1)) == (1,)
    await app.leave()
    await device.publish(watch.status, b"", 1, retain=True)
    await routed(house)
    app = await house.connect(app_id, clean=False)
    assert (await app.message()).payload == b""


# -- retained messages


async def test_retained_status_goes_to_whoever_asks_and_only_there(house: House, bob: Bystander) -> None:
    watch, device, _, app = await pair(house)
    await device.publish(watch.status, b"v1", 1, retain=True)
    await device.publish(watch.status, b"v2", 1, retain=True)
    await routed(house)
    other = await house.connect(house.subscriber("other", ["alice"]))
    assert await other.subscribe(("users/alice/canonical/+", 1)) == (1,)
    assert await app.subscribe((watch.status, 1)) == (1,)
    message = await app.message()
    assert (message.payload, message.retain, message.qos) == (b"v2", True, 1)
    assert await app.subscribe(("users/alice/devices/+/status", 0)) == (0,)
    message = await app.message()
    assert (message.payload, message.retain, message.qos) == (b"v2", True, 0)
    assert await other.settle() == []
    await bob.goes_on()


async def test_a_status_that_is_not_retained_is_not_kept(house: House) -> None:
    watch, device, _, app = await pair(house)
    await device.publish(watch.status, b"passing", 1)
    await routed(house)
    assert await app.subscribe((watch.status, 1)) == (1,)
    assert await app.settle() == []


async def test_an_empty_payload_clears_what_is_retained(house: House) -> None:
    watch, device, _, app = await pair(house)
    await device.publish(watch.status, b"v1", 1, retain=True)
    await routed(house)
    assert await app.subscribe((watch.status, 1)) == (1,)
    assert (await app.message()).payload == b"v1"
    await device.publish(watch.status, b"", 1, retain=True)
    message = await app.message()
    assert (message.payload, message.retain, message.qos) == (b"", False, 1)
    second = await house.connect(house.subscriber("second", ["alice"]))
    assert await second.subscribe((watch.status, 1)) == (1,)
    assert await second.settle() == []
    await device.publish(watch.status, b"v2", 1, retain=True)
    assert (await second.message()).payload == b"v2"


async def test_retained_then_newer_never_older(house: House) -> None:
    """A subscriber that arrives while statuses change ends with the newest one, however the two ways overtake."""
    watch, device, _, _ = await pair(house)
    for round_ in range(20):
        device.send(Publish(watch.status.encode(), b"%d" % (2 * round_), 0, True))
        app = await house.connect(house.subscriber(f"app{round_}", ["alice"]))
        device.send(Publish(watch.status.encode(), b"%d" % (2 * round_ + 1), 0, True))
        assert await app.subscribe((watch.status, 0)) == (0,)
        await device.settle()
        await routed(house)
        seen = [int(message.payload) for message in await app.settle() if isinstance(message, Publish)]
        assert seen[-1] == 2 * round_ + 1
        assert seen == sorted(seen)


# -- several filters


async def test_overlapping_filters_deliver_once_at_the_highest_qos(house: House) -> None:
    watch, device, _, app = await pair(house)
    assert await app.subscribe((watch.status, 0), ("users/alice/devices/+/status", 2)) == (0, 2)
    await device.publish(watch.status, b"once", 2)
    assert (await app.message()).qos == 2
    assert await app.subscribe(("users/alice/canonical/heart_rate", 0), ("users/alice/canonical/+", 1)) == (0, 1)
    await device.publish(watch.events, event("a"))
    assert (await app.message()).qos == 1
    assert await app.settle() == []


async def test_unsubscribe(house: House) -> None:
    watch, device, _, app = await pair(house)
    assert await app.subscribe((watch.status, 1), ("users/alice/canonical/+", 1)) == (1, 1)
    await app.unsubscribe(watch.status, "users/alice/canonical/+", "users/alice/never/subscribed")
    await device.publish(watch.status, b"unheard", 1)
    await device.publish(watch.events, event("a"))
    await routed(house)
    assert await app.settle() == []
    assert await app.subscribe(("users/alice/canonical/+", 1)) == (1,)
    await device.publish(watch.events, event("b"))
    assert json.loads((await app.message()).payload)["id"] == "b"


async def test_commands_reach_the_device(house: House, bob: Bystander) -> None:
    watch, device, _, app = await pair(house)
    assert await device.subscribe((watch.commands, 1)) == (1,)
    await app.publish(watch.commands, b'{"sync":true}', 1)
    assert (await device.message()).payload == b'{"sync":true}'
    await bob.goes_on()


# -- sessions


async def test_a_persistent_session_is_queued_for_and_resumed(house: House) -> None:
    watch, device, app_id, app = await pair(house, clean=False)
    assert await app.subscribe((watch.status, 1), ("users/alice/canonical/+", 1)) == (1, 1)
    await app.disconnect()
    for n in range(3):
        await device.publish(watch.status, b"s%d" % n, 1)
        await device.publish(watch.status, b"lost %d" % n, 0)
        await device.publish(watch.events, event(f"e{n}"))
    await routed(house)
    app = await house.knock()
    assert (await app.connect(app_id, clean=False)).session_present
    messages = [await app.message() for _ in range(6)]
    assert [m.payload for m in messages if m.topic.endswith(b"status")] == [b"s0", b"s1", b"s2"]
    canonical = [json.loads(m.payload) for m in messages if m.topic.endswith(b"heart_rate")]
    assert [record["id"] for record in canonical] == ["e0", "e1", "e2"]
    assert not any(m.retain or m.dup for m in messages)
    assert await app.settle() == []


async def test_a_clean_session_leaves_nothing_behind(house: House) -> None:
    watch, device, app_id, app = await pair(house, clean=False)
    assert await app.subscribe((watch.status, 1), ("users/alice/canonical/+", 1)) == (1, 1)
    await app.disconnect()
    await device.publish(watch.status, b"queued", 1)
    await device.publish(watch.events, event("a"))
    for clean in (True, False):
        app = await house.knock()
        assert not (await app.connect(app_id, clean=clean)).session_present
        assert await app.settle() == []
        await app.disconnect()
    app = await house.knock()
    assert (await app.connect(app_id, clean=False)).session_present
    assert await app.subscribe(("users/alice/canonical/+", 1)) == (1,)
    await device.publish(watch.events, event("b"))
    assert json.loads((await app.message()).payload)["id"] == "b"


async def test_what_was_not_acknowledged_comes_again_with_dup_and_the_same_id(house: House) -> None:
    watch, device, app_id, app = await pair(house, clean=False)
    assert await app.subscribe((watch.status, 2), ("users/alice/canonical/+", 1)) == (2, 1)
    await device.publish(watch.status, b"one", 1)
    await device.publish(watch.status, b"two", 2)
    await device.publish(watch.status, b"three", 2)
    await device.publish(watch.events, event("a"))
    first = [await app.message(acknowledge=False) for _ in range(4)]
    third = next(m for m in first if m.payload == b"three")
    app.send(Pubrec(third.packet_id))
    assert await app.expect(Pubrel) == Pubrel(third.packet_id)
    await app.leave()
    app = await house.knock()
    assert (await app.connect(app_id, clean=False)).session_present
    again = [await app.message(acknowledge=False) for _ in range(3)]
    assert {m.packet_id: m.payload for m in again} == {m.packet_id: m.payload for m in first if m is not third}
    assert all(m.dup for m in again)
    assert not any(m.dup for m in first)
    assert await app.expect(Pubrel) == Pubrel(third.packet_id)
    app.send(Pubcomp(third.packet_id))
    for message in again:
        if message.qos == 1:
            app.send(Puback(message.packet_id))
        else:
            app.send(Pubrec(message.packet_id))
            app.send(Pubcomp((await app.expect(Pubrel)).packet_id))
    assert await app.settle() == []
    await app.disconnect()
    app = await house.connect(app_id, clean=False)
    assert await app.settle() == []


async def test_a_second_connection_of_a_client_ends_the_first(house: House) -> None:
    watch, device, app_id, app = await pair(house, clean=False)
    assert await app.subscribe((watch.status, 1)) == (1,)
    await device.publish(watch.status, b"unacknowledged", 1)
    held = await app.message(acknowledge=False)
    second = await house.knock()
    assert (await second.connect(app_id, clean=False)).session_present
    assert await app.closed() == []
    again = await second.message()
    assert (again.packet_id, again.payload, again.dup) == (held.packet_id, b"unacknowledged", True)
    third = await house.knock()
    assert not (await third.connect(app_id, clean=True)).session_present
    assert await second.closed() == []
    await device.publish(watch.status, b"nobody asked", 1)
    await routed(house)
    assert await third.settle() == []
    assert house.door.sessions.connected == 2


@pytest.mark.parametrize("changes", [{"limits.takeovers_per_minute": 30}], ids=["many allowed"])
async def test_quick_take_overs_lose_nothing(house: House) -> None:
    watch, device, app_id, app = await pair(house, clean=False)
    assert await app.subscribe(("users/alice/canonical/+", 1)) == (1,)
    seen: set[str] = set()
    for n in range(30):
        await device.publish(watch.events, event(f"e{n}"))
        if n % 3 == 0:
            message = await app.message()
            records = json.loads(message.payload)
            seen.update(r["id"] for r in (records if isinstance(records, list) else [records]))
        app = await house.connect(app_id, clean=False)
    while len(seen) < 30:
        records = json.loads((await app.message()).payload)
        seen.update(r["id"] for r in (records if isinstance(records, list) else [records]))
    assert seen == {f"e{n}" for n in range(30)}


# -- slow subscribers


async def test_a_slow_subscriber_is_behind_and_nothing_else(house: House, bob: Bystander) -> None:
    watch, device, _, app = await pair(house, clean=False)
    quick = await house.connect(house.subscriber("quick", ["alice"]))
    assert await app.subscribe(("users/alice/canonical/+", 1)) == (1,)
    assert await quick.subscribe(("users/alice/canonical/+", 1)) == (1,)
    app.reader._transport.pause_reading()  # type: ignore[attr-defined]
    total, per_message = 20_000, 200
    big = {"source": {"note": "n" * 800}}
    for start in range(0, total, per_message):
        batch = b"[" + b",".join(event(f"e{n}", **big) for n in range(start, start + per_message)) + b"]"
        await device.publish(watch.events, batch)

    async def read(peer: Peer) -> list[str]:
        ids: list[str] = []
        while len(ids) < total:
            records = json.loads((await peer.message()).payload)
            ids += [r["id"] for r in (records if isinstance(records, list) else [records])]
        return ids

    wanted = [f"e{n}" for n in range(total)]
    assert await read(quick) == wanted
    await bob.goes_on()
    app.reader._transport.resume_reading()  # type: ignore[attr-defined]
    assert await read(app) == wanted


@pytest.mark.parametrize("changes", [{"limits.send_window": 2, "limits.session_queue": 1}])
async def test_no_canonical_event_is_dropped_for_a_short_queue(house: House) -> None:
    watch, device, app_id, app = await pair(house, clean=False)
    assert await app.subscribe(("users/alice/canonical/+", 1)) == (1,)
    await app.disconnect()
    types = [
        ("heart_rate", {"bpm": 60}),
        ("weight", {"kg": 80}),
        ("spo2", {"percent": 98}),
        ("resting_heart_rate", {"bpm": 50}),
    ]
    events = [
        {"id": f"e{n}", "type": types[n % 2][0], "start_time": "2026-01-01T00:00:00Z", "value": types[n % 2][1]}
        for n in range(300)
    ]
    await device.publish(watch.events, json.dumps(events).encode())
    assert len(house.stored()) == 300
    app = await house.connect(app_id, clean=False)
    seen = []
    while len(seen) < 300:
        seen.append(json.loads((await app.message()).payload)["id"])
    assert sorted(seen) == sorted(e["id"] for e in events)


async def test_a_late_acknowledgement_is_waited_for(house: House) -> None:
    """More than the window is out, nothing is acknowledged; then all of it comes again on the next connection."""
    watch, device, app_id, app = await pair(house, clean=False)
    assert await app.subscribe((watch.status, 1)) == (1,)
    for n in range(150):
        await device.publish(watch.status, b"%d" % n, 1)
    held = [await app.message(acknowledge=False) for _ in range(100)]
    assert await app.settle() == []
    await app.leave()
    app = await house.connect(app_id, clean=False)
    again = [await app.message() for _ in range(150)]
    assert [int(m.payload) for m in again] == list(range(150))
    assert [m.packet_id for m in again[:100]] == [m.packet_id for m in held]


# -- keep-alive, wills, expiry, revocation


async def test_silence_beyond_the_keep_alive_ends_the_connection_and_tells_the_will(
    house: House, bob: Bystander
) -> None:
    watch, other = house.device("alice"), house.device("carol")
    app = await house.connect(house.subscriber("app", ["alice"]))
    assert await app.subscribe((watch.status, 1)) == (1,)
    for keep_alive in (1, 4, 16):  # a machine that stands still for longer hears of nobody
        lively = await house.connect(other, keep_alive=keep_alive)
        silent = await house.connect(watch, keep_alive=keep_alive, will=Will(watch.status, b"lost", 1, retain=True))
        closing = asyncio.create_task(silent.closed())
        stood_still, since = 0.0, time.monotonic()
        while not closing.done():
            lively.send(Pingreq())
            await asyncio.sleep(0.1)
            stood_still, since = max(stood_still, time.monotonic() - since), time.monotonic()
        assert await closing == []
        if stood_still < keep_alive:
            break
        await app.message()
        await lively.leave()
    message = await app.message()
    assert (message.payload, message.qos, message.retain) == (b"lost", 1, False)
    late = await house.connect(house.subscriber("late", ["alice"]))
    assert await late.subscribe((watch.status, 1)) == (1,)
    assert (await late.message()).payload == b"lost"
    await lively.settle()
    await bob.goes_on()


async def test_a_will_is_told_after_an_abnormal_end_only(house: House) -> None:
    watch = house.device("alice")
    app = await house.connect(house.subscriber("app", ["alice"]))
    assert await app.subscribe((watch.status, 2)) == (2,)
    for n, (qos, end) in enumerate([(0, "cut"), (1, "garbage"), (2, "second connect"), (1, "take-over")]):
        device = await house.connect(watch, will=Will(watch.status, b"w%d" % n, qos, retain=False))
        if end == "cut":
            await device.leave()
        elif end == "garbage":
            device.send(b"\xff\xff")
        elif end == "second connect":
            device.send(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
        else:
            await (await house.connect(watch)).disconnect()
        message = await app.message()
        assert (message.payload, message.qos) == (b"w%d" % n, qos)
    device = await house.connect(watch, will=Will(watch.status, b"never", 1, retain=True))
    await device.disconnect()
    await routed(house)
    assert await app.settle() == []


async def test_the_end_of_a_token_ends_its_connection(house: House, bob: Bystander) -> None:
    watch = house.device("alice", lifetime_s=600)
    app = await house.connect(house.subscriber("app", ["alice"]))
    assert await app.subscribe((watch.status, 1)) == (1,)
    device = await house.connect(watch, will=Will(watch.status, b"expired", 1, retain=True))
    house.age_tokens(601)
    assert await device.closed() == []
    assert (await app.message()).payload == b"expired"
    await bob.goes_on()


async def test_a_removed_device_is_gone_at_the_next_look(house: House, bob: Bystander) -> None:
    watch = house.device("alice")
    device = await house.connect(watch, clean=False)
    assert await device.subscribe((watch.commands, 1)) == (1,)
    house.registry.remove_device("alice", "watch", int(time.time() * 1e6))
    await registry_looked(house)
    assert not is_connected(house, watch.client_id)
    assert await device.closed() == []
    again = await house.knock()
    assert (await again.connect(watch, clean=False)).code == 5
    await bob.goes_on()


@pytest.mark.parametrize("topic", ["$SYS/#", "$SYS/broker/version", "$share/group/users/alice/canonical/+"])
async def test_server_topics_and_shared_subscriptions_are_refused(house: House, topic: str) -> None:
    for identity in (house.device("alice"), house.subscriber("app", None), house.admin()):
        peer = await house.connect(identity)
        assert await peer.subscribe((topic, 1)) == (0x80,)


async def test_status_of_the_bridge_is_retained_for_admins(house: House) -> None:
    await routed(house)
    admin = await house.connect(house.admin())
    assert await admin.subscribe(("bridge/main/status", 1)) == (1,)
    message = await admin.message()
    assert message.retain
    assert json.loads(message.payload)["status"] == "online"


async def test_rejections_are_announced_to_admins_without_the_payload(house: House) -> None:
    admin = await house.connect(house.admin())
    assert await admin.subscribe(("bridge/main/rejected", 1)) == (1,)
    watch = house.device("alice")
    device = await house.connect(watch)
    await device.publish(watch.events, event("secret-id", bpm=987))
    announced = (await admin.message()).payload
    assert json.loads(announced)["reason"] == "out_of_range"
    assert b"987" not in announced
    assert b"secret-id" not in announced


async def test_a_device_of_the_same_name_belongs_to_its_user(house: House) -> None:
    """alice's watch and bob's watch: the topic alone says whose receipt it is, and a forged one goes nowhere."""
    alice, bob = house.device("alice"), house.device("bob")
    peers = [await house.connect(identity) for identity in (alice, bob)]
    for identity, peer in zip((alice, bob), peers, strict=True):
        assert await peer.subscribe((identity.receipts, 1)) == (1,)
        await peer.publish(identity.events, event("same"))
    assert [(await peer.receipt()).stored for peer in peers] == [["same"], ["same"]]
    forged = dataclasses.replace(bob, user="alice")
    await peers[1].publish(forged.events, event("x"))
    assert [(each.code, each.field) for each in (await peers[1].receipt()).rejected] == [("not_allowed", "topic")]
    assert (house.stored("alice"), house.stored("bob")) == (["same"], ["same"])
    assert [await peer.settle() for peer in peers] == [[], []]
