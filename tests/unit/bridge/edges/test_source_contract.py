"""The contract of sources of deliveries, run by each and failed by each planted fault."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from bridge.edges.external import LinkSource, LongAllowance, Origins
from bridge.pipeline import Pipeline
from healthsync_mqtt.broker.embedded.backpressure import Hold
from healthsync_mqtt.broker.embedded.connection import Connection
from healthsync_mqtt.broker.embedded.limits.rates import Bucket, Gate
from healthsync_mqtt.broker.embedded.ports import Entry
from healthsync_mqtt.broker.embedded.turns import Turns
from healthsync_mqtt.broker.embedded.wire import Wire
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.identity.login.proof import Login
from healthsync_mqtt.model.delivery import Delivery, DeliveryVerdict, Source
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.mqtt.codec import Decoder, v3, v5
from healthsync_mqtt.mqtt.codec.packets import Connect, Puback, Publish
from healthsync_mqtt.mqtt.message_room import MessageRoom
from healthsync_mqtt.testing.memory_edge import MemoryServing
from healthsync_mqtt.testing.memory_link import MemoryBroker, MemoryLink
from healthsync_mqtt.testing.source_contract import SourceContract, SourceSite
from tests.unit.broker.embedded.sessions.test_session import session
from tests.unit.broker.embedded.states import EVENTS, REGISTRY, WATCH, route


class Line(Pipeline):
    """The pipeline's side: takes deliveries, and says that it takes no more while ``full``."""

    def __init__(self) -> None:
        self.full = False
        self.taken: list[Delivery] = []

    def submit(self, deliveries: list[Delivery], *, shared: bool = False) -> bool:
        self.taken += deliveries
        return self.full


class Site:
    """What every site has."""

    source: Source

    def __init__(self) -> None:
        self.line = Line()

    @property
    def full(self) -> bool:
        return self.line.full

    @full.setter
    def full(self, full: bool) -> None:
        self.line.full = full

    @property
    def taken(self) -> Sequence[Delivery]:
        return self.line.taken

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    def leave(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        self.leave()
        await self.settle()


class Porch:
    """The door of one connection, which lets everybody in and hands events to the line."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def enter(self, *_: Any, **__: Any) -> Entry:
        made = session(window=20)
        login = Login(principal=WATCH, expires_at=1e12, jti=None)
        gate = Gate(Bucket(1e6, 1e6), Bucket(1e6, 1e6))
        return Entry(login, made, False, route, gate, 600, 1e6, lambda _: False)

    def take(self, _client: Connection, what: Any) -> Hold:
        return Hold.JOURNAL if self._line.submit(what.deliveries) else Hold.NONE

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_, **__: None


class Socket:
    """A transport with a client behind it."""

    def __init__(self, level: int) -> None:
        self.heard = Decoder(1 << 20, server=False, versions=frozenset({level}))
        self.answers: list[int] = []
        self.reads, self.closed = True, False

    def write(self, data: bytes) -> None:
        if not self.closed:
            self.answers += [each.packet_id for each in self.heard.feed(data) if isinstance(each, Puback)]

    def get_extra_info(self, _name: str) -> None:
        return None

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def close(self) -> None:
        self.closed = True

    abort = close


class AtTheDoor(Site):
    """A connection of the embedded broker."""

    version: Any = v3

    def __init__(self, kind: type[Connection] = Connection) -> None:
        super().__init__()
        porch: Any = Porch(self.line)
        level = 5 if self.version is v5 else 4
        self._socket: Any = Socket(level)
        self._waiting: list[bytes] = []

        def accept(wire: Wire) -> Connection:
            return kind(porch, wire, LimitSettings(), Turns(), visitors=porch, wanted=lambda _: None)

        self._wire = Wire(accept, secure=True)
        self._wire.connection_made(self._socket)
        self.source = self._connection = self._wire._listener  # type: ignore[assignment]
        self._wire.data_received(self.version.encode(Connect("alice-watch", protocol_level=level)))

    @property
    def answered(self) -> Sequence[int]:
        return self._socket.answers

    def send(self, *numbers: int) -> None:
        data = b"".join(self.version.encode(Publish(EVENTS, b"%d" % n, 1, packet_id=n)) for n in numbers)
        self._waiting.append(data)

    def leave(self) -> None:
        if not self._socket.closed:
            self._socket.closed = True
            self._wire.connection_lost(None)

    async def settle(self) -> None:
        for _ in range(50):
            while self._waiting and self._socket.reads and not self._socket.closed:
                self._wire.data_received(self._waiting.pop(0))
            await asyncio.sleep(0)


class AtTheDoor5(AtTheDoor):
    """The same in MQTT 5, where acknowledgements say what became of events."""

    version = v5


class OnLink(Site):
    """The connection of a bridge to an external broker."""

    def __init__(self) -> None:
        super().__init__()
        long = LongAllowance(MessageRoom(1_048_576, 1_048_576), lambda *_: 1_048_576)
        self.source = self._source = LinkSource(self.line, Origins(REGISTRY, Shard.parse("")), long)
        self._broker = MemoryBroker()
        self._link = MemoryLink(self._broker, self._source.received)
        self._source.release(self._link)

    @property
    def answered(self) -> Sequence[int]:
        return self._broker.acknowledged

    def send(self, *numbers: int) -> None:
        self._link.say([Publish(EVENTS, b"%d" % n, 1, packet_id=n) for n in numbers])

    def leave(self) -> None:
        self._link.drop()
        self._source.leave()


class InMemory(Site):
    """Devices in this process: each message is a call that returns when it is durable."""

    def __init__(self, kind: type[MemoryServing] = MemoryServing) -> None:
        super().__init__()
        edge: Any = None
        self.source = self._serving = kind(edge, self.line)
        self._serving.open()
        self._calls: list[asyncio.Task[None]] = []
        self.answered: list[int] = []

    def send(self, *numbers: int) -> None:
        for number in numbers:
            self._calls.append(asyncio.create_task(self._call(number)))

    async def _call(self, number: int) -> None:
        await self._serving.publish("alice", "watch", b"%d" % number)
        self.answered.append(number)

    def leave(self) -> None:
        for call in self._calls:
            call.cancel()

    async def close(self) -> None:
        self.leave()
        await asyncio.gather(*self._calls, return_exceptions=True)


class TestSources(SourceContract):
    @pytest.fixture(params=[AtTheDoor, AtTheDoor5, OnLink, InMemory])
    async def site(self, request: pytest.FixtureRequest) -> AsyncIterator[SourceSite]:
        made = request.param()
        await made.settle()
        yield made
        await made.close()


class SaysAnother(MemoryServing):
    def hand_on(self, delivery: Delivery) -> None:
        super().hand_on(delivery._replace(source=Porch(Line())))  # type: ignore[arg-type]


class Hasty(MemoryServing):
    def hand_on(self, delivery: Delivery) -> None:
        super().hand_on(delivery)
        self.acknowledge([delivery.token])

    def acknowledge(self, tokens: Sequence[int], verdicts: Sequence[DeliveryVerdict] = ()) -> None:
        super().acknowledge([each for each in tokens if each in self._waiting], verdicts)


class Backwards(MemoryServing):
    def acknowledge(self, tokens: Sequence[int], verdicts: Sequence[DeliveryVerdict] = ()) -> None:
        super().acknowledge(tokens[::-1], verdicts)


class Fickle(MemoryServing):
    def hand_on(self, delivery: Delivery) -> None:
        super().hand_on(delivery._replace(told=bool(delivery.token % 2)))


class Unstoppable(MemoryServing):
    def hand_on(self, delivery: Delivery) -> None:
        super().hand_on(delivery)
        self.resume()


class Sulking(MemoryServing):
    def acknowledge(self, tokens: Sequence[int], verdicts: Sequence[DeliveryVerdict] = ()) -> None:
        if self._free.is_set():
            super().acknowledge(tokens, verdicts)


class Repeating(MemoryServing):
    def hand_on(self, delivery: Delivery) -> None:
        self.last = delivery
        super().hand_on(delivery)

    def resume(self) -> None:
        super().resume()
        if self._waiting:
            self._pipeline.submit([self.last])


class Resentful(MemoryServing):
    def charge(self, cost: int) -> None:
        self._open = self._open and not cost


class Mindful(MemoryServing):
    def acknowledge(self, tokens: Sequence[int], verdicts: Sequence[DeliveryVerdict] = ()) -> None:
        for token in tokens:
            self._waiting.pop(token).set_result(None)


FAULTS: dict[type[MemoryServing], str] = {
    SaysAnother: "test_a_delivery_is_what_came_and_knows_its_source",
    Hasty: "test_nothing_is_answered_before_it_is_durable",
    Backwards: "test_each_is_answered_once_and_in_its_order",
    Fickle: "test_all_of_a_source_ask_for_verdicts_or_none",
    Unstoppable: "test_who_is_to_wait_hands_on_nothing_before_it_may_and_then_everything",
    Sulking: "test_who_waits_is_answered_all_the_same",
    Repeating: "test_to_go_on_without_having_waited_changes_nothing",
    Resentful: "test_what_was_dear_to_decide_is_not_lost",
    Mindful: "test_whoever_is_gone_is_told_nothing_and_nobody_minds",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_each_clause_finds_its_fault(fault: type[MemoryServing]) -> None:
    clause = getattr(SourceContract(), FAULTS[fault])
    whole, marred = InMemory(), InMemory(fault)
    await clause(whole)
    with pytest.raises((AssertionError, asyncio.InvalidStateError)):
        await clause(marred)
    for site in (whole, marred):
        await site.close()


def test_no_clause_is_without_a_fault() -> None:
    clauses = {name for name, _ in inspect.getmembers(SourceContract, inspect.isfunction) if name.startswith("test_")}
    assert clauses == set(FAULTS.values())
