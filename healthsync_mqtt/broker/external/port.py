"""The port between the bridge and an external broker; ``link.open_link`` makes the real one."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.mqtt.links.client import LastWill


class BrokerLostError(UnavailableError):
    """The broker could not be reached, or the connection to it ended."""

    reason = "broker_lost"


class ProtocolRefusedError(BrokerLostError):
    """The broker does not speak this version of MQTT, or went away when it heard it."""

    reason = "protocol_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where and as whom the bridge connects. ``version`` is 4 (MQTT 3.1.1) or 5.

    ``receive_maximum`` is how many messages the broker may send before it gets an acknowledgement: MQTT 5 tells the
    broker; for 3.1.1 the broker's own setting rules. It bounds the memory that waiting messages take.
    """

    host: str
    port: int
    client_id: str
    username: str
    password: str = field(repr=False)
    tls: ssl.SSLContext | None
    version: int = 5
    will: LastWill | None = None
    keep_alive: int = 30
    timeout: float = 10.0
    receive_maximum: int = 2_000
    max_packet: int = 2_097_152
    session_expiry_s: int = 7 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What the broker said in its CONNACK; 3.1.1 says nothing about limits."""

    version: int
    session_present: bool
    send_window: int
    shared_subscriptions: bool
    max_qos: int
    retain: bool


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

    def send(self, topic: str, payload: bytes, *, retain: bool = False, done: Callable[[], None] | None = None) -> bool:
        """Publish at QoS 1; ``done`` is called at the PUBACK. False when it was not sent: gone, or too many wait."""

    async def subscribe(self, filters: Sequence[str]) -> list[int]:
        """Subscribe at QoS 1: a code per filter, 128 or more when refused. Raises BrokerLostError."""

    def pause(self) -> None:
        """Read no more; the broker keeps what it has."""

    def resume(self) -> None:
        """Read again."""

    async def ended(self) -> None:
        """Wait for the end of the connection and raise BrokerLostError."""

    async def close(self) -> None:
        """DISCONNECT: no will is sent, the session stays."""
