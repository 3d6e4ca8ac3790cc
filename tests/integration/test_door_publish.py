"""Devices publish events: QoS 0, 1 and 2, and what is acknowledged when."""

import asyncio

import pytest

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.mqtt.codec import encode
from healthsync_mqtt.mqtt.codec.packets import Disconnect, Puback, Pubcomp, Publish, Pubrec, Pubrel
from tests.support.inprocess import Bystander, House
from tests.support.peer import chunks, event


def message(topic: str, payload: bytes, packet_id: int, qos: int = 1, *, dup: bool = False) -> Publish:
    return Publish(topic.encode(), payload, qos, False, dup, packet_id)


async def test_one_path_from_publish_to_subscriber(house: House, bob: Bystander) -> None:
    await bob.goes_on()
    await bob.goes_on()
    assert house.counters.stored == 2


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_every_qos_stores_and_receipts(house: House, qos: int, tls: bool) -> None:
    watch = house.device("alice")
    peer = await house.connect(watch, tls=tls)
    assert await peer.subscribe((watch.receipts, 1)) == (1,)
    await peer.publish(watch.events, event("a"), qos)
    assert (await peer.receipt()).stored == ["a"]
    await peer.publish("users/alice/events", event("a"), qos)
    assert (await peer.receipt()).duplicate == ["a"]
    assert house.stored("alice") == ["a"]


@pytest.mark.parametrize("qos", [1, 2])
async def test_no_acknowledgement_before_the_commit(house: House, qos: int) -> None:
    watch = house.device("alice")
    peer = await house.connect(watch)
    with house.held_commits() as held:
        peer.send(message(watch.events, event("a"), 7, qos))
        await house.until(lambda: house.counters.in_flight == 1, "the event is being committed")
        assert await peer.settle() == []
        assert house.stored() == []
        held.gate.set()
        assert (await peer.next())[0] == 7
    assert house.stored() == ["a"]


async def test_failed_commit_is_tried_again_and_acknowledged_once(house: House) -> None:
    watch = house.device("alice")
    peer = await house.connect(watch)
    with house.held_commits() as held:
        held.failures = [StoreError("full"), StoreError("full")]
        peer.send(message(watch.events, event("a"), 7))
        await house.until(lambda: house.counters.in_flight == 1, "the event is being committed")
        held.gate.set()
        await house.until(lambda: not house.service.pipeline.healthy, "the commit has failed")
        assert await peer.settle() == []
        assert await peer.expect(Puback) == Puback(7)
    assert house.stored() == ["a"]
    assert house.service.pipeline.healthy
    assert await peer.settle() == []


async def test_answers_come_in_the_order_of_the_messages(house: House) -> None:
    """Events wait for their commit; a status between them is answered in its place [MQTT-4.6.0-2]."""
    watch = house.device("alice")
    peer = await house.connect(watch)
    with house.held_commits() as held:
        peer.send(message(watch.status, b"{}", 1))
        peer.send(message(watch.events, event("a"), 2), message(watch.status, b"{}", 3))
        peer.send(message(watch.events, event("b"), 4, 2), message(watch.status, b"{}", 5, 2))
        peer.send(message(watch.events, event("c"), 0, 0), message(watch.status, b"{}", 6))
        await house.until(lambda: house.counters.in_flight == 3, "all three are here")
        assert await peer.next() == Puback(1)
        assert await peer.settle() == []
        held.gate.set()
        answers = [await peer.next() for _ in range(5)]
    assert [(type(answer), answer[0]) for answer in answers] == [
        (Puback, 2), (Puback, 3), (Pubrec, 4), (Pubrec, 5), (Puback, 6),
    ]  # fmt: skip
    peer.send(Pubrel(4), Pubrel(5))
    assert [await peer.expect(Pubcomp), await peer.expect(Pubcomp)] == [Pubcomp(4), Pubcomp(5)]


async def test_resent_message_is_a_duplicate_event(house: House) -> None:
    watch = house.device("alice")
    peer = await house.connect(watch, clean=False)
    peer.send(message(watch.events, event("a"), 7))
    assert await peer.expect(Puback) == Puback(7)
    await peer.leave()
    peer = await house.connect(watch, clean=False)
    peer.send(message(watch.events, event("a"), 7, dup=True))
    assert await peer.expect(Puback) == Puback(7)
    peer.send(message(watch.events, event("a"), 8, 2), message(watch.events, event("a"), 8, 2, dup=True))
    assert [await peer.expect(Pubrec), await peer.expect(Pubrec)] == [Pubrec(8), Pubrec(8)]
    assert house.stored() == ["a"]
    assert (house.counters.stored, house.counters.duplicate) == (1, 3)


async def test_many_packets_in_one_segment(house: House) -> None:
    watch = house.device("alice")
    peer = await house.connect(watch)
    peer.send(*(message(watch.events, event(f"e{n}"), n) for n in range(1, 2001)))
    answers = [await peer.expect(Puback) for _ in range(2000)]
    assert [answer.packet_id for answer in answers] == list(range(1, 2001))
    assert house.stored() == [f"e{n}" for n in range(1, 2001)]


async def test_packets_split_at_every_byte(house: House) -> None:
    watch = house.device("alice")
    peer = await house.connect(watch)
    data = encode(message(watch.events, event("a"), 1)) + encode(message(watch.status, b"{}", 2))
    data += encode(message(watch.events, event("b"), 3, 2))
    for piece in chunks(data, 1):
        peer.writer.write(piece)
        await asyncio.sleep(0)
    answers = [await peer.next() for _ in range(3)]
    assert [answer[0] for answer in answers] == [1, 2, 3]
    assert house.stored() == ["a", "b"]


async def test_events_before_the_end_count_and_those_behind_it_do_not(house: House) -> None:
    watch = house.device("alice")
    peer = await house.connect(watch)
    peer.send(message(watch.events, event("a"), 1))
    assert await peer.expect(Puback) == Puback(1)
    peer.send(message(watch.events, event("b"), 2), Disconnect(), message(watch.events, event("c"), 3))
    await peer.closed()
    await house.until(lambda: house.counters.in_flight == 0, "all is committed")
    peer = await house.connect(watch)
    peer.send(message(watch.events, event("d"), 1))
    assert await peer.expect(Puback) == Puback(1)
    peer.send(message(watch.events, event("e"), 2), b"\xf0\x00", message(watch.events, event("f"), 3))
    await peer.closed()
    await house.until(lambda: house.counters.in_flight == 0, "all is committed")
    assert house.stored() == ["a", "b", "d", "e"]


@pytest.mark.parametrize("changes", [{"limits.receive_window": 1}, {"limits.receive_window": 3}])
async def test_window_stops_and_goes_on(house: House) -> None:
    """More messages than the window wait for their commit: the client is not read, and read again afterwards."""
    watch = house.device("alice")
    peer = await house.connect(watch)
    with house.held_commits() as held:
        for n in range(1, 6):
            peer.send(message(watch.events, event(f"e{n}"), n))
        await house.until(lambda: house.counters.in_flight >= 1, "the first is here")
        held.gate.set()
        assert [(await peer.expect(Puback)).packet_id for _ in range(5)] == [1, 2, 3, 4, 5]
    await peer.publish(watch.events, event("e6"))
    assert len(house.stored()) == 6


@pytest.mark.parametrize("changes", [{"limits.backlog_bytes": 1_048_576}])
async def test_back_pressure_ends_for_every_client(house: House, bob: Bystander) -> None:
    watch = house.device("alice")
    peer = await house.connect(watch)
    padding = {"source": {"note": "x" * 900}}
    with house.held_commits() as held:
        peer.send(message(watch.events, event("first"), 60_000))
        await house.until(lambda: house.counters.in_flight == 1, "the first is here")
        for n in range(1, 1500):
            peer.send(message(watch.events, event(f"e{n}", **padding), n))
        await house.until(lambda: house.service.pipeline._pressure._waiting, "the backlog is full")
        held.gate.set()
        for _ in range(1500):
            await peer.expect(Puback)
    assert len(house.stored("alice")) == 1500
    await house.still_serves(bob)
