"""Messages of apps that are longer than a packet: one delivery each, and whoever else sends does not wait for them."""

import json
import os
import signal

import pytest

from bridge.pipeline import LONE_PART_EVENTS
from healthsync_mqtt.broker.embedded.backpressure import Hold
from healthsync_mqtt.model.declaration import Declared
from healthsync_mqtt.mqtt.codec.packets import Connack, Connect, Property, Puback, Publish
from healthsync_mqtt.mqtt.codec.v5 import ReasonCode
from tests.support.app_login import MINUTES, app, exported, minutes_of, topic
from tests.support.inprocess import Bystander, House
from tests.support.peer import Identity, Peer
from tests.support.peer5 import Peer5

SMALL = {"limits.max_packet": 20_000}


def reader_pid(house: House) -> int | None:
    """The process that reads long messages."""
    elsewhere = house.service.pipeline._aside._elsewhere
    assert elsewhere is not None
    return elsewhere._process.pid


async def greeted(house: House, who: Identity, kind: type[Peer] = Peer) -> tuple[Peer, Connack]:
    peer = await kind.open(house.ready.mqtt)
    house.peers.append(peer)
    name, secret = who.client_id, who.token.encode()
    peer.send(peer.encoded(Connect("any", True, 60, name, secret, None, peer.level)))
    return peer, await peer.expect(Connack)


async def test_a_long_message_is_one_delivery_in_commits_of_few_events(house: House, bob: Bystander) -> None:
    who = app(house, declared=MINUTES)
    peer, welcome = await greeted(house, who, Peer5)
    assert welcome.properties[Property.MAXIMUM_PACKET_SIZE] == 41_943_040
    commits = house.counters.commits
    sent = exported(minutes_of(1_200_000))
    assert len(sent) > 1_200_000
    await peer.put(topic(who), sent)
    assert len(house.stored("alice")) == 3 * minutes_of(1_200_000)
    assert house.counters.commits - commits >= 3 * minutes_of(1_200_000) // LONE_PART_EVENTS
    assert house.counters.messages_stored == 1
    await peer.put(topic(who), sent)
    assert house.counters.duplicate == 3 * minutes_of(1_200_000)
    assert house.service.ground.message_room.used == 0
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [{"limits.app_message": 2_000_000}])
@pytest.mark.parametrize("kind", [Peer, Peer5])
async def test_what_is_longer_than_the_apps_limit_goes_by_is_acknowledged_and_told(
    house: House, bob: Bystander, kind: type[Peer]
) -> None:
    who = app(house, declared=MINUTES)
    other = app(house, "ecg", declared=Declared(bucket_s=60, longest=3_000_000))
    listener = await house.connect(house.device("alice", "watch"))
    for each, limit in ((who, 2_000_000), (other, 3_000_000)):
        peer, _ = await greeted(house, each, kind)
        assert await peer.subscribe((each.receipts, 1)) == (1,)
        if isinstance(peer, Peer5):
            answers = [await peer.put(topic(each), exported(minutes)) for minutes in (minutes_of(limit + 100_000), 10)]
            assert [answer.reason for answer in answers] == [ReasonCode.QUOTA_EXCEEDED, 0]
            continue
        await peer.publish(topic(each), exported(minutes_of(limit + 100_000)))
        (refusal,) = json.loads((await peer.message()).payload)["rejected"]
        assert (refusal["code"], refusal["limit"]) == ("too_large", limit)
        await peer.publish(topic(each), exported(10))
    assert len(house.stored("alice")) == 30
    assert house.counters.refused_by_reason["packet_too_large"] == 2
    assert await listener.settle() == []
    assert house.service.ground.message_room.used == 0
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [SMALL])
async def test_a_long_message_is_for_formats_alone(house: House, bob: Bystander) -> None:
    """Of an app too: its own events, and topics that are others', have packets."""
    who = app(house, declared=MINUTES)
    peer, _ = await greeted(house, who)
    long = exported(minutes_of(40_000))
    for name in (who.events, who.status, topic(who, "openscale"), topic(who).replace("alice", "bob")):
        await peer.publish(name, long)
    assert house.counters.refused_by_reason["packet_too_large"] == 4
    plain = await house.connect(house.device("alice", "watch"))
    await plain.publish("users/alice/devices/watch/formats/health_auto_export", long)
    assert house.counters.refused_by_reason["packet_too_large"] == 5
    assert house.stored("alice") == []
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [{**SMALL, "limits.app_messages_bytes": 1_048_576}])
async def test_who_finds_no_room_waits_and_nobody_else_does(house: House, bob: Bystander) -> None:
    """Half a message has taken its room; the next one comes in when that is done, or given up."""
    one, other = app(house, declared=MINUTES), app(house, "tablet", user="carol", declared=MINUTES)
    long = exported(100) + b" " * 600_000
    slow, _ = await greeted(house, one)
    packet = slow.encoded(Publish(topic(one).encode(), long, 1, False, False, 7))
    slow.send(packet[:300_000])
    room = house.service.ground.message_room
    await house.until(lambda: room.used > 600_000, "the first is charged")
    waiting, _ = await greeted(house, other)
    waiting.send(waiting.encoded(Publish(topic(other).encode(), long, 1, False, False, 9)))
    await house.until(lambda: room.crowded, "the second waits")
    held = [each for each in house.door._connections if Hold.ROOM in each.reading.held]
    assert [each.name for each in held] == [other.client_id]
    await bob.goes_on()
    assert room.used < 1_048_576
    slow.send(packet[300_000:])
    assert await slow.expect(Puback) == Puback(7)
    assert await waiting.expect(Puback) == Puback(9)
    gone, _ = await greeted(house, one)
    gone.send(packet[:300_000])
    await house.until(lambda: room.used > 600_000, "charged again")
    waiting.send(waiting.encoded(Publish(topic(other).encode(), long, 1, False, False, 10)))
    await house.until(lambda: room.crowded, "and waits again")
    gone.writer.transport.abort()
    assert await waiting.expect(Puback) == Puback(10)
    assert room.used == 0
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [SMALL])
async def test_a_reader_that_is_killed_or_hangs_loses_nothing(house: House, bob: Bystander) -> None:
    who = app(house, declared=MINUTES)
    peer, _ = await greeted(house, who)
    for number, stop in enumerate((signal.SIGKILL, signal.SIGTERM)):
        minutes = minutes_of(400_000)
        packet_id = peer.new_id()
        peer.send(Publish(topic(who).encode(), exported(minutes, number), 1, False, False, packet_id))
        await house.until(lambda: reader_pid(house) is not None, "it reads")
        await bob.goes_on()
        if (pid := reader_pid(house)) is not None:
            os.kill(pid, stop)
        assert await peer.expect(Puback) == Puback(packet_id)
        rows = house.service.reader.read(0, 100_000, user="alice")
        assert len({row.id for row in rows}) == 3 * minutes
    await house.still_serves(bob)


async def test_a_service_that_stops_leaves_no_reader_behind(house: House) -> None:
    who = app(house, declared=MINUTES)
    peer, _ = await greeted(house, who)
    await peer.publish(topic(who), exported(minutes_of(600_000)))
    pid = reader_pid(house)
    assert pid is not None
    await house.service.stop()

    def is_gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    await house.until(is_gone, "it is gone")


@pytest.mark.parametrize("changes", [SMALL])
async def test_of_two_long_messages_in_one_read_each_is_charged_and_stored(house: House) -> None:
    who = app(house, declared=MINUTES)
    peer, _ = await greeted(house, who)
    for number in (1, 2):
        peer.send(Publish(topic(who).encode(), exported(100, number), 1, False, False, number))
    assert [await peer.expect(Puback) for _ in range(2)] == [Puback(1), Puback(2)]
    assert len(house.stored("alice")) == 600
    assert house.service.ground.message_room.used == 0
