"""Ports: a storm of connections is let in a few at a time, with a rest of the loop between."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from healthsync_mqtt.broker.embedded.acceptor import AT_ONCE
from healthsync_mqtt.broker.embedded.limits.addresses import Knock
from healthsync_mqtt.broker.embedded.listeners import Listeners
from healthsync_mqtt.broker.embedded.rests import Rests
from tests.support.patience import PATIENCE_S


class Threshold:
    """Lets nobody in, and counts."""

    def __init__(self) -> None:
        self.knocks = 0

    def knock(self, _peer: str, _leave: Callable[[], None]) -> Knock | None:
        self.knocks += 1
        return None

    def exhausted(self, error: OSError) -> None:
        raise error


async def test_a_storm_of_connections_is_accepted_with_rests() -> None:
    threshold: Any = Threshold()
    rested: list[Callable[[], None]] = []
    rests = Rests(
        after=lambda _delay, work: rested.append(work), soon=lambda work: work(), idle=iter(range(100)).__next__
    )
    listeners = Listeners(lambda _: None, threshold, rests, most=1000)
    (bound,) = await listeners.open(("127.0.0.1",), 0, tls=None)
    storm = [socket.create_connection(bound) for _ in range(3 * AT_ONCE + 1)]
    for let_in in (AT_ONCE, 2 * AT_ONCE, 3 * AT_ONCE, len(storm)):
        async with asyncio.timeout(PATIENCE_S):
            while threshold.knocks < let_in:  # noqa: ASYNC110  # the loop accepts them
                await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        assert threshold.knocks == let_in
        if let_in < len(storm):
            (rest,) = rested
            rested.clear()
            rest()
    for each in storm:
        each.close()
    listeners.close()
