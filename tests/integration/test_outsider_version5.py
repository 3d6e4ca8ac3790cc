# long: all clauses of MQTT 5 that an outsider sees, with the tables of what the standard forbids
"""MQTT 5 as an outsider sees it, on every listener: by a client of the OASIS standard, no code of the door in it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from tests.support.inprocess import House
from tests.support.outsider import AUTH, CONNACK, DISCONNECT, PUBACK, PUBLISH, Listener, Outsider, Packet
from tests.support.peer import Identity, event

Knock = Callable[[], Awaitable[Outsider]]
Dial = Callable[..., Awaitable[Outsider]]
METHOD = "healthsync-token"
GROUP = "$share/g/users/alice/canonical/+"
OWN = "users/alice/canonical/+"


@pytest.fixture
async def dial(house: House) -> AsyncIterator[Dial]:
    """Opens connections, which are closed at the end."""
    opened: list[Outsider] = []

    async def open_one(listener: Listener = Listener.PLAIN) -> Outsider:
        client = await Outsider.open(getattr(house.ready, listener.value), listener, house.tls)
        opened.append(client)
        return client

    yield open_one
    for client in opened:
        with contextlib.suppress(ConnectionError):
            await client.leave()


@pytest.fixture(params=list(Listener), ids=lambda listener: listener.name.lower())
def knock(dial: Dial, request: pytest.FixtureRequest) -> Knock:
    """Opens connections on each of the listeners."""
    return partial(dial, request.param)


async def entered(knock: Knock, identity: Identity, **said: Any) -> Outsider:
    client = await knock()
    answer = await client.connect(identity.client_id, identity.token, **said)
    assert (answer.kind, answer.reason) == (CONNACK, 0)
    return client


def batch(*events: bytes) -> bytes:
    return json.dumps({"batch": "b-1", "events": [json.loads(each) for each in events]}).encode()


async def the_end(client: Outsider) -> int:
    """The reason code of the DISCONNECT, with which the server ends the connection."""
    *_, last = await client.over()
    assert last.kind == DISCONNECT
    return last.reason


@pytest.mark.parametrize("qos", [1, 2])
async def test_the_truth_in_acknowledgements(house: House, knock: Knock, qos: int) -> None:
    alice, _ = house.device("alice"), house.device("bob")
    watch = await entered(knock, alice)
    some = await watch.put(alice.events, batch(event("a"), event("b", bpm=9000), event("c")), qos)
    assert some.reason == 0
    assert {name: some.told[name] for name in ("stored", "duplicate", "rejected", "seq", "reason", "field")} == {
        "stored": "2", "duplicate": "0", "rejected": "1", "seq": "2", "reason": "out_of_range", "field": "value.bpm",
    }  # fmt: skip
    assert some.told["epoch"] == house.service.reader.epoch
    again = await watch.put(alice.events, batch(event("a"), event("c")), qos)
    assert (again.reason, again.told["stored"], again.told["duplicate"]) == (0, "0", "2")
    for payload, reason, field in (
        (event("d", bpm=-1), "out_of_range", "value.bpm"),
        (b"{", "malformed", ""),
        (b'{"id":"x","type":"no_such","start_time":"2026-01-01T00:00:00Z","value":{}}', "unknown_type", "type"),
    ):
        none = await watch.put(alice.events, payload, qos)
        assert (none.reason, none.told["reason"], none.told.get("field", "")) == (0x99, reason, field), none
    for topic in ("users/bob/events", "users/bob/devices/watch/events", "no/such/topic", "$SYS/broker"):
        foreign = await watch.put(topic, event("e"), qos)
        assert foreign.reason == 0x87
        assert foreign.about["reason_string"]
    large = await watch.put(alice.events, bytes(house.settings.limits.max_packet), qos)
    assert large.reason == 0x97
    kept = await watch.put(alice.commands.replace("commands", "receipts"), b"", qos, retain=True)
    assert kept.reason == 0x87
    assert (await watch.put(alice.events, event("f"), qos)).reason == 0, "the connection has stayed"
    assert house.stored() == ["a", "c", "f"]


async def test_what_is_held_for_its_time_is_not_refused_for_good(house: House, knock: Knock) -> None:
    alice = house.device("alice")
    watch = await entered(knock, alice)
    early = json.dumps(json.loads(event("early")) | {"start_time": "2999-01-01T00:00:00Z"}).encode()
    for qos in (1, 2):
        answer = await watch.put(alice.events, early, qos)
        assert (answer.reason, answer.told["held"], answer.told["reason"], answer.told["field"]) == (
            0x83, "1", "future_time", "start_time",
        )  # fmt: skip
        assert "keep it" in answer.about["reason_string"]
        assert json.loads(answer.told["rejection"])["held"] is True
    some = await watch.put(alice.events, batch(event("now"), early))
    assert (some.reason, some.told["stored"], some.told["held"]) == (0, "1", "1")
    assert house.stored() == ["now"]


async def test_an_acknowledgement_comes_after_the_commit(house: House, knock: Knock) -> None:
    alice = house.device("alice")
    watch = await entered(knock, alice)
    with house.held_commits() as held:
        watch.publish(alice.events, event("a"))
        assert await watch.settled() == [], "acknowledged before it is durable"
        held.gate.set()
        assert (await watch.expect(PUBACK)).reason == 0


async def test_a_token_is_renewed_on_the_live_connection(house: House, knock: Knock) -> None:
    short, other = house.device("alice", lifetime_s=600), house.device("alice", "phone", lifetime_s=600)
    watch = await knock()
    answer = await watch.connect(
        short.client_id, None, username=None, authentication_method=METHOD, authentication_data=short.token.encode()
    )
    assert (answer.reason, answer.about["authentication_method"]) == (0, METHOD)
    left = await entered(knock, other, authentication_method=METHOD)
    watch.authenticate(house.token(house.registry.device("alice", "watch").principal, 3_600))
    renewed = await watch.expect(AUTH)
    assert (renewed.reason, renewed.about["authentication_method"]) == (0, METHOD)
    house.age_tokens(601)
    assert await the_end(left) == 0xA0, "its token was as old as the first one of the watch"
    assert (await watch.put(short.events, event("later"))).reason == 0
    watch.authenticate(other.token)
    assert await the_end(watch) == 0x87, "somebody else's token"
    plain = await entered(knock, house.device("bob"))
    plain.authenticate(short.token)
    assert await the_end(plain) == 0x82, "no method was named in CONNECT"
    named = await entered(knock, house.device("carol"), authentication_method=METHOD)
    named.authenticate(short.token, method="another")
    assert await the_end(named) == 0x82


async def test_two_members_get_each_event_once(house: House, knock: Knock) -> None:
    alice = house.device("alice")
    watch = await entered(knock, alice)
    got: dict[str, list[str]] = {}

    async def take(name: str, client: Outsider) -> None:
        while True:
            got[name].append(json.loads((await client.message()).payload)["id"])

    takers = []
    for name in ("one", "two"):
        member = await entered(knock, house.subscriber(name, ["alice"]))
        assert (await member.subscribe((GROUP, 1))).codes == (1,)
        got[name] = []
        takers.append(asyncio.create_task(take(name, member)))
    for number in range(40):
        await watch.put(alice.events, event(f"e{number}"))
    await house.until(lambda: sum(map(len, got.values())) >= 40, "all events are there")
    for taker in takers:
        taker.cancel()
    await asyncio.gather(*takers, return_exceptions=True)
    assert sorted(got["one"] + got["two"]) == sorted(f"e{number}" for number in range(40))


async def test_the_past_comes_before_the_present(house: House, knock: Knock) -> None:
    alice = house.device("alice")
    watch = await entered(knock, alice)
    for number in range(5):
        await watch.put(alice.events, event(f"e{number}"))
    app = await entered(knock, house.subscriber("app", ["alice"]))
    asked = await app.subscribe((OWN, 1), user_property=[("from", "earliest")], subscription_identifier=[268_435_455])
    assert asked.codes == (1,)
    await watch.put(alice.events, event("live"))
    came = [await app.message() for _ in range(6)]
    assert [json.loads(each.payload)["id"] for each in came] == [*(f"e{number}" for number in range(5)), "live"]
    assert {tuple(each.about["subscription_identifier"]) for each in came} == {(268_435_455,)}
    assert {each.about["content_type"] for each in came} == {"application/json"}
    worker = await entered(knock, house.subscriber("worker", ["alice"]))
    assert (await worker.subscribe((GROUP, 1), user_property=[("from", "earliest")])).codes == (1,)
    assert [json.loads((await worker.message()).payload)["id"] for _ in range(6)][-1] == "live"
    for text in ("never", "2026-01-01T00:00:00", "-1"):
        refused = await worker.subscribe((OWN, 1), user_property=[("from", text)])
        assert refused.codes == (0x83,)
        assert refused.about["reason_string"]


async def test_connack_tells_what_holds(house: House, knock: Knock) -> None:
    alice, limits = house.device("alice"), house.settings.limits
    watch = await knock()
    about = (
        await watch.connect(
            "", alice.token, username=alice.client_id, keep_alive=0, session_expiry_interval=0xFFFF_FFFF,
            request_response_information=1,
        )
    ).about  # fmt: skip
    assert about.pop("receive_maximum") == min(limits.receive_window, limits.max_unreleased)
    assert about.pop("maximum_packet_size") == limits.max_packet
    assert about.pop("topic_alias_maximum") > 0
    assert about.pop("session_expiry_interval") == limits.session_expiry_s
    assert about.pop("server_keep_alive") == limits.max_keep_alive_s
    assert about.pop("assigned_client_identifier") == alice.client_id
    (listed,) = house.door.clients()
    assert (listed["client_id"], listed["protocol"]) == (alice.client_id, "MQTT 5.0")
    assert about.pop("response_information") == "users/alice/devices/watch/token/response"
    assert about == dict.fromkeys(
        (
            "retain_available", "wildcard_subscription_available", "subscription_identifier_available",
            "shared_subscription_available",
        ),
        1,
    )  # fmt: skip


async def test_codes_of_subscriptions(house: House, knock: Knock) -> None:
    house.device("alice")
    app = await entered(knock, house.subscriber("app", ["alice"]))
    answer = await app.subscribe(
        (OWN, 2), ("users/bob/canonical/+", 1), ("no/such", 0), (GROUP, 1), ("$share/g/users/bob/canonical/+", 1),
        ("users/alice/devices/+/status", 1), ("$share//a", 1), ("$share/g/", 1), ("$share/g", 1), ("$share/+/a", 1),
    )  # fmt: skip
    assert answer.codes == (2, 0x87, 0x8F, 1, 0x87, 1, 0x8F, 0x8F, 0x8F, 0x8F)
    assert answer.about["reason_string"]
    assert (await app.unsubscribe(OWN, OWN, GROUP, "users/bob/canonical/+")).codes == (0, 0x11, 0, 0x11)
    root = await entered(knock, house.admin())
    assert (await root.subscribe(("$share/g/users/+/devices/+/status", 1))).codes == (0x9E,)


async def test_flow_and_size_of_the_client_are_kept_to(house: House, knock: Knock) -> None:
    alice = house.device("alice")
    watch = await entered(knock, alice)
    app = await entered(
        knock, house.subscriber("app", ["alice"]), receive_maximum=2, maximum_packet_size=300, topic_alias_maximum=1
    )
    await app.subscribe((alice.status, 1))
    await watch.put(alice.status, bytes(1_000))
    for number in range(5):
        await watch.put(alice.status, b"%d" % number)
    first = [each for each in await app.settled() if each.kind == PUBLISH]
    assert [each.payload for each in first] == [b"0", b"1"]
    assert [(each.topic, each.about["topic_alias"]) for each in first] == [(alice.status, 1), ("", 1)]
    app.acknowledge(first[0])
    third = await app.message(acknowledged=False)
    assert third.payload == b"2"
    assert await app.settled() == []
    for each in (first[1], third):
        app.acknowledge(each)
    assert [(await app.message()).payload for _ in range(2)] == [b"3", b"4"]


async def test_aliases_of_the_client(house: House, knock: Knock) -> None:
    alice = house.device("alice")
    watch = await entered(knock, alice)
    assert (await watch.put(alice.events, event("a"), topic_alias=1)).reason == 0
    assert (await watch.put("", event("b"), topic_alias=1)).reason == 0
    assert (await watch.put("users/bob/events", event("c"), topic_alias=1)).reason == 0x87
    assert (await watch.put("", event("d"), topic_alias=1)).reason == 0x87, "the alias stands for the other topic now"
    assert (await watch.put(alice.events, event("e"), topic_alias=1)).reason == 0
    assert house.stored() == ["a", "b", "e"]


async def test_sessions_wills_and_expiry(house: House, knock: Knock) -> None:
    alice, reader = house.device("alice"), house.subscriber("app", ["alice"])
    app = await entered(knock, reader, session_expiry_interval=1_000)
    await app.subscribe((alice.status, 1))
    app.disconnect()
    assert await app.over() == []
    will = (alice.status, b"lost", 1, False, {"will_delay_interval": 1_000, "user_property": [("a", "1"), ("a", "2")]})
    watch = await entered(knock, alice, will=will, session_expiry_interval=500)
    await watch.put(alice.status, b"kept", message_expiry_interval=1_000, user_property=[("x", "y")])
    await watch.cut()
    watch = await knock()
    back = await watch.connect(alice.client_id, alice.token, clean=False, session_expiry_interval=500, will=will)
    assert back.session_present
    await watch.put(alice.status, b"back")
    watch.disconnect(0x04)  # with will, which waits
    await watch.over()
    watch = await knock()
    fresh = await watch.connect(alice.client_id, alice.token, clean=True)
    assert not fresh.session_present
    app = await knock()
    assert (await app.connect(reader.client_id, reader.token, clean=False)).session_present
    kept, again, lost = [await app.message() for _ in range(3)]
    assert (kept.payload, kept.about["user_property"]) == (b"kept", [("x", "y")])
    assert 0 < kept.about["message_expiry_interval"] <= 1_000
    assert again.payload == b"back"
    assert (lost.payload, lost.about) == (b"lost", {"user_property": [("a", "1"), ("a", "2")]})
    app.disconnect(0, session_expiry_interval=1)
    assert await the_end(app) == 0x82, "its session was to end with the connection"


async def test_options_of_subscriptions(house: House, knock: Knock) -> None:
    alice = house.device("alice")
    watch = await entered(knock, alice)
    await watch.put(alice.status, b"retained", retain=True)
    no_local, as_published, never = 0x04, 0x08, 0x20
    await watch.subscribe((alice.status, 1 | no_local | never))
    app = await entered(knock, house.subscriber("app", ["alice"]))
    await app.subscribe((alice.status, 1 | as_published))
    first = await app.message()
    assert (first.payload, first.retain) == (b"retained", True)
    for retain in (True, False):
        await watch.put(alice.status, b"on", retain=retain)
        assert (await app.message()).retain is retain
    for handling, comes in ((1, 0), (2, 0), (0, 1)):
        await app.subscribe((alice.status, 1 | handling << 4))
        came = [each for each in await app.settled() if each.kind == PUBLISH]
        assert len(came) == comes
        for each in came:
            app.acknowledge(each)
    assert await watch.settled() == [], "no-local"


async def test_a_request_gets_its_answer(house: House, knock: Knock) -> None:
    alice = house.device("alice")
    watch = await knock()
    said = await watch.connect(alice.client_id, alice.token, request_response_information=1)
    topic = said.about["response_information"]
    assert (await watch.subscribe((topic, 1), subscription_identifier=[3])).codes == (1,)
    asked = await watch.put(
        topic.replace("response", "request"), b"{}", response_topic=topic, correlation_data=b"\x00\xff17"
    )
    assert asked.reason == 0
    answer = await watch.message()
    assert (answer.topic, answer.about["correlation_data"], answer.about["subscription_identifier"]) == (
        topic, b"\x00\xff17", [3],
    )  # fmt: skip


async def test_how_the_server_ends_connections(house: House, knock: Knock) -> None:
    alice = house.device("alice")
    first = await entered(knock, alice)
    second = await entered(knock, alice)
    assert await the_end(first) == 0x8E
    assert house.door.kick(alice.client_id)
    assert await the_end(second) == 0x98
    assert await the_end(await entered(knock, alice, keep_alive=1)) == 0x8D
    watch = await entered(knock, alice)
    for _ in range(house.settings.limits.refused_publishes + 1):
        watch.publish("no/such", b"")
    assert await the_end(watch) == 0x97
    bob = house.device("bob")
    watch = await entered(knock, bob)
    house.registry.revocation.revoke_device_tokens("bob", "watch", 2_000_000_000_000_000)
    house.look()
    assert await the_end(watch) == 0x98
    last = await entered(knock, alice)
    await house.serving.quiet()
    stop = asyncio.create_task(house.serving.leave())
    assert await the_end(last) == 0x8B
    await stop


@pytest.mark.parametrize("changes", [{"limits.failed_login_base_s": 0.01}], ids=["quick refusals"])
async def test_logins_that_are_refused(house: House, knock: Knock) -> None:
    alice, bob = house.device("alice"), house.device("bob")
    will = ("users/bob/devices/watch/status", b"", 0, False, {})
    tries: list[tuple[int, tuple[str, str | None], dict[str, Any]]] = [
        (0x86, (alice.client_id, "nonsense"), {}),
        (0x86, (alice.client_id, bob.token), {}),
        (0x85, ("", alice.token), {"username": None}),
        (0x87, (alice.client_id, alice.token), {"will": will}),
        (0x8C, (alice.client_id, None), {"authentication_method": "SCRAM-SHA-1"}),
    ]
    for code, who, said in tries:
        client = await knock()
        answer = await client.connect(*who, **said)
        assert (answer.kind, answer.reason, answer.session_present) == (CONNACK, code, False), (code, answer)
        assert await client.over() == []
    house.registry.revocation.revoke_device_tokens("bob", "watch", 2_000_000_000_000_000)
    house.look()
    client = await knock()
    assert (await client.connect(bob.client_id, bob.token)).reason == 0x8A


def wrong(first: int, body: str) -> bytes:
    """A packet with the right length."""
    content = bytes.fromhex(body)
    return bytes((first, len(content))) + content


WRONG: dict[str, tuple[bytes, set[int]]] = {
    "a second CONNECT": (wrong(0x10, "0004 4d515454 05 02 003c 00 0000"), {0x82}),
    "a QoS of 3": (wrong(0x36, "0001 61 0001 00"), {0x81}),
    "DUP at QoS 0": (wrong(0x38, "0001 61 00"), {0x81}),
    "no topic and no alias": (wrong(0x30, "0000 00"), {0x82}),
    "an alias of 0": (wrong(0x30, "0001 61 03 23 0000"), {0x82, 0x94}),
    "an alias that is too high": (wrong(0x30, "0001 61 03 23 ffff"), {0x94}),
    "an alias that stands for nothing": (wrong(0x30, "0000 03 23 0007"), {0x82}),
    "a wildcard in a topic": (wrong(0x30, "0003 612f23 00"), {0x81, 0x90}),
    "a property twice": (wrong(0x30, "0001 61 04 0100 0101"), {0x82}),
    "a property of another packet": (wrong(0x30, "0001 61 05 11 00000001"), {0x81, 0x82}),
    "a property that does not exist": (wrong(0x30, "0001 61 02 7f00"), {0x81}),
    "properties longer than the packet": (wrong(0x30, "0001 61 05 01"), {0x81}),
    "a subscription identifier of the client": (wrong(0x30, "0001 61 02 0b01"), {0x82}),
    "a response topic with a wildcard": (wrong(0x30, "0001 61 04 08 0001 23"), {0x81, 0x82}),
    "half a surrogate pair": (wrong(0x30, "0003 eda080 00"), {0x81}),
    "a NUL in a topic": (wrong(0x30, "0002 6100 00"), {0x81}),
    "a packet id of 0": (wrong(0x32, "0001 61 0000 00"), {0x81, 0x82}),
    "SUBSCRIBE without filters": (wrong(0x82, "0001 00"), {0x82}),
    "SUBSCRIBE with other flags": (wrong(0x80, "0001 00 0001 61 00"), {0x81}),
    "retain handling 3": (wrong(0x82, "0001 00 0001 61 30"), {0x82}),
    "a reserved option": (wrong(0x82, "0001 00 0001 61 40"), {0x81}),
    "a maximum QoS of 3": (wrong(0x82, "0001 00 0001 61 03"), {0x82}),
    "two subscription identifiers": (wrong(0x82, "0001 04 0b01 0b02 0001 61 00"), {0x82}),
    "a subscription identifier of 0": (wrong(0x82, "0001 02 0b00 0001 61 00"), {0x82}),
    "no-local on a shared one": (wrong(0x82, "0001 00 0020" + GROUP.encode().hex() + "05"), {0x82}),
    "UNSUBSCRIBE without filters": (wrong(0xA2, "0001 00"), {0x82}),
    "PINGREQ with a body": (wrong(0xC0, "00"), {0x81}),
    "a reason that PUBACK has not": (wrong(0x40, "0001 55"), {0x81, 0x82}),
    "PUBREL with other flags": (wrong(0x60, "0001"), {0x81}),
    "a packet of the server": (wrong(0x20, "00 00 00"), {0x81, 0x82}),
    "AUTH without a method": (wrong(0xF0, "19 00"), {0x82}),
    "a reserved packet type": (wrong(0x00, ""), {0x81}),
    "a length of five bytes": (bytes.fromhex("30 ff ff ff ff 01"), {0x81}),
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_the_standard_forbids_ends_the_connection_with_its_code(house: House, dial: Dial, name: str) -> None:
    content, codes = WRONG[name]
    alice = house.device("alice")
    watch = await dial()
    assert (await watch.connect(alice.client_id, alice.token)).reason == 0
    watch.raw(content)
    watch.packet(0xC0, b"")
    found = await watch.over()
    assert [each.kind for each in found] == [DISCONNECT], found
    assert found[0].reason in codes


NOT_LOGGED_IN: dict[str, tuple[str, set[int]]] = {
    "a reserved flag": ("03 003c 00 0000", {0x81}),
    "a will's QoS of 3": ("1e 003c 00 0000 00 0001 61 0000", {0x81}),
    "the QoS of no will": ("0a 003c 00 0000", {0x81}),
    "a receive maximum of 0": ("02 003c 03 21 0000 0000", {0x82}),
    "a maximum packet size of 0": ("02 003c 05 27 00000000 0000", {0x82}),
    "problem information 2": ("02 003c 02 17 02 0000", {0x82}),
    "response information 2": ("02 003c 02 19 02 0000", {0x82}),
    "a session expiry twice": ("02 003c 0a 11 00000001 11 00000001 0000", {0x82}),
    "data without a method": ("02 003c 04 16 0001 61 0000", {0x82}),
    "a property of another packet": ("02 003c 03 23 0001 0000", {0x81, 0x82}),
    "a will on a wildcard": ("06 003c 00 0000 00 0001 23 0000", {0x81, 0x90}),
    "a will that wants its answer on a wildcard": ("06 003c 00 0000 04 08 0001 23 0001 61 0000", {0x81, 0x82}),
    "a will with a payload format of 2": ("06 003c 00 0000 02 01 02 0001 61 0000", {0x82}),
    "bytes behind the end": ("02 003c 00 0000 00", {0x81}),
}


@pytest.mark.parametrize("name", NOT_LOGGED_IN)
async def test_a_connect_that_the_standard_forbids_is_answered_with_its_code(dial: Dial, name: str) -> None:
    body, codes = NOT_LOGGED_IN[name]
    watch = await dial()
    watch.raw(wrong(0x10, "0004 4d515454 05" + body))
    found = await watch.over()
    assert [each.kind for each in found] == [CONNACK], found
    assert found[0].reason in codes


@pytest.mark.parametrize(("protocol", "code"), [("0004 4d515454 06", 0x84), ("0004 4d515454 ff", 0x84)])
async def test_another_version_is_told_so(dial: Dial, protocol: str, code: int) -> None:
    watch = await dial()
    watch.raw(wrong(0x10, protocol + "02 003c 00 0000"))
    (answer,) = await watch.over()
    assert (answer.kind, answer.reason) == (CONNACK, code)


async def test_what_is_not_mqtt_by_its_name_is_not_let_in(dial: Dial) -> None:
    watch = await dial()
    watch.raw(wrong(0x10, "0002 686a 05 02 003c 00 0000"))
    assert [(each.kind, each.reason) for each in await watch.over()] in ([], [(CONNACK, 0x84)])


async def test_without_problem_information_only_codes(house: House, knock: Knock) -> None:
    alice = house.device("alice")
    watch = await entered(knock, alice, request_problem_information=0)
    answers = [
        await watch.put(alice.events, event("a", bpm=-1)),
        await watch.put("no/such", b""),
        await watch.subscribe(("no/such", 1)),
        await watch.unsubscribe("no/such"),
    ]
    assert [(each.reason, each.codes, each.about) for each in answers] == [
        (0x99, (), {}), (0x87, (), {}), (0, (0x8F,), {}), (0, (0x11,), {}),
    ]  # fmt: skip


async def test_bytes_that_come_one_by_one(house: House, dial: Dial) -> None:
    """Also in WebSocket frames of one byte each: packets and frames have nothing to do with each other."""
    for listener in Listener:
        alice = house.device("alice", listener.value)
        watch = await dial(listener)
        whole = watch.raw

        def drip(content: bytes, whole: Callable[[bytes], None] = whole) -> None:
            for byte in content:
                whole(bytes((byte,)))

        watch.raw = drip  # type: ignore[method-assign]
        assert (await watch.connect(alice.client_id, alice.token)).reason == 0
        answer: Packet = await watch.put(alice.events, event(listener.value))
        assert answer.told["stored"] == "1"
