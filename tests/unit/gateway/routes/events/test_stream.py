"""What a stream says when it has nothing to tell."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar, TypeVar

import pytest

from healthsync_mqtt.gateway.event_log.tail import Tail
from healthsync_mqtt.gateway.routes.events import stream
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
        self.write()
        return question(self._log.reader())

    def write(self) -> None:
        self._count += 1
        self._log.stage([item(f"e-{self._count}", self._user)], [], 1)
        self._log.commit()


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


class Counted:
    """A pool as one stream asks it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.asked = 0

    async def ask(self, question: Callable[[LogReader], T]) -> T:
        self.asked += 1
        return await self._pool.ask(question)


async def test_for_a_client_that_takes_nothing_nothing_is_read_and_later_it_gets_everything_in_order() -> None:
    """What comes meanwhile waits in the log, and nowhere else."""
    pool = Pool("alice")
    counted: Any = Counted(pool)
    shares = SimpleNamespace(shows=lambda *_: True)
    reading: Any = SimpleNamespace(log=counted, shares=shares)
    callers: Any = SimpleNamespace(still=lambda _: True)
    beside: Any = pool
    tail = Tail(beside, every_s=0.001)
    streams = Streams(reading, tail, callers, heartbeat_s=PATIENCE_S)
    caller: Any = SimpleNamespace()
    looking = asyncio.create_task(tail.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            told = streams.events(Followed(caller=caller, user="alice", type=None, after=0))
            first = await anext(told)
            assert counted.asked == 1
            for _ in range(500):
                pool.write()
                await asyncio.sleep(0)
            assert counted.asked == 1, "it is read on when the client takes more"
            found = [first, *[await anext(told) for _ in range(500)]]
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    assert [each.id for each in found if each is not None] == [f"e-{number}" for number in range(1, 502)]
    assert counted.asked <= 4, "a page for each two hundred"


class Deaf:
    """A WebSocket whose client reads nothing: what is sent to it never goes out."""

    scope: ClassVar[dict[str, Any]] = {"type": "websocket"}

    def __init__(self) -> None:
        self.tried: list[str] = []

    async def accept(self, _subprotocol: str | None) -> None:
        """It is open."""

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send_text(self, text: str) -> None:
        self.tried.append(text)
        await asyncio.Event().wait()


async def test_a_web_socket_that_takes_nothing_is_over_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SEND_S", 0.05)
    pool: Any = Pool("alice")
    shares = SimpleNamespace(shows=lambda *_: True)
    reading: Any = SimpleNamespace(log=pool, shares=shares)
    callers: Any = SimpleNamespace(still=lambda _: True)
    streams = Streams(reading, Tail(pool, every_s=0.001), callers, heartbeat_s=PATIENCE_S)
    caller: Any = SimpleNamespace()
    socket: Any = Deaf()
    async with asyncio.timeout(PATIENCE_S):
        followed = Followed(caller=caller, user="alice", type=None, after=0)
        await stream._talk(socket, streams, followed, first_api=False)
    assert len(socket.tried) == 1
    assert [each.get_name() for each in asyncio.all_tasks() if each.get_name().startswith("gateway.")] == []
