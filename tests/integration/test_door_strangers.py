"""Who may not, does not: attack cases T08, T09, T11 to T14 and T16. A bystander's traffic goes on undisturbed."""

import dataclasses
import json
from typing import Any

import pytest

from healthsync_mqtt.mqtt.codec import encode
from healthsync_mqtt.mqtt.codec.packets import Connack, Connect, ConnectCode, Subscribe, Will
from tests.support.inprocess import Bystander, House
from tests.support.peer import Identity, event

pytestmark = pytest.mark.parametrize("changes", [{"limits.failed_login_base_s": 0.001}])


async def refused(house: House, identity: Identity, **options: Any) -> None:
    peer = await house.knock()
    answer = await peer.connect(identity, **options)
    assert answer == Connack(False, ConnectCode.NOT_AUTHORIZED)
    assert await peer.closed() == []


def crooked_logins(house: House, victim: Identity) -> list[Identity]:
    """Every way to claim the victim's client id without being it."""
    mallory = house.device("mallory")
    expired = house.token(house.registry.device("mallory", "watch").principal, 1)
    return [
        dataclasses.replace(victim, token=mallory.token),
        dataclasses.replace(victim, token=expired),
        dataclasses.replace(victim, token=""),
        dataclasses.replace(victim, token="x" * 100),
        dataclasses.replace(victim, token=victim.token[:-4] + "AAAA"),
        dataclasses.replace(victim, token="x" * 5000),
    ]


@pytest.mark.parametrize("clean", [True, False])
async def test_claiming_a_client_id_has_no_effect_on_its_owner_online(
    house: House, bob: Bystander, clean: bool
) -> None:
    for crooked in crooked_logins(house, bob.watch):
        await refused(house, crooked, clean=clean)
        await refused(house, crooked, clean=clean, will=Will(bob.watch.status, b"gone", 1, retain=True))
        await house.still_serves(bob)


@pytest.mark.parametrize("clean", [True, False])
async def test_claiming_a_client_id_leaves_the_queue_of_its_absent_owner(house: House, clean: bool) -> None:
    alice = house.device("alice")
    app = house.subscriber("alice-app", ["alice"])
    peer = await house.connect(app, clean=False)
    assert await peer.subscribe((alice.status, 1), ("users/alice/canonical/+", 1)) == (1, 1)
    await peer.disconnect()
    watch = await house.connect(alice)
    await watch.publish(alice.events, event("a"))
    await watch.publish(alice.status, b"queued", 1)
    for crooked in crooked_logins(house, app):
        await refused(house, crooked, clean=clean)
    peer = await house.knock()
    assert (await peer.connect(app, clean=False)).session_present
    assert {(await peer.message()).topic.decode() for _ in range(2)} == {
        alice.status,
        "users/alice/canonical/heart_rate",
    }


async def test_credentials_may_not_be_mixed(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    second = house.device("alice", "phone")
    for changes in (
        {"client_id": second.client_id},
        {"username": second.client_id},
        {"username": None, "password": None},
        {"client_id": second.client_id, "username": second.client_id},
        {"client_id": "healthsync-door"},
        {"client_id": "bridge-main", "username": "bridge-main"},
        {"client_id": alice.client_id.upper(), "username": alice.client_id.upper()},
    ):
        peer = await house.knock()
        assert (await peer.connect(alice, **changes)).code == ConnectCode.NOT_AUTHORIZED, changes
    await house.still_serves(bob)


HOSTILE_IDS = [
    "#", "+", "a/b", "../", "$SYS", ".*", "[a-z]", "a-z", "__proto__", "\ufeffbob", "\u202ebob", "x" * 3000,
    "bob-watch ",
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE_IDS)
async def test_hostile_ids_are_refused_like_any_wrong_login(house: House, bob: Bystander, hostile: str) -> None:
    alice = house.device("alice")
    for changes in ({"client_id": hostile}, {"username": hostile}, {"client_id": hostile, "username": hostile}):
        peer = await house.knock()
        assert (await peer.connect(alice, **changes)).code == ConnectCode.NOT_AUTHORIZED
    await house.still_serves(bob)


async def test_a_nul_in_an_id_ends_the_connection(house: House, bob: Bystander) -> None:
    peer = await house.knock()
    token = bob.watch.token.encode()
    head = b"\x00\x04MQTT\x04\xc2\x00\x3c"
    fields = b"".join(len(f).to_bytes(2, "big") + f for f in (b"bob\x00", b"bob\x00", token))
    size = len(head) + len(fields)
    peer.writer.write(b"\x10" + bytes([size % 128 | 128, size // 128]) + head + fields)
    assert await peer.closed() == []
    await house.still_serves(bob)


async def test_an_empty_client_id_is_its_user_names_and_has_no_session_that_lasts(house: House, bob: Bystander) -> None:
    alice = house.device("alice", "watch")
    for token, code in ((alice.token, ConnectCode.ACCEPTED), (bob.watch.token, ConnectCode.NOT_AUTHORIZED)):
        peer = await house.knock()
        assert (await peer.connect(dataclasses.replace(alice, token=token), client_id="")).code == code
    first, second = await house.knock(), await house.knock()
    assert (await first.connect(alice)).code == ConnectCode.ACCEPTED
    assert (await second.connect(alice, client_id="")).code == ConnectCode.ACCEPTED
    assert await first.closed() == [], "one connection a client, whichever way it says who it is"
    await second.publish(alice.events, event("mine"))
    lasting = await house.knock()
    assert (await lasting.connect(alice, client_id="", clean=False)).code == ConnectCode.IDENTIFIER_REJECTED
    nobody = await house.knock()
    assert (await nobody.connect(alice, client_id="", username="")).code == ConnectCode.IDENTIFIER_REJECTED
    await house.still_serves(bob)


FOREIGN_FILTERS = [
    "users/bob/devices/watch/receipts",
    "users/bob/devices/watch/status",
    "users/bob/canonical/heart_rate",
    "users/bob/#",
    "#",
    "+",
    "+/+",
    "+/+/#",
    "users/#",
    "users/+/canonical/heart_rate",
    "users/+/devices/+/receipts",
    "users/alice/devices/+/receipts",
    "users/alice/#",
    "users/alice/canonical/+",
    "users/alice/devices/watch/events",
    "bridge/+/status",
    "bridge/main/rejected",
    "$share/g/#",
    "$share/g/users/alice/devices/watch/receipts",
    "$SYS/#",
    "$MQTT/#",
    "$queue/users/bob/#",
    "users/bob/devices/watch/receipts/#",
    "/",
    "//",
]
MISPLACED_WILDCARDS = ["users/bo+/devices/watch/status", "users/bob#", "users/#/status", "+a" * 20_000]


async def test_subscriptions_to_others_are_refused_filter_by_filter(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    await bob.device.publish(bob.watch.status, b"retained", 1, retain=True)
    for start in range(0, len(FOREIGN_FILTERS), 10):
        wanted = [(f, 1) for f in FOREIGN_FILTERS[start : start + 10]]
        codes = await peer.subscribe((alice.receipts, 1), *wanted, (alice.status, 2))
        assert codes == (1, *[0x80] * len(wanted), 2)
    await house.still_serves(bob)
    await bob.device.publish(bob.watch.status, b"changed", 1, retain=True)
    await peer.publish(alice.status, b"mine", 1)
    assert (await peer.message()).payload == b"mine"
    assert await peer.settle() == []
    assert house.counters.subscriptions_refused == len(FOREIGN_FILTERS)


@pytest.mark.parametrize("topic_filter", MISPLACED_WILDCARDS)
async def test_a_misplaced_wildcard_ends_the_connection(house: House, bob: Bystander, topic_filter: str) -> None:
    peer = await house.connect(house.device("alice"))
    peer.send(Subscribe(1, ((topic_filter, 1),)))
    assert await peer.closed() == []
    await house.still_serves(bob)


async def test_refused_filters_are_one_line_of_log_however_many(
    house: House, bob: Bystander, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await house.connect(house.device("alice"))
    filters = tuple((f"users/bob/x{number:04}", 1) for number in range(1_000))  # 50 packets of them are 800 KB
    for _ in range(50):
        assert await peer.subscribe(*filters) == (0x80,) * len(filters)
    said = [record for record in caplog.records if record.message == "door.subscribe_refused"]
    assert len(said) == 1
    assert len(str(vars(said[0]))) < 2_000
    assert house.counters.subscriptions_refused == 50 * len(filters)
    await house.still_serves(bob)


async def test_a_subscriber_reads_its_users_and_types_only(house: House, bob: Bystander) -> None:
    app = await house.connect(house.subscriber("narrow", ["alice"], ["steps"]))
    wanted = [
        "users/alice/canonical/steps", "users/alice/canonical/heart_rate", "users/alice/canonical/+",
        "users/+/canonical/steps", "users/bob/canonical/steps", "users/alice/devices/watch/receipts",
    ]  # fmt: skip
    assert await app.subscribe(*((f, 1) for f in wanted)) == (1, *[0x80] * 5)
    alice = house.device("alice")
    watch = await house.connect(alice)
    await watch.publish(alice.events, event("hr"))
    await watch.publish(
        alice.events,
        json.dumps(
            {"id": "st", "type": "steps", "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T01:00:00Z",
             "value": {"steps": 9}}
        ).encode(),
    )  # fmt: skip
    assert json.loads((await app.message()).payload)["id"] == "st"
    assert await app.settle() == []
    await house.still_serves(bob)


BAD_WILLS = [
    "users/bob/devices/watch/status",
    "users/bob/devices/watch/receipts",
    "users/alice/devices/watch/receipts",
    "users/alice/devices/watch/events",
    "users/alice/events",
    "users/alice/devices/phone/status",
    "users/alice/canonical/heart_rate",
    "bridge/main/status",
    "$SYS/broker",
    "anything",
]


@pytest.mark.parametrize("topic", BAD_WILLS)
async def test_wills_on_other_topics_are_refused_at_connect(house: House, bob: Bystander, topic: str) -> None:
    admin = await house.connect(house.admin())
    assert await admin.subscribe(("users/+/devices/+/status", 1), ("bridge/main/status", 1)) == (1, 1)
    assert (await admin.message()).topic == b"bridge/main/status"  # retained, or on its way
    alice = house.device("alice")
    for retain in (True, False):
        await refused(house, alice, will=Will(topic, b"forged", 1, retain))
    assert await admin.settle() == []
    assert house.stored("alice") == []
    await house.still_serves(bob)


@pytest.mark.parametrize("topic", ["users/+/devices/watch/status", "#", "users/alice/devices/watch/status/#"])
async def test_a_will_with_a_wildcard_ends_the_connection(house: House, bob: Bystander, topic: str) -> None:
    alice = house.device("alice")
    legal = encode(
        Connect(
            alice.client_id, True, 60, alice.client_id, alice.token.encode(), Will("~" * len(topic), b"x", 1)
        )
    )  # fmt: skip
    peer = await house.knock()
    peer.writer.write(legal.replace(b"~" * len(topic), topic.encode(), 1))
    assert await peer.closed() == []
    await house.still_serves(bob)


async def test_retain_where_the_topic_does_not_allow_it_goes_nowhere(house: House, bob: Bystander) -> None:
    """Acknowledged, told, and neither stored nor retained; an event is stored, and its flag ignored."""
    alice = house.device("alice")
    await bob.device.publish(bob.watch.status, b"bob is here", 1, retain=True)
    peer = await house.connect(alice)
    assert await peer.subscribe((alice.receipts, 1)) == (1,)
    for topic, payload in (
        (bob.watch.status, b"forged"),
        (bob.watch.status, b""),
        (alice.commands, b"{}"),
        ("bridge/main/status", b""),
    ):
        await peer.publish(topic, payload, 1, retain=True)
        assert [each.code for each in (await peer.receipt()).rejected] == ["not_allowed"]
    for name, topic in (("a", alice.events), ("b", "users/alice/events")):
        await peer.publish(topic, event(name), 1, retain=True)
        receipt = await peer.receipt()
        assert (receipt.stored, receipt.ignored) == ([name], ["retain"])
    await peer.publish(alice.events, event("c"))
    assert (await peer.receipt()).ignored == []
    assert house.stored("alice") == ["a", "b", "c"]
    admin = await house.connect(house.admin())
    assert await admin.subscribe(("users/+/devices/+/status", 1), ("users/alice/events", 1)) == (1, 1)
    assert (await admin.message()).payload == b"bob is here"
    assert await admin.settle() == []
    await house.still_serves(bob)


FOREIGN_TOPICS = [
    "users/bob/devices/watch/events", "users/bob/events", "users/bob/devices/watch/commands",
    "users/bob/devices/watch/status", "users/bob/devices/watch/receipts", "users/bob/canonical/heart_rate",
    "users/alice/devices/watch/receipts", "users/alice/devices/watch/commands", "users/alice/devices/phone/events",
    "users/alice/adapters/fitbit/events", "users/alice/canonical/heart_rate", "users/alice/insights/sleep",
    "bridge/main/status", "bridge/main/rejected", "$SYS/x", "x", "users/alice", "users/alice/devices/watch/events/",
    "/users/alice/events", "USERS/alice/events",
]  # fmt: skip


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_publishing_to_others_goes_nowhere_and_is_told(house: House, bob: Bystander, qos: int) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    assert await peer.subscribe((alice.receipts, 1)) == (1,)
    for topic in FOREIGN_TOPICS:
        await peer.publish(topic, event("forged"), qos)
        (told,) = (await peer.receipt()).rejected
        assert (told.code, told.field) == ("not_allowed", "topic")
        assert told.message.startswith(f"{topic}: ")
        assert told.message.endswith(f"publish events to {alice.events}")
    assert house.stored() == []
    assert house.counters.publishes_refused == len(FOREIGN_TOPICS)
    assert house.counters.refused_by_reason["not_allowed"] == len(FOREIGN_TOPICS)
    assert [each.topic for each in house.door.refusals.of(alice.client_id)] == FOREIGN_TOPICS[-10:]
    await peer.publish(alice.events, event("own"))
    assert house.stored() == ["own"]
    await house.still_serves(bob)


async def test_events_that_name_another_user_are_rejected(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    assert await peer.subscribe((alice.receipts, 1)) == (1,)
    await peer.publish(alice.events, event("forged", user_id="bob"))
    receipt = await peer.receipt()
    assert [(entry.id, entry.code) for entry in receipt.rejected] == [("forged", "identity_mismatch")]
    assert house.stored() == []
    assert house.rejections("alice") == [("identity_mismatch", "forged")]
    assert house.rejections("bob") == []
    await peer.publish(alice.events, event("bob-0"))
    assert house.stored("alice") == ["bob-0"]
    await bob.goes_on()


async def test_two_users_may_use_the_same_event_id(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    assert await peer.subscribe((alice.receipts, 1)) == (1,)
    await bob.goes_on()
    await peer.publish(alice.events, event("bob-0", bpm=150))
    receipt = await peer.receipt()
    assert (receipt.stored, receipt.duplicate) == (["bob-0"], [])
    await house.still_serves(bob)


async def test_malformed_subscribe_is_no_way_around(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    data = bytearray(encode(Subscribe(1, (("users/bob/#", 1),))))
    data[-1] = 3
    peer.writer.write(bytes(data))
    assert await peer.closed() == []
    await house.still_serves(bob)
