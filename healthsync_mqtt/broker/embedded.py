"""amqtt behind the door: one in-process link, QoS 0, over amqtt's public ``external`` listener type.

What clients publish outside the events topics, and everything retained, passes through amqtt: it matches, keeps the
retained messages and hands each message back to the link, from which the door fans out to its sessions. The door owns
QoS, sessions, wills and access, so amqtt never meets a client: it sees one trusted link and as many filters as there
are channels, however many devices there are.

A message inside amqtt starts with a mark that clients never see: its publisher's QoS, and a number by which a message
that matched two filters of the link is taken once.
"""

import asyncio
import ssl
import struct
from collections import deque
from collections.abc import Callable

from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session as AmqttSession

from healthsync_mqtt.mqtt.codec import Decoder, encode, encode_publish
from healthsync_mqtt.mqtt.packets import Connack, Connect, Disconnect, Publish, Suback, Subscribe, Unsubscribe

_MARK = struct.Struct(">BQ")
_LISTENER = "door"
_LINK = "healthsync-door"

Deliver = Callable[[str, bytes, int], None]
"""``(topic, payload, qos of the publisher)``."""


class LinkOnly(BaseAuthPlugin):
    """amqtt admits the link and nobody else."""

    async def authenticate(self, *, session: AmqttSession) -> bool | None:
        """True for the link's client id."""
        return bool(session.client_id == _LINK)


class _ToBroker(ReaderAdapter):
    """What the link sends: an in-memory stream."""

    def __init__(self) -> None:
        self._stream = asyncio.StreamReader()

    def feed(self, data: bytes) -> None:
        self._stream.feed_data(data)

    async def read(self, n: int = -1) -> bytes:
        return await self._stream.read(n) if n < 0 else await self._exactly(n)

    async def _exactly(self, n: int) -> bytes:
        try:
            return await self._stream.readexactly(n)
        except asyncio.IncompleteReadError as error:
            return error.partial

    def feed_eof(self) -> None:
        if not self._stream.at_eof():
            self._stream.feed_eof()


class _FromBroker(WriterAdapter):
    """What amqtt answers."""

    def __init__(self, received: Callable[[bytes], None]) -> None:
        self._received = received

    def write(self, data: bytes) -> None:
        self._received(bytes(data))

    async def drain(self) -> None:
        return

    def get_peer_info(self) -> tuple[str, int] | None:
        return ("in-process", 0)

    def get_ssl_info(self) -> ssl.SSLObject | None:
        return None

    async def close(self) -> None:
        return


class EmbeddedBroker:
    """Start, publish, subscribe to channels, ask for retained messages, stop."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._broker: Broker | None = None
        self._to_broker = _ToBroker()
        self._decoder = Decoder(max_packet=256 * 1024 * 1024 - 1, server=False)
        self._task: asyncio.Task[None] | None = None
        self._connected: asyncio.Event = asyncio.Event()
        self._packet_id = 0
        self._sent = 0
        self._delivered = 0
        self._filters: set[str] = set()
        #: retained replays arrive between their SUBACK and the next one, in the order of the requests
        self._asked: deque[tuple[str, Deliver | None]] = deque()
        self._replay: tuple[str, Deliver | None] | None = None

    async def start(self) -> None:
        """Start amqtt and connect the link; returns when the link is accepted."""
        config = BrokerConfig(
            listeners={
                "default": ListenerConfig(type=ListenerType.EXTERNAL, bind=None),
                _LISTENER: ListenerConfig(type=ListenerType.EXTERNAL, bind="in-process"),
            },
            plugins={f"{__name__}.LinkOnly": {}},
        )
        self._broker = Broker(config)
        await self._broker.start()
        link = self._broker.external_connected(self._to_broker, _FromBroker(self._received), _LISTENER)
        self._task = asyncio.create_task(link, name="embedded.link")
        self._to_broker.feed(
            encode(
                Connect(
                    client_id=_LINK,
                    clean_session=True,
                    keep_alive=0,
                    username=None,
                    password=None,
                    will=None,
                    protocol_level=4,
                    protocol_name="MQTT",
                )
            )
        )
        await asyncio.wait_for(self._connected.wait(), 10)

    async def stop(self) -> None:
        """Disconnect the link and stop amqtt."""
        if self._broker is None:
            return
        self._to_broker.feed(encode(Disconnect()))
        self._to_broker.feed_eof()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=5)
        await self._broker.shutdown()
        self._broker = None

    def publish(self, topic: str, payload: bytes, qos: int, *, retain: bool) -> None:
        """Hand a message to amqtt; an empty retained payload clears the retained message."""
        self._sent += 1
        marked = _MARK.pack(qos, self._sent) + payload if payload else b""
        self._to_broker.feed(encode_publish(topic.encode(), marked, 0, retain, False, 0))

    def listen(self, topic_filter: str) -> None:
        """Have amqtt deliver what matches a channel's filter; once per filter. Channels do not overlap."""
        if topic_filter in self._filters:
            return
        self._filters.add(topic_filter)
        self._subscribe(topic_filter, None)

    def replay_retained(self, topic_filter: str, to: Deliver) -> None:
        """Call ``to(topic, payload, qos)`` for each retained message that matches, in a moment."""
        self._subscribe(topic_filter, to)

    def _subscribe(self, topic_filter: str, to: Deliver | None) -> None:
        self._asked.append((topic_filter, to))
        self._to_broker.feed(encode(Subscribe(self._next_id(), ((topic_filter, 0),))))

    def _received(self, data: bytes) -> None:
        for packet in self._decoder.feed(data):
            if type(packet) is Publish:
                self._route(packet)
            elif type(packet) is Suback:
                self._begin_replay()
            elif type(packet) is Connack:
                self._connected.set()

    def _begin_replay(self) -> None:
        topic_filter, to = self._replay = self._asked.popleft()
        if to is not None and topic_filter not in self._filters:
            # The replay follows this SUBACK whether or not the filter stays.
            self._to_broker.feed(encode(Unsubscribe(self._next_id(), (topic_filter,))))

    def _route(self, packet: Publish) -> None:
        topic = packet.topic.decode()
        if not packet.payload:
            self._deliver(topic, b"", 0)
            return
        qos, number = _MARK.unpack_from(packet.payload)
        payload = packet.payload[_MARK.size :]
        if not packet.retain:
            if number > self._delivered:
                self._delivered = number
                self._deliver(topic, payload, qos)
        elif self._replay is not None and self._replay[1] is not None:
            self._replay[1](topic, payload, qos)

    def _next_id(self) -> int:
        self._packet_id = self._packet_id % 65_535 + 1
        return self._packet_id
