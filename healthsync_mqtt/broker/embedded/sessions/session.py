"""A client's MQTT session: what it still has to get, in which state. Pure; the connection does the sending.

The session outlives its connections when the client asked for that (clean session 0). Messages of QoS 1 and 2 stay in
``inflight`` until the client has acknowledged them, however long that takes, and are sent again with DUP on the next
connection [MQTT-4.4.0-1]. Nothing here has a time-out that drops a message.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.mqtt.codec import encode, encode_publish
from healthsync_mqtt.mqtt.codec.packets import Pubrel


class Message(NamedTuple):
    """One message for the client. ``after`` is the log position before it for a canonical message, else -1."""

    topic: bytes
    payload: bytes
    qos: int
    retain: bool = False
    after: int = -1


class Step(Enum):
    """What the client owes us for a message in flight."""

    #: a PUBACK, or the PUBREC of QoS 2
    RECEIPT = auto()
    #: the PUBCOMP of QoS 2, after our PUBREL
    COMPLETION = auto()


class Outgoing(NamedTuple):
    """A message in flight."""

    message: Message
    step: Step


class Session:
    """Outgoing queue, in-flight window and the QoS 2 packet ids that the client has not released."""

    def __init__(self, principal: Principal, *, persistent: bool, window: int, queue_limit: int) -> None:
        self.principal = principal
        self.client_id = principal.client_id
        self.persistent = persistent
        self.connected = False
        #: log position through which canonical events were handed to this session; None = it has no such subscription
        self.position: int | None = None
        #: packet ids of QoS 2 messages from the client that wait for their PUBREL
        self.unreleased: set[int] = set()
        self.dropped = 0
        self._window = window
        self._queue_limit = queue_limit
        self._queue: deque[Message] = deque()
        self._inflight: dict[int, Outgoing] = {}
        self._last_id = 0

    @property
    def room(self) -> int:
        """How many canonical messages the session takes now."""
        return max(0, self._window - len(self._queue) - len(self._inflight))

    @property
    def backlog(self) -> int:
        """Messages queued or in flight."""
        return len(self._queue) + len(self._inflight)

    @property
    def full(self) -> bool:
        """No further message is taken before some are sent."""
        return len(self._queue) >= self._queue_limit

    def offer(self, message: Message) -> bool:
        """Queue a message. False: refused, because the client is away (QoS 0) or too far behind.

        A canonical message is never refused for its number: it was fed because there was ``room``, and the position in
        the log has moved on.
        """
        if (message.qos == 0 and not self.connected) or (message.after < 0 and self.full):
            self.dropped += 1
            return False
        self._queue.append(message)
        return True

    def transmit(self, most: int = 65_536) -> bytes:
        """Packets that may be sent now, about ``most`` bytes; empty when the window is full or nothing waits."""
        out: list[bytes] = []
        size = 0
        queue = self._queue
        while queue and size < most:
            message = queue[0]
            packet_id = 0
            if message.qos:
                if len(self._inflight) >= self._window:
                    break
                packet_id = self._next_id()
                self._inflight[packet_id] = Outgoing(message, Step.RECEIPT)
            queue.popleft()
            out.append(_publish(message, packet_id, dup=False))
            size += len(out[-1])
        return b"".join(out)

    def resume(self) -> bytes:
        """What a new connection must be sent first: everything in flight, in its first order, marked DUP."""
        return b"".join(
            _publish(flight.message, packet_id, dup=True) if flight.step is Step.RECEIPT else encode(Pubrel(packet_id))
            for packet_id, flight in self._inflight.items()
        )

    def on_puback(self, packet_id: int) -> None:
        """QoS 1 is done. An unknown id (a repeated or foreign PUBACK) changes nothing."""
        flight = self._inflight.get(packet_id)
        if flight is not None and flight.message.qos == 1:
            del self._inflight[packet_id]

    def on_pubrec(self, packet_id: int) -> bytes:
        """QoS 2, second step: the PUBREL to send, also for an id we no longer know [MQTT-4.3.3-1]."""
        flight = self._inflight.get(packet_id)
        if flight is not None and flight.message.qos == 2:
            self._inflight[packet_id] = Outgoing(flight.message, Step.COMPLETION)
        return encode(Pubrel(packet_id))

    def on_pubcomp(self, packet_id: int) -> None:
        """QoS 2 is done."""
        flight = self._inflight.get(packet_id)
        if flight is not None and flight.step is Step.COMPLETION:
            del self._inflight[packet_id]

    def acknowledged_position(self) -> int | None:
        """Log position through which the client has acknowledged every canonical event; None without a feed."""
        if self.position is None:
            return None
        waiting = [flight.message.after for flight in self._inflight.values() if flight.message.after >= 0]
        waiting += [message.after for message in self._queue if message.after >= 0]
        return min(waiting, default=self.position)

    def disconnect(self) -> None:
        """The connection is gone: QoS 0 messages that were not sent are given up, as the protocol has it."""
        self.connected = False
        self._queue = deque(message for message in self._queue if message.qos)

    def withhold(self, withheld: Callable[[str], bool]) -> None:
        """Drop the messages of topics that the client may not get any more; late acknowledgements change nothing."""
        self._queue = deque(message for message in self._queue if not withheld(message.topic.decode()))
        for packet_id, flight in tuple(self._inflight.items()):
            if withheld(flight.message.topic.decode()):
                del self._inflight[packet_id]

    def forget(self) -> None:
        """Drop everything that is queued or in flight (a clean session, a revoked identity)."""
        self._queue.clear()
        self._inflight.clear()
        self.unreleased.clear()

    def _next_id(self) -> int:
        candidate = self._last_id
        while True:
            candidate = candidate % 65_535 + 1
            if candidate not in self._inflight:
                self._last_id = candidate
                return candidate


def _publish(message: Message, packet_id: int, *, dup: bool) -> bytes:
    return encode_publish(message.topic, message.payload, message.qos, message.retain, dup, packet_id)
