"""Health Thermometer Profile 1.0, Health Thermometer Service 1.0: 3.1 Temperature Measurement.

What it shows while it still rises (Intermediate Temperature) is not listened to.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from healthsync_mqtt.ble.layout import Field, Layout, has, needed
from healthsync_mqtt.ble.octets import float32, u8, wall
from healthsync_mqtt.ble.profile import Heard, Peripheral, Profile, Single, Takes, amount_in, when
from healthsync_mqtt.formats.reading.moment import Moment

MEASUREMENT: Final = 0x2A1C
_FAHRENHEIT = 0

LAYOUT: Final = Layout((Field("temperature", float32), Field("time", wall, when=1), Field("site", u8, when=2)))

#: Temperature Type (0x2A1D); body (general) and gastro-intestinal tract are no place of ours.
_SITES: Final = {1: "armpit", 3: "ear", 4: "finger", 6: "mouth", 7: "rectum", 8: "toe", 9: "ear"}


def _events(told: Peripheral, value: bytes, at: Moment) -> Iterator[Heard]:
    values = LAYOUT.read(value)
    unit = "degF" if has(values, _FAHRENHEIT) else "Cel"
    said: dict[str, Any] = {"celsius": amount_in("body_temperature", needed(values, "temperature"), unit)}
    site = _SITES.get(values.get("site", 0))
    if site is not None:
        said["site"] = site
    yield told.event("body_temperature", said, when(told, values, at))


PROFILE: Final = Profile(
    name="thermometer",
    title="thermometer",
    service=0x1809,
    heard=(MEASUREMENT,),
    takes=(
        Takes("Temperature Measurement Value", "body_temperature", "Celsius or Fahrenheit, as the flags say"),
        Takes("Temperature Type", "body_temperature", "the site"),
    ),
    reading=partial(Single, make=_events),
    clock=True,
)
