"""MQTT 5 on the wire: sessions, flow control and what a message carries, in every mix with clients of 3.1.1."""

import asyncio
import json

import pytest

from healthsync_mqtt.mqtt.codec.packets import (
    NO_LOCAL,
    RETAIN_AS_PUBLISHED,
    RETAIN_HANDLING_SHIFT,
    Disconnect,
    Pingreq,
    Property,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    Will,
)
from tests.integration.test_door_version5 import connect, knock
from tests.support.inprocess import House
from tests.support.peer import Identity, Peer, event
from tests.support.peer5 import Peer5

USER = (("trace", "1"), ("trace", "2"))


async def joined(house: House, identity: Identity, version: int) -> Peer:
    return await connect(house, identity) if version == 5 else await house.connect(identity)


@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("versions", [(4, 5), (5, 4), (5, 5)], ids=str)
async def test_messages_go_between_the_versions(
    house: House, versions: tuple[int, int], qos: int, granted: int
) -> None:
    alice, app = house.device("alice"), house.subscriber("app", ["alice"])
    watch, reader = await joined(house, alice, versions[0]), await joined(house, app, versions[1])
    assert await reader.subscribe((alice.status, granted), ("users/alice/canonical/+", granted)) == (granted, granted)
    await watch.publish(alice.status, b"on", qos)
    message = await reader.message()
    assert (message.topic, message.payload, message.qos) == (alice.status.encode(), b"on", min(qos, granted))
    if versions[0] == 4:
        await watch.publish(alice.events, event("a"), qos)
    elif qos:
        await watch.put(alice.events, event("a"), qos)
    else:
        watch.send(Publish(alice.events.encode(), event("a")))
    canonical = await reader.message()
    assert (json.loads(canonical.payload)["id"], canonical.qos) == ("a", min(1, granted))
    if versions[1] == 5:
        assert canonical.properties[Property.CONTENT_TYPE] == "application/json"
        assert canonical.properties[Property.PAYLOAD_FORMAT] == 1


async def test_what_a_message_says_of_itself_goes_on_unaltered(house: House) -> None:
    alice, app = house.device("alice"), house.subscriber("app", ["alice"])
    watch, reader = await connect(house, alice), await connect(house, app)
    await reader.ask((alice.status, 1), about={Property.SUBSCRIPTION_ID: (7,)})
    await reader.ask(("users/alice/devices/+/status", 1), about={Property.SUBSCRIPTION_ID: (268_435_455,)})
    about = {
        Property.PAYLOAD_FORMAT: 1,
        Property.CONTENT_TYPE: "text/plain",
        Property.RESPONSE_TOPIC: "anywhere",
        Property.CORRELATION_DATA: b"\0\xff",
        Property.USER_PROPERTY: USER,
    }
    watch.send(Publish(alice.status.encode(), b"on", 1, False, False, 9, about | {Property.MESSAGE_EXPIRY: 1_000}))
    message = await reader.message()
    left = dict(message.properties)
    assert 0 < left.pop(Property.MESSAGE_EXPIRY) <= 1_000
    assert sorted(left.pop(Property.SUBSCRIPTION_ID)) == [7, 268_435_455]
    assert left == about


async def test_subscription_options(house: House) -> None:
    alice, app = house.device("alice"), house.subscriber("app", ["alice"])
    watch, reader = await connect(house, alice), await connect(house, app)
    await watch.put(alice.status, b"first", retain=True)
    await watch.ask((alice.status, 1 | NO_LOCAL))
    await watch.message()  # what is retained comes all the same
    await watch.put(alice.status, b"second", retain=True)
    assert await watch.settle() == [], "a client's own message came back"

    for handling, expected in ((0, [b"second"]), (0, [b"second"]), (1, []), (2, [])):
        await reader.ask((alice.status, 1 | handling << RETAIN_HANDLING_SHIFT))
        came = [each for each in await reader.settle() if isinstance(each, Publish)]
        assert [(each.payload, each.retain) for each in came] == [(payload, True) for payload in expected]
        reader.send(*(Puback(each.packet_id) for each in came))
    await reader.unsubscribe(alice.status)
    await reader.ask((alice.status, 1 | RETAIN_AS_PUBLISHED | 1 << RETAIN_HANDLING_SHIFT))
    assert (await reader.message()).payload == b"second"
    for retain in (True, False):
        await watch.put(alice.status, b"third", retain=retain)
        assert (await reader.message()).retain is retain


async def test_topic_aliases_both_ways(house: House) -> None:
    alice, app = house.device("alice"), house.subscriber("app", ["alice"])
    watch = await connect(house, alice)
    reader = await connect(house, app, about={Property.TOPIC_ALIAS_MAXIMUM: 1})
    await reader.ask((alice.status, 1), ("users/alice/canonical/+", 1))
    alias = {Property.TOPIC_ALIAS: 16}
    for number, topic in ((1, alice.events), (2, ""), (3, "")):
        watch.send(Publish(topic.encode(), event(f"e{number}"), 1, False, False, number, alias))
        assert (await watch.expect(Puback)).packet_id == number
    assert house.stored() == ["e1", "e2", "e3"]
    came = [await reader.message() for _ in range(3)]
    assert [each.topic for each in came] == [b"users/alice/canonical/heart_rate", b"", b""]
    assert [each.properties[Property.TOPIC_ALIAS] for each in came] == [1, 1, 1]
    await watch.put(alice.status, b"on")
    assert (await reader.message()).topic == alice.status.encode(), "more aliases than the client takes"
    watch.send(Publish(b"", b"x", 0, properties={Property.TOPIC_ALIAS: 3}))
    assert (await watch.farewell()).reason == 0x82


async def test_the_client_says_how_much_it_takes(house: House) -> None:
    alice, app = house.device("alice"), house.subscriber("app", ["alice"])
    watch = await connect(house, alice)
    reader = await connect(house, app, about={Property.RECEIVE_MAXIMUM: 2, Property.MAXIMUM_PACKET_SIZE: 200})
    await reader.ask((alice.status, 2))
    await watch.put(alice.status, bytes(1_000))
    for number in range(4):
        await watch.put(alice.status, b"%d" % number)
    first = [each for each in await reader.settle() if isinstance(each, Publish)]
    assert [each.payload for each in first] == [b"0", b"1"]
    reader.send(Puback(first[1].packet_id))
    assert (await reader.message()).payload == b"2"
    reader.send(Puback(first[0].packet_id, 0x83))
    assert (await reader.message()).payload == b"3"
    await watch.put(alice.status, b"refused", 2)
    refused = await reader.expect(Publish)
    reader.send(Pubrec(refused.packet_id, 0x97))
    assert await reader.settle() == []


@pytest.mark.parametrize("changes", [{"limits.receive_window": 3}], ids=["three at once"])
async def test_who_does_not_release_what_it_sent_is_cut_off(house: House) -> None:
    alice = house.device("alice")
    watch = await connect(house, alice)
    for _ in range(2):
        refused = await watch.put("elsewhere", b"", 2)
        assert refused.reason == 0x87, "its exchange is over"
    for number in range(3):
        await watch.put(alice.events if number % 2 else alice.status, event(f"e{number}"), 2)
    watch.send(Publish(alice.events.encode(), event("e3"), 2, False, False, 100))
    assert (await watch.farewell()).reason == 0x93


async def test_a_session_lasts_as_long_as_it_was_asked_for(house: House) -> None:
    alice, app = house.device("alice"), house.subscriber("app", ["alice"])
    watch = await connect(house, alice)
    reader = await connect(house, app, about={Property.SESSION_EXPIRY: 100})
    await reader.ask((alice.status, 1), about={Property.SUBSCRIPTION_ID: (5,)})
    reader.send(Disconnect(0, {Property.SESSION_EXPIRY: 50}))
    await reader.closed()
    await watch.put(alice.status, b"missed", user_property=USER)
    again = await knock(house)
    answer = await again.connect(app, clean=False, about={Property.SESSION_EXPIRY: 0})
    assert answer.session_present
    message = await again.message()
    assert (message.payload, message.properties[Property.SUBSCRIPTION_ID]) == (b"missed", (5,))
    assert message.properties[Property.USER_PROPERTY] == USER
    again.send(Disconnect())
    await again.closed()
    third = await knock(house)
    assert not (await third.connect(app, clean=False)).session_present
    third.send(Disconnect(0, {Property.SESSION_EXPIRY: 1}))
    assert (await third.farewell()).reason == 0x82


async def test_a_message_expires_while_its_reader_is_away(house: House) -> None:
    alice, app = house.device("alice"), house.subscriber("app", ["alice"])
    watch = await connect(house, alice)
    reader = await connect(house, app, about={Property.SESSION_EXPIRY: 100})
    await reader.ask((alice.status, 1))
    await reader.disconnect()
    await watch.put(alice.status, b"brief", message_expiry=1)
    await watch.put(alice.status, b"lasting", message_expiry=1000)
    house.run_on(5)
    again = await connect(house, app, clean=False, about={Property.SESSION_EXPIRY: 100})
    message = await again.message()
    assert message.payload == b"lasting"
    assert message.properties[Property.MESSAGE_EXPIRY] <= 995


async def test_a_will_waits_for_its_client(house: House) -> None:
    alice, app = house.device("alice"), house.subscriber("app", ["alice"])
    reader = await connect(house, app)
    await reader.ask((alice.status, 1))
    will = Will(alice.status, b"gone", 1, False, {Property.WILL_DELAY: 100, Property.CONTENT_TYPE: "text/plain"})
    lasting = {Property.SESSION_EXPIRY: 1_000}
    first = await connect(house, alice, will=will, about=lasting)
    await first.leave()
    second = await connect(house, alice, clean=False, will=will, about=lasting)
    await second.put(alice.status, b"back")
    assert (await reader.message()).payload == b"back", "the client came back in time"
    await second.leave()
    third = await connect(house, alice, clean=True, about=lasting)
    message = await reader.message()
    assert (message.payload, message.properties) == (b"gone", {Property.CONTENT_TYPE: "text/plain"})
    third.send(Disconnect())
    await third.closed()
    fourth = await connect(house, alice, will=will._replace(properties={}))
    fourth.send(Disconnect(4))
    assert (await reader.message()).payload == b"gone"
    await fourth.closed()


async def test_every_end_by_the_server_has_its_code(house: House) -> None:
    alice = house.device("alice")
    silent = await connect(house, alice, keep_alive=1)
    assert (await silent.farewell()).reason == 0x8D
    brief = await connect(house, house.device("alice", "brief", lifetime_s=600))
    house.age_tokens(601)
    assert (await brief.farewell()).reason == 0xA0
    watch = await connect(house, alice)
    watch.send(Subscribe(1, (("a/+b", 1),)))
    assert (await watch.farewell()).reason == 0x81
    watch = await connect(house, alice)
    watch.send(b"\xc0\x01\x00")
    assert (await watch.farewell()).reason == 0x81
    watch = await connect(house, alice)
    watch.send(b"\x30\xff\xff\xff\x7f")
    assert (await watch.farewell()).reason == 0x95
    watch = await connect(house, alice)
    await house.serving.quiet()
    stop = asyncio.create_task(house.serving.leave())
    assert (await watch.farewell()).reason == 0x8B
    await stop


async def test_a_packet_that_is_too_long_is_refused_and_the_connection_stays(house: House) -> None:
    alice = house.device("alice")
    watch = await connect(house, alice)
    answer = await watch.put(alice.events, bytes(house.settings.limits.max_packet))
    assert answer.reason == 0x97
    assert "packet_too_large" in answer.properties[Property.REASON_STRING]
    assert (await watch.put(alice.events, event("a"))).reason == 0


async def test_a_request_says_where_its_answer_goes(house: House) -> None:
    alice = house.device("alice")
    watch = await connect(house, alice)
    await watch.ask(("users/alice/devices/watch/token/response", 1), about={Property.SUBSCRIPTION_ID: (3,)})
    answer = await watch.put(
        "users/alice/devices/watch/token/request",
        b'{"refresh_token": "nonsense"}',
        response_topic="users/alice/devices/watch/token/response",
        correlation_data=b"17",
    )
    assert answer.reason == 0
    message = await watch.message()
    assert json.loads(message.payload)["status"] == "error"
    assert message.properties == {
        Property.PAYLOAD_FORMAT: 1,
        Property.CONTENT_TYPE: "application/json",
        Property.CORRELATION_DATA: b"17",
        Property.SUBSCRIPTION_ID: (3,),
    }


async def test_acknowledgements_leave_in_order_and_pings_between_them(house: House) -> None:
    alice = house.device("alice")
    watch = await connect(house, alice)
    packets = [
        Publish((alice.events, alice.status, "elsewhere")[number % 3].encode(), event(f"e{number}"), 1 + number % 2,
                packet_id=number + 1)
        for number in range(60)
    ]  # fmt: skip
    watch.send(*packets, Pingreq())
    answers = [await watch.next() for _ in range(61)]
    acknowledged = [each.packet_id for each in answers if isinstance(each, Puback | Pubrec)]
    assert acknowledged == list(range(1, 61))
    assert [each.reason for each in answers if isinstance(each, Puback | Pubrec)] == [0, 0, 0x87] * 20
    watch.send(Pubrel(2))
    assert await watch.expect(Pubcomp) == Pubcomp(2)


async def test_version_3_1_is_spoken(house: House) -> None:
    alice = house.device("alice")
    watch = await house.connect(alice, protocol_level=3, protocol_name="MQIsdp", clean=False)
    await watch.publish(alice.events, event("a"))
    await watch.disconnect()
    again = await house.knock()
    answer = await again.connect(alice, protocol_level=3, protocol_name="MQIsdp", clean=False)
    assert (answer.code, answer.session_present) == (0, False), "the byte is reserved in MQTT 3.1"
    assert isinstance(again, Peer)
    assert not isinstance(again, Peer5)


async def test_a_session_that_its_client_ended_leaves_no_place_in_the_log(house: House) -> None:
    alice, app = house.device("alice"), house.subscriber("app", ["alice"])
    watch = await connect(house, alice)
    lasting = {Property.SESSION_EXPIRY: 1_000}
    for end in (Disconnect(0, {Property.SESSION_EXPIRY: 0}), None):
        reader = await connect(house, app, clean=False, about=lasting)
        await reader.ask(("users/alice/canonical/+", 1))
        await watch.put(alice.events, event(f"heard-{end is None}"))
        assert b"heard" in (await reader.message()).payload
        reader.send(end or Disconnect())
        await reader.closed()
        await watch.put(alice.events, event(f"missed-{end is None}"))
        again = await connect(house, app, clean=False, about=lasting)
        if end is not None:
            await again.ask(("users/alice/canonical/+", 1))
            await watch.put(alice.events, event("later"))
            assert b"later" in (await again.message()).payload, "an event of before this session came"
        else:
            assert b"missed" in (await again.message()).payload, "a session that lasts misses nothing"
        again.send(Disconnect())
        await again.closed()
