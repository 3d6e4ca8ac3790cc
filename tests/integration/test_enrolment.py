"""Codes and refresh tokens at the door: one winner, one child, and nobody else hears the answer (T19, T20)."""

import asyncio
import json
import time
from typing import Any

import pytest

from healthsync_mqtt.identity.login.enrolment import MAX_TRIES
from healthsync_mqtt.mqtt.codec.packets import Connack, Connect, Publish
from tests.support.inprocess import Bystander, House
from tests.support.peer import Identity, Peer, event

pytestmark = pytest.mark.parametrize("changes", [{"limits.failed_login_base_s": 0.001}])


def guest(client_id: str, secret: str) -> Connect:
    return Connect(client_id, True, 60, "enroll", secret.encode(), None)


async def enter(house: House, secret: str, name: str = "enroll-a", *, code: int = 0) -> Peer:
    """A connection in the lobby; the CONNACK has to be ``code``."""
    peer = await house.knock()
    peer.send(guest(name, secret))
    assert (await peer.expect(Connack)).code == code
    return peer


async def ask(peer: Peer, channel: str, **request: str) -> dict[str, Any]:
    """Send a request and wait for its answer."""
    assert await peer.subscribe((f"{channel}/response", 1)) == (1,)
    await peer.publish(f"{channel}/request", json.dumps(request).encode())
    answer: dict[str, Any] = json.loads((await peer.message()).payload)
    return answer


def identity(answer: dict[str, Any]) -> Identity:
    return Identity(
        client_id=answer["client_id"], token=answer["token"], user=answer["user_id"], device=answer["device_id"]
    )


def opened(house: House, user: str = "alice", device: str = "phone") -> str:
    """A code for a device that is not there yet."""
    now_us = int(time.time() * 1e6)
    if user not in {known.id for known in house.registry.users()}:
        house.registry.add_user(user, "all", now_us)
    code = house.registry.enrolments.create(user, device, now_us)
    house.look()
    return code


async def enrolled(house: House) -> dict[str, Any]:
    peer = await enter(house, opened(house))
    answer = await ask(peer, "enroll/enroll-a", transaction="t1")
    assert (answer["status"], answer["transaction"]) == ("ok", "t1")
    await peer.disconnect()
    return answer


async def test_a_code_becomes_a_device_that_publishes(house: House, bob: Bystander) -> None:
    code = opened(house)
    peer = await enter(house, code.lower().replace("-", " "))
    answer = await ask(peer, "enroll/enroll-a")
    assert (answer["user_id"], answer["device_id"], answer["username"]) == ("alice", "phone", answer["client_id"])
    phone = await house.connect(identity(answer))
    await phone.publish(identity(answer).events, event("e1"))
    assert house.stored("alice") == ["e1"]
    actions = [row.action for row in house.audit.rows()]
    assert "device.enrolled" in actions
    assert code.replace("-", "") not in house.audit_bytes()
    await house.still_serves(bob)


async def test_t20_of_two_devices_with_one_code_one_wins(house: House, bob: Bystander) -> None:
    code = opened(house)
    peers = [await enter(house, code, f"enroll-{n}") for n in range(2)]
    answers = await asyncio.gather(*(ask(peer, f"enroll/enroll-{n}") for n, peer in enumerate(peers)))
    assert sorted(answer["status"] for answer in answers) == ["error", "ok"]
    (lost,) = (answer for answer in answers if answer["status"] == "error")
    assert "token" not in lost
    assert len(house.registry.devices("alice")) == 1
    await enter(house, code, "enroll-late", code=5)
    await house.still_serves(bob)


async def test_t20_wrong_codes_lock_the_right_one(house: House, bob: Bystander) -> None:
    code = opened(house)
    for n in range(MAX_TRIES):
        last = "0" if code[-1] != "0" else "1"
        await enter(house, code[:-1] + last, f"enroll-{n}", code=5)
    await enter(house, code, code=5)
    await house.until(lambda: house.registry.enrolments.open(0) == [], "the tries are written down")
    fresh = opened(house)
    assert (await ask(await enter(house, fresh), "enroll/enroll-a"))["status"] == "ok"
    await house.still_serves(bob)


async def test_the_lobby_reaches_its_own_two_topics_only(house: House, bob: Bystander) -> None:
    peer = await enter(house, opened(house))
    filters = ("enroll/enroll-b/response", "enroll/+/response", "#", "users/alice/#", "users/bob/canonical/+")
    assert await peer.subscribe(*((name, 1) for name in filters)) == (128,) * len(filters)
    await peer.publish("users/bob/devices/watch/events", event("x"))
    assert await peer.settle() == []
    assert house.counters.refused_by_reason["not_allowed"] == 1
    assert [each.topic for each in house.door.refusals.of("enroll-a")] == ["users/bob/devices/watch/events"]
    assert "x" not in house.stored()
    await house.still_serves(bob)


async def test_only_the_asking_client_hears_the_answer(house: House, bob: Bystander) -> None:
    admin = await house.connect(house.admin())
    assert await admin.subscribe(("#", 1)) == (1,)
    peer = await enter(house, opened(house))
    answer = await ask(peer, "enroll/enroll-a")
    phone = await house.connect(identity(answer))
    tokens = "users/alice/devices/phone/token"
    again = await ask(phone, tokens, refresh_token=answer["refresh_token"])
    assert again["status"] == "ok"
    heard = b"".join(packet.payload for packet in await admin.settle() if type(packet) is Publish)
    for secret in (answer["token"], answer["refresh_token"], again["token"], again["refresh_token"]):
        assert secret.encode() not in heard
    await house.still_serves(bob)


async def test_t19_a_lost_answer_is_given_again_and_reuse_ends_the_family(house: House, bob: Bystander) -> None:
    first = await enrolled(house)
    phone = await house.connect(identity(first))
    topic = "users/alice/devices/phone/token"
    once = await ask(phone, topic, refresh_token=first["refresh_token"])
    twice = await ask(phone, topic, refresh_token=first["refresh_token"])
    assert once["refresh_token"] == twice["refresh_token"] != first["refresh_token"]
    child = await ask(phone, topic, refresh_token=once["refresh_token"])
    assert child["status"] == "ok"
    stolen = await ask(phone, topic, refresh_token=first["refresh_token"])
    assert (stolen["status"], stolen["reason"]) == ("error", "token_invalid")
    after = await ask(phone, topic, refresh_token=child["refresh_token"])
    assert after["status"] == "error"
    assert "token.refresh_reused" in [row.action for row in house.audit.rows()]
    await house.still_serves(bob)


async def test_t19_two_refreshes_at_once_have_one_child(house: House, bob: Bystander) -> None:
    first = await enrolled(house)
    peers = [await enter(house, first["refresh_token"], f"enroll-{n}") for n in range(2)]
    answers = await asyncio.gather(
        *(ask(peer, f"enroll/enroll-{n}", refresh_token=first["refresh_token"]) for n, peer in enumerate(peers))
    )
    assert len({answer["refresh_token"] for answer in answers}) == 1
    await house.still_serves(bob)


async def test_another_devices_refresh_token_is_refused_and_stays_good(house: House, bob: Bystander) -> None:
    first = await enrolled(house)
    tablet = house.device("carol", "tablet")
    peer = await house.connect(tablet)
    answer = await ask(peer, "users/carol/devices/tablet/token", refresh_token=first["refresh_token"])
    assert answer["status"] == "error"
    phone = await house.connect(identity(first))
    again = await ask(phone, "users/alice/devices/phone/token", refresh_token=first["refresh_token"])
    assert again["status"] == "ok"
    await house.still_serves(bob)


async def test_a_suspended_device_gets_nothing(house: House, bob: Bystander) -> None:
    first = await enrolled(house)
    house.registry.revocation.suspend_device("alice", "phone", int(time.time() * 1e6))
    house.look()
    await enter(house, first["refresh_token"], code=5)
    house.registry.revocation.resume_device("alice", "phone")
    house.look()
    peer = await enter(house, first["refresh_token"])
    assert (await ask(peer, "enroll/enroll-a", refresh_token=first["refresh_token"]))["status"] == "ok"
    await house.still_serves(bob)
