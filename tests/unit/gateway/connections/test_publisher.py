"""The gateway's own connection, against a broker that answers when it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from healthsync_mqtt.gateway.connections.publisher import NotTakenError, Publisher, SenderGoneError
from healthsync_mqtt.mqtt.codec import Decoder, v5
from healthsync_mqtt.mqtt.codec.packets import Connack, Connect, Property, Puback, Publish
from healthsync_mqtt.mqtt.links.kept_link import KeptLink
from healthsync_mqtt.mqtt.links.manners import METHOD
from healthsync_mqtt.mqtt.links.port import Address, TooLargeError
from tests.support.patience import until

TOPIC = "users/alice/devices/watch/events"


class HesitantBroker:
    """Says what became of a message when ``says`` is set, and ends its connections when it is told to."""

    def __init__(self) -> None:
        self.says = asyncio.Event()
        self.passwords: list[bytes] = []
        self.taken: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.open += 1
        decoder = Decoder(2_000, 2_000, versions=frozenset({5}))
        while data := await reader.read(65_536):
            for packet in decoder.feed(data):
                if isinstance(packet, Connect):
                    self.passwords.append(packet.properties.get(Property.AUTHENTICATION_DATA, packet.password))
                    about = {Property.AUTHENTICATION_METHOD: METHOD, Property.MAXIMUM_PACKET_SIZE: 2_000}
                    writer.write(v5.encode(Connack(session_present=False, code=0, properties=about)))
                elif isinstance(packet, Publish):
                    self.taken.append(packet.payload)
                    await self.says.wait()
                    writer.write(v5.encode(Puback(packet.packet_id, 0, {Property.USER_PROPERTY: (("stored", "1"),)})))
        writer.close()
        self.open -= 1

    async def hang_up(self) -> None:
        for writer in self.writers:
            writer.close()
        self.writers.clear()


@asynccontextmanager
async def publishing(*, in_flight: int = 10, answer_s: float = 30.0) -> AsyncIterator[tuple[Publisher, HesitantBroker]]:
    broker = HesitantBroker()
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = KeptLink(
        Address(host="127.0.0.1", port=port),
        client_id="healthsync-gateway",
        password=lambda: "a-secret",
        in_flight=in_flight,
        logger="gateway",
    )
    publisher = Publisher(link, most=in_flight, answer_s=answer_s)
    running = asyncio.create_task(publisher.run())
    try:
        yield publisher, broker
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        broker.says.set()
        await broker.hang_up()
        server.close()
        await until(lambda: broker.open == 0)


async def test_an_answer_is_what_the_service_says_of_the_message() -> None:
    async with publishing() as (publisher, broker):
        asked = asyncio.create_task(publisher.publish(TOPIC, b"[]"))
        await until(lambda: broker.taken == [b"[]"])
        assert not asked.done()
        broker.says.set()
        assert (await asked).get("stored") == "1"
        assert broker.passwords == [b"a-secret"]
        assert publisher.waiting == 0


async def test_one_message_more_than_in_flight_is_refused_at_once() -> None:
    async with publishing(in_flight=2) as (publisher, broker):
        asked = [asyncio.create_task(publisher.publish(TOPIC, b"[]")) for _ in range(2)]
        await until(lambda: publisher.waiting == 2)
        with pytest.raises(NotTakenError):
            await publisher.publish(TOPIC, b"[]")
        broker.says.set()
        await asyncio.gather(*asked)
        await publisher.publish(TOPIC, b"[]")


async def test_what_is_not_answered_within_answer_s_may_be_sent_again() -> None:
    async with publishing(answer_s=0.05) as (publisher, _):
        with pytest.raises(NotTakenError) as caught:
            await publisher.publish(TOPIC, b"[]")
        assert caught.value.retry_after_s > 0
        assert publisher.waiting == 0


async def test_what_was_on_its_way_when_the_connection_ends_may_be_sent_again_on_the_next() -> None:
    async with publishing() as (publisher, broker):
        asked = asyncio.create_task(publisher.publish(TOPIC, b"[]"))
        await until(lambda: bool(broker.taken))
        await broker.hang_up()
        with pytest.raises(NotTakenError):
            await asked
        await until(lambda: publisher.connections == 2 and publisher.connected)
        broker.says.set()
        assert (await publisher.publish(TOPIC, b"[]")).get("stored") == "1"


async def test_what_no_packet_holds_is_too_large() -> None:
    async with publishing() as (publisher, _):
        with pytest.raises(TooLargeError):
            await publisher.publish(TOPIC, b" " * 2_100)


async def test_who_may_not_send_any_more_when_the_broker_comes_has_sent_nothing() -> None:
    good = [True]
    async with publishing() as (publisher, broker):
        await until(lambda: publisher.connected)
        await broker.hang_up()
        await until(lambda: not publisher.connected)
        asked = asyncio.create_task(publisher.publish(TOPIC, b"[]", lambda: good[0]))
        await until(lambda: publisher.waiting == 1)
        good[0] = False
        broker.says.set()
        with pytest.raises(SenderGoneError):
            await asked
        assert broker.taken == []
