"""amqtt behind the door: one in-process link, QoS 0, over amqtt's public ``external`` listener type.

What clients publish outside the events topics, and everything retained, passes through amqtt: it matches and hands each
message back to the link, from which the door fans out to its sessions. The door owns QoS, sessions, wills, retained
messages and access, so amqtt never meets a client: it sees one trusted link and as many filters as there are channels,
however many devices there are.

A message inside amqtt is a number. Its payload waits here: once, counted, and handed on in the order of the numbers
whatever amqtt leaves out. So amqtt may stop or lose its way at any time: it is watched by whether its numbers come
back, started anew when they do not, and given again what it had not delivered.
"""

import asyncio
import ssl
import struct
from collections import deque
from collections.abc import Callable, Sequence

from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session as AmqttSession

from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.mqtt.codec import Decoder, encode, encode_publish
from healthsync_mqtt.mqtt.codec.packets import Connect, Disconnect, Publish, Suback, Subscribe
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("door")

_NUMBER = struct.Struct(">Q")
_LISTENER = "door"
_LINK = "healthsync-door"
#: Messages, and their bytes, that amqtt may be behind before publishers are held back; at half of it they go on.
_MOST_BEHIND = 2_000
_MOST_BYTES_BEHIND = 16 * 1024 * 1024
#: How often is looked whether amqtt gets on, and how many looks without any progress are too many.
_LOOK_S = 0.5
_LOOKS = 4
#: Starts anew within so many seconds before only a restart of the service can help.
_STARTS = 3
_STARTS_WITHIN_S = 60.0

Deliver = Callable[[Retained, bool], None]
"""Called with each message in its order, and whether it is to be retained."""


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
    """Start, publish, subscribe to channels, stop."""

    def __init__(
        self,
        deliver: Deliver,
        *,
        caught_up: Callable[[], None],
        ended: Callable[[BaseException | None], None],
        look_s: float = _LOOK_S,
    ) -> None:
        """``caught_up`` follows ``behind``; ``ended`` is called when routing ends without ``stop``, for good."""
        self._deliver = deliver
        self._caught_up = caught_up
        self._ended = ended
        self._look_s = look_s
        self._broker: Broker | None = None
        self._to_broker = _ToBroker()
        self._decoder = Decoder(max_packet=1024 * 1024, server=False)
        self._link: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._granted = asyncio.Event()
        self._up = False
        self._filters: Sequence[str] = ()
        self._sent = 0
        self._delivered = 0
        self._pending: dict[int, tuple[Retained, bool, Callable[[], None] | None]] = {}
        self._pending_bytes = 0
        self._behind = False
        self._starts: deque[float] = deque(maxlen=_STARTS)
        #: how often amqtt had to be started anew
        self.restarts = 0

    @property
    def behind(self) -> bool:
        """Whether so much waits inside amqtt that publishers should be held back until ``caught_up``."""
        return self._behind

    @property
    def delivered(self) -> int:
        """The number of the last message that came back."""
        return self._delivered

    @property
    def pending_bytes(self) -> int:
        """Bytes of the payloads that wait for amqtt."""
        return self._pending_bytes

    async def start(self, filters: Sequence[str]) -> None:
        """Start amqtt and have it deliver what matches these filters of channels, which do not overlap."""
        self._filters = tuple(filters)
        await self._start_broker()
        self._watch = asyncio.create_task(self._watching(), name="embedded.watch")

    async def stop(self) -> None:
        """Disconnect the link and stop amqtt."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.wait([watch])
        await self._stop_broker()

    def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        *,
        retain: bool,
        then: Callable[[], None] | None = None,
        about: bytes = b"",
        expires: float = 0.0,
        sender: str = "",
    ) -> None:
        """Hand a message to amqtt; an empty retained payload clears the retained message. Nothing when stopped.

        ``then`` is called when it has been delivered; what else there is of it is as in ``Retained``.
        """
        if self._broker is None and self._watch is None:
            return
        self._sent += 1
        self._pending[self._sent] = Retained(topic, payload, qos, self._sent, about, expires, sender), retain, then
        self._pending_bytes += len(payload) + len(about)
        if self._up:
            self._feed(self._sent, topic)
        self._behind = self._behind or (
            self._sent - self._delivered > _MOST_BEHIND or self._pending_bytes > _MOST_BYTES_BEHIND
        )

    # -- messages

    def _feed(self, number: int, topic: str) -> None:
        self._to_broker.feed(encode_publish(topic.encode(), _NUMBER.pack(number)))

    def _received(self, data: bytes) -> None:
        for packet in self._decoder.feed(data):
            if type(packet) is Publish:
                self._came_back(_NUMBER.unpack(packet.payload)[0])
            elif type(packet) is Suback:
                self._granted.set()

    def _came_back(self, number: int) -> None:
        """Message ``number`` came back, or a later one: all up to it go on, in their order."""
        while self._delivered < number:
            self._delivered += 1
            message, retain, then = self._pending.pop(self._delivered)
            self._pending_bytes -= len(message.payload) + len(message.about)
            self._hand_on(message, retain=retain, then=then)
        if (
            self._behind
            and self._sent - self._delivered <= _MOST_BEHIND // 2
            and self._pending_bytes <= _MOST_BYTES_BEHIND // 2
        ):
            self._behind = False
            self._caught_up()

    def _hand_on(self, message: Retained, *, retain: bool, then: Callable[[], None] | None) -> None:
        # Nothing that fails here may unwind into amqtt, whose tasks would end with it, or keep others waiting.
        try:
            self._deliver(message, retain)
            if then is not None:
                then()
        except Exception as error:  # noqa: BLE001
            log.error("door.delivery_failed", error=error)  # noqa: TRY400

    # -- amqtt

    async def _start_broker(self) -> None:
        config = BrokerConfig(
            listeners={
                "default": ListenerConfig(type=ListenerType.EXTERNAL, bind=None),
                _LISTENER: ListenerConfig(type=ListenerType.EXTERNAL, bind="in-process"),
            },
            plugins={f"{__name__}.LinkOnly": {}},
        )
        self._to_broker, self._granted = _ToBroker(), asyncio.Event()
        self._decoder = Decoder(max_packet=1024 * 1024, server=False)
        self._broker = broker = Broker(config)
        await broker.start()
        link = broker.external_connected(self._to_broker, _FromBroker(self._received), _LISTENER)
        self._link = asyncio.create_task(link, name="embedded.link")
        self._to_broker.feed(encode(Connect(client_id=_LINK)))
        # A message before its filter would go nowhere.
        self._to_broker.feed(encode(Subscribe(1, tuple((each, 0) for each in self._filters))))
        granted = asyncio.create_task(self._granted.wait(), name="embedded.granted")
        await asyncio.wait([granted, self._link], timeout=10, return_when=asyncio.FIRST_COMPLETED)
        if not granted.done():
            granted.cancel()
            raise UnavailableError("the embedded router did not start", hint="restart the service")
        self._up = True
        for number, (message, *_) in self._pending.items():
            self._feed(number, message.topic)

    async def _stop_broker(self) -> None:
        broker, self._broker, self._up = self._broker, None, False
        if broker is None:
            return
        self._to_broker.feed(encode(Disconnect()))
        self._to_broker.feed_eof()
        if self._link is not None:
            await asyncio.wait([self._link], timeout=5)
        await broker.shutdown()

    async def _watching(self) -> None:
        """Look again and again whether what goes into amqtt comes back.

        Looks are counted, not seconds: a loop that stood still proves nothing against amqtt.
        """
        looks, seen = 0, self._delivered
        while True:
            assert self._link is not None
            await asyncio.wait([self._link], timeout=self._look_s)
            looks = looks + 1 if self._sent > self._delivered == seen else 0
            seen = self._delivered
            if not self._link.done() and looks < _LOOKS:
                continue
            error = None if not self._link.done() or self._link.cancelled() else self._link.exception()
            log.error("door.router_ended", error=error, waiting=self._sent - self._delivered)
            now, looks = asyncio.get_running_loop().time(), 0
            if len(self._starts) == _STARTS and now - self._starts[0] < _STARTS_WITHIN_S:
                self._ended(error)
                return
            self._starts.append(now)
            self.restarts += 1
            await self._start_anew()

    async def _start_anew(self) -> None:
        """Stop and start amqtt; what fails here is seen at the next look."""
        try:
            async with asyncio.timeout(10):
                await self._stop_broker()
        except Exception as error:  # noqa: BLE001  # it is broken: what it says at its end does not matter
            log.warning("door.router_stopped_badly", error=error)
        try:
            await self._start_broker()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is not silent, and tried again
            log.error("door.router_not_started", error=error)  # noqa: TRY400
        else:
            log.warning("door.router_restarted", restarts=self.restarts)
