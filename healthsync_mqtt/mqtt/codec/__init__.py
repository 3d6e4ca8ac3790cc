"""The MQTT codec: bytes in, packets out, and back. No I/O, no clock, no session state.

What is exported here encodes 3.1.1; 5.0 is in ``v5``. The decoder reads both.
"""

from healthsync_mqtt.mqtt.codec.decode import Decoder
from healthsync_mqtt.mqtt.codec.faults import EncodeError, Fault, MalformedPacket, PacketTooLarge, ProtocolError
from healthsync_mqtt.mqtt.codec.fields import MAX_FILTERS
from healthsync_mqtt.mqtt.codec.v3 import encode, encode_puback, encode_pubacks, encode_publish

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
