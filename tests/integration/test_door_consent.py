"""Consent as users and subscribers meet it: who did not agree leaves nothing; taking it back works within a second."""

import json
import time

import pytest

from healthsync_mqtt.identity.consent.decisions import Purpose
from healthsync_mqtt.mqtt.codec.packets import Publish
from tests.support.inprocess import Bystander, House
from tests.support.looks import registry_looked
from tests.support.peer import Identity, Peer, event

CANARY = 61.625
UNSEALED = pytest.mark.parametrize("changes", [{"storage.encryption": "none"}])
"""Of what is sealed nobody finds a byte, whatever is kept."""

_WEIGHT = '"id":"s","start_time":"2026-01-01T00:00:00Z","value":{"kg":61.625}'
_NESTED = f'{{"type":"weight",{_WEIGHT}}}'
_RATE = '"id":"h","type":"heart_rate","start_time":"2026-01-01T00:00:00Z","value":{"bpm":60}'
SHAPES = {
    "type twice": f'{{"type":"heart_rate","type":"weight",{_WEIGHT}}}',
    "type twice, once escaped": f'{{"\\u0074ype":"weight","type":"heart_rate",{_WEIGHT}}}',
    "type in a batch": f'{{"type":"heart_rate","events":[{_NESTED}]}}',
    "nested in an unknown field": f'{{{_RATE},"more":{_NESTED}}}',
    "text of an unknown field": f'{{{_RATE},"more":{json.dumps(_NESTED)}}}',
}


def now_us() -> int:
    return int(time.time() * 1e6)


async def told(peer: Peer, device: Identity, payload: bytes) -> list[str]:
    """Publish and return the codes of what was rejected."""
    await peer.publish(device.events, payload)
    return [item.code for item in (await peer.receipt()).rejected]


async def listening(house: House, user: str = "alice") -> tuple[Identity, Peer]:
    device = house.device(user)
    peer = await house.connect(device)
    assert await peer.subscribe((device.receipts, 1)) == (1,)
    return device, peer


def leftovers(house: House) -> bytes:
    """Every byte of the files of the data directory, WALs included."""
    files = house.settings.paths.events_db.parent.rglob("*")
    return b"".join(path.read_bytes() for path in files if path.is_file())


@UNSEALED
async def test_without_any_consent_nothing_is_kept(house: House, bob: Bystander) -> None:
    house.registry.add_user("alice", None, now_us())
    device, peer = await listening(house)
    assert await told(peer, device, event("e1", CANARY)) == ["no_consent"]
    assert await told(peer, device, event("e2", 900 + CANARY)) == ["no_consent"]
    assert await told(peer, device, f"not JSON at all {CANARY}".encode()) == ["malformed"]
    assert house.stored("alice") == []
    assert [row.raw for row in house.service.reader.rejected(0, 10, user="alice")] == [b"", b"", b""]
    assert str(CANARY).encode() not in leftovers(house)
    assert (await house.service.release.release(1))["outcome"] == "rejected"
    await house.still_serves(bob)


@UNSEALED
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_no_shape_leaves_a_value_of_a_type_without_consent_in_any_file(house: House, shape: str) -> None:
    house.registry.add_user("alice", ["heart_rate"], now_us())
    device, peer = await listening(house)
    await peer.publish(device.events, shape.encode())
    await peer.receipt()
    assert str(CANARY).encode() not in leftovers(house)
    assert not any(row.raw for row in house.service.reader.rejected(0, 10, user="alice"))
    assert await told(peer, device, event("odd", 900.125)) == ["out_of_range"]
    assert b"900.125" in leftovers(house), "what is kept would be found"


async def test_consent_by_type(house: House, bob: Bystander) -> None:
    house.registry.add_user("alice", ["heart_rate"], now_us())
    device, peer = await listening(house)
    weight = {"id": "w", "type": "weight", "start_time": "2026-01-01T00:00:00Z", "value": {"kg": 71.5}}
    batch = [json.loads(event("h")), weight, json.loads(event("odd", 900))]
    await peer.publish(device.events, json.dumps(batch).encode())
    receipt = await peer.receipt()
    assert receipt.stored == ["h"]
    assert [(item.index, item.code) for item in receipt.rejected] == [(1, "no_consent"), (2, "out_of_range")]
    kept = {row.event_id: row.raw for row in house.service.reader.rejected(0, 10, user="alice")}
    assert kept["w"] == b""
    assert b"900" in kept["odd"]
    await house.still_serves(bob)


async def test_t07_withdrawn_while_connected_takes_effect_at_the_next_look(house: House, bob: Bystander) -> None:
    device, peer = await listening(house)
    assert await told(peer, device, event("e0")) == []
    house.registry.consent.withdraw("alice", "all", now_us(), purposes=[Purpose.store])
    await registry_looked(house)
    assert await told(peer, device, event("e1")) == ["no_consent"]
    assert house.stored("alice") == ["e0"]
    house.registry.consent.grant("alice", "all", now_us(), purposes=[Purpose.store])
    house.look()
    assert await told(peer, device, event("e1")) == []
    await house.still_serves(bob)


async def test_without_consent_to_share_it_is_stored_and_not_published(house: House, bob: Bystander) -> None:
    device, peer = await listening(house)
    app = await house.connect(house.subscriber("app", ["alice"]), clean=False)
    assert await app.subscribe(("users/alice/canonical/+", 1)) == (1,)
    await peer.publish(device.events, event("shared"))
    assert json.loads((await app.message()).payload)["id"] == "shared"
    house.registry.consent.withdraw("alice", "all", now_us(), purposes=[Purpose.share])
    house.look()
    await peer.publish(device.events, event("kept"))
    assert house.stored("alice") == ["shared", "kept"]
    await house.still_serves(bob)
    assert await app.settle() == []
    house.registry.consent.grant("alice", "all", now_us(), purposes=[Purpose.share])
    house.look()
    await peer.publish(device.events, event("later"))
    assert json.loads((await app.message()).payload)["id"] == "later"
    await house.still_serves(bob)


async def test_what_waits_for_a_subscriber_goes_when_sharing_is_withdrawn(house: House, bob: Bystander) -> None:
    device, peer = await listening(house)
    reader = house.subscriber("app", ["alice"])
    app = await house.connect(reader, clean=False)
    assert await app.subscribe(("users/alice/canonical/+", 1)) == (1,)
    await peer.publish(device.events, event("e1"))
    await app.message(acknowledge=False)
    await app.leave()
    house.registry.consent.withdraw("alice", "all", now_us(), purposes=[Purpose.share])
    await house.until(lambda: house.door.sessions._sessions["app"].backlog == 0, "nothing waits any more")
    again = await house.knock()
    assert (await again.connect(reader, clean=False)).session_present
    assert not any(type(packet) is Publish for packet in await again.settle())
    await house.still_serves(bob)


async def test_consent_that_expires_ends_by_itself(house: House, bob: Bystander) -> None:
    house.registry.add_user("alice", None, now_us())
    expires_us = now_us() + 400_000
    house.registry.consent.grant("alice", "all", now_us(), expires_us=expires_us)
    device, peer = await listening(house)
    codes: list[str] = []
    number = 0
    while codes != ["no_consent"]:
        late = now_us() >= expires_us
        number += 1
        codes = await told(peer, device, event(f"e{number}"))
        assert codes == ["no_consent"] or not late
    assert now_us() >= expires_us
    assert house.stored("alice") == [f"e{n}" for n in range(1, number)]
    await house.still_serves(bob)
