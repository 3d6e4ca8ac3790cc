"""The service's clock is behind: events that it refuses for now stay in the outbox and are sent again until taken."""

import asyncio
import json
from typing import Any

from healthsync_mqtt.client import MemoryOutbox

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


async def test_what_the_service_holds_is_told_at_once_and_sent_again_until_it_is_taken(
    make_client: Any, clock: FakeClock, outbox: Any
) -> None:
    """The service has room for some of what it holds, so nobody may forget an event because it is held."""
    service = Holding()
    service.early = {"e1"}
    async with make_client(transport=service, outbox=outbox) as client:
        results = await client.publish([event(0), event(1), event(2)])
        assert [getattr(each, "held", False) for each in results] == [False, True, False]
        assert (results.stored, results.rejected) == (2, 1)
        assert outbox.waiting() == 1
        await client.drain()
        for _ in range(40):
            await clock.advance(15)
        assert 3 <= len(service.deliveries) <= 10
        service.early = set()
        for _ in range(4 * 16):
            await clock.advance(15)
        assert set(service.log) == {"e0", "e1", "e2"}
        assert outbox.waiting() == 0
        assert outbox.rewind() == 3


async def test_who_closes_does_not_wait_for_what_is_held(make_client: Any, clock: FakeClock, outbox: Any) -> None:
    service = Holding()
    service.early = {"e1"}
    async with make_client(transport=service, outbox=outbox) as client:
        await client.publish([event(0), event(1)])
        assert outbox.waiting() == 1
        assert await client.close()
        assert clock.now == 1_000_000.0


async def test_what_is_held_leaves_half_of_the_outbox_to_others(make_client: Any, clock: FakeClock) -> None:
    service, outbox = Holding(), MemoryOutbox(capacity=10)
    service.early = {f"e{n}" for n in range(50)}
    async with make_client(transport=service, outbox=outbox, batch_size=5) as client:
        for n in range(0, 50, 5):
            results = await client.publish([event(n + k) for k in range(5)])
            assert {each.held for each in results} == {True}
        assert outbox.waiting() == 5
        assert (await client.publish(event(99))).stored == 1
        assert outbox.rewind() == 46, "the others are kept as what was acknowledged is"
        service.early = set()
        for _ in range(4 * 16):
            await clock.advance(15)
        assert len(service.log) == 51
        assert outbox.waiting() == 0


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
