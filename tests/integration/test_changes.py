"""What changed since: pages that hold what their reader may read, and nothing of anybody else."""

import json
import time
from typing import Any

import pytest

from healthsync_mqtt.client import ChangeReader
from healthsync_mqtt.identity.consent.decisions import Purpose
from healthsync_mqtt.model.sync_token import SyncTokenError
from tests.support.inprocess import Bystander, House
from tests.support.looks import registry_looked
from tests.support.peer import Identity, Peer

TRANSACTIONS = iter(range(10**6))


def now_us() -> int:
    return time.time_ns() // 1000


def pulse(name: str, bpm: int = 60, **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": bpm}, **more}


async def sent(house: House, device: Identity, *events: dict[str, Any]) -> None:
    peer = await house.connect(device)
    for each in events:
        await peer.publish(device.events, json.dumps(each).encode())
    await peer.leave()


class Asker:
    """A client that asks one thing after the other."""

    def __init__(self, peer: Peer, client_id: str) -> None:
        self.peer = peer
        self.request = f"changes/{client_id}/request"
        self.response = f"changes/{client_id}/response"

    async def ask(self, **request: Any) -> dict[str, Any]:
        transaction = f"t-{next(TRANSACTIONS)}"
        await self.peer.publish(self.request, json.dumps(request | {"transaction": transaction}).encode())
        while True:
            message = await self.peer.message()
            assert message.topic.decode() == self.response
            said: dict[str, Any] = json.loads(message.payload)
            if said.get("transaction") == transaction:
                return said


async def asker(house: House, who: Identity) -> Asker:
    peer = await house.connect(who)
    found = Asker(peer, who.client_id)
    assert await peer.subscribe((found.response, 1)) == (1,)
    return found


def told(said: dict[str, Any]) -> list[tuple[str, int, str]]:
    assert said["status"] == "ok", said
    return [(each["id"], each["version"], each["op"]) for each in said["events"]]


async def test_pages_with_new_versions_and_tombstones(house: House, bob: Bystander) -> None:
    watch, other = house.device("alice"), house.device("carol")
    app = await asker(house, house.subscriber("app", ["alice", "carol"]))
    await sent(house, watch, *(pulse(f"a{n}") for n in range(5)))
    await sent(house, other, *(pulse(f"c{n}") for n in range(3)))
    first = await app.ask(user="alice", limit=3)
    assert (told(first), first["more"]) == ([("a0", 0, "upsert"), ("a1", 0, "upsert"), ("a2", 0, "upsert")], True)
    second = await app.ask(user="alice", token=first["token"])
    assert (told(second), second["more"]) == ([("a3", 0, "upsert"), ("a4", 0, "upsert")], False)
    nothing = await app.ask(user="alice", token=second["token"])
    assert (told(nothing), nothing["more"], nothing["token"]) == ([], False, second["token"])
    gone = {"id": "a1", "type": "heart_rate", "op": "delete", "version": 2}
    await sent(house, watch, pulse("a0", 99, version=1), gone)
    third = await app.ask(user="alice", token=second["token"])
    assert told(third) == [("a0", 1, "upsert"), ("a1", 2, "delete")]
    assert third["events"][0]["value"] == {"bpm": 99}
    assert [each["seq"] for each in third["events"]] == [6, 7], "places among the user's own"
    steps = await app.ask(user="alice", types=["steps"])
    assert (told(steps), steps["token"]) == ([], third["token"])
    await house.still_serves(bob)


async def test_a_device_asks_for_its_own_user(house: House) -> None:
    watch, phone = house.device("alice"), house.device("alice", "phone")
    house.registry.consent.grant("alice", ["menstrual_flow"], now_us())
    await registry_looked(house)
    flow = {"id": "m", "type": "menstrual_flow", "start_time": "2026-01-01T00:00:00Z", "value": {"flow": "heavy"}}
    await sent(house, watch, pulse("a0"), flow)
    app = await asker(house, phone)
    assert told(await app.ask()) == [("a0", 0, "upsert")], "what is guarded was granted to no device"
    assert (await app.ask(user="carol"))["reason"] == "denied"
    named = await asker(house, house.subscriber("named", ["alice"], ["*", "menstrual_flow"]))
    assert told(await named.ask(user="alice")) == [("a0", 0, "upsert"), ("m", 0, "upsert")]


async def test_what_is_not_granted_or_shared_is_not_told(house: House) -> None:
    watch, other = house.device("alice"), house.device("carol")
    kilos = {"id": "w", "type": "weight", "start_time": "2026-01-01T00:00:00Z", "value": {"kg": 70}}
    await sent(house, watch, pulse("a0"), kilos)
    await sent(house, other, pulse("c0"))
    app = await asker(house, house.subscriber("app", ["alice"], ["weight"]))
    said = await app.ask(user="alice")
    assert told(said) == [("w", 0, "upsert")]
    for who in ("carol", "nobody", "../alice"):
        refused = await app.ask(user=who)
        assert (refused["reason"], refused["message"]) == ("denied", "this user's events are not yours to read")
    assert (await app.ask())["reason"] == "denied"
    wide = await asker(house, house.subscriber("wide", ["alice", "carol"]))
    foreign = (await wide.ask(user="carol"))["token"]
    assert (await wide.ask(user="alice", token=foreign))["reason"] == "token_foreign"
    assert (await app.ask(user="alice", token=(await wide.ask(user="alice"))["token"]))["reason"] == "token_expired"
    for noise in ("", "x", foreign[:-1], "A" * 200):
        assert (await wide.ask(user="alice", token=noise))["reason"] in {"bad_token", "bad_input"}
    assert (await wide.ask(user="alice", types=["hart_rate"]))["reason"] == "bad_input"
    house.registry.consent.withdraw("alice", ["weight"], now_us(), purposes=[Purpose.share])
    await registry_looked(house)
    assert told(await app.ask(user="alice")) == []


async def test_a_page_is_the_same_whoever_else_is_there(house: House) -> None:
    watch = house.device("alice")
    app = await asker(house, house.subscriber("app", ["alice"]))
    await sent(house, watch, *(pulse(f"a{n}") for n in range(4)))
    alone = [await app.ask(user="alice", limit=2)]
    alone.append(await app.ask(user="alice", token=alone[0]["token"], limit=2))
    other = house.device("carol")
    await sent(house, other, *(pulse(f"c{n}") for n in range(50)))
    again = [await app.ask(user="alice", limit=2)]
    again.append(await app.ask(user="alice", token=again[0]["token"], limit=2))
    for before, after in zip(alone, again, strict=True):
        assert before | {"transaction": ""} == after | {"transaction": ""}


async def test_only_the_asking_client_hears_the_answer(house: House) -> None:
    watch = house.device("alice")
    await sent(house, watch, pulse("a0"))
    app = await asker(house, house.subscriber("app", ["alice"]))
    nosy = await house.connect(house.subscriber("nosy", ["alice"]))
    assert await nosy.subscribe(("changes/app/response", 1), ("changes/+/response", 1)) == (128, 128)
    assert told(await app.ask(user="alice")) == [("a0", 0, "upsert")]
    assert await nosy.settle() == []


async def test_the_iterator_goes_on_after_a_lost_connection(house: House) -> None:
    watch = house.device("alice")
    await sent(house, watch, *(pulse(f"a{n}") for n in range(6)))
    who = house.subscriber("app", ["alice"])
    host, port = house.ready.mqtt.rsplit(":", 1)
    reader = ChangeReader(host, int(port), client_id=who.client_id, token=who.token, tls=False)
    seen: list[str] = []
    token = None
    async for page in reader.since(user="alice", limit=2):
        seen += [each["id"] for each in page.events]
        token = page.token
        for connection in list(house.door._connections):
            connection._wire.abort()  # whatever comes next is on another connection
    assert seen == [f"a{n}" for n in range(6)]
    await sent(house, watch, pulse("late"))
    assert [[each["id"] for each in page.events] async for page in reader.since(token, user="alice")] == [["late"]]
    with pytest.raises(SyncTokenError, match="no token"):
        async for _ in reader.since("x", user="alice"):
            pass


async def test_who_is_set_back_is_fed_at_once_where_a_filter_brings_events(house: House) -> None:
    """A filter that is refused brings nothing, and nobody is told otherwise."""
    await sent(house, house.device("alice"), pulse("a0"))
    peer = await house.connect(house.subscriber("app", ["alice"]))
    assert await peer.subscribe(("users/carol/canonical/+", 1)) == (0x80,)
    assert await house.serving.rewind("app", 0) == 0
    assert (house.serving.is_connected("app"), house.serving.is_fed("app")) == (True, False)
    assert await peer.subscribe(("users/alice/canonical/+", 1)) == (1,)
    assert house.serving.is_fed("app")
    assert json.loads((await peer.message()).payload)["id"] == "a0", "from the place that was set"
    await peer.unsubscribe("users/alice/canonical/+")
    assert not house.serving.is_fed("app")
