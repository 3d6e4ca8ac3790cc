"""The contract of a bridge's connections: both versions over a socket, and the one in memory; and that it can fail."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest

from healthsync_mqtt.mqtt.codec import Decoder, encode, v5
from healthsync_mqtt.mqtt.codec.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Property,
    Puback,
    Publish,
    Suback,
    Subscribe,
)
from healthsync_mqtt.mqtt.links.port import Address, BrokerLink, ClientLogin, Target
from healthsync_mqtt.mqtt.links.work import open_link
from healthsync_mqtt.testing import link_contract
from healthsync_mqtt.testing.link_contract import MOST, FarBroker, LinkContract
from healthsync_mqtt.testing.memory_link import MemoryBroker, MemoryLink


class OnASocket:
    """A broker of one version that does what it is told."""

    def __init__(self, version: int) -> None:
        self._version = version
        self._encode = encode if version == 4 else v5.encode
        self._taken: list[tuple[str, bytes, bool]] = []
        self._acknowledged: list[int] = []
        self._goodbyes = 0
        self._held: list[int] | None = None
        self._forbidden: set[str] = set()
        self._writer: asyncio.StreamWriter | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._target = Target(
            address=Address(host="127.0.0.1", port=self._server.sockets[0].getsockname()[1], timeout=120.0),
            account=ClientLogin(client_id="b", username="b", password="p"),
            version=self._version,
            most=MOST,
        )

    async def stop(self) -> None:
        self._server.close()
        self.drop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        decoder = Decoder(1 << 20, 1 << 20, versions=frozenset({self._version}))
        try:
            while data := await reader.read(65_536):
                for packet in decoder.feed(data):
                    self._hear(packet, writer)
        except OSError:
            pass
        finally:
            writer.close()

    def _hear(self, packet: Packet, writer: asyncio.StreamWriter) -> None:
        match packet:
            case Connect():
                about = {Property.MAXIMUM_PACKET_SIZE: MOST} if self._version == 5 else {}
                writer.write(self._encode(Connack(False, 0, about)))
            case Publish():
                self._taken.append((packet.topic.decode(), packet.payload, packet.retain))
                if self._held is None:
                    writer.write(self._encode(Puback(packet.packet_id)))
                else:
                    self._held.append(packet.packet_id)
            case Puback():
                self._acknowledged.append(packet.packet_id)
            case Subscribe():
                codes = tuple(0x80 if each[0] in self._forbidden else 1 for each in packet.filters)
                writer.write(self._encode(Suback(packet.packet_id, codes)))
            case Disconnect():
                self._goodbyes += 1
            case _:
                pass

    def connect(self, arrived: Callable[[list[Publish]], None]) -> AbstractAsyncContextManager[BrokerLink]:
        return open_link(self._target, arrived)

    def taken(self) -> list[tuple[str, bytes, bool]]:
        return list(self._taken)

    def acknowledged(self) -> list[int]:
        return list(self._acknowledged)

    def goodbyes(self) -> int:
        return self._goodbyes

    def say(self, messages: Sequence[Publish]) -> None:
        assert self._writer is not None
        self._writer.write(b"".join(map(self._encode, messages)))

    def hold(self) -> None:
        self._held = []

    def answer(self, count: int, code: int = 0) -> None:
        assert self._held is not None
        assert self._writer is not None
        for _ in range(count):
            self._writer.write(self._encode(Puback(self._held.pop(0), code if self._version == 5 else 0)))

    def forbid(self, topic_filter: str) -> None:
        self._forbidden.add(topic_filter)

    def drop(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()


class InMemory:
    def __init__(self, kind: Callable[..., MemoryLink] = MemoryLink) -> None:
        self._kind = kind
        self._broker = MemoryBroker(max_packet=MOST)

    @asynccontextmanager
    async def connect(self, arrived: Callable[[list[Publish]], None]) -> AsyncIterator[BrokerLink]:
        self._link = self._kind(self._broker, arrived)
        try:
            yield self._link
        finally:
            self._link.drop()

    def taken(self) -> list[tuple[str, bytes, bool]]:
        return [tuple(each) for each in self._broker.taken]

    def acknowledged(self) -> list[int]:
        return self._broker.acknowledged

    def goodbyes(self) -> int:
        return self._broker.goodbyes

    def say(self, messages: Sequence[Publish]) -> None:
        self._link.say(messages)

    def hold(self) -> None:
        self._broker.answers = False

    def answer(self, count: int, code: int = 0) -> None:
        self._link.answer(count, code)

    def forbid(self, topic_filter: str) -> None:
        self._broker.forbidden.add(topic_filter)

    def drop(self) -> None:
        self._link.drop()


class TestOnASocket(LinkContract):
    @pytest.fixture(params=[4, 5], ids=["3.1.1", "5"])
    async def far(self, request: pytest.FixtureRequest) -> AsyncIterator[FarBroker]:
        broker = OnASocket(request.param)
        await broker.start()
        yield broker
        await broker.stop()


class TestInMemory(LinkContract):
    @pytest.fixture
    def far(self) -> FarBroker:
        return InMemory()


class Eager(MemoryLink):
    """Acknowledges what it hands over."""

    def say(self, messages: Sequence[Publish]) -> None:
        super().say(messages)
        self._broker.acknowledged += [message.packet_id for message in messages]


class Undying(MemoryLink):
    alive = property(lambda _self: True)  # type: ignore[assignment]


class Polite(MemoryLink):
    def drop(self) -> None:
        if self.alive:
            self._broker.goodbyes += 1
        super().drop()


class Endless(MemoryLink):
    def room(self, topic: str) -> int:
        return super().room(topic) + MOST


class Restless(MemoryLink):
    def pause(self) -> None:
        pass


class Forgetful(MemoryLink):
    def drop(self) -> None:
        super().drop()
        self._owed.clear()


class Backwards(MemoryLink):
    def acknowledge(self, data: bytes) -> None:
        super().acknowledge(data)
        self._broker.acknowledged.reverse()


class Unheard(MemoryLink):
    def answer(self, count: int = 1, code: int = 0) -> None:
        super().answer(count)


class Granting(MemoryLink):
    async def subscribe(self, filters: Sequence[str], *, qos: int = 1, retained: bool = False) -> list[int]:
        return [qos] * len(filters)


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (Eager, LinkContract.test_what_comes_is_handed_over_in_order_and_acknowledged_by_nobody_else),
        (Backwards, LinkContract.test_what_comes_is_handed_over_in_order_and_acknowledged_by_nobody_else),
        (Undying, LinkContract.test_a_connection_that_is_over_takes_nothing_more),
        (Undying, LinkContract.test_no_acknowledgement_crosses_to_the_next_connection),
        (Polite, LinkContract.test_only_close_says_goodbye),
        (Endless, LinkContract.test_what_has_no_room_is_not_taken_and_hurts_nobody),
        (Restless, LinkContract.test_what_comes_during_a_pause_is_there_after_it),
        (Forgetful, LinkContract.test_the_oldest_message_without_an_answer_is_known),
        (Unheard, LinkContract.test_an_answer_says_no),
        (Granting, LinkContract.test_a_filter_has_a_code_each),
    ],
)
async def test_a_link_with_a_fault_does_not_pass(
    broken: Callable[..., MemoryLink], clause: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_contract, "_WITHIN_S", 0.05)
    with pytest.raises(AssertionError) as failed, suppress(TimeoutError):
        await clause(LinkContract(), InMemory(broken))
    assert failed.value
