"""A device for soaks: raw MQTT with the project's codec, persistent about what was not acknowledged."""

import asyncio
import random
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from healthsync_mqtt.model.receipt import Receipt, parse_receipt
from healthsync_mqtt.mqtt.codec import Decoder, encode, encode_publish, v5
from healthsync_mqtt.mqtt.codec.packets import (
    Connack,
    Connect,
    Packet,
    Property,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
)
from tests.support.history import History, Key
from tests.support.wire import Login

WINDOW = 20
SILENCE = 15.0
EVENT = '{"id":"%s","type":"heart_rate","start_time":"2025-11-23T06:%02d:%02d.%03dZ","value":{"bpm":%d}}'


def named(ids: Sequence[str] | int) -> Sequence[str]:
    """The ids of one list of a receipt; a batch with a name has only their number."""
    return () if isinstance(ids, int) else ids


@dataclass(frozen=True, slots=True)
class Message:
    """A payload and the events in it."""

    payload: bytes
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where the service listens now; ``context`` for a TLS listener."""

    host: str
    port: int
    context: ssl.SSLContext | None = None


@dataclass(slots=True, kw_only=True)
class Device:
    """Publishes at ``qos`` until ``sending`` is cleared, then goes on until everything was acknowledged.

    At QoS 0 that is by receipts: a message without one is sent again on the next connection.
    """

    login: Login
    history: History
    rng: random.Random
    where: Callable[[], Door | None]
    qos: int = 1
    #: 4 is MQTT 3.1.1
    version: int = 4
    sending: bool = True
    #: seconds without a word, while something is in flight, after which it connects anew
    silence: float = SILENCE
    made: int = 0
    unacknowledged: list[Message] = field(default_factory=list)
    old: list[Message] = field(default_factory=list)
    #: As long as this is set it keeps what was acknowledged, as a device does for 72 hours; None: it keeps nothing.
    kept: list[Message] | None = None
    #: Events of ``kept`` that it has sent again, because the log is another one now, until they are acknowledged.
    resent: set[Key] = field(default_factory=set)
    epoch: str = ""
    in_flight: dict[int, Message] = field(default_factory=dict)
    #: At QoS 0, the events of each message in flight that have no receipt since it was sent.
    without: dict[int, set[Key]] = field(default_factory=dict)
    next_id: int = 0

    async def run(self) -> None:
        """Connect, and connect again whenever the connection ends, until there is nothing left to do."""
        while self.sending or self.unacknowledged:
            door = self.where()
            if door is not None:
                try:
                    await self._session(door)
                except (OSError, EOFError, asyncio.IncompleteReadError, TimeoutError):
                    pass
                finally:
                    # A clean session forgets: what has no acknowledgement is sent again, with new packet ids.
                    self.unacknowledged = [*self.in_flight.values(), *self.unacknowledged]
                    self.in_flight.clear()
                    self.without.clear()
            await asyncio.sleep(self.rng.uniform(0.02, 0.1))

    async def _session(self, door: Door) -> None:
        name = "localhost" if door.context else None
        async with asyncio.timeout(self.silence):
            reader, writer = await asyncio.open_connection(door.host, door.port, ssl=door.context, server_hostname=name)
        try:
            await self._talk(reader, writer)
        finally:
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = Decoder(1 << 20, server=False, versions=frozenset({self.version}))
        topic = f"users/{self.login.user}/devices/{self.login.device}"
        token = self.login.token or ""
        name = self.login.client_id
        asked = Connect(client_id=name, username=name, password=token.encode(), protocol_level=self.version)
        writer.write(self._encode(asked))
        writer.write(self._encode(Subscribe(packet_id=1, filters=((f"{topic}/receipts", 1),))))
        heard = asyncio.create_task(self._hear(reader, writer, decoder))
        try:
            while not heard.done() and (self.sending or self.unacknowledged or self.in_flight):
                for _ in range(self.rng.randrange(1, 6)):
                    if len(self.in_flight) >= WINDOW:
                        break
                    message = self._next()
                    if message is None:
                        break
                    packet_id = self._free_id()
                    self.in_flight[packet_id] = message
                    if not self.qos:
                        self.without[packet_id] = set(message.keys)
                    publish = v5.encode_publish if self.version == 5 else encode_publish
                    writer.write(
                        publish(
                            f"{topic}/events".encode(),
                            message.payload,
                            self.qos,
                            False,
                            False,
                            packet_id * bool(self.qos),
                        )
                    )
                await asyncio.sleep(self.rng.uniform(0.005, 0.03))
        finally:
            heard.cancel()
            await asyncio.gather(heard, return_exceptions=True)
        if not heard.cancelled() and (failure := heard.exception()):
            raise failure

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, decoder: Decoder) -> None:
        while True:
            async with asyncio.timeout(self.silence if self.in_flight else None):
                data = await reader.read(65536)
            if not data:
                raise ConnectionResetError("the service closed the connection")
            for packet in decoder.feed(data):
                self._take(packet, writer)

    def _take(self, packet: Packet, writer: asyncio.StreamWriter) -> None:
        match packet:
            case Connack(code=code) if code:
                raise ConnectionRefusedError(f"CONNACK {code}")
            case Suback(codes=codes) if codes != (1,):
                self.history.violations.append(f"{self.login.client_id} may not read its own receipts: SUBACK {codes}")
            case Puback(packet_id=packet_id):
                self._acknowledged(self.in_flight.pop(packet_id), packet)
            case Pubrec(packet_id=packet_id):
                if packet_id in self.in_flight:
                    self._acknowledged(self.in_flight.pop(packet_id), packet)
                writer.write(self._encode(Pubrel(packet_id=packet_id)))
            case Publish(payload=payload, qos=qos, packet_id=packet_id):
                self._told(parse_receipt(payload))
                if qos:
                    writer.write(self._encode(Puback(packet_id=packet_id)))
            case Pubcomp() | _:
                pass

    def _told(self, receipt: Receipt) -> None:
        self.history.receipt(self.login.user, self.login.device, receipt)
        self._settle({Key(self.login.user, name) for ids in (receipt.stored, receipt.duplicate) for name in named(ids)})
        if self.epoch and receipt.epoch != self.epoch and self.kept is not None:
            self.unacknowledged += self.kept
            self.resent = {key for message in self.kept for key in message.keys}
            self.kept = None
        self.epoch = receipt.epoch

    def _settle(self, told: set[Key]) -> None:
        """At QoS 0 a message is done when each of its events has a receipt."""
        for packet_id, left in list(self.without.items()):
            left.difference_update(told)
            if not left:
                del self.without[packet_id]
                self._done(self.in_flight.pop(packet_id))

    def _encode(self, packet: Packet) -> bytes:
        return v5.encode(packet) if self.version == 5 else encode(packet)

    def _acknowledged(self, message: Message, answer: Puback | Pubrec) -> None:
        if self.version == 5:
            said = dict(answer.properties.get(Property.USER_PROPERTY, ()))
            counted = int(said.get("stored", -1)) + int(said.get("duplicate", -1))
            if answer.reason or counted != len(message.keys):
                wrong = f"{self.login.client_id}: {len(message.keys)} events answered with {answer.reason} and {said}"
                self.history.violations.append(wrong)
        self._done(message)

    def _done(self, message: Message) -> None:
        self.history.acknowledge(message.keys)
        self.resent.difference_update(message.keys)
        if self.kept is not None:
            self.kept.append(message)
        if self.rng.random() < 0.05:
            self.old.append(message)

    def _next(self) -> Message | None:
        if self.unacknowledged:
            return self.unacknowledged.pop(0)
        if not self.sending:
            return None
        if self.old and self.rng.random() < 0.05:
            # A device that lost its own notes sends what it sent before.
            return self.old.pop(self.rng.randrange(len(self.old)))
        return self._make()

    def _make(self) -> Message:
        events, keys = [], []
        for _ in range(self.rng.choice((1, 1, 1, 10))):
            self.made += 1
            event_id, bpm = f"{self.login.client_id}-{self.made}", self.rng.randrange(40, 200)
            self.history.send(self.login.user, self.login.device, event_id, bpm)
            time = (self.made // 60000 % 60, self.made // 1000 % 60, self.made % 1000)
            events.append(EVENT % (event_id, *time, bpm))
            keys.append(Key(self.login.user, event_id))
        payload = events[0] if len(events) == 1 else f"[{','.join(events)}]"
        return Message(payload.encode(), tuple(keys))

    def _free_id(self) -> int:
        while True:
            # 1 is the SUBSCRIBE's.
            self.next_id = self.next_id % 60000 + 1
            if self.next_id > 1 and self.next_id not in self.in_flight:
                return self.next_id
