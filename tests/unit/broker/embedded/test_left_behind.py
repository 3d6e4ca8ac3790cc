"""What a client that is gone has sent is worked off as long as that is cheap: nobody is told of it any more."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from healthsync_mqtt.broker.embedded.connection import _LEFT_BEHIND, _PACKETS
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.mqtt.codec import v3
from healthsync_mqtt.mqtt.codec.packets import Publish
from tests.support.patience import PATIENCE_S
from tests.unit.bridge.edges.test_source_contract import AtTheDoor
from tests.unit.broker.embedded.states import EVENTS

MANY = 8 * _PACKETS
BLOCK = b"".join(v3.encode(Publish(EVENTS, b"%d" % number, 1, packet_id=number)) for number in range(1, MANY + 1))


class Street(AtTheDoor):
    """A connection that brings much at once; ``cost`` is what deciding each message takes beyond its length."""

    def __init__(self, cost: int) -> None:
        self.counted_out = 0
        super().__init__()
        take = self.line.submit

        def dear(deliveries: list[Delivery], **_: Any) -> bool:
            for each in deliveries:
                each.source.charge(cost)
            return take(deliveries)

        self.line.submit = dear  # type: ignore[method-assign]
        door: Any = self._connection._door  # type: ignore[attr-defined]
        door.left = self._out

    def _out(self, _client: object) -> None:
        self.counted_out += 1

    async def bring(self) -> None:
        self._wire.data_received(BLOCK)
        self.leave()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110  # rests of the loop go by, without an event of their own
                await asyncio.sleep(0.001)


@pytest.mark.parametrize(("cost", "least", "most"), [(0, MANY, MANY), (_LEFT_BEHIND // 64, _PACKETS, 3 * _PACKETS)])
async def test_good_messages_are_all_taken_and_of_dear_ones_some(cost: int, least: int, most: int) -> None:
    """What fifty had left behind, refused messages all, was minutes of work after they were gone."""
    site = Street(cost)
    await site.settle()
    await site.bring()
    await site.until(lambda: bool(site.counted_out))
    assert site.counted_out == 1
    assert least <= len(site.taken) <= most


async def test_one_that_waits_for_the_journal_is_counted_out_when_the_journal_has_had_too_much_of_it() -> None:
    site = Street(0)
    await site.settle()
    site.full = True
    await site.bring()
    await site.settle()
    assert site.counted_out == 0
    taken = len(site.taken)
    assert taken < MANY
    site.source.charge(_LEFT_BEHIND)
    await site.settle()
    assert site.counted_out == 0
    site.source.charge(1)
    await site.settle()
    assert site.counted_out == 1
    site.source.resume()
    await site.settle()
    assert (site.counted_out, len(site.taken)) == (1, taken)
