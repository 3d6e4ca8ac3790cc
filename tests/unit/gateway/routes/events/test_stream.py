"""What a stream says when it has nothing to tell."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from healthsync_mqtt.gateway.event_log.tail import Tail
from healthsync_mqtt.gateway.routes.events.stream import Followed, Streams
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.testing.log_items import item
from tests.support.patience import PATIENCE_S

T = TypeVar("T")


class Pool:
    """A log that somebody writes to whenever it is asked."""

    def __init__(self, user: str) -> None:
        self._log = MemoryEventLog()
        self._user = user
        self._count = 0

    async def ask(self, question: Callable[[LogReader], T]) -> T:
        await asyncio.sleep(0)
        self._count += 1
        self._log.stage([item(f"e-{self._count}", self._user)], [], 1)
        self._log.commit()
        return question(self._log.reader())


@pytest.mark.parametrize("user", [None, "alice"])
async def test_a_stream_whose_user_sends_nothing_says_that_it_is_there_while_others_send(user: str | None) -> None:
    pool: Any = Pool("bob")
    shares = SimpleNamespace(shows=lambda _caller, record: record.user == "alice")
    reading: Any = SimpleNamespace(log=pool, shares=shares)
    caller: Any = SimpleNamespace()
    callers: Any = SimpleNamespace(still=lambda _: True)
    tail = Tail(pool, every_s=0.001)
    streams = Streams(reading, tail, callers, heartbeat_s=0.05)
    looking = asyncio.create_task(tail.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            told = streams.events(Followed(caller=caller, user=user, type=None, after=0))
            assert [await anext(told) for _ in range(3)] == [None] * 3
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def test_who_is_told_something_hears_nothing_else_before_it_is_time() -> None:
    pool: Any = Pool("alice")
    shares = SimpleNamespace(shows=lambda *_: True)
    reading: Any = SimpleNamespace(log=pool, shares=shares)
    callers: Any = SimpleNamespace(still=lambda _: True)
    tail = Tail(pool, every_s=0.001)
    streams = Streams(reading, tail, callers, heartbeat_s=PATIENCE_S)
    looking = asyncio.create_task(tail.run())
    caller: Any = SimpleNamespace()
    try:
        told = streams.events(Followed(caller=caller, user="alice", type=None, after=0))
        found = [await anext(told) for _ in range(20)]
        assert [each.id for each in found if each is not None] == [f"e-{number}" for number in range(1, 21)]
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
