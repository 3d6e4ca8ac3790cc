"""MQTT 3.1.1 control packets as values (OASIS MQTT 3.1.1, section 3).

Packets with fields are named tuples because they are built by the hundred thousand a second. Named tuples compare as
tuples (``Puback(1) == Pubrec(1)``), so tell packets apart by their class, never by ``==`` alone.

``repr`` shows no password and no payload: packets may end up in tracebacks.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, TypeAlias


class PacketType(IntEnum):
    """The high four bits of a packet's first byte (section 2.2.1)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


class ConnectCode(IntEnum):
    """Return codes of CONNACK (section 3.2.2.3)."""

    ACCEPTED = 0
    BAD_PROTOCOL_VERSION = 1
    IDENTIFIER_REJECTED = 2
    SERVER_UNAVAILABLE = 3
    BAD_CREDENTIALS = 4
    NOT_AUTHORIZED = 5


#: The return code of SUBACK for a filter that was refused (section 3.9.3).
SUBSCRIBE_REFUSED = 0x80


class Will(NamedTuple):
    """What the server publishes when the connection dies (section 3.1.2.5). ``topic`` is a valid topic name."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False

    def __repr__(self) -> str:
        return f"Will(topic={self.topic!r}, payload=<{len(self.payload)} bytes>, qos={self.qos}, retain={self.retain})"


class Connect(NamedTuple):
    """Section 3.1. ``keep_alive`` is in seconds, 0 = none.

    A decoded CONNECT whose ``protocol_level`` is neither 3 nor 4 carries only its protocol name and level: enough to
    answer CONNACK 1. ``protocol_name`` is "MQTT" or "MQIsdp". An empty ``client_id`` is left for the caller to judge.
    """

    client_id: str
    clean_session: bool = True
    keep_alive: int = 0
    username: str | None = None
    password: bytes | None = None
    will: Will | None = None
    protocol_level: int = 4
    protocol_name: str = "MQTT"

    def __repr__(self) -> str:
        password = None if self.password is None else "<hidden>"
        return (
            f"Connect(client_id={self.client_id!r}, clean_session={self.clean_session}, keep_alive={self.keep_alive}, "
            f"username={self.username!r}, password={password}, will={self.will!r}, "
            f"protocol_level={self.protocol_level}, protocol_name={self.protocol_name!r})"
        )


class Connack(NamedTuple):
    """Section 3.2. ``code`` is a ``ConnectCode``; ``session_present`` only with code 0."""

    session_present: bool
    code: int


class Publish(NamedTuple):
    """Section 3.3. ``topic`` is UTF-8, not empty, without NUL and wildcards; ``packet_id`` is 0 exactly at QoS 0."""

    topic: bytes
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0

    def __repr__(self) -> str:
        return (
            f"Publish(topic={self.topic!r}, payload=<{len(self.payload)} bytes>, qos={self.qos}, "
            f"retain={self.retain}, dup={self.dup}, packet_id={self.packet_id})"
        )


class Puback(NamedTuple):
    """Section 3.4: the answer to a PUBLISH at QoS 1. ``packet_id`` is 1..65535, here and below."""

    packet_id: int


class Pubrec(NamedTuple):
    """Section 3.5: the first answer to a PUBLISH at QoS 2."""

    packet_id: int


class Pubrel(NamedTuple):
    """Section 3.6: the answer to a PUBREC."""

    packet_id: int


class Pubcomp(NamedTuple):
    """Section 3.7: the answer to a PUBREL."""

    packet_id: int


class Subscribe(NamedTuple):
    """Section 3.8. At least one ``(filter, qos)``; where wildcards may stand in a filter is the caller's to check."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


class Suback(NamedTuple):
    """Section 3.9. One code for each filter, in order: the granted QoS or ``SUBSCRIBE_REFUSED``."""

    packet_id: int
    codes: tuple[int, ...]


class Unsubscribe(NamedTuple):
    """Section 3.10. At least one filter."""

    packet_id: int
    filters: tuple[str, ...]


class Unsuback(NamedTuple):
    """Section 3.11."""

    packet_id: int


# The packets without fields are dataclasses: an empty tuple would be false, and equal to the others.


@dataclass(frozen=True, slots=True)
class Pingreq:
    """Section 3.12."""


@dataclass(frozen=True, slots=True)
class Pingresp:
    """Section 3.13."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Section 3.14: the client leaves on purpose; its will is dropped."""


Packet: TypeAlias = (
    Connect
    | Connack
    | Publish
    | Puback
    | Pubrec
    | Pubrel
    | Pubcomp
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
)
