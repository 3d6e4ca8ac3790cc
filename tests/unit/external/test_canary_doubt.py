"""The canary on a broker whose rules are gone, and which is slow: what is not answered was not refused."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable

import pytest

from healthsync_mqtt.broker.external import canary as module
from healthsync_mqtt.broker.external.canary import Canary, CrossingError
from healthsync_mqtt.broker.external.identities import CANARY_A, OWN
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.mqtt.codec import Decoder, encode
from healthsync_mqtt.mqtt.codec.packets import Connack, Connect, Packet, Puback, Publish, Suback, Subscribe
from healthsync_mqtt.mqtt.links.port import Address
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.grammar import matches
from healthsync_mqtt.topics.registry import TopicRegistry

TOPICS = TopicRegistry.load()
RULES = AccessRules(TOPICS)
PASSWORDS = {each.client_id: f"password of {each.client_id}" for each in OWN}
PRINCIPALS = {each.client_id: each for each in OWN}


class Client:
    """One connection to the small broker."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.name = ""
        self.filters: list[str] = []


class SmallBroker:
    """Decides as ``topics.yaml`` says; ``hole`` is open to all readers, ``deaf`` leaves steps without an answer."""

    def __init__(self) -> None:
        self.clients: set[Client] = set()
        self.hole = ""
        self.deaf: Callable[[Client, Packet], bool] = lambda _client, _packet: False
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client, decoder = Client(writer), Decoder(1 << 20)
        self.clients.add(client)
        try:
            while data := await reader.read(65536):
                for packet in decoder.feed(data):
                    if not self.deaf(client, packet):
                        self.answer(client, packet)
        except OSError:
            pass
        finally:
            self.clients.discard(client)
            writer.transport.abort()

    def answer(self, client: Client, packet: Packet) -> None:
        match packet:
            case Connect():
                known = PASSWORDS.get(packet.client_id) == (packet.password or b"").decode()
                client.name = packet.client_id if known and packet.username == packet.client_id else ""
                client.writer.write(encode(Connack(False, 0 if client.name else 5)))
            case Subscribe():
                codes = []
                for name, _ in packet.filters:
                    open_ = name == self.hole or RULES.may_subscribe(PRINCIPALS[client.name], name).allowed
                    client.filters += [name] if open_ else []
                    codes.append(0 if open_ else 128)
                client.writer.write(encode(Suback(packet.packet_id, tuple(codes))))
            case Publish():
                client.writer.write(encode(Puback(packet.packet_id)))
                topic = packet.topic.decode()
                if RULES.may_publish(PRINCIPALS[client.name], topic).allowed:
                    self.route(topic, packet.payload)
            case _:
                pass

    def route(self, topic: str, payload: bytes) -> None:
        for client in self.clients:
            if any(matches(name, topic) for name in client.filters):
                client.writer.write(encode(Publish(topic.encode(), payload, 0, False, False, 0)))


@pytest.fixture
async def broker() -> AsyncIterator[SmallBroker]:
    small = SmallBroker()
    server = await asyncio.start_server(small.serve, "127.0.0.1", 0)
    small.port = server.sockets[0].getsockname()[1]
    yield small
    server.close()
    for client in list(small.clients):
        client.writer.transport.abort()


@pytest.fixture(autouse=True)
def _short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENCE_S", 0.01)


def canary(broker: SmallBroker, timeout: float = 30.0) -> Canary:
    return Canary(Address(host="127.0.0.1", port=broker.port, timeout=timeout), PASSWORDS.__getitem__, TOPICS)


async def test_a_broker_that_keeps_to_the_rules_is_passed(broker: SmallBroker) -> None:
    await canary(broker).fly()


@pytest.mark.parametrize("step", [Connect, Subscribe])
async def test_a_step_that_is_not_answered_is_no_refusal(broker: SmallBroker, step: type) -> None:
    """A loaded broker that answers the intruder too late must not pass for one that refuses it."""
    asked = itertools.count()
    broker.deaf = lambda client, packet: (
        isinstance(packet, step)
        and CANARY_A.client_id in {client.name, getattr(packet, "client_id", "")}
        and next(asked) == 0
    )
    with pytest.raises(UnavailableError, match="does not answer"):
        await canary(broker, timeout=0.2).fly()
    broker.deaf = lambda _client, _packet: False
    await canary(broker).fly()


async def test_what_must_not_come_is_waited_for_as_long_as_what_may_come_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENCE_S", 0.001)
    patience = module._Patience()
    await asyncio.sleep(0.02)
    assert patience.seconds >= 0.02
    monkeypatch.setattr(module, "_SILENCE_S", 900.0)
    assert module._Patience().seconds == 900.0


async def test_one_open_topic_is_named(broker: SmallBroker) -> None:
    broker.hole = TOPICS.build("receipts", user="healthsync-canary-b", device="probe")
    with pytest.raises(CrossingError) as caught:
        await canary(broker).fly()
    assert caught.value.crossings == [f"a client can read {broker.hole}"]


async def test_a_crossing_is_told_when_the_rest_is_not_answered(broker: SmallBroker) -> None:
    broker.hole = TOPICS.build("device_events", user="healthsync-canary-b", device="probe")
    seen = itertools.count()
    broker.deaf = lambda client, packet: (
        client.name == CANARY_A.client_id and isinstance(packet, Subscribe) and next(seen) > 3
    )
    with pytest.raises(CrossingError, match="a client can read"):
        await canary(broker, timeout=0.3).fly()
