"""What is reproductive, mental or a location is stored, shown and shipped only where it was named."""

import json

from tests.integration.test_door_consent import leftovers, listening, now_us, told
from tests.support.inprocess import Bystander, House
from tests.support.looks import registry_looked
from tests.support.peer import event


def observed(event_id: str, flow: str = "heavy") -> bytes:
    sent = {"id": event_id, "type": "menstrual_flow", "start_time": "2026-01-01T00:00:00Z", "value": {"flow": flow}}
    return json.dumps(sent).encode()


async def test_everything_means_the_general_types_for_users_and_for_subscribers(house: House, bob: Bystander) -> None:
    device, peer = await listening(house)  # alice agreed to everything
    every = await house.connect(house.subscriber("every", ["alice"]))
    assert await every.subscribe(("users/alice/canonical/#", 1)) == (1,)
    assert await every.subscribe(("users/alice/canonical/menstrual_flow", 1)) == (128,)
    assert await told(peer, device, observed("m1", "torrential")) == ["no_consent"]
    assert await told(peer, device, observed("m2")) == ["no_consent"]
    assert house.stored("alice") == []
    assert b"torrential" not in leftovers(house)
    assert b"heavy" not in leftovers(house)

    house.registry.consent.grant("alice", ["menstrual_flow"], now_us())
    await registry_looked(house)
    named = await house.connect(house.subscriber("named", ["alice"], ["*", "menstrual_flow"]))
    assert await named.subscribe(("users/alice/canonical/menstrual_flow", 1)) == (1,)
    assert await told(peer, device, observed("m3")) == []
    assert await told(peer, device, event("h1")) == []
    assert house.stored("alice") == ["m3", "h1"]
    assert json.loads((await named.message()).payload)["value"] == {"flow": "heavy"}
    assert json.loads((await every.message()).payload)["id"] == "h1"  # m3 was before it

    house.registry.consent.withdraw("alice", "all", now_us())
    await registry_looked(house)
    assert await told(peer, device, observed("m4")) == ["no_consent"]
    await house.still_serves(bob)
