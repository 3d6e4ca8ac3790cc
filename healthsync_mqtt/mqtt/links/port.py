"""What a connection to a broker is made of: where it goes, as whom, what was agreed, and how it can fail."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Protocol

from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.mqtt.codec.packets import Puback, Skipped, Will

MAX_PACKET = 268_435_455
"""What MQTT allows where nobody says less."""
HEADER = 5 + 2 + 2 + 1
"""Bytes of a PUBLISH besides its topic and payload, at most."""


class ConnectionLostError(UnavailableError):
    """The service or broker could not be reached, or the connection to it ended."""

    reason: ClassVar[str] = "connection_lost"


class NoAnswerError(ConnectionLostError):
    """The other side neither answered a step nor ended the connection: what it would have said is not known."""

    reason: ClassVar[str] = "no_answer"


class ProtocolRefusedError(ConnectionLostError):
    """The broker does not speak this version of MQTT, or went away when it heard it."""

    reason: ClassVar[str] = "protocol_refused"


class TooLargeError(ConnectionLostError):
    """The other side takes no packet of this size; ``limit`` is what it takes, where it said so."""

    reason: ClassVar[str] = "packet_too_large"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"a packet of {size} bytes is too large for the other side", hint="send smaller batches")
        self.limit = limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a broker listens; ``tls`` for a TLS listener."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    timeout: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLogin:
    """What a client says about itself."""

    client_id: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWill:
    """What the server publishes, retained at QoS 1, when the connection ends without DISCONNECT."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where and as whom to connect. ``version`` is 4 (MQTT 3.1.1) or 5; the session lasts unless ``clean``.

    ``receive_maximum`` is how many messages the broker may send before it gets an acknowledgement: MQTT 5 tells the
    broker; for 3.1.1 the broker's own setting rules. It bounds the memory that waiting messages take.
    ``in_flight`` bounds what is sent and not acknowledged; what is beyond it waits here.
    """

    address: Address
    account: ClientLogin
    version: int = 5
    clean: bool = False
    will: Will | None = None
    keep_alive: int = 30
    receive_maximum: int = 2_000
    max_packet: int = 2_097_152
    longest: int = 0
    """Where this is more: longer messages are asked about up to here (``Long``), and go by if they are not wanted."""
    session_expiry_s: int = 7 * 86_400
    in_flight: int = 1_000
    method: str = ""
    """The authentication method of MQTT 5 by which a new password can be given later, on the live connection."""
    most: int = MAX_PACKET
    """The longest packet that the broker is known to take, where it does not say so itself."""


class UnansweredMessage(NamedTuple):
    """A message without its answer: its topic, and the bytes of its packet at most."""

    topic: bytes
    size: int


class Long(Protocol):
    """Who decides about messages over ``Target.max_packet``."""

    def keeps(self, head: Skipped) -> bool:
        """Whether a message that begins so is to come in; asked once of each."""

    def skipped(self, head: Skipped) -> None:
        """One has gone by, behind all messages that were handed over before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What the broker said in its CONNACK; 3.1.1 says nothing about limits."""

    version: int
    session_present: bool
    send_window: int
    shared_subscriptions: bool
    max_qos: int
    retain: bool
    max_packet: int = MAX_PACKET
    keep_alive: float = 30.0
    topic_aliases: int = 0
    """How many aliases of topics we may use."""
    method: str = ""
    """The authentication method that both sides have."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an acknowledgement of MQTT 5 said: its reason code, the user properties, the reason string."""

    code: int = 0
    said: tuple[tuple[str, str], ...] = ()
    why: str = ""

    def get(self, name: str) -> str | None:
        """The first user property of this name."""
        return next((value for key, value in self.said if key == name), None)


class BrokerLink(Protocol):
    """One connection. It never reconnects: the next connection is another object, so no acknowledgement crosses."""

    @property
    def agreed(self) -> Agreed:
        """What both sides agreed on."""

    @property
    def alive(self) -> bool:
        """Whether the connection still stands."""

    def acknowledge(self, data: bytes) -> None:
        """Send the bytes of PUBACK packets. Does nothing when the connection is gone."""

    def room(self, topic: str) -> int:
        """The largest payload that the other side takes on this topic."""

    def oldest_owed(self) -> UnansweredMessage | None:
        """The oldest message of ours that was sent and not acknowledged, also when the connection is over."""

    def send(
        self, topic: str, payload: bytes, *, retain: bool = False, done: Callable[[Puback], None] | None = None
    ) -> bool:
        """Publish at QoS 1; ``done`` is called with the PUBACK. False when it was not sent: gone, or too many wait."""

    async def subscribe(self, filters: Sequence[str], *, qos: int = 1, retained: bool = False) -> list[int]:
        """Subscribe: a code per filter, 128 or more when refused. Raises ConnectionLostError.

        ``retained``: retained messages are wanted; without it MQTT 5 sends none.
        """

    def pause(self) -> None:
        """Read no more; the broker keeps what it has."""

    def resume(self) -> None:
        """Read again."""

    async def ended(self) -> None:
        """Wait for the end of the connection and raise ConnectionLostError."""

    async def close(self) -> None:
        """DISCONNECT: no will is sent, the session stays."""
