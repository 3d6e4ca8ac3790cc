"""The gateway's connection to an external broker, against one that does what it is told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from healthsync_mqtt.gateway.connections.calling_link import CallingLink
from healthsync_mqtt.gateway.connections.publisher import NotTakenError, Publisher
from healthsync_mqtt.mqtt.codec import Decoder, v3, v5
from healthsync_mqtt.mqtt.codec.packets import (
    Connack,
    Connect,
    Disconnect,
    Property,
    Puback,
    Publish,
    Suback,
    Subscribe,
)
from healthsync_mqtt.mqtt.codec.v5 import ReasonCode
from healthsync_mqtt.mqtt.gateway_calls import GatewayCall, encode_answer, read_call
from healthsync_mqtt.mqtt.links.port import Address, ClientLogin, ConnectionLostError, Target, TooLargeError
from healthsync_mqtt.mqtt.replies import Said
from tests.support.patience import until

TOPIC = "users/alice/devices/watch/events"
REQUESTS, ANSWERS = "gateway/healthsync-gateway/request", "gateway/healthsync-gateway/answer"
STORED = Said(0, "", (("stored", "1"),))


class Broker:
    """Takes calls, and hands on the answers that a test gives. ``versions`` are those of MQTT that it speaks."""

    def __init__(self, versions: Sequence[int]) -> None:
        self.versions = versions
        self.calls: list[GatewayCall] = []
        self.clients: list[tuple[int, bool]] = []
        self.taken = 0
        self.puback, self.suback = 0, 1
        self.acknowledged: list[int] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.open += 1
        decoder = Decoder(4_000, 4_000, versions=frozenset({4, 5}))
        while data := await reader.read(65_536):
            for packet in decoder.feed(data):
                if isinstance(packet, Connect):
                    self.codec = v5 if packet.protocol_level == 5 else v3
                    if packet.protocol_level not in self.versions:
                        writer.close()
                        break
                    self.clients.append((packet.protocol_level, packet.clean_session))
                    about = {Property.MAXIMUM_PACKET_SIZE: 3_000} if packet.protocol_level == 5 else {}
                    writer.write(self.codec.encode(Connack(session_present=False, code=0, properties=about)))
                elif isinstance(packet, Subscribe):
                    assert [name for name, _ in packet.filters] == [ANSWERS]
                    writer.write(self.codec.encode(Suback(packet.packet_id, (self.suback,))))
                elif isinstance(packet, Publish):
                    assert packet.topic == REQUESTS.encode()
                    self.calls.append(read_call(packet.payload))
                    writer.write(self.codec.encode(Puback(packet.packet_id, self.puback)))
                elif isinstance(packet, Puback):
                    self.acknowledged.append(packet.packet_id)
        writer.close()
        self.open -= 1

    def say(self, mark: str, said: Said = STORED, *, payload: bytes | None = None) -> None:
        body = encode_answer(mark, said) if payload is None else payload
        self.taken += 1
        topic = ANSWERS.encode()
        if self.codec is v5:
            self.writers[-1].write(v5.encode_publish(topic, body, 1, False, False, self.taken))
        else:
            self.writers[-1].write(v3.encode_publish(topic, body, 1, False, False, self.taken))

    async def hang_up(self) -> None:
        for writer in self.writers:
            writer.close()
        self.writers.clear()


@asynccontextmanager
async def calling(
    broker: Broker, *, versions: Sequence[int] = (5, 4), connects: bool = True
) -> AsyncIterator[CallingLink]:
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    address = Address(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    account = ClientLogin(client_id="healthsync-gateway", username="healthsync-gateway", password="secret")
    link = CallingLink(
        lambda version: Target(address=address, account=account, version=version, clean=True),
        versions=versions,
        requests=REQUESTS,
        answers=ANSWERS,
    )
    running = asyncio.create_task(link.run())
    try:
        if connects:
            await until(lambda: link.connected)
        yield link
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await broker.hang_up()
        server.close()
        await until(lambda: broker.open == 0)


@pytest.mark.parametrize("speaks", [5, 4])
async def test_a_call_is_answered_by_the_answer_with_its_mark(speaks: int) -> None:
    broker = Broker([speaks])
    async with calling(broker) as link:
        one, two = (asyncio.create_task(link.publish(TOPIC, body)) for body in (b"[1]", b"[2]"))
        await until(lambda: len(broker.calls) == 2)
        assert [(each.topic, each.payload) for each in broker.calls] == [(TOPIC, b"[1]"), (TOPIC, b"[2]")]
        broker.say("nobodys")
        broker.say("", payload=b"no answer")
        broker.say(broker.calls[1].call, Said(0, "", (("stored", "2"),)))
        assert (await two).get("stored") == "2"
        assert not one.done(), "that was the answer to another call"
        broker.say(broker.calls[0].call)
        assert (await one).get("stored") == "1"
        broker.say(broker.calls[0].call)
        await until(lambda: broker.acknowledged == [1, 2, 3, 4, 5])
    assert broker.clients == [(speaks, True)]


async def test_what_waits_when_the_connection_ends_is_not_known_and_the_next_one_serves() -> None:
    broker = Broker([5])
    async with calling(broker) as link:
        asked = asyncio.create_task(link.publish(TOPIC, b"[]"))
        await until(lambda: bool(broker.calls))
        await broker.hang_up()
        with pytest.raises(ConnectionLostError):
            await asked
        await until(lambda: link.connections == 2 and link.connected)
        again = asyncio.create_task(link.publish(TOPIC, b"[]"))
        await until(lambda: len(broker.calls) == 2)
        broker.say(broker.calls[0].call)  # late, of the connection before: it is no answer to this one
        broker.say(broker.calls[1].call, Said(0, "", (("stored", "0"),)))
        assert (await again).get("stored") == "0"


async def test_where_no_bridge_listens_nobody_waits() -> None:
    broker = Broker([5])
    broker.puback = 0x10
    async with calling(broker) as link:
        publisher = Publisher(link, most=10, answer_s=60.0)
        with pytest.raises(NotTakenError, match="no bridge"):
            await publisher.publish(TOPIC, b"[]")
        assert publisher.waiting == 0


async def test_what_the_broker_refuses_is_answered_with_its_code() -> None:
    broker = Broker([5])
    broker.puback = 0x87
    async with calling(broker) as link:
        assert (await link.publish(TOPIC, b"[]")).code == 0x87


async def test_without_the_right_to_hear_answers_nothing_is_published() -> None:
    broker = Broker([5])
    broker.suback = 0x87
    async with calling(broker, connects=False) as link:
        await until(lambda: len(broker.clients) >= 2)
        assert not link.connected
        with pytest.raises(ConnectionLostError):
            await link.publish(TOPIC, b"[]")
    assert broker.calls == []


async def test_what_no_packet_holds_is_too_large() -> None:
    async with calling(Broker([5])) as link:
        with pytest.raises(TooLargeError):
            await link.publish(TOPIC, b" " * 3_000)


async def test_an_answer_that_nobody_waits_for_any_more_harms_nobody() -> None:
    broker = Broker([5])
    async with calling(broker) as link:
        publisher = Publisher(link, most=10, answer_s=0.05)
        with pytest.raises(NotTakenError):
            await publisher.publish(TOPIC, b"[]")
        broker.say(broker.calls[0].call)
        await until(lambda: broker.acknowledged == [1])
        assert link.connected


async def test_a_gateway_of_the_same_name_is_told_from_a_broker_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    broker = Broker([5])
    async with calling(broker):
        broker.writers[-1].write(v5.encode(Disconnect(ReasonCode.SESSION_TAKEN_OVER)))
        await until(lambda: any(each.getMessage() == "gateway.broker_away" for each in caplog.records))
    [said] = [each for each in caplog.records if each.getMessage() == "gateway.broker_away"]
    error = said.event_keys["error"]  # type: ignore[attr-defined]
    assert "another gateway is connected as" in str(error)
    assert "gateway.id" in error.hint
