"""Ports: a storm of connections is let in a few at a time, with a rest of the loop between."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from healthsync_mqtt.broker.embedded.accepting import AT_ONCE
from healthsync_mqtt.broker.embedded.limits.addresses import Knock
from healthsync_mqtt.broker.embedded.listeners import Listeners


class Threshold:
    """Lets nobody in, and counts."""

    def __init__(self) -> None:
        self.knocks = 0

    def knock(self, _peer: str, _leave: Callable[[], None]) -> Knock | None:
        self.knocks += 1
        return None

    def exhausted(self, error: OSError) -> None:
        raise error


async def test_a_storm_of_connections_is_accepted_with_rests(monkeypatch: Any) -> None:
    threshold: Any = Threshold()
    listeners = Listeners(lambda _: None, threshold, most=1000)
    (bound,) = await listeners.open(("127.0.0.1",), 0, tls=None)
    loop = asyncio.get_running_loop()
    pauses: list[float] = []
    later = loop.call_later

    def counted(delay: float, *work: Any) -> Any:
        pauses.append(delay)
        return later(delay, *work)

    monkeypatch.setattr(loop, "call_later", counted)
    storm = [socket.create_connection(bound) for _ in range(3 * AT_ONCE + 1)]
    (listening,) = listeners._sockets
    listeners._accepting.ready(listening)
    assert threshold.knocks == AT_ONCE
    assert len(pauses) == 1
    async with asyncio.timeout(10):
        while threshold.knocks < len(storm):  # noqa: ASYNC110  # the loop accepts the others
            await asyncio.sleep(0)
    assert len(pauses) >= 3
    for each in storm:
        each.close()
    listeners.close()
