"""How bytes of health data are written into a sealed log and read back: one seam, for all that tells of a person."""

from healthsync_mqtt.storage.codec.keyed_codec import KeyCodec
from healthsync_mqtt.storage.codec.port import BodyCodec

__all__ = ["BodyCodec", "KeyCodec"]
