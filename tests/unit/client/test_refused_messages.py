"""A message that the service does not take at all: the application hears of it, in MQTT 3.1.1 too."""

import asyncio
import json

import pytest

from healthsync_mqtt.client import ClientState, ConnectionLostError, Rejected
from healthsync_mqtt.client.transport import Answer
from healthsync_mqtt.errors import DeniedError
from healthsync_mqtt.mqtt.links.port import TooLargeError

from .fake_service import FakeConnection, FakeService, until
from .test_device_client import event

EVENTS = "users/alice/devices/watch/events"


class Strict(FakeService):
    """Acknowledges what it refuses, as a 3.1.1 service must, and tells of it by a receipt that names no batch."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = 1 << 20
        self.forbidden = False
        self.topic = EVENTS
        self.refused = 0

    def receive(self, payload: bytes) -> Answer | None:
        if self.forbidden:
            return self.refuse("not_allowed", "device_events is for user=bob only")
        if len(payload) + len(EVENTS) + 4 > self.limit:
            return self.refuse("too_large", f"a packet of {len(payload)} bytes", limit=self.limit)
        return super().receive(payload)

    def refuse(self, code: str, rule: str, **more: int) -> None:
        self.refused += 1
        entry = {"index": 0, "id": None, "code": code, "field": "topic", "message": f"{self.topic}: {rule}"}
        receipt = {"epoch": self.epoch, "seq": self.seq, "stored": [], "duplicate": []}
        receipt["rejected"] = [entry | {"topic": self.topic} | more]
        self.queue.append(json.dumps(receipt).encode())
        self.flush()


class Frank(FakeService):
    """Says in its CONNACK how long a packet may be, as an MQTT 5 service does: the link sends nothing longer."""

    limit = 0

    def __init__(self) -> None:
        super().__init__()
        self.tells = True
        self.connection = FrankConnection


class FrankConnection(FakeConnection):
    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> Answer | None:
        size = len(payload) + len(topic) + 10
        if size > self.service.limit:
            raise TooLargeError(size, self.service.limit)
        return await super().publish(topic, payload, retain=retain)


def long(number: int, size: int) -> dict:
    return event(number) | {"note": "x" * size}


async def test_a_device_that_may_not_publish_is_told_so(make_client) -> None:
    service = Strict()
    service.forbidden = True
    async with make_client(transport=service, fail_when_denied=True) as client:
        with pytest.raises(DeniedError, match="user=bob only"):
            await client.publish(event(1))
        assert isinstance(client.last_error, DeniedError)


async def test_what_was_not_taken_stays_and_is_sent_when_it_may_be(make_client, clock, outbox) -> None:
    service = Strict()
    service.forbidden = True
    async with make_client(transport=service, outbox=outbox) as client:
        await client.enqueue(event(1))
        await until(lambda: client.state is ClientState.DENIED)
        assert outbox.waiting() == 1
        service.forbidden = False
        await clock.advance(3600)
        await until(lambda: outbox.waiting() == 0)
    assert list(service.log) == ["e1"]


async def test_another_message_that_was_refused_disturbs_no_events(make_client, service) -> None:
    strict = Strict()
    strict.topic = "users/alice/devices/watch/status"
    strict.hold = True
    async with make_client(transport=strict) as client:
        publishing = asyncio.create_task(client.publish(event(1)))
        await until(lambda: bool(strict.deliveries))
        strict.refuse("not_allowed", "device_status has retain: false")
        strict.hold = False
        strict.flush()
        assert (await publishing).stored == 1
        assert client.state is ClientState.ONLINE
        assert strict.connects == 1


@pytest.mark.parametrize("make", [Strict, Frank])
async def test_the_length_of_a_packet_is_learnt_and_one_long_event_makes_no_small_batches(
    make_client, make, outbox
) -> None:
    service = make()
    service.limit = 4_000
    async with make_client(transport=service, outbox=outbox, batch_size=100) as client:
        results = await client.publish([event(1), long(2, 3_500), long(3, 6_000), *(event(n) for n in range(4, 60))])
        assert results.stored == 58
        assert [(each.id, each.reason) for each in results if isinstance(each, Rejected)] == [("e3", "too_large")]
        assert outbox.waiting() == 0
        assert service.connects == 1
        service.deliveries.clear()
        refused = getattr(service, "refused", 0)
        assert (await client.publish([event(n) for n in range(100, 160)])).stored == 60
        assert max(len(delivery["events"]) for delivery in service.deliveries) > 20
        assert getattr(service, "refused", 0) == refused


async def test_several_batches_on_their_way_are_each_told_and_none_twice(make_client, outbox) -> None:
    service = Strict()
    service.limit, service.hold = 4_000, True
    async with make_client(transport=service, outbox=outbox, batch_size=3, max_in_flight=8) as client:
        publishing = asyncio.create_task(client.publish([long(n, 1_500) for n in range(12)] + [event(20)]))
        await until(lambda: service.refused == 4)
        service.hold = False
        service.flush()
        assert (await publishing).stored == 13
        assert service.refused == 4
    stored = [each["id"] for delivery in service.deliveries for each in delivery["events"]]
    assert sorted(stored) == sorted(set(stored))


class Terse(FakeService):
    """Lists ``most`` rejections in a receipt."""

    most = 2

    def flush(self) -> None:
        receipts = [json.loads(each) for each in self.queue]
        self.queue.clear()
        for each in receipts:
            listed, left_out = each["rejected"][: self.most], each["rejected"][self.most :]
            self.queue.append(json.dumps(each | {"rejected": listed, "unlisted": len(left_out)}).encode())
        super().flush()


async def test_rejections_that_a_receipt_has_no_room_for_are_looked_for_in_smaller_batches(make_client) -> None:
    service = Terse()
    service.reject = {f"e{n}": "out_of_range" for n in range(0, 16, 2)}
    async with make_client(transport=service, batch_size=16) as client:
        results = await client.publish([event(n) for n in range(16)])
        assert [each.id for each in results if isinstance(each, Rejected)] == sorted(
            service.reject, key=lambda name: int(name[1:])
        )
        assert service.connects == 1


async def test_an_older_service_that_names_no_topic_changes_nothing(make_client, clock) -> None:
    service = Strict()
    async with make_client(transport=service) as client:
        refusal = {"index": 0, "id": None, "code": "not_allowed", "field": "topic", "message": "x"}
        receipt = {"epoch": "e1", "seq": 0, "stored": [], "duplicate": [], "rejected": [refusal]}
        service.queue.append(json.dumps(receipt).encode())
        service.flush()
        assert (await client.publish(event(1))).stored == 1
        assert not isinstance(client.last_error, ConnectionLostError)
