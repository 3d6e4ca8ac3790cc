"""The encodings of MQTT 5.0 (OASIS, 2019): properties, reason codes, packet bodies. No I/O, no session state."""

from healthsync_mqtt.mqtt.codec.v5.bodies import OPENING, PARSERS, connect, publish
from healthsync_mqtt.mqtt.codec.v5.encode import encode, encode_puback, encode_publish
from healthsync_mqtt.mqtt.codec.v5.reasons import ReasonCode

__all__ = ["OPENING", "PARSERS", "ReasonCode", "connect", "encode", "encode_puback", "encode_publish", "publish"]
