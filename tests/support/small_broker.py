"""A broker in this process that keeps to ``topics.yaml``, has sessions and take-over, and holes where tests want some.

On sockets, or on virtual time (``TownLoop``): there messages take as long as the loop says, and nothing else does.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.mqtt.codec import Decoder, v3, v5
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
from healthsync_mqtt.mqtt.codec.v5 import ReasonCode
from healthsync_mqtt.testing.simulator.virtual_time import VirtualLoop
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.grammar import matches
from healthsync_mqtt.topics.registry import TopicRegistry

TOPICS = TopicRegistry.load()
RULES = AccessRules(TOPICS)


@dataclass(slots=True)
class Session:
    """What a client id has at the broker; of one that lasts, what was not acknowledged stays and is sent again."""

    lasts: bool
    client: "Client | None" = None
    filters: list[str] = field(default_factory=list)
    waiting: dict[int, Publish] = field(default_factory=dict)
    made: int = 0


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, broker: "SmallBroker") -> None:
        self._broker = broker
        self._decoder = Decoder(1 << 20, 1 << 20, versions=frozenset({4, 5}))
        self._transport: Any = None
        self.name = ""
        self.version = 4
        self.alias = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._broker.clients.add(self)

    def data_received(self, data: bytes) -> None:
        for packet in self._decoder.feed(data):
            if not self._broker.deaf(self, packet):
                self._broker.answer(self, packet)

    def connection_lost(self, exc: Exception | None) -> None:
        self._broker.gone(self)

    def send(self, packet: Packet) -> None:
        self._transport.write(v5.encode(packet) if self.version == 5 else v3.encode(packet))

    def taken_over(self) -> None:
        """End it, as when somebody else logs in under this name."""
        self._broker.gone(self)
        if self.version == 5:
            self.send(Disconnect(ReasonCode.SESSION_TAKEN_OVER))
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


class SmallBroker:
    """Lets ``people`` in whose ``password`` fits, and decides as ``topics.yaml`` says.

    ``holes`` are filters open to all who read in one of ``versions``. ``deaf`` leaves steps without an answer,
    ``barred`` are logins that it refuses. With ``careless``, what is published to an alias passes without a look.
    """

    def __init__(self, people: Mapping[str, Principal], password: Callable[[str], str | None]) -> None:
        self._people = people
        self._password = password
        self.clients: set[Client] = set()
        self.sessions: dict[str, Session] = {}
        self.holes: set[str] = set()
        self.versions = {4, 5}
        self.speaks = {4, 5}
        self.careless = False
        self.barred: Callable[[Client], bool] = lambda _client: False
        self.deaf: Callable[[Client, Packet], bool] = lambda _client, _packet: False
        #: whose connections were ended by newer ones
        self.thrown_out: list[str] = []

    def answer(self, client: Client, packet: Packet) -> None:
        match packet:
            case Connect():
                self._greet(client, packet)
            case Subscribe():
                codes = []
                for name, _ in packet.filters:
                    open_ = name in self.holes and client.version in self.versions
                    open_ = open_ or RULES.may_subscribe(self._people[client.name], name).allowed
                    self.sessions[client.name].filters += [name] if open_ else []
                    codes.append(1 if open_ else 128)
                client.send(Suback(packet.packet_id, tuple(codes)))
            case Publish():
                if packet.packet_id:
                    client.send(Puback(packet.packet_id))
                meant = not packet.topic
                topic = packet.topic or client.alias
                if Property.TOPIC_ALIAS in packet.properties:
                    client.alias = topic
                allowed = RULES.may_publish(self._people[client.name], topic.decode()).allowed
                if allowed or (meant and self.careless):
                    self._route(topic.decode(), packet.payload)
            case Puback():
                self.sessions[client.name].waiting.pop(packet.packet_id, None)
            case _:
                pass

    def gone(self, client: Client) -> None:
        """The connection is over; so is its session, unless it lasts."""
        self.clients.discard(client)
        session = self.sessions.get(client.name)
        if session is not None and session.client is client:
            session.client = None
            if not session.lasts:
                del self.sessions[client.name]

    def _greet(self, client: Client, packet: Connect) -> None:
        client.version = packet.protocol_level
        known = packet.username == packet.client_id and packet.client_id in self._people
        known = known and self._password(packet.client_id) == (packet.password or b"").decode()
        client.name = packet.client_id if known else ""
        if client.version not in self.speaks:
            client.version = 4
            client.send(Connack(False, 1))
        elif not client.name or self.barred(client):
            client.name = ""
            client.send(Connack(False, 135 if client.version == 5 else 5))
        else:
            self._welcome(client, packet)

    def _welcome(self, client: Client, packet: Connect) -> None:
        there = self.sessions.get(client.name)
        if there is not None and there.client is not None:
            self.thrown_out.append(client.name)
            there.client.taken_over()
        lasts = (
            bool(packet.properties.get(Property.SESSION_EXPIRY)) if client.version == 5 else not packet.clean_session
        )
        old = None if packet.clean_session else self.sessions.get(client.name)
        session = self.sessions[client.name] = old or Session(lasts)
        session.client, session.lasts = client, lasts
        limits = {Property.TOPIC_ALIAS_MAXIMUM: 10} if client.version == 5 else {}
        client.send(Connack(old is not None, 0, limits))
        for message in list(session.waiting.values()):
            client.send(message._replace(dup=True))

    def _route(self, topic: str, payload: bytes) -> None:
        for session in list(self.sessions.values()):
            if not any(matches(name, topic) for name in session.filters):
                continue
            session.made += 1
            message = Publish(topic.encode(), payload, 1, packet_id=session.made)
            session.waiting[session.made] = message
            if session.client is not None:
                session.client.send(message)


class _End(asyncio.Transport):
    """One end of a connection on virtual time: bytes arrive in order, ``delay`` seconds later."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, delay: float) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._delay = delay
        self._due = 0.0
        self._closing = self._lost = False
        self.other: _End

    def write(self, data: Any) -> None:
        if not self._closing:
            self._later(self.other._arrive, bytes(data))

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._lose)
            self._later(self.other._lose)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def _later(self, call: Callable[..., None], *args: bytes) -> None:
        self._due = max(self._due + 1e-9, self._loop.time() + self._delay)
        self._loop.call_at(self._due, call, *args)

    def _arrive(self, data: bytes) -> None:
        if not self._closing:
            self._protocol.data_received(data)

    def _lose(self) -> None:
        self._closing = True
        if not self._lost:
            self._lost = True
            self._protocol.connection_lost(None)


class TownLoop(VirtualLoop):
    """Virtual time, and one place to connect to: ``broker``, ``delay`` seconds away."""

    def __init__(self, broker: SmallBroker, delay: float) -> None:
        super().__init__()
        self._broker = broker
        self._delay = delay

    async def create_connection(self, factory: Any, *_: Any, **__: Any) -> Any:  # type: ignore[override]
        """To the broker, whatever the address."""
        await asyncio.sleep(self._delay)
        near, far = (_End(self, protocol, self._delay) for protocol in (factory(), Client(self._broker)))
        near.other, far.other = far, near
        for end in (far, near):
            end._protocol.connection_made(end)
        return near, near._protocol
