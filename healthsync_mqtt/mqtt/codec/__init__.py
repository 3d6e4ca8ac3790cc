"""The MQTT 3.1.1 codec: bytes in, packets out, and back. No I/O, no clock, no session state."""

from healthsync_mqtt.mqtt.codec.bodies import MAX_FILTERS
from healthsync_mqtt.mqtt.codec.decode import Decoder
from healthsync_mqtt.mqtt.codec.encode import encode, encode_puback, encode_pubacks, encode_publish
from healthsync_mqtt.mqtt.codec.faults import EncodeError, Fault, MalformedPacket, PacketTooLarge, ProtocolError

__all__ = [
    "MAX_FILTERS",
    "Decoder",
    "EncodeError",
    "Fault",
    "MalformedPacket",
    "PacketTooLarge",
    "ProtocolError",
    "encode",
    "encode_puback",
    "encode_pubacks",
    "encode_publish",
]
