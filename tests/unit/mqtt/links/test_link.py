"""One connection as a client: what is acknowledged, counted, refused and lost."""

import asyncio
import select
from collections.abc import AsyncIterator

import pytest

from healthsync_mqtt.errors import DeniedError
from healthsync_mqtt.mqtt.codec import Decoder, encode, encode_pubacks, encode_publish
from healthsync_mqtt.mqtt.codec.packets import Connack, Connect, Disconnect, Packet, Puback, Publish, Suback, Subscribe
from healthsync_mqtt.mqtt.links.port import (
    Address,
    ClientLogin,
    ConnectionLostError,
    NoAnswerError,
    ProtocolRefusedError,
    Target,
)
from healthsync_mqtt.mqtt.links.work import open_link
from tests.support.patience import PATIENCE_S, until


class FakeBroker:
    """Accepts one client after the other and keeps what they said, with the bytes of their PUBACKs in order."""

    def __init__(self) -> None:
        self.heard: list[Packet] = []
        self.code = 0
        self.silent = False
        self.server: asyncio.Server | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.port = 0
        self.changed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        decoder = Decoder(1 << 20)
        try:
            while data := await reader.read(65536):
                for packet in decoder.feed(data):
                    self.heard.append(packet)
                    self.answer(packet, writer)
                self.changed.set()
        except OSError:
            pass
        finally:
            writer.close()

    def answer(self, packet: Packet, writer: asyncio.StreamWriter) -> None:
        if isinstance(packet, Connect):
            if self.silent:
                writer.close()
            else:
                writer.write(encode(Connack(False, self.code)))
        elif isinstance(packet, Subscribe):
            writer.write(encode(Suback(packet.packet_id, tuple(1 for _ in packet.filters))))
        elif isinstance(packet, Publish) and packet.qos:
            writer.write(encode(Puback(packet.packet_id)))

    def of(self, kind: type) -> list[Packet]:
        return [packet for packet in self.heard if isinstance(packet, kind)]

    async def until(self, condition: object) -> None:
        assert callable(condition)
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def broker() -> AsyncIterator[FakeBroker]:
    fake = FakeBroker()
    fake.server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.port = fake.server.sockets[0].getsockname()[1]
    yield fake
    fake.server.close()
    if fake.writer is not None:
        fake.writer.transport.abort()


def target(port: int, version: int = 4) -> Target:
    return Target(
        address=Address(host="127.0.0.1", port=port, timeout=3.0),
        account=ClientLogin(client_id="b", username="b", password="p"),
        version=version,
    )


def messages(*numbers: int) -> bytes:
    return b"".join(encode_publish(b"users/u/events", b"%d" % n, 1, False, False, n) for n in numbers)


async def test_nothing_is_acknowledged_before_it_is_said_and_then_in_that_order(broker: FakeBroker) -> None:
    got: list[Publish] = []
    async with open_link(target(broker.port), got.extend) as link:
        assert await link.subscribe(["users/+/events"]) == [1]
        assert broker.writer
        broker.writer.write(messages(*range(1, 51)))
        await until(lambda: len(got) == 50)
        await link.subscribe(["another/round/trip"])
        assert broker.of(Puback) == []
        link.acknowledge(encode_pubacks(range(1, 31)))
        await broker.until(lambda: len(broker.of(Puback)) == 30)
        assert broker.of(Puback) == [Puback(n) for n in range(1, 31)]
        assert [message.packet_id for message in got] == list(range(1, 51))


async def test_messages_of_the_bridge_are_counted_when_the_broker_took_them(broker: FakeBroker) -> None:
    done = asyncio.Event()
    async with open_link(target(broker.port), lambda _: None) as link:
        assert link.send("a/b", b"hello", done=lambda _: done.set())
        async with asyncio.timeout(PATIENCE_S):
            await done.wait()
    assert [(p.topic, p.payload, p.qos) for p in broker.of(Publish)] == [(b"a/b", b"hello", 1)]  # type: ignore[attr-defined]


async def test_the_end_of_a_connection_is_seen_and_it_takes_nothing_more(broker: FakeBroker) -> None:
    async with open_link(target(broker.port), lambda _: None) as link:
        assert broker.writer
        broker.writer.transport.abort()
        with pytest.raises(ConnectionLostError):
            async with asyncio.timeout(PATIENCE_S):
                await link.ended()
        assert not link.alive
        assert not link.send("a/b", b"lost")
        link.acknowledge(encode_pubacks([1]))
        with pytest.raises(ConnectionLostError):
            await link.subscribe(["a"])


async def test_nothing_is_written_to_a_connection_that_broke_and_is_not_over_yet(
    broker: FakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_link(target(broker.port), lambda _: None) as link:
        assert broker.writer is not None
        broker.writer.transport.abort()
        broken = link._transport.get_extra_info("socket")
        await asyncio.sleep(0)
        # In one turn of the loop, which hears of the end only behind it.
        assert select.select([broken], [], [], PATIENCE_S)[0]
        for _ in range(50):
            link.write(encode_publish(b"t", b"{}", 1, False, False, 1))
        with pytest.raises(ConnectionLostError):
            await link.ended()
    assert caplog.messages == []


async def test_only_a_goodbye_says_disconnect(broker: FakeBroker) -> None:
    async with open_link(target(broker.port), lambda _: None):
        pass
    async with open_link(target(broker.port), lambda _: None) as link:
        await link.close()
    await broker.until(lambda: len(broker.of(Disconnect)) == 1)


async def test_a_broker_that_breaks_the_protocol_is_left(broker: FakeBroker) -> None:
    """T28."""
    got: list[Publish] = []
    async with open_link(target(broker.port), got.extend) as link:
        assert broker.writer
        broker.writer.write(messages(1) + b"\x34\x07\x00\x01a\x00\x01hi" + messages(2))
        with pytest.raises(ConnectionLostError):
            async with asyncio.timeout(PATIENCE_S):
                await link.ended()
    assert got == []


@pytest.mark.parametrize("noise", [b"\x40\x02\x00\x07", b"\x40\x02\x00\x00", b"\x90\x02\x00\x05", b"\xd0\x00"])
async def test_answers_to_nothing_hurt_nobody(broker: FakeBroker, noise: bytes) -> None:
    """T28: unsolicited PUBACK, packet id 0, SUBACK without codes, PINGRESP."""
    got: list[Publish] = []
    async with open_link(target(broker.port), got.extend) as link:
        assert broker.writer
        broker.writer.write(noise + messages(1))
        await until(lambda: bool(got) or not link.alive)
    assert len(got) <= 1


async def test_reading_stops_and_goes_on(broker: FakeBroker) -> None:
    got: list[Publish] = []
    async with open_link(target(broker.port), got.extend) as link:
        assert broker.writer
        link.pause()
        broker.writer.write(messages(1, 2))
        await broker.writer.drain()
        await asyncio.sleep(0.05)
        assert got == []
        link.resume()
        await until(lambda: len(got) == 2)


@pytest.mark.parametrize(
    ("code", "error"), [(1, ProtocolRefusedError), (4, DeniedError), (5, DeniedError), (3, ConnectionLostError)]
)
async def test_a_refusal_is_told_by_its_kind(broker: FakeBroker, code: int, error: type[Exception]) -> None:
    broker.code = code
    with pytest.raises(error):
        async with open_link(target(broker.port), lambda _: None):
            pass


async def test_a_broker_that_hangs_up_after_connect_refuses_the_version(broker: FakeBroker) -> None:
    broker.silent = True
    with pytest.raises(ProtocolRefusedError):
        async with open_link(target(broker.port), lambda _: None):
            pass


async def test_no_broker_is_an_outage() -> None:
    with pytest.raises(ConnectionLostError):
        async with open_link(target(1), lambda _: None):
            pass


async def test_an_answer_behind_what_waited_for_the_session_is_waited_for_and_none_is_an_outage(
    broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bridge with a long queue never came to work: its broker's answer stands behind all of it."""
    held: list[Packet] = []
    monkeypatch.setattr(broker, "answer", lambda packet, writer: _hold(broker, held, packet, writer))
    loop, later = asyncio.get_running_loop(), 0.0
    real = loop.time
    async with open_link(target(broker.port), lambda _: None) as link:
        monkeypatch.setattr(loop, "time", lambda: real() + later)
        asking = asyncio.create_task(link.subscribe(["a/b"]))
        await until(lambda: bool(held))
        assert broker.writer
        for number in range(1, 6):
            heard = link._heard
            later += 2.0  # of the three that an answer has
            broker.writer.write(messages(number))
            await until(lambda since=heard: link._heard > since)  # type: ignore[misc]
            assert not asking.done()
        broker.writer.write(encode(Suback(held[0].packet_id, (1,))))  # type: ignore[attr-defined]
        assert await asking == [1]
        asking = asyncio.create_task(link.subscribe(["a/b"]))
        await until(lambda: len(held) > 1)
        later += 4.0
        with pytest.raises(NoAnswerError, match="SUBSCRIBE"):
            await asking


def _hold(broker: FakeBroker, held: list[Packet], packet: Packet, writer: asyncio.StreamWriter) -> None:
    if isinstance(packet, Subscribe):
        held.append(packet)
    else:
        FakeBroker.answer(broker, packet, writer)
