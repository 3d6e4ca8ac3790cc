"""Long messages over the one connection to an external broker: kept, passed by, and passed by others."""

import threading

import pytest

from bridge.edges.external import LinkSource, LongAllowance, Origins
from healthsync_mqtt.formats.port import AppMessage, Fold
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.mqtt.codec import encode_pubacks
from healthsync_mqtt.mqtt.codec.packets import Publish, Skipped
from healthsync_mqtt.mqtt.message_room import MessageRoom
from tests.support.patience import PATIENCE_S, until
from tests.unit.bridge.edges.test_external_source import TOPICS, Bench, FakeLink, message

FIT = b"users/alice/devices/watch/formats/fit"


class Slow:
    """A format whose messages are read when the test says so."""

    name = "fit"
    summary = "a test's"
    roots = ()
    remembers: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def takes(self) -> tuple[()]:
        return ()

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        assert self.go_on.wait(PATIENCE_S)
        yield from ()
        del message
        return state


class Long:
    """A source with room for 1,000 bytes over packets of 100; what was told of messages that are too long."""

    def __init__(self, bench: Bench, longest: int = 800) -> None:
        self.room = MessageRoom(100, 1_000)
        self.told: list[tuple[str, int, int]] = []

        def refused(origin: Origin, size: int, limit: int) -> None:
            self.told.append((origin.topic, size, limit))

        allowance = LongAllowance(self.room, lambda *_: longest, refused)
        self.source = LinkSource(bench.pipeline, Origins(TOPICS, Shard.parse("")), allowance)
        self.link = FakeLink()


async def test_what_others_sent_behind_a_long_message_is_stored_before_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All users share the connection: everybody waited until one user's export was read."""
    slow, long = Slow(), Long(bench)
    monkeypatch.setattr("bridge.pipeline.FORMATS", {"fit": slow})
    long.source.release(long.link)
    long.source.received([Publish(FIT, b"{}", 1, packet_id=1), message(2, "users/u1/devices/watch/events")])
    long.source.received([message(3), message(4, "users/u2/devices/watch/events")])
    await until(lambda: bench.log.head() == 2, "the others' are stored")
    assert long.link.acknowledged == b""
    slow.go_on.set()
    await bench.pipeline.drain()
    assert long.link.acknowledged == encode_pubacks([1, 2, 3, 4])
    assert [record.id for record in bench.log.reader().read(0, 9)] == ["e2", "e4", "e3"], (
        "of one user in the order of arrival"
    )
    assert long.source.waiting == 0


async def test_a_message_is_kept_only_in_a_format_and_as_long_as_its_login_says(bench: Bench) -> None:
    long = Long(bench)
    long.source.release(long.link)
    assert long.source.keeps(Skipped(FIT, 700, 1, 1))
    assert long.room.used == 700
    assert not long.source.keeps(Skipped(FIT, 900, 1, 2))
    assert not long.source.keeps(Skipped(b"users/alice/devices/watch/events", 700, 1, 3))
    assert not long.source.keeps(Skipped(b"somebody/elses", 700, 1, 4))


async def test_what_goes_by_is_acknowledged_in_its_turn_and_told(bench: Bench) -> None:
    long = Long(bench)
    long.source.received([message(1)])
    long.source.skipped(Skipped(FIT, 900, 1, 2))
    long.source.received([message(3)])
    assert (long.told, long.link.acknowledged) == ([], b"")
    long.source.release(long.link)
    long.source.skipped(Skipped(b"users/alice/devices/watch/events", 700, 1, 4))
    long.source.skipped(Skipped(b"somebody/elses", 700, 1, 5))
    await bench.pipeline.drain()
    assert long.link.acknowledged == encode_pubacks([1, 2, 3, 4, 5])
    assert long.told == [(FIT.decode(), 900, 800), ("users/alice/devices/watch/events", 700, 100)]
    assert bench.log.head() == 2


async def test_without_room_the_connection_is_not_read_until_there_is(bench: Bench) -> None:
    long = Long(bench)
    long.source.release(long.link)
    held = long.room.hold("bob", 600)
    assert long.source.keeps(Skipped(FIT, 700, 1, 1))
    assert long.link.paused
    long.source.resume()
    assert long.link.paused, "the pipeline's word is not the room's"
    held.leave()
    assert not long.link.paused
    assert long.room.used == 700
    long.source.leave()
    assert long.room.used == 0


async def test_what_came_in_whole_is_charged_by_the_pipeline_until_its_commit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, long = Slow(), Long(bench)
    bench.pipeline._message_room = long.room
    monkeypatch.setattr("bridge.pipeline.FORMATS", {"fit": slow})
    long.source.release(long.link)
    assert long.source.keeps(Skipped(FIT, 750, 1, 1))
    long.source.received([message(9)])
    assert long.room.used == 750, "what came before it changes nothing"
    long.source.received([Publish(FIT, bytes(700), 1, packet_id=1)])
    assert long.room.used == 700
    slow.go_on.set()
    await bench.pipeline.drain()
    assert long.room.used == 0
