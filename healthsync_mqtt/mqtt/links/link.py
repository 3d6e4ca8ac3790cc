# long: one connection from CONNECT to its end: what may be said on it, in which state, stands together
"""One MQTT connection as a client, over our own codec: what devices, bridges, canaries and probes connect with.

It takes whole reads apart at once, hands messages over in one list, and acknowledges none of them by itself: that is
the caller's, after the commit. It never reconnects and keeps nothing for a later connection.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from enum import Enum, auto
from typing import Any, NamedTuple

from healthsync_mqtt.mqtt.codec import Decoder, ProtocolError, v3, v5
from healthsync_mqtt.mqtt.codec.packets import (
    RETAIN_HANDLING_SHIFT,
    Auth,
    Connack,
    Disconnect,
    Packet,
    Pingreq,
    Properties,
    Property,
    Puback,
    Publish,
    Skipped,
    Suback,
    Subscribe,
)
from healthsync_mqtt.mqtt.codec.v5 import ReasonCode
from healthsync_mqtt.mqtt.links.farewell import ServerClosedError, farewell
from healthsync_mqtt.mqtt.links.gathered_writes import GatheredWrites
from healthsync_mqtt.mqtt.links.greeting import agreement, connect
from healthsync_mqtt.mqtt.links.port import (
    HEADER,
    MAX_PACKET,
    Address,
    Agreed,
    ConnectionLostError,
    Long,
    NoAnswerError,
    Target,
    TooLargeError,
    UnansweredMessage,
)
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.spans import PROPERTY as TRACEPARENT

log = get_logger("mqtt")

_MOST_WAITING = 200_000
"""Messages that wait for the broker to take them; beyond it nothing more is taken."""
_MOST_UNSENT = 1_048_576
_GOODBYE_S = 2.0
_TRACE_BYTES = 80
"""Bytes of a ``traceparent`` as a user property, and of the length of all properties."""
_PATIENT = 12
"""An answer behind other packets is waited for so many times as long as one that nothing stands before, at most."""
_ELSEWHERE = frozenset({ReasonCode.USE_ANOTHER_SERVER, ReasonCode.SERVER_MOVED})
"""Codes of a CONNACK that send the client to another server."""


class LinkState(Enum):
    """Where a connection is."""

    #: the socket is open, nothing was said
    OPEN = auto()
    #: CONNECT was sent
    GREETING = auto()
    #: CONNACK accepted it
    ACCEPTED = auto()
    #: it is over, or was refused
    ENDED = auto()


class _Unsent(NamedTuple):
    topic: bytes
    payload: bytes
    retain: bool
    done: Callable[[Puback], None] | None
    returned: bool = False
    """Somebody awaits the answer, and judges it: a refusal need not be logged."""
    traceparent: str = ""


class _Owed(NamedTuple):
    """What waits for its PUBACK; its payload is not kept."""

    done: Callable[[Puback], None] | None
    returned: bool
    about: UnansweredMessage


class Link(asyncio.Protocol):
    """See ``port.BrokerLink``; made by ``dial``. Runs on one event loop."""

    def __init__(
        self, address: Address, on_messages: Callable[[list[Publish]], None], long: Long | None = None
    ) -> None:
        self.on_messages = on_messages
        self._long = long
        self.state = LinkState.OPEN
        self.paused = False
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._version = 4
        self._decoder = Decoder(MAX_PACKET, MAX_PACKET, server=False)
        self._agreed: Agreed | None = None
        self._keep_alive = 0.0
        self._window = 1_000
        self._heard = self._said = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._greeting: asyncio.Future[Connack] = self._loop.create_future()
        self._subscribing: dict[int, asyncio.Future[Suback]] = {}
        self._owed: dict[int, _Owed] = {}
        self._unsent: deque[_Unsent] = deque()
        self._next_id = 0
        self._renewing: asyncio.Future[None] | None = None
        #: what publishing waits for: the answer, or None at the end
        self._awaited: set[asyncio.Future[Puback | None]] = set()
        self._over: asyncio.Future[str] = self._loop.create_future()
        #: what the server said at the end, if it said something
        self._farewell: ServerClosedError | None = None
        self._gone = asyncio.Event()

    @property
    def agreed(self) -> Agreed:
        assert self._agreed is not None
        return self._agreed

    @property
    def alive(self) -> bool:
        return self.state is LinkState.ACCEPTED

    # -- the beginning

    async def login(self, target: Target) -> int:
        """CONNECT, and the code of its CONNACK: 0 when accepted. ConnectionLostError; NoAnswerError when time is up.

        MovedError when the server is somewhere else.
        """
        self._version = target.version
        self._decoder = Decoder(
            target.max_packet,
            target.max_packet,
            server=False,
            versions=frozenset({target.version}),
            skip=target.longest,
        )
        if self._long is not None:
            self._decoder.keeps = self._long.keeps
        self.state = LinkState.GREETING
        self.write(connect(target))
        try:
            async with asyncio.timeout(target.address.timeout):
                await asyncio.wait((self._greeting, self._over), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            self.end("the broker does not answer CONNECT")
            raise NoAnswerError(self._over.result()) from None
        if not self._greeting.done():
            raise self._lost()
        answer = self._greeting.result()
        if answer.code in _ELSEWHERE:
            raise farewell(Disconnect(answer.code, answer.properties))
        if answer.code:
            return answer.code
        self._agreed = agreed = agreement(target, answer)
        # 3.1.1 has no word for it: brokers' own limits begin at ten, and what is beyond them waits in their queues.
        self._window = min(agreed.send_window or target.in_flight, target.in_flight)
        self._keep_alive = agreed.keep_alive
        self.state = LinkState.ACCEPTED
        self._watch()
        return 0

    # -- out

    def _encode(self, packet: Packet) -> bytes:
        return v5.encode(packet) if self._version == 5 else v3.encode(packet)

    def write(self, data: bytes) -> None:
        """Send bytes as they are, unless the connection is over."""
        if self._transport is None or self.state is LinkState.ENDED:
            return
        if self._transport.is_closing():
            return  # its end is on the way here; the loop would log each of what may be a whole window
        self._said = self._loop.time()
        self._transport.write(data)

    def acknowledge(self, data: bytes) -> None:
        if data:
            self.write(data)

    def room(self, topic: str) -> int:
        return self.agreed.max_packet - HEADER - len(topic.encode())

    def oldest_owed(self) -> UnansweredMessage | None:
        return next((owed.about for owed in self._owed.values()), None)

    def send(
        self, topic: str, payload: bytes, *, retain: bool = False, done: Callable[[Puback], None] | None = None
    ) -> bool:
        return self._send(topic, _Unsent(topic.encode(), payload, retain, done))

    def _send(self, topic: str, message: _Unsent) -> bool:
        waiting = len(self._owed) + len(self._unsent)
        if not self.alive or waiting >= _MOST_WAITING or len(message.payload) > self.room(topic):
            return False
        if self._unsent or not self._may_send():
            self._unsent.append(message)
        else:
            self._publish(message)
        return True

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, traceparent: str = ""
    ) -> Puback | None:
        """Publish, at QoS 1 until its PUBACK, however long that is held back. ConnectionLostError, TooLargeError.

        ``traceparent`` goes with it as a user property in MQTT 5, where there is room for it.
        """
        if not qos:
            self.write(self._encoded(_Unsent(topic.encode(), payload, retain, None), 0, 0))
            return None
        if self.alive and len(payload) > self.room(topic):
            raise TooLargeError(len(payload) + HEADER + len(topic), self.agreed.max_packet)
        taken: asyncio.Future[Puback | None] = self._loop.create_future()

        def done(answer: Puback) -> None:
            if not taken.done():  # nobody may wait any more
                taken.set_result(answer)

        if not self._send(
            topic, _Unsent(topic.encode(), payload, retain, done, returned=True, traceparent=traceparent)
        ):
            raise self._lost("the connection ended while publishing: ")
        # Not by ``asyncio.wait`` for this and the end: each of a thousand would look through the thousand that wait.
        self._awaited.add(taken)
        try:
            answer = await taken
        except asyncio.CancelledError:
            self._forget(done)
            raise
        finally:
            self._awaited.discard(taken)
        if answer is None:
            raise self._lost("the connection ended while publishing: ")
        return answer

    async def renew(self, secret: bytes) -> None:
        """Give new credentials on this connection (AUTH); returns when they are accepted. ConnectionLostError."""
        about = {Property.AUTHENTICATION_METHOD: self.agreed.method, Property.AUTHENTICATION_DATA: secret}
        renewing = self._renewing = self._loop.create_future()
        self.write(self._encode(Auth(ReasonCode.RE_AUTHENTICATE, about)))
        try:
            async with asyncio.timeout(self._address.timeout):
                await asyncio.wait((renewing, self._over), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise NoAnswerError("the server does not answer AUTH") from None
        finally:
            self._renewing = None
        if not renewing.done():
            raise self._lost("the new credentials were not accepted: ")

    async def subscribe(
        self,
        filters: Sequence[str],
        *,
        qos: int = 1,
        retained: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> list[int]:
        packet_id = self._id()
        # In 5 without retained messages: events are not retained; what somebody retained there is not replayed.
        options = qos | (2 << RETAIN_HANDLING_SHIFT if self._version == 5 and not retained else 0)
        data = self._encode(Subscribe(packet_id, tuple((name, options) for name in filters)))
        answer = self._subscribing[packet_id] = self._loop.create_future()
        self.write(data)
        try:
            if not await self._comes(answer, timeout or self._address.timeout):
                raise NoAnswerError("the broker does not answer SUBSCRIBE")
        finally:
            self._subscribing.pop(packet_id, None)
        if not answer.done():
            raise self._lost("the broker closed the connection at SUBSCRIBE: ")
        codes = list(answer.result().codes)
        if len(codes) != len(filters):
            self.end("a SUBACK with another number of codes")
            raise self._lost()
        return codes

    async def _comes(self, answer: asyncio.Future[Suback], seconds: float) -> bool:
        """Whether the answer comes, or the end, before the other side has been silent for so long.

        What waited for a session comes before the answer, and that may be a lot.
        """
        began = self._loop.time()
        while (now := self._loop.time()) < min(max(self._heard, began) + seconds, began + _PATIENT * seconds):
            left = max(self._heard, began) + seconds - now
            done, _ = await asyncio.wait((answer, self._over), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return True
        return False

    def _may_send(self) -> bool:
        return len(self._owed) < self._window and self._transport.get_write_buffer_size() < _MOST_UNSENT

    def _publish(self, message: _Unsent) -> None:
        packet_id = self._id()
        size = HEADER + len(message.topic) + len(message.payload)
        self._owed[packet_id] = _Owed(message.done, message.returned, UnansweredMessage(message.topic, size))
        self.write(self._encoded(message, 1, packet_id))

    def _encoded(self, message: _Unsent, qos: int, packet_id: int) -> bytes:
        topic, payload, retain, *_ = message
        if message.traceparent and self._version == 5 and _TRACE_BYTES + len(payload) <= self.room(topic.decode()):
            about: Properties = {Property.USER_PROPERTY: ((TRACEPARENT, message.traceparent),)}
            return v5.encode_publish(topic, payload, qos, retain, False, packet_id, about)
        if self._version == 5:
            return v5.encode_publish(topic, payload, qos, retain, False, packet_id)
        return v3.encode_publish(topic, payload, qos, retain, False, packet_id)

    def _id(self) -> int:
        while True:
            self._next_id = self._next_id % 65_535 + 1
            if self._next_id not in self._owed and self._next_id not in self._subscribing:
                return self._next_id

    def _taken(self, packet: Puback) -> None:
        if packet.packet_id not in self._owed:
            return
        done, returned, _ = self._owed.pop(packet.packet_id)
        if packet.reason >= 128 and not returned:
            log.warning("mqtt.publish_refused", code=packet.reason)
        self.resume_writing()
        if done is not None:
            done(packet)

    def _forget(self, done: Callable[[Puback], None]) -> None:
        """Nobody waits for this answer any more; it may still come."""
        for packet_id, owed in self._owed.items():
            if owed.done is done:
                self._owed[packet_id] = owed._replace(done=None)
                return
        self._unsent = deque(
            message._replace(done=None) if message.done is done else message for message in self._unsent
        )

    def _lost(self, when: str = "") -> ConnectionLostError:
        """The end of this connection as an error: the server's own farewell, if there was one."""
        said = self._farewell
        if said is not None:
            return type(said)(str(said), hint=said.hint, code=said.code)
        return ConnectionLostError(f"{when}{self._over.result() if self._over.done() else 'it is over'}")

    def resume_writing(self) -> None:
        while self._unsent and self._may_send():
            self._publish(self._unsent.popleft())

    # -- in

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def gather(self) -> None:
        """From now on send what is said in one turn of the loop at once, at its end."""
        self._transport = GatheredWrites(self._transport)

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        if self.state is LinkState.ENDED:
            return
        broken: ProtocolError | None = None
        try:
            packets = self._decoder.feed(data)
        except ProtocolError as error:
            # What came with it is not taken either: it is unacknowledged, and comes again.
            broken, packets = error, []
        messages: list[Publish] = []
        for packet in packets:
            if type(packet) is Publish:
                if packet.qos == 2 or not packet.topic:
                    self.end("a message of QoS 2 or with a topic alias, which nobody asked for")
                    return
                messages.append(packet)
            elif type(packet) is Skipped:
                messages = self._passed(packet, messages)
            else:
                self._answer(packet)
        if broken is not None:
            log.warning("mqtt.protocol_error", problem=str(broken))
            self.end(f"the broker broke the protocol: {broken}")
        elif messages and self.state is LinkState.ACCEPTED:
            self.on_messages(messages)
        elif messages:
            self.end("messages before CONNACK")

    def _passed(self, head: Skipped, before: list[Publish]) -> list[Publish]:
        """A message went by: who decides hears it in its place. What is still to be handed over then: nothing."""
        if self.state is LinkState.ACCEPTED and self._long is not None:
            if before:
                self.on_messages(before)
            self._long.skipped(head)
            return []
        return before

    def _answer(self, packet: object) -> None:
        match packet:
            case Puback():
                self._taken(packet)
            case Suback():
                waiting = self._subscribing.get(packet.packet_id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(packet)
            case Connack():
                if self._greeting.done():
                    self.end("a second CONNACK")
                    return
                if packet.code == 0:
                    self.state = LinkState.ACCEPTED  # messages may stand in the same read
                self._greeting.set_result(packet)
            case Auth():
                if self._renewing is None or self._renewing.done():
                    self.end("an AUTH that nobody asked for")
                elif packet.reason == 0:
                    self._renewing.set_result(None)
            case Disconnect():
                self._farewell = farewell(packet)
                self.end(str(self._farewell))
            case _:
                pass

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone.set()
        self.end(f"the connection was closed{f': {exc}' if exc and str(exc) else ''}")

    def pause(self) -> None:
        if self.alive and not self.paused:
            self.paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self.alive and self.paused:
            self.paused = False
            self._heard = self._loop.time()
            self._transport.resume_reading()

    # -- the end

    def _watch(self) -> None:
        """Ask whether the other side is there, and end the connection when it is not."""
        if self.state is LinkState.ENDED or not self._keep_alive:
            return
        now = self._loop.time()
        if self.paused:
            self._heard = now  # a pause of ours may not look like silence of the broker
        if now - self._heard > 1.5 * self._keep_alive:
            self.end("the broker is silent")
            return
        if now - min(self._heard, self._said) >= 0.5 * self._keep_alive:
            self.write(self._encode(Pingreq()))
        self._timer = self._loop.call_later(self._keep_alive / 4, self._watch)

    def end(self, why: str) -> None:
        """Cut the connection: the broker sends the will. Nothing happens when it is over already."""
        if self.state is LinkState.ENDED:
            return
        self.state = LinkState.ENDED
        if self._timer is not None:
            self._timer.cancel()
        self._tell_over(why)
        if self._transport is not None:
            self._transport.abort()

    def _tell_over(self, why: str) -> None:
        if not self._over.done():
            self._over.set_result(why)
        for waiting in self._awaited:
            if not waiting.done():
                waiting.set_result(None)

    async def ended(self) -> None:
        await asyncio.shield(self._over)
        raise self._lost("the connection to the broker ended: ")

    async def close(self) -> None:
        if self.state is not LinkState.ACCEPTED:
            return
        self.write(self._encode(Disconnect()))
        self.state = LinkState.ENDED
        if self._timer is not None:
            self._timer.cancel()
        if self.paused:
            self._transport.resume_reading()  # else its end is never seen
        self._transport.close()
        self._tell_over("it was closed here")
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await self._gone.wait()
        except TimeoutError:
            self._transport.abort()


@contextlib.asynccontextmanager
async def dial(
    address: Address, on_messages: Callable[[list[Publish]], None] = lambda _: None, long: Long | None = None
) -> AsyncIterator[Link]:
    """A connection that has not logged in yet; it is cut at the end. Raises ConnectionLostError."""
    loop = asyncio.get_running_loop()
    where = f"{address.host}:{address.port}"
    try:
        async with asyncio.timeout(address.timeout):
            _, link = await loop.create_connection(
                lambda: Link(address, on_messages, long),
                address.host,
                address.port,
                ssl=address.tls,
                server_hostname=address.host if address.tls else None,
            )
    except (OSError, ssl.SSLError, TimeoutError) as error:
        silent = isinstance(error, TimeoutError)
        said = str(error) or ("no answer" if silent else error.__class__.__name__)
        kind = NoAnswerError if silent else ConnectionLostError
        raise kind(f"cannot connect to {where}: {said}", hint=_hint(error)) from None
    try:
        yield link
    finally:
        link.end("it was left")


def _hint(error: BaseException) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "pass the CA file of this service (certs/ca.crt in its data directory) and a host name it is made for"
    return "is it running? (healthsync up, or the broker's own service)"
