"""MQTT control packets as values, the same for 3.1.1 and 5.0 (section 3 of both standards).

What only MQTT 5.0 has (reason codes of acknowledgements, properties) stands last and has the value that means nothing;
3.1.1 has no encoding for any other.

Packets with fields are named tuples because they are built by the hundred thousand a second. Named tuples compare as
tuples (``Puback(1) == Pubrec(1)``), so tell packets apart by their class, never by ``==`` alone.

``repr`` shows no password and no payload: packets may end up in tracebacks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias


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
    #: MQTT 5.0 only
    AUTH = 15


class Property(IntEnum):
    """The properties of MQTT 5.0 (section 2.2.2.2). Values: int, str, bytes, or tuples for the two that may repeat."""

    PAYLOAD_FORMAT = 0x01
    MESSAGE_EXPIRY = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    #: a tuple of integers: more than one in a PUBLISH to a client
    SUBSCRIPTION_ID = 0x0B
    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_ID = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTHENTICATION_METHOD = 0x15
    AUTHENTICATION_DATA = 0x16
    REQUEST_PROBLEM_INFORMATION = 0x17
    WILL_DELAY = 0x18
    REQUEST_RESPONSE_INFORMATION = 0x19
    RESPONSE_INFORMATION = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    #: a tuple of pairs of texts
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARD_SUBSCRIPTION_AVAILABLE = 0x28
    SUBSCRIPTION_IDS_AVAILABLE = 0x29
    SHARED_SUBSCRIPTION_AVAILABLE = 0x2A


Properties: TypeAlias = Mapping[Property, Any]
NO_PROPERTIES: Final[Properties] = MappingProxyType({})


_VERSIONS: Final = {3: "3.1", 4: "3.1.1", 5: "5.0"}


def version_of(protocol_level: int) -> str:
    """The version of MQTT with this protocol level, in words."""
    return f"MQTT {_VERSIONS.get(protocol_level, protocol_level)}"


_BRIDGES: Final = frozenset({0x83, 0x84})
"""What Mosquitto's bridges of MQTT 3.1 and 3.1.1 say first; refused with code 1, they say 3 and 4."""


def is_modern(protocol_level: int) -> bool:
    """Whether a client with this protocol level reads what MQTT 5 says, if only that its version is not spoken."""
    return protocol_level > 4 and protocol_level not in _BRIDGES


class ConnectCode(IntEnum):
    """Return codes of CONNACK in 3.1.1 (section 3.2.2.3)."""

    ACCEPTED = 0
    BAD_PROTOCOL_VERSION = 1
    IDENTIFIER_REJECTED = 2
    SERVER_UNAVAILABLE = 3
    BAD_CREDENTIALS = 4
    NOT_AUTHORIZED = 5


#: Bits of a subscription's options beside the QoS (5.0, section 3.8.3.1).
NO_LOCAL: Final = 0x04
RETAIN_AS_PUBLISHED: Final = 0x08
RETAIN_HANDLING_SHIFT: Final = 4

#: The return code of SUBACK for a filter that was refused (section 3.9.3).
SUBSCRIBE_REFUSED = 0x80


class Will(NamedTuple):
    """What the server publishes when the connection dies (section 3.1.2.5). ``topic`` is a valid topic name."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES

    def __repr__(self) -> str:
        return f"Will(topic={self.topic!r}, payload=<{len(self.payload)} bytes>, qos={self.qos}, retain={self.retain})"


class Connect(NamedTuple):
    """Section 3.1. ``keep_alive`` is in seconds, 0 = none.

    A decoded CONNECT of a version that the decoder was not told to take carries only its protocol name and level:
    enough to refuse it. ``protocol_name`` is "MQTT" or "MQIsdp". An empty ``client_id`` is left for the caller to
    judge. In 5.0 ``clean_session`` is Clean Start.
    """

    client_id: str
    clean_session: bool = True
    keep_alive: int = 0
    username: str | None = None
    password: bytes | None = None
    will: Will | None = None
    protocol_level: int = 4
    protocol_name: str = "MQTT"
    properties: Properties = NO_PROPERTIES

    def __repr__(self) -> str:
        password = None if self.password is None else "<hidden>"
        return (
            f"Connect(client_id={self.client_id!r}, clean_session={self.clean_session}, keep_alive={self.keep_alive}, "
            f"username={self.username!r}, password={password}, will={self.will!r}, "
            f"protocol_level={self.protocol_level}, protocol_name={self.protocol_name!r})"
        )


class Connack(NamedTuple):
    """Section 3.2. ``code`` is a ``ConnectCode``, in 5.0 a ``Reason``; ``session_present`` only with code 0."""

    session_present: bool
    code: int
    properties: Properties = NO_PROPERTIES


class Publish(NamedTuple):
    """Section 3.3. ``topic`` is UTF-8 without NUL and wildcards; ``packet_id`` is 0 exactly at QoS 0.

    ``topic`` is empty only in 5.0, beside a topic alias.
    """

    topic: bytes
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0
    properties: Properties = NO_PROPERTIES

    def __repr__(self) -> str:
        return (
            f"Publish(topic={self.topic!r}, payload=<{len(self.payload)} bytes>, qos={self.qos}, "
            f"retain={self.retain}, dup={self.dup}, packet_id={self.packet_id})"
        )


class Skipped(NamedTuple):
    """A PUBLISH that was longer than the limit: its bytes went by unread. Decoded only; nothing encodes it."""

    topic: bytes
    size: int
    qos: int = 0
    packet_id: int = 0


class Puback(NamedTuple):
    """Section 3.4: the answer to a PUBLISH at QoS 1. ``packet_id`` is 1..65535, here and below."""

    packet_id: int
    reason: int = 0
    properties: Properties = NO_PROPERTIES


class Pubrec(NamedTuple):
    """Section 3.5: the first answer to a PUBLISH at QoS 2."""

    packet_id: int
    reason: int = 0
    properties: Properties = NO_PROPERTIES


class Pubrel(NamedTuple):
    """Section 3.6: the answer to a PUBREC."""

    packet_id: int
    reason: int = 0
    properties: Properties = NO_PROPERTIES


class Pubcomp(NamedTuple):
    """Section 3.7: the answer to a PUBREL."""

    packet_id: int
    reason: int = 0
    properties: Properties = NO_PROPERTIES


class Subscribe(NamedTuple):
    """Section 3.8. At least one ``(filter, options)``; where wildcards may stand in a filter is the caller's to check.

    ``options`` is the QoS; in 5.0 beside it ``NO_LOCAL``, ``RETAIN_AS_PUBLISHED`` and the retain handling, shifted by
    ``RETAIN_HANDLING_SHIFT`` (section 3.8.3.1).
    """

    packet_id: int
    filters: tuple[tuple[str, int], ...]
    properties: Properties = NO_PROPERTIES


class Suback(NamedTuple):
    """Section 3.9. One code for each filter, in order: the granted QoS or ``SUBSCRIBE_REFUSED``."""

    packet_id: int
    codes: tuple[int, ...]
    properties: Properties = NO_PROPERTIES


class Unsubscribe(NamedTuple):
    """Section 3.10. At least one filter."""

    packet_id: int
    filters: tuple[str, ...]
    properties: Properties = NO_PROPERTIES


class Unsuback(NamedTuple):
    """Section 3.11. ``codes``, one for each filter, are 5.0's."""

    packet_id: int
    codes: tuple[int, ...] = ()
    properties: Properties = NO_PROPERTIES


# The packets that have no field in 3.1.1 are dataclasses: an empty tuple would be false, and equal to the others.


@dataclass(frozen=True, slots=True)
class Pingreq:
    """Section 3.12."""


@dataclass(frozen=True, slots=True)
class Pingresp:
    """Section 3.13."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Section 3.14: the client leaves on purpose; its will is dropped. In 5.0 a server sends it too."""

    reason: int = 0
    properties: Properties = field(default_factory=lambda: NO_PROPERTIES)


@dataclass(frozen=True, slots=True)
class Auth:
    """Section 3.15 of 5.0: one step of an authentication, at the login or later."""

    reason: int = 0
    properties: Properties = field(default_factory=lambda: NO_PROPERTIES)


Packet: TypeAlias = (
    Connect
    | Connack
    | Publish
    | Skipped
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
    | Auth
)
