"""amqtt behind the door: one in-process link, QoS 0, over amqtt's public ``external`` listener type.

What clients publish outside the events topics, and everything retained, passes through amqtt: it matches, keeps the
retained messages and hands each message back to the link, from which the door fans out to its sessions. The door owns
QoS, sessions, wills and access, so amqtt never meets a client: it sees one trusted link and as many filters as there
are channels, however many devices there are.

A message inside amqtt starts with a mark that clients never see: its publisher's QoS, and a number that tells how far
amqtt has come. Retained messages are read where amqtt keeps them (``Broker.retained_messages``), not by a SUBSCRIBE,
so that the filters inside stay those of the channels.
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
from healthsync_mqtt.mqtt.codec.packets import Connack, Connect, Disconnect, Publish, Subscribe
from healthsync_mqtt.topics.grammar import matches

_MARK = struct.Struct(">BQ")
_LISTENER = "door"
_LINK = "healthsync-door"
#: Messages that amqtt may be behind before publishers are held back; at half of it they go on.
_MOST_BEHIND = 2_000

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
    """Start, publish, subscribe to channels, replay retained messages, stop."""

    def __init__(
        self, deliver: Deliver, *, caught_up: Callable[[], None], ended: Callable[[BaseException | None], None]
    ) -> None:
        """``caught_up`` follows ``behind``; ``ended`` is called when the link ends without ``stop``."""
        self._deliver = deliver
        self._caught_up = caught_up
        self._ended = ended
        self._broker: Broker | None = None
        self._to_broker = _ToBroker()
        self._decoder = Decoder(max_packet=256 * 1024 * 1024 - 1, server=False)
        self._task: asyncio.Task[None] | None = None
        self._connected: asyncio.Event = asyncio.Event()
        self._filters = 0
        self._sent = 0
        self._delivered = 0
        self._behind = False
        #: replays that wait: for which message, what had been delivered when they were asked for, filter, to whom
        self._asked: deque[tuple[int, int, str, Deliver]] = deque()

    @property
    def behind(self) -> bool:
        """Whether so many messages wait inside amqtt that publishers should be held back until ``caught_up``."""
        return self._behind

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
        self._task.add_done_callback(self._link_ended)
        self._to_broker.feed(encode(Connect(client_id=_LINK)))
        await asyncio.wait_for(self._connected.wait(), 10)

    async def stop(self) -> None:
        """Disconnect the link and stop amqtt."""
        broker, self._broker = self._broker, None
        if broker is None:
            return
        self._to_broker.feed(encode(Disconnect()))
        self._to_broker.feed_eof()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=5)
        await broker.shutdown()

    def publish(self, topic: str, payload: bytes, qos: int, *, retain: bool) -> None:
        """Hand a message to amqtt; an empty retained payload clears the retained message. Nothing when stopped."""
        if self._broker is None:
            return
        self._sent += 1
        name, marked = topic.encode(), _MARK.pack(qos, self._sent) + payload
        if retain and not payload:
            # Only what is wholly empty clears, and what is wholly empty carries no mark: so that goes as two messages.
            self._to_broker.feed(encode_publish(name, b"", 0, True, False, 0))
        self._to_broker.feed(encode_publish(name, marked, 0, retain and bool(payload), False, 0))
        self._behind = self._behind or self._sent - self._delivered > _MOST_BEHIND

    def listen(self, topic_filter: str) -> None:
        """Have amqtt deliver what matches a channel's filter. Channels do not overlap."""
        self._filters += 1
        self._to_broker.feed(encode(Subscribe(self._filters, ((topic_filter, 0),))))

    def replay_retained(self, topic_filter: str, to: Deliver) -> None:
        """Call ``to(topic, payload, qos)`` for the retained messages that match: now, or when amqtt has caught up.

        Left out is what amqtt delivers in the meantime: whoever listens already gets that as an ordinary message.
        """
        if self._sent == self._delivered:
            self._replay(topic_filter, to, self._delivered)
        else:
            self._asked.append((self._sent, self._delivered, topic_filter, to))

    def _replay(self, topic_filter: str, to: Deliver, newest: int) -> None:
        if self._broker is None:
            return
        kept = self._broker.retained_messages
        if "+" in topic_filter or "#" in topic_filter:
            topics = [topic for topic in kept if matches(topic_filter, topic)]
        else:
            topics = [topic_filter] if topic_filter in kept else []
        for topic in topics:
            data = bytes(kept[topic].data)
            qos, number = _MARK.unpack_from(data)
            if number <= newest:
                to(topic, data[_MARK.size :], qos)

    def _received(self, data: bytes) -> None:
        for packet in self._decoder.feed(data):
            if type(packet) is Publish:
                self._route(packet)
            elif type(packet) is Connack:
                self._connected.set()

    def _route(self, packet: Publish) -> None:
        if not packet.payload:
            return
        qos, self._delivered = _MARK.unpack_from(packet.payload)
        self._deliver(packet.topic.decode(), packet.payload[_MARK.size :], qos)
        while self._asked and self._asked[0][0] <= self._delivered:
            _, newest, topic_filter, to = self._asked.popleft()
            self._replay(topic_filter, to, newest)
        if self._behind and self._sent - self._delivered <= _MOST_BEHIND // 2:
            self._behind = False
            self._caught_up()

    def _link_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if self._broker is not None:
            self._ended(error)
