"""How bytes of health data are written into the store and read back: one seam, for bodies and for refused bytes."""

from healthsync_mqtt.storage.codec.plain import PlainCodec
from healthsync_mqtt.storage.codec.port import BodyCodec

__all__ = ["BodyCodec", "PlainCodec"]
