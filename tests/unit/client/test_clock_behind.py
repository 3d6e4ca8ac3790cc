"""The service's clock is behind: events that it refuses for now stay in the outbox and are sent again until taken."""

import asyncio
import json
from typing import Any

from .fake_service import FakeClock, FakeService, settle, until


def event(n: int) -> dict[str, Any]:
    return {"id": f"e{n}", "type": "heart_rate", "start_time": "2026-11-23T06:00:00Z", "value": {"bpm": 72}}


class Behind(FakeService):
    """Refuses these ids as future_time, for now or for good."""

    def __init__(self) -> None:
        super().__init__()
        self.early: set[str] = set()
        self.retry = True

    def receive(self, payload: bytes) -> None:
        self.reject = dict.fromkeys(self.early, "future_time")
        super().receive(payload)

    def flush(self) -> None:
        for place, receipt in enumerate(self.queue):
            told = json.loads(receipt)
            for entry in told["rejected"]:
                if self.retry and entry["code"] == "future_time":
                    entry["retry"] = True
            self.queue[place] = json.dumps(told).encode()
        super().flush()


async def test_what_is_refused_for_now_is_kept_and_reported_when_it_is_stored(
    make_client: Any, clock: FakeClock, outbox: Any
) -> None:
    service = Behind()
    service.early = {"e1"}
    async with make_client(transport=service, outbox=outbox) as client:
        publishing = asyncio.create_task(client.publish([event(0), event(1), event(2)]))
        await until(lambda: set(service.log) == {"e0", "e2"})
        await until(lambda: outbox.waiting() == 1)
        await settle()
        assert not publishing.done()
        service.deliveries.clear()
        await clock.advance(15)
        assert service.deliveries == []
        await clock.advance(20)
        await until(lambda: len(service.deliveries) == 1)
        service.early = set()
        for _ in range(20):
            await clock.advance(15)
        await until(lambda: "e1" in service.log)
        results = await publishing
        assert (results.stored, results.rejected) == (3, 0)
        assert outbox.waiting() == 0
        assert len(service.deliveries) == 2


async def test_the_waits_grow_and_last_over_a_reconnect(make_client: Any, clock: FakeClock, outbox: Any) -> None:
    service = Behind()
    service.early = {"e1"}
    async with make_client(transport=service, outbox=outbox) as client:
        await client.enqueue([event(1)])
        await until(lambda: len(service.deliveries) == 1)
        await settle()
        service.drop()
        for _ in range(4 * 60):
            await clock.advance(15)
        assert 4 <= len(service.deliveries) <= 10
        service.early = set()
        for _ in range(4 * 16):
            await clock.advance(15)
        assert set(service.log) == {"e1"}


async def test_what_is_refused_for_good_is_reported_at_once(make_client: Any, outbox: Any) -> None:
    service = Behind()
    service.early = {"e1"}
    service.retry = False
    async with make_client(transport=service, outbox=outbox) as client:
        results = await client.publish([event(0), event(1)])
    assert (results.stored, results.rejected) == (1, 1)
    assert outbox.waiting() == 0


async def test_what_the_service_holds_is_told_and_kept_like_what_it_has(
    make_client: Any, clock: FakeClock, outbox: Any
) -> None:
    """It is the service's from now on; if its log goes back, what it held has gone with it and is sent again."""
    service = Holding()
    service.early = {"e1"}
    async with make_client(transport=service, outbox=outbox) as client:
        results = await client.publish([event(0), event(1), event(2)])
        assert [getattr(each, "held", False) for each in results] == [False, True, False]
        assert (results.stored, results.rejected) == (2, 1)
        assert outbox.waiting() == 0
        assert outbox.rewind() == 3


class Holding(Behind):
    """Refuses as future_time for longer than a sender should try, and keeps what it refuses."""

    def flush(self) -> None:
        for place, receipt in enumerate(self.queue):
            told = json.loads(receipt)
            for entry in told["rejected"]:
                entry["held"] = True
            self.queue[place] = json.dumps(told).encode()
        super().flush()

    def __init__(self) -> None:
        super().__init__()
        self.retry = False
