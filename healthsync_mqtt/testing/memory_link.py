"""A bridge's connection to a broker without a network, for tests: the broker is in memory and does what it is told."""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from healthsync_mqtt.mqtt.codec import Decoder
from healthsync_mqtt.mqtt.codec.packets import Puback, Publish
from healthsync_mqtt.mqtt.links.port import HEADER, Agreed, ConnectionLostError, UnansweredMessage

_REFUSED = 0x80


class TakenMessage(NamedTuple):
    """One message that the broker has taken."""

    topic: str
    payload: bytes
    retain: bool


class Unanswered(NamedTuple):
    """A message that the broker owes an answer, and who waits for it."""

    message: UnansweredMessage
    done: Callable[[Puback], None] | None


class MemoryBroker:
    """Takes what its links send. ``answers``: whether it acknowledges at once, or when ``answer`` is called."""

    def __init__(self, *, max_packet: int = 1_048_576) -> None:
        self.agreed = Agreed(
            version=5,
            session_present=False,
            send_window=20,
            shared_subscriptions=True,
            max_qos=1,
            retain=True,
            max_packet=max_packet,
        )
        self.answers = True
        self.taken: list[TakenMessage] = []
        #: packet ids of what was acknowledged here, in that order
        self.acknowledged: list[int] = []
        self.forbidden: set[str] = set()
        self.goodbyes = 0


class MemoryLink:
    """``mqtt.links.port.BrokerLink``, connected from its birth to its end."""

    def __init__(self, broker: MemoryBroker, on_messages: Callable[[list[Publish]], None] = lambda _: None) -> None:
        self._broker = broker
        self._on_messages = on_messages
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._owed: list[Unanswered] = []
        self._waiting: list[Publish] | None = None
        self._numbers = itertools.count(1)
        self.agreed = broker.agreed

    # -- the broker's side

    def say(self, messages: Iterable[Publish]) -> None:
        """The broker sends these."""
        if self._waiting is not None:
            self._waiting += messages
        elif self.alive:
            self._on_messages(list(messages))

    def answer(self, count: int = 1, code: int = 0) -> None:
        """The broker acknowledges the oldest messages."""
        for _ in range(count):
            done = self._owed.pop(0).done
            if done is not None:
                done(Puback(next(self._numbers), code))

    def drop(self) -> None:
        """The connection breaks."""
        if not self._over.done():
            self._over.set_result(None)

    # -- the bridge's side

    @property
    def alive(self) -> bool:
        """Until ``drop`` or ``close``."""
        return not self._over.done()

    @property
    def paused(self) -> bool:
        """Whether it is asked to read no more."""
        return self._waiting is not None

    def acknowledge(self, data: bytes) -> None:
        """Tell the broker."""
        if self.alive:
            packets = Decoder(1 << 20, server=False).feed(data)
            self._broker.acknowledged += [packet.packet_id for packet in packets if isinstance(packet, Puback)]

    def room(self, topic: str) -> int:
        """What is left of the broker's longest packet."""
        return self.agreed.max_packet - HEADER - len(topic.encode())

    def oldest_owed(self) -> UnansweredMessage | None:
        """The oldest that the broker has not acknowledged."""
        return self._owed[0].message if self._owed else None

    def send(
        self, topic: str, payload: bytes, *, retain: bool = False, done: Callable[[Puback], None] | None = None
    ) -> bool:
        """Hand it to the broker."""
        if not self.alive or len(payload) > self.room(topic):
            return False
        self._broker.taken.append(TakenMessage(topic, payload, retain))
        size = HEADER + len(topic.encode()) + len(payload)
        self._owed.append(Unanswered(UnansweredMessage(topic.encode(), size), done))
        if self._broker.answers:
            asyncio.get_running_loop().call_soon(self._answered_at_once)
        return True

    async def subscribe(self, filters: Sequence[str], *, qos: int = 1, retained: bool = False) -> list[int]:  # noqa: ARG002
        """Granted, unless it is forbidden."""
        if not self.alive:
            raise ConnectionLostError("the connection is over")
        return [_REFUSED if name in self._broker.forbidden else qos for name in filters]

    def pause(self) -> None:
        """What comes waits at the broker."""
        if self._waiting is None:
            self._waiting = []

    def resume(self) -> None:
        """And comes now."""
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            if waiting:
                self.say(waiting)

    async def ended(self) -> None:
        """Wait for the end."""
        await asyncio.shield(self._over)
        raise ConnectionLostError("the connection is over")

    async def close(self) -> None:
        """Say goodbye, once."""
        if self.alive:
            self._broker.goodbyes += 1
            self.drop()

    def _answered_at_once(self) -> None:
        if self.alive and self._owed:
            self.answer()
