"""What the gateway brings over an external broker: stored as its device's own, answered when it is durable."""

import json

import pytest

from healthsync_mqtt.broker.external.canary_world import COMMON
from healthsync_mqtt.mqtt.codec import encode_pubacks
from healthsync_mqtt.mqtt.codec.packets import Publish
from healthsync_mqtt.mqtt.gateway_calls import GatewayCall, encode_call, read_answer
from healthsync_mqtt.mqtt.links.port import Answer
from tests.unit.bridge.edges.test_external_source import Bench, FakeLink, message

EVENTS = "users/alice/devices/watch/events"
REQUEST = b"gateway/healthsync-gateway/request"
ANSWERS = "gateway/healthsync-gateway/answer"


def event(name: str, bpm: float = 70) -> dict[str, object]:
    return {"id": name, "type": "heart_rate", "start_time": "2025-11-23T06:00:00Z", "value": {"bpm": bpm}}


def call(packet_id: int, mark: str, *events: object, topic: str = EVENTS, on: bytes = REQUEST) -> Publish:
    carried = encode_call(GatewayCall(mark, topic, json.dumps(events).encode()))
    return Publish(on, carried, 1, packet_id=packet_id)


def answered(link: FakeLink, topic: str = ANSWERS) -> dict[str, Answer]:
    return dict(read_answer(payload) for name, payload in link.sent if name == topic)


async def test_a_call_is_stored_as_the_devices_own_and_answered_when_it_is_durable(bench: Bench) -> None:
    link, source = FakeLink(), bench.source()
    source.release(link)
    source.received([call(1, "m-1", event("a"), event("b", 9000))])
    assert (answered(link), link.acknowledged) == ({}, b""), "nothing is said before the commit"
    await bench.pipeline.drain()
    answer = answered(link)["m-1"]
    assert [answer.get(name) for name in ("stored", "duplicate", "rejected", "seq")] == ["1", "0", "1", "1"]
    assert json.loads(answer.get("rejection") or "")["code"] == "out_of_range"
    assert link.acknowledged == encode_pubacks([1])
    [row] = bench.log.reader().read(0, 10)
    assert (row.id, row.user, row.device) == ("a", "alice", "watch")


async def test_when_all_are_refused_the_answer_says_so(bench: Bench) -> None:
    link, source = FakeLink(), bench.source()
    source.release(link)
    source.received([call(1, "m-1", event("a", 9000))])
    await bench.pipeline.drain()
    answer = answered(link)["m-1"]
    assert (answer.code, answer.get("stored"), answer.get("reason")) == (0x99, "0", "out_of_range")


async def test_calls_among_other_messages_are_acknowledged_in_the_order_of_arrival(bench: Bench) -> None:
    link, source = FakeLink(), bench.source()
    source.release(link)
    odd = Publish(b"users/no id/events", b"x", 1, packet_id=4)
    source.received([message(1), call(2, "m-2", event("c-2")), call(3, "m-3", event("c-3")), odd, message(5)])
    source.received([call(6, "m-6", event("c-6"))])
    await bench.pipeline.drain()
    assert link.acknowledged == encode_pubacks([1, 2, 3, 4, 5, 6])
    assert {mark: answer.get("stored") for mark, answer in answered(link).items()} == {
        "m-2": "1",
        "m-3": "1",
        "m-6": "1",
    }
    assert source.waiting == 0


async def test_each_call_is_answered_with_its_own_mark_to_its_own_gateway(bench: Bench) -> None:
    link, source = FakeLink(), bench.source()
    source.release(link)
    other = "users/u1/devices/watch/events"
    source.received(
        [
            call(1, "same", event("one")),
            call(2, "same", event("one"), event("two"), topic=other, on=b"gateway/second/request"),
            call(3, "next", event("one")),
        ]
    )
    await bench.pipeline.drain()
    assert {mark: answer.get("stored") for mark, answer in answered(link).items()} == {"same": "1", "next": "0"}
    assert answered(link)["next"].get("duplicate") == "1"
    assert answered(link, "gateway/second/answer")["same"].get("stored") == "2"


async def test_a_call_that_comes_again_on_the_next_connection_is_answered_there(bench: Bench) -> None:
    """As after a kill between the commit and the answer: the broker has no PUBACK, and sends it again."""
    old, new = FakeLink(), FakeLink()
    first, second = bench.source(), bench.source()
    first.release(old)
    first.received([call(7, "m-7", event("same"))])
    old.drop()
    first.leave()
    second.release(new)
    second.received([call(1, "m-7", event("same"))])
    await bench.pipeline.drain()
    assert answered(new)["m-7"].get("duplicate") == "1"
    assert bench.log.head() == 1


@pytest.mark.parametrize(
    "refused",
    [
        call(1, "m", event("x"), topic="users/alice/devices/watch/status"),
        call(1, "m", event("x"), topic="users/alice/adapters/oura/events"),
        call(1, "m", event("x"), topic="users/alice/events"),
        call(1, "m", event("x"), topic="users/../devices/watch/events"),
        call(1, "m", event("x"), topic="nowhere"),
        call(1, "m", event("x"), topic=f"users/{COMMON.victim.user}/devices/probe/events"),
        call(1, "m", event("x"), on=f"gateway/{COMMON.intruder.client_id}/request".encode()),
        call(1, "m", event("x"))._replace(retain=True),
        Publish(REQUEST, b"no call", 1, packet_id=1),
        Publish(REQUEST, b"", 1, packet_id=1),
    ],
)
async def test_what_a_gateway_may_not_ask_is_acknowledged_and_that_is_all(bench: Bench, refused: Publish) -> None:
    link, source = FakeLink(), bench.source()
    source.release(link)
    source.received([refused])
    await bench.pipeline.drain()
    assert link.acknowledged == encode_pubacks([1])
    assert (link.sent, bench.log.head()) == ([], 0)


async def test_a_call_for_a_user_of_another_bridge_is_left_to_that_one(bench: Bench) -> None:
    """Each of two bridges has a part of the users, and hears all calls."""
    links = []
    for part in ("1/2", "2/2"):
        links.append(FakeLink())
        source = bench.source(part)
        source.release(links[-1])
        source.received([call(1, "m-1", event("a"))])
        await bench.pipeline.drain()
    assert sorted(len(answered(link)) for link in links) == [0, 1]
    assert bench.log.head() == 1


async def test_a_message_in_a_format_of_others_is_read_in_that_format(bench: Bench) -> None:
    link, source = FakeLink(), bench.source()
    source.release(link)
    entry = {"type": "sgv", "sgv": 120, "date": 1795413600000, "_id": "n1"}
    source.received([call(1, "m-1", entry, topic="users/alice/devices/pump/formats/nightscout")])
    await bench.pipeline.drain()
    assert answered(link)["m-1"].get("stored") == "1"
    [row] = bench.log.reader().read(0, 10)
    assert (row.type, row.device) == ("glucose", "pump")


async def test_an_answer_that_cannot_be_sent_keeps_nothing_from_being_acknowledged(bench: Bench) -> None:
    link, source = FakeLink(), bench.source()
    source.release(link)
    source.received([call(1, "m-1", event("a")), call(2, "m-2", event("b"))])
    link.drop()
    await bench.pipeline.drain()
    assert (link.sent, bench.log.head()) == ([], 2)
