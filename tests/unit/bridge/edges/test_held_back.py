"""What a broker sends before its answer to SUBSCRIBE: handed on in stretches, bounded, no hindrance at the start."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from bridge.edges.external import STRETCH, LinkSource, LongAllowance, Origins
from bridge.edges.namesake import Namesake
from bridge.pipeline import Pipeline
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.mqtt.codec.packets import Publish
from healthsync_mqtt.mqtt.links.port import ConnectionLostError
from healthsync_mqtt.mqtt.message_room import MessageRoom
from healthsync_mqtt.testing.memory_link import MemoryBroker, MemoryLink
from healthsync_mqtt.topics.registry import TopicRegistry
from tests.support.patience import PATIENCE_S, until

TOPICS = TopicRegistry.load()
STATUS = "bridges/main/status"


class Line(Pipeline):
    """Takes deliveries and writes down how many at once; ``full``: it takes no more for now."""

    def __init__(self) -> None:
        self.steps: list[list[int]] = []
        self.full = False

    def submit(self, deliveries: list[Delivery], *, shared: bool = False) -> bool:
        assert shared
        self.steps.append([each.token for each in deliveries])
        return self.full

    @property
    def taken(self) -> list[int]:
        return [token for step in self.steps for token in step]


def message(packet_id: int, payload: bytes = b"{}") -> Publish:
    return Publish(b"users/alice/devices/watch/events", payload, 1, packet_id=packet_id)


def source(line: Line, **how: int) -> LinkSource:
    long = LongAllowance(MessageRoom(1_048_576, 1_048_576), lambda *_: 1_048_576)
    return LinkSource(line, Origins(TOPICS, Shard.parse("")), long, **how)


async def steps_of_the_loop(many: int) -> None:
    for _ in range(many):
        await asyncio.sleep(0)


async def test_it_is_handed_on_a_stretch_in_a_step_of_the_loop_and_in_its_order() -> None:
    line = Line()
    held = source(line)
    link = MemoryLink(MemoryBroker(), held.received)
    ids = list(range(1, 20 * STRETCH + 7))
    held.received([message(number) for number in ids])
    held.release(link)
    assert line.taken == ids[:STRETCH], "the loop waits for all of it"
    assert link.paused, "more is read while that waits"
    link.say([message(60_000)])
    await until(lambda: len(line.taken) > len(ids), "everything is handed on")
    assert line.taken == [*ids, 60_000]
    assert max(map(len, line.steps)) == STRETCH
    assert not link.paused


async def test_it_waits_while_the_pipeline_takes_no_more() -> None:
    line, link = Line(), MemoryLink(MemoryBroker())
    held = source(line)
    held.received([message(number) for number in range(1, 3 * STRETCH + 1)])
    line.full = True
    held.release(link)
    await steps_of_the_loop(20)
    assert len(line.taken) == STRETCH
    held.resume()
    await steps_of_the_loop(20)
    assert len(line.taken) == 2 * STRETCH
    line.full = False
    held.resume()
    await until(lambda: not link.paused)
    assert line.taken == list(range(1, 3 * STRETCH + 1))


async def test_nothing_is_handed_on_of_a_connection_that_is_over() -> None:
    line, link = Line(), MemoryLink(MemoryBroker())
    held = source(line)
    held.received([message(number) for number in range(1, 5 * STRETCH)])
    held.release(link)
    link.drop()
    await steps_of_the_loop(20)
    assert len(line.taken) == STRETCH
    assert held.waiting == STRETCH


async def test_more_than_is_held_back_comes_on_another_connection_after_the_rest_was_acknowledged() -> None:
    line, broker = Line(), MemoryBroker()
    link = MemoryLink(broker)
    held = source(line, held_bytes=1_000)
    held.received([message(number, b"x" * 400) for number in range(1, 10)])
    ending = asyncio.create_task(held.overflowed())
    held.release(link)
    held.received([message(10)])  # behind what was let go
    await steps_of_the_loop(5)
    assert line.taken == [1, 2]
    assert not ending.done()
    held.acknowledge([1, 2])
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(ConnectionLostError, match="comes on a new connection"):
            await ending
    assert broker.acknowledged == [1, 2]


async def test_one_message_is_kept_however_long_it_is() -> None:
    line, link = Line(), MemoryLink(MemoryBroker())
    held = source(line, held_bytes=10)
    held.received([message(1, b"x" * 400), message(2)])
    held.release(link)
    assert line.taken == [1]


@pytest.fixture
async def link() -> AsyncIterator[MemoryLink]:
    made = MemoryLink(MemoryBroker())
    yield made
    made.drop()


async def test_our_own_status_is_waited_for_behind_whatever_the_broker_has_for_us(
    link: MemoryLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken for a broker that keeps no retained messages, and other bridges were not looked for any more."""
    now = 0.0
    loop = asyncio.get_running_loop()
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + now)
    status = json.dumps({"since": "t", "session": "s", "status": "online"}).encode()
    namesake = Namesake("main", STATUS)
    looking = asyncio.create_task(namesake.look(link, status))
    await steps_of_the_loop(5)
    for number in range(1, 10):
        now += 1.5
        namesake.hears(message(number))
        await steps_of_the_loop(5)
        assert not looking.done()
    namesake.hears(Publish(STATUS.encode(), status, 0))
    async with asyncio.timeout(PATIENCE_S):
        await looking
    assert not namesake._deaf
