"""The contract of the device client's transports: the one in memory, and MQTT in both versions over a socket."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from healthsync_mqtt.client import Credentials, DeviceClient, MemoryOutbox
from healthsync_mqtt.client.transport import Transport
from healthsync_mqtt.mqtt.codec import Decoder, encode, v5
from healthsync_mqtt.mqtt.codec.packets import Connack, Connect, Packet, Puback, Publish, Suback, Subscribe
from healthsync_mqtt.mqtt.links.client import MqttTransport
from healthsync_mqtt.mqtt.links.manners import OLD, PLAIN, Manner, Manners
from healthsync_mqtt.testing.memory_transport import MemoryTransport
from healthsync_mqtt.testing.transport_contract import Served, TransportContract
from tests.support.patience import PATIENCE_S

MOST = 1 << 20


class InMemory:
    def __init__(self) -> None:
        self._service = MemoryTransport()
        self.transport: Transport = self._service
        self.say, self.drop = self._service.say, self._service.drop

    def published(self) -> list[tuple[str, bytes, bool]]:
        return [tuple(each) for each in self._service.published]

    def deny(self) -> None:
        self._service.denies = True

    def leave(self) -> None:
        self._service.away = True

    def forbid(self, topic: str) -> None:
        self._service.forbidden.add(topic)


class OnASocket:
    """A broker of one version of MQTT that does what it is told."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._encode = encode if manner.version == 4 else v5.encode
        self._taken: list[tuple[str, bytes, bool]] = []
        self._forbidden: set[str] = set()
        self._code = 0
        self._writer: asyncio.StreamWriter | None = None
        self._away = False

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.transport: Transport = MqttTransport(
            host="127.0.0.1",
            port=self.server.sockets[0].getsockname()[1],
            client_id="alice-watch",
            username="alice-watch",
            tls=None,
            manners=Manners(self._manner),
        )

    async def stop(self) -> None:
        self.server.close()
        self.drop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._away:
            writer.close()
            return
        self._writer = writer
        decoder = Decoder(MOST, MOST, versions=frozenset({self._manner.version}))
        try:
            while data := await reader.read(65_536):
                for packet in decoder.feed(data):
                    self._answer(packet, writer)
        except OSError:
            pass
        finally:
            writer.close()

    def _answer(self, packet: Packet, writer: asyncio.StreamWriter) -> None:
        match packet:
            case Connect():
                writer.write(self._encode(Connack(False, self._code)))
            case Publish():
                self._taken.append((packet.topic.decode(), packet.payload, packet.retain))
                writer.write(self._encode(Puback(packet.packet_id)))
            case Subscribe():
                codes = tuple(0x80 if each[0] in self._forbidden else 1 for each in packet.filters)
                writer.write(self._encode(Suback(packet.packet_id, codes)))
            case _:
                pass

    def published(self) -> list[tuple[str, bytes, bool]]:
        return list(self._taken)

    def say(self, topic: str, payload: bytes) -> None:
        assert self._writer is not None
        self._writer.write(self._encode(Publish(topic.encode(), payload)))

    def drop(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()

    def deny(self) -> None:
        self._code = 5 if self._manner.version == 4 else 0x87

    def leave(self) -> None:
        self._away = True

    def forbid(self, topic: str) -> None:
        self._forbidden.add(topic)


class TestInMemory(TransportContract):
    @pytest.fixture
    def served(self) -> Served:
        return InMemory()


class TestOnASocket(TransportContract):
    @pytest.fixture(params=[OLD, PLAIN], ids=["3.1.1", "5"])
    async def served(self, request: pytest.FixtureRequest) -> AsyncIterator[Served]:
        service = OnASocket(request.param)
        await service.start()
        yield service
        await service.stop()


async def test_a_client_hands_its_events_over_to_the_service_in_memory() -> None:
    service = MemoryTransport()
    login = Credentials(user_id="alice", device_id="watch", client_id="w", username="w", token="t")
    client = DeviceClient("memory", credentials=login, transport=service, outbox=MemoryOutbox())
    async with client:
        sending = asyncio.create_task(
            client.publish(
                {"id": "a", "type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": 60}}
            )
        )
        async with asyncio.timeout(PATIENCE_S):
            while not any(each.topic.endswith("/events") for each in service.published):  # noqa: ASYNC110
                await asyncio.sleep(0)  # what is waited for happens on this loop
        sending.cancel()
        await client.close(flush_s=0.0)  # nobody answers it
    assert service.tokens == ["t"]
