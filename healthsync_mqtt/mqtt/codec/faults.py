"""What can be wrong with MQTT bytes from a peer, and with packets of our own.

Messages and reasons never repeat bytes of the packet.
"""

from enum import StrEnum
from typing import TYPE_CHECKING

from healthsync_mqtt.errors import HealthSyncError

if TYPE_CHECKING:
    from healthsync_mqtt.mqtt.codec.packets import Packet


class Fault(StrEnum):
    """The closed list of reasons a peer's bytes are refused; section numbers are those of MQTT 3.1.1, or say 5.0."""

    #: The first packet on a connection to a server is not CONNECT (3.1.0-1).
    NOT_CONNECT = "not_connect"
    #: Packet type 0 or 15 (2.2.1).
    BAD_TYPE = "bad_type"
    #: Reserved bits of the first byte are not as prescribed, or DUP is set at QoS 0 (2.2.2, 3.3.1-2).
    BAD_FLAGS = "bad_flags"
    #: QoS 3 (3.3.1-4), also in a will or a SUBSCRIBE, and reserved bits beside a requested QoS (3.8.3-4).
    BAD_QOS = "bad_qos"
    #: The remaining length takes more than four bytes (2.2.3).
    BAD_LENGTH = "bad_length"
    #: A field reaches past the end of its packet.
    TRUNCATED = "truncated"
    #: Bytes are left after the last field.
    TRAILING_BYTES = "trailing_bytes"
    #: Packet identifier 0 (2.3.1-1).
    BAD_PACKET_ID = "bad_packet_id"
    #: A string is not UTF-8, or encodes a surrogate (1.5.3-1).
    BAD_UTF8 = "bad_utf8"
    #: A string holds U+0000 (1.5.3-2).
    NUL_CHARACTER = "nul_character"
    #: A topic name or filter is empty (4.7.3-1).
    EMPTY_TOPIC = "empty_topic"
    #: A topic name holds ``+`` or ``#`` (3.3.2-2).
    WILDCARD_TOPIC = "wildcard_topic"
    #: The protocol name is neither MQTT nor MQIsdp (3.1.2-1).
    BAD_PROTOCOL = "bad_protocol"
    #: Flags of CONNECT or CONNACK are reserved, or contradict each other (3.1.2-3 to 3.1.2-22, 3.2.2-4).
    BAD_CONNECT_FLAGS = "bad_connect_flags"
    #: A return code of CONNACK or SUBACK is reserved (3.2.2.3, 3.9.3-2).
    BAD_CODE = "bad_code"
    #: SUBSCRIBE, SUBACK or UNSUBSCRIBE with an empty list (3.8.3-3, 3.10.3-2).
    NO_FILTERS = "no_filters"
    #: A property that does not exist, or has no place in its packet (5.0, 2.2.2.2).
    BAD_PROPERTY = "bad_property"
    #: A property with a value that it cannot have, such as a receive maximum of 0 (5.0, 3.1.2.11 and the like).
    BAD_VALUE = "bad_value"
    #: A property that may stand once stands twice (5.0, 2.2.2.2).
    REPEATED_PROPERTY = "repeated_property"
    #: A topic name is empty and no topic alias stands for it (5.0, 3.3.2.1).
    NO_TOPIC = "no_topic"
    #: More user properties in one packet than the limit.
    TOO_MANY_PROPERTIES = "too_many_properties"
    #: The declared length is above the limit.
    TOO_LARGE = "too_large"
    #: More filters in one packet than the limit.
    TOO_MANY_FILTERS = "too_many_filters"


class ProtocolError(HealthSyncError):
    """The peer broke MQTT or a limit; close its connection.

    ``reason`` is a ``Fault``; ``packets`` are the whole packets that came before the fault in the same feed.
    """

    def __init__(self, fault: Fault, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason: Fault = fault  # type: ignore[misc]  # the root gives one reason a class; here it is one an error
        self.packets: list[Packet] = []


class MalformedPacket(ProtocolError):  # noqa: N818  # the name that MQTT gives the condition
    """The bytes are not a valid packet, or the first packet is the wrong one."""


class PacketTooLarge(ProtocolError):  # noqa: N818  # the name that MQTT 5 gives the condition
    """A packet is above a limit of this side; raised before its body is buffered."""


class EncodeError(HealthSyncError):
    """A packet of our own has no valid encoding: a defect of the caller."""

    reason = "not_encodable"
