"""The canary on a broker whose rules are gone, and which is slow: what is not answered was not refused."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable

import pytest

from healthsync_mqtt.broker.external import canary as module
from healthsync_mqtt.broker.external.canary import Canary, CrossingError
from healthsync_mqtt.broker.external.identities import CANARY_A, OWN
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.mqtt.codec import Decoder, v3, v5
from healthsync_mqtt.mqtt.codec.packets import Connack, Connect, Packet, Property, Puback, Publish, Suback, Subscribe
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
        self.version = 4
        self.filters: list[str] = []
        self.alias = b""

    def send(self, packet: Packet) -> None:
        self.writer.write(v5.encode(packet) if self.version == 5 else v3.encode(packet))


class SmallBroker:
    """Decides as ``topics.yaml`` says; ``hole`` is open to all who read in one of ``versions``.

    ``deaf`` leaves steps without an answer, ``barred`` are logins that it refuses. With ``careless``, what is published
    to an alias passes without a look.
    """

    def __init__(self) -> None:
        self.clients: set[Client] = set()
        self.hole = ""
        self.versions = {4, 5}
        self.speaks = {4, 5}
        self.careless = False
        self.barred: Callable[[Client], bool] = lambda _client: False
        self.deaf: Callable[[Client, Packet], bool] = lambda _client, _packet: False
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client, decoder = Client(writer), Decoder(1 << 20, 1 << 20, versions=frozenset({4, 5}))
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
                client.version = packet.protocol_level
                known = PASSWORDS.get(packet.client_id) == (packet.password or b"").decode()
                client.name = packet.client_id if known and packet.username == packet.client_id else ""
                if client.version not in self.speaks:
                    client.version = 4
                    client.send(Connack(False, 1))
                elif not client.name or self.barred(client):
                    client.send(Connack(False, 135 if client.version == 5 else 5))
                else:
                    limits = {Property.TOPIC_ALIAS_MAXIMUM: 10} if client.version == 5 else {}
                    client.send(Connack(False, 0, limits))
            case Subscribe():
                codes = []
                for name, _ in packet.filters:
                    open_ = name == self.hole and client.version in self.versions
                    open_ = open_ or RULES.may_subscribe(PRINCIPALS[client.name], name).allowed
                    client.filters += [name] if open_ else []
                    codes.append(0 if open_ else 128)
                client.send(Suback(packet.packet_id, tuple(codes)))
            case Publish():
                if packet.packet_id:
                    client.send(Puback(packet.packet_id))
                meant = not packet.topic
                topic = packet.topic or client.alias
                if Property.TOPIC_ALIAS in packet.properties:
                    client.alias = topic
                if RULES.may_publish(PRINCIPALS[client.name], topic.decode()).allowed or (meant and self.careless):
                    self.route(topic.decode(), packet.payload)
            case _:
                pass

    def route(self, topic: str, payload: bytes) -> None:
        for client in self.clients:
            if any(matches(name, topic) for name in client.filters):
                client.send(Publish(topic.encode(), payload, 0, False, False, 0))


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


@pytest.mark.parametrize(("version", "said"), [(5, "MQTT 5"), (4, "MQTT 3.1.1")])
async def test_rules_that_hold_in_one_version_only_are_found_out(broker: SmallBroker, version: int, said: str) -> None:
    broker.hole = TOPICS.build("receipts", user="healthsync-canary-b", device="probe")
    broker.versions = {version}
    with pytest.raises(CrossingError) as caught:
        await canary(broker).fly()
    assert caught.value.crossings == [f"a client can read {broker.hole} in {said}"]


@pytest.mark.parametrize("speaks", [{4}, {5}])
async def test_a_broker_of_one_version_is_tried_in_that_one(broker: SmallBroker, speaks: set[int]) -> None:
    broker.speaks = speaks
    await canary(broker).fly()
    broker.hole = TOPICS.build("receipts", user="healthsync-canary-b", device="probe")
    with pytest.raises(CrossingError) as caught:
        await canary(broker).fly()
    assert caught.value.crossings == [f"a client can read {broker.hole}"]


async def test_a_topic_that_was_named_before_it_was_refused_is_found_out(broker: SmallBroker) -> None:
    broker.careless = True
    with pytest.raises(CrossingError) as caught:
        await canary(broker).fly()
    status = TOPICS.build("status", user="healthsync-canary-b", device="probe")
    assert f"a client can publish by an alias to {status} in MQTT 5" in caught.value.crossings
    assert all("by an alias" in crossing for crossing in caught.value.crossings)


@pytest.mark.parametrize("after", [0, 1, 2, 5], ids=lambda count: f"after {count} logins")
async def test_an_intruder_that_is_not_let_in_has_tried_nothing(broker: SmallBroker, after: int) -> None:
    """A wrong password, or a broker that bars whoever comes too often, must not pass for one that refuses it all."""
    logins = itertools.count()
    broker.barred = lambda client: client.name == CANARY_A.client_id and next(logins) >= after
    with pytest.raises(UnavailableError, match=r"refuses the login|does not let the canary in"):
        await canary(broker).fly()
