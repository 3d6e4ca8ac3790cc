"""MQTT 5 at the door, on the wire: what became of an event is in its acknowledgement, and codes say why."""

import json
from typing import Any

import pytest

from healthsync_mqtt.mqtt.codec.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Property,
    Pubcomp,
    Publish,
    Pubrel,
    Will,
)
from tests.integration.test_enrolment import identity, opened
from tests.support.inprocess import House
from tests.support.peer import Identity, event
from tests.support.peer5 import Peer5, told


async def knock(house: House, *, tls: bool = False) -> Peer5:
    peer = await Peer5.open(house.ready.mqtts if tls else house.ready.mqtt, tls=house.tls if tls else None)
    house.peers.append(peer)
    return peer


async def connect(house: House, identity: Identity, *, tls: bool = False, **options: Any) -> Peer5:
    peer = await knock(house, tls=tls)
    answer = await peer.connect(identity, **options)
    assert answer.code == 0
    return peer


def batch(*events: bytes) -> bytes:
    return json.dumps({"batch": "b-1", "events": [json.loads(each) for each in events]}).encode()


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("qos", [1, 2])
async def test_an_acknowledgement_says_what_became_of_the_events(house: House, qos: int, tls: bool) -> None:
    alice = house.device("alice")
    watch = await connect(house, alice, tls=tls)
    answer = await watch.put(alice.events, batch(event("a"), event("b", bpm=9000), event("c")), qos)
    assert answer.reason == 0
    epoch = house.service.reader.epoch
    about = told(answer)
    assert json.loads(about.pop("rejection"))["index"] == 1
    assert about == {
        "stored": "2", "duplicate": "0", "rejected": "1", "seq": "2", "epoch": epoch,
        "reason": "out_of_range", "field": "value.bpm",
    }  # fmt: skip
    answer = await watch.put(alice.events, event("a"), qos)
    assert (answer.reason, told(answer)["stored"], told(answer)["duplicate"]) == (0, "0", "1")
    answer = await watch.put(alice.events, event("d", bpm=-1), qos)
    assert answer.reason == 0x99
    assert (told(answer)["reason"], told(answer)["field"]) == ("out_of_range", "value.bpm")
    assert house.stored() == ["a", "c"]


async def test_a_topic_of_another_is_refused_and_the_connection_stays(house: House) -> None:
    alice, _ = house.device("alice"), house.device("bob")
    watch = await connect(house, alice)
    for topic in ("users/bob/events", "users/bob/devices/watch/events", alice.events + "/", "elsewhere"):
        answer = await watch.put(topic, event("x"))
        assert answer.reason == 0x87
        assert answer.properties[Property.REASON_STRING]
    assert (await watch.put(alice.events, event("a"))).reason == 0


async def test_retain_on_events_is_ignored_and_said(house: House) -> None:
    alice = house.device("alice")
    watch = await connect(house, alice)
    answer = await watch.put(alice.events, event("a"), retain=True)
    assert (answer.reason, told(answer)["ignored"]) == (0, "retain")


async def test_without_problem_information_codes_come_alone(house: House) -> None:
    alice = house.device("alice")
    watch = await connect(house, alice, about={Property.REQUEST_PROBLEM_INFORMATION: 0})
    answer = await watch.put(alice.events, event("d", bpm=-1))
    assert (answer.reason, answer.properties) == (0x99, {})
    assert (await watch.put("elsewhere", b"")).properties == {}
    assert (await watch.ask(("users/bob/#", 1))).properties == {}


async def test_connack_says_what_holds_here(house: House) -> None:
    alice = house.device("alice")
    watch = await knock(house)
    answer = await watch.connect(
        alice,
        client_id="",
        keep_alive=0,
        about={Property.SESSION_EXPIRY: 0xFFFF_FFFF, Property.REQUEST_RESPONSE_INFORMATION: 1},
    )
    limits = house.settings.limits
    assert answer.properties == {
        Property.RECEIVE_MAXIMUM: min(limits.receive_window, limits.max_unreleased),
        Property.MAXIMUM_PACKET_SIZE: limits.max_packet,
        Property.TOPIC_ALIAS_MAXIMUM: 16,
        Property.RETAIN_AVAILABLE: 1,
        Property.WILDCARD_SUBSCRIPTION_AVAILABLE: 1,
        Property.SUBSCRIPTION_IDS_AVAILABLE: 1,
        Property.SHARED_SUBSCRIPTION_AVAILABLE: 1,
        Property.SESSION_EXPIRY: int(limits.session_expiry_s),
        Property.ASSIGNED_CLIENT_ID: alice.client_id,
        Property.SERVER_KEEP_ALIVE: limits.max_keep_alive_s,
        Property.RESPONSE_INFORMATION: "users/alice/devices/watch/token/response",
    }


@pytest.mark.parametrize("changes", [{"limits.failed_login_base_s": 0.01}], ids=["quick refusals"])
@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"password": b"nonsense"}, 0x86),
        ({"client_id": "somebody"}, 0x86),
        ({"client_id": "", "username": None}, 0x85),
        ({"username": None}, 0),
        ({"username": None, "client_id": "somebody"}, 0x86),
        ({"will": Will("users/bob/devices/w/status", b"x")}, 0x87),
        ({"properties": {Property.AUTHENTICATION_METHOD: "SCRAM-SHA-1"}}, 0x8C),
        ({"properties": {Property.MAXIMUM_PACKET_SIZE: 31}}, 0x95),
        ({"properties": {Property.MAXIMUM_PACKET_SIZE: 32, Property.SESSION_EXPIRY: 1 << 31}, "keep_alive": 0}, 0),
    ],
)
async def test_connack_codes(house: House, said: dict[str, Any], code: int) -> None:
    watch = await knock(house)
    assert (await watch.connect(house.device("alice"), **said)).code == code


@pytest.mark.parametrize("changes", [{"limits.failed_login_base_s": 0.01}], ids=["quick refusals"])
async def test_who_was_revoked_is_told_so_and_banned(house: House) -> None:
    alice = house.device("alice")
    watch = await connect(house, alice)
    house.registry.revocation.revoke_device_tokens("alice", "watch", 2_000_000_000_000_000)
    house.look()
    assert (await watch.farewell()).reason == 0x98
    assert (await (await knock(house)).connect(alice)).code == 0x8A


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (b"\x10\x0c\x00\x04MQTT\x05\x03\x00\x3c\x00\x00\x00", 0x81),  # a reserved flag
        (b"\x10\x13\x00\x04MQTT\x05\x02\x00\x3c\x06\x11\x00\x00\x00\x01\x11", 0x81),  # cut short
        (b"\x10\x80\x80\x04\x00\x04MQTT\x05", 0x95),
        (b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x3c\x00\x00\x00", 0x84),
    ],
)
async def test_a_connect_that_cannot_be_read_is_answered(house: House, first: bytes, code: int) -> None:
    watch = await knock(house)
    watch.send(first)
    if first[1] == 0x13:
        watch.send(b"\x00\x00\x00\x01\x00")
    (answer,) = await watch.closed()
    assert answer.code == code


async def test_suback_and_unsuback_codes(house: House) -> None:
    alice = house.device("alice")
    app = await connect(house, house.subscriber("app", ["alice"]))
    answer = await app.ask(
        ("users/alice/canonical/+", 2),
        ("users/bob/canonical/+", 1),
        ("no/such", 1),
        ("$share/g/users/alice/canonical/+", 1),
        ("$share/g/users/bob/canonical/+", 1),
        ("$share/g/users/alice/#", 1),
        ("$share/g.h/users/alice/canonical/+", 1),
        ("$share/g", 1),
    )
    assert answer.codes == (2, 0x87, 0x8F, 1, 0x87, 0x87, 0x8F, 0x8F)
    assert answer.properties[Property.REASON_STRING]
    assert (await app.unsubscribe("users/alice/canonical/+", "users/alice/canonical/+")).codes == (0, 0x11)
    watch = await connect(house, alice)
    await watch.put(alice.events, event("a"))


async def test_a_disconnect_of_the_server_says_why(house: House) -> None:
    alice = house.device("alice")
    first = await connect(house, alice)
    second = await connect(house, alice)
    assert (await first.farewell()).reason == 0x8E
    assert house.door.kick(alice.client_id)
    assert (await second.farewell()).reason == 0x98
    third = await connect(house, alice)
    third.send(Publish(b"", b"x", 0, properties={Property.TOPIC_ALIAS: 17}))
    assert (await third.farewell()).reason == 0x94
    fourth = await connect(house, alice)
    fourth.send(b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00")
    assert (await fourth.farewell()).reason in {0x81, 0x82}


async def test_qos_2_ends_with_its_completion(house: House) -> None:
    alice = house.device("alice")
    watch = await connect(house, alice)
    answer = await watch.put(alice.events, event("a"), 2)
    watch.send(Pubrel(answer.packet_id))
    assert await watch.expect(Pubcomp) == Pubcomp(answer.packet_id)
    watch.send(Disconnect())
    await watch.closed()


async def test_new_credentials_on_a_live_connection(house: House) -> None:
    alice = house.device("alice")
    method = {Property.AUTHENTICATION_METHOD: "healthsync-token"}
    watch = await knock(house)
    data = {Property.AUTHENTICATION_DATA: alice.token.encode()}
    answer = await watch.connect(alice, username=None, password=None, about=method | data)
    assert (answer.code, answer.properties[Property.AUTHENTICATION_METHOD]) == (0, "healthsync-token")
    fresh = house.device("alice", "phone").token
    watch.send(Auth(0x19, method | data))
    assert (await watch.expect(Auth)).reason == 0
    watch.send(Auth(0x19, method | {Property.AUTHENTICATION_DATA: fresh.encode()}))
    assert (await watch.farewell()).reason == 0x87


async def test_a_fresh_token_outlives_the_first_one(house: House) -> None:
    method = {Property.AUTHENTICATION_METHOD: "healthsync-token"}
    renewed, left = (house.device("alice", name, lifetime_s=600) for name in ("watch", "phone"))
    watch = await connect(house, renewed, about=method)
    phone = await connect(house, left, about=method)
    found = house.edge.directory.principal(renewed.client_id)
    assert found is not None
    fresh = house.token(found, 3600).encode()
    watch.send(Auth(0x19, method | {Property.AUTHENTICATION_DATA: fresh}))
    assert await watch.expect(Auth) == Auth(0, method)
    house.age_tokens(601)
    assert (await phone.farewell()).reason == 0xA0, "its token was as old as the first one of the watch"
    assert (await watch.put(renewed.events, event("later"))).reason == 0


@pytest.mark.parametrize("changes", [{"limits.failed_login_base_s": 0.001}], ids=["quick refusals"])
async def test_enrolment_is_a_request_with_its_answer(house: House) -> None:
    code = opened(house)
    guest = await knock(house)
    method = {Property.AUTHENTICATION_METHOD: "healthsync-token", Property.AUTHENTICATION_DATA: code.encode()}
    asked = Connect("enroll-a", True, 60, "enroll", None, None, 5, "MQTT", method | {Property.SESSION_EXPIRY: 100})
    guest.send(asked._replace(properties=asked.properties | {Property.REQUEST_RESPONSE_INFORMATION: 1}))
    answer = await guest.expect(Connack)
    assert (answer.code, answer.properties[Property.SESSION_EXPIRY]) == (0, 0), "a guest has no session that lasts"
    response = answer.properties[Property.RESPONSE_INFORMATION]
    await guest.ask((response, 1))
    await guest.put("enroll/enroll-a/request", b"{}", response_topic=response, correlation_data=b"x")
    message = await guest.message()
    assert (message.topic, message.properties[Property.CORRELATION_DATA]) == (response.encode(), b"x")
    phone = await connect(house, identity(json.loads(message.payload)))
    assert (await phone.put("users/alice/devices/phone/events", event("e1"))).reason == 0
