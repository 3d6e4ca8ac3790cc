"""amqtt behind the door: watched whole, started anew, nothing lost, and nobody hangs on what fails."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from healthsync_mqtt.broker.embedded.router import EmbeddedBroker
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from tests.support.patience import PATIENCE_S

MIB = 1_048_576


class Door:
    """What the router calls."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self.ended: list[BaseException | None] = []
        self.caught_up = 0
        self.fails = False
        self.router = EmbeddedBroker(self.deliver, caught_up=self.free, ended=self.ended.append, look_s=0.01)

    def deliver(self, message: Retained, retain: bool) -> None:
        if self.fails:
            self.fails = False
            raise ValueError("a defect of ours")
        self.messages.append((message.topic, message.payload, retain))

    def free(self) -> None:
        self.caught_up += 1

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.messages) < count:  # noqa: ASYNC110  # no event says it
                await asyncio.sleep(0.002)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    door = Door()
    await door.router.start(["a/+", "b/#"])
    yield door
    await door.router.stop()


async def test_messages_come_back_in_order_as_the_objects_they_were(door: Door) -> None:
    payload = bytes(10_000)
    for n in range(50):
        door.router.publish(f"a/{n}", payload, 1, retain=bool(n % 2))
    door.router.publish("b/c/d", b"", 1, retain=True)
    await door.until(51)
    assert [topic for topic, _, _ in door.messages] == [f"a/{n}" for n in range(50)] + ["b/c/d"]
    assert [retain for _, _, retain in door.messages] == [bool(n % 2) for n in range(50)] + [True]
    assert all(body is payload for _, body, _ in door.messages[:50])
    assert door.router.pending_bytes == 0


async def test_a_broadcast_task_that_died_is_noticed_and_nothing_is_lost(door: Door) -> None:
    broker = door.router._broker
    assert broker is not None
    assert broker._broadcast_task is not None
    broker._broadcast_task.cancel()
    await asyncio.wait([broker._broadcast_task])
    for n in range(20):
        door.router.publish(f"a/{n}", b"x", 1, retain=False)
    await door.until(20)
    assert [topic for topic, _, _ in door.messages] == [f"a/{n}" for n in range(20)]
    assert door.router.restarts == 1
    assert door.ended == []


async def test_a_link_that_ended_is_started_anew(door: Door) -> None:
    door.router.publish("a/1", b"x", 1, retain=False)
    await door.until(1)
    assert door.router._link is not None
    door.router._link.cancel()
    door.router.publish("a/2", b"y", 1, retain=False)
    await door.until(2)
    assert door.messages[1] == ("a/2", b"y", False)
    assert door.ended == []


async def test_a_router_that_ends_again_and_again_is_fatal(door: Door) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not door.ended:
            if door.router._link is not None:
                door.router._link.cancel()
            await asyncio.sleep(0.005)
    assert door.router.restarts == 3


async def test_a_delivery_that_fails_keeps_nobody_waiting(door: Door) -> None:
    door.fails = True
    for n in range(3):
        door.router.publish(f"a/{n}", b"x", 1, retain=False)
    await door.until(2)
    assert [topic for topic, _, _ in door.messages] == ["a/1", "a/2"]
    assert door.router.restarts == 0


async def test_publishers_wait_for_bytes_and_not_only_for_numbers(door: Door) -> None:
    for _ in range(16):
        door.router.publish("a/1", bytes(MIB), 1, retain=False)
    assert not door.router.behind
    door.router.publish("a/1", b"x", 1, retain=False)
    assert door.router.behind
    await door.until(17)
    assert not door.router.behind
    assert door.caught_up == 1
