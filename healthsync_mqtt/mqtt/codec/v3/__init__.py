"""The encodings of MQTT 3.1.1, and of 3.1, whose packets differ in the name and the level of CONNECT."""

from healthsync_mqtt.mqtt.codec.v3.bodies import PARSERS, connect, publish
from healthsync_mqtt.mqtt.codec.v3.encode import encode, encode_puback, encode_pubacks, encode_publish

__all__ = [
    "PARSERS",
    "connect",
    "encode",
    "encode_puback",
    "encode_pubacks",
    "encode_publish",
    "publish",
]
