"""Running Speed and Cadence Profile 1.0, its Service 1.0: 3.1 RSC Measurement.

The distance is of the sensor's life and no amount of ours.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from healthsync_mqtt.ble.layout import Field, Layout, has, needed, scaled, wanted
from healthsync_mqtt.ble.octets import u8, u16, u32
from healthsync_mqtt.ble.profile import Heard, Peripheral, Profile, Single, Takes, measured, single
from healthsync_mqtt.formats.reading.moment import Moment

MEASUREMENT: Final = 0x2A53
_RUNNING = 2

LAYOUT: Final = Layout(
    (
        Field("speed", scaled(u16, "1/256")),
        Field("cadence", u8),
        Field("stride", scaled(u16, "1/100"), when=0),
        Field("distance", scaled(u32, "1/10"), when=1),
    )
)


def _events(told: Peripheral, value: bytes, at: Moment) -> Iterator[Heard]:
    values = LAYOUT.read(value)
    runs = has(values, _RUNNING)
    yield measured(told, needed(values, "speed"), "running_speed" if runs else "walking_speed", "m/s", at)
    yield measured(told, needed(values, "cadence"), "cadence_steps", "/min", at)
    if runs:
        yield from single(told, wanted(values, "stride"), "running_stride_length", "m", at)


PROFILE: Final = Profile(
    name="running",
    title="running speed and cadence",
    service=0x1814,
    heard=(MEASUREMENT,),
    takes=(
        Takes("Instantaneous Speed", "running_speed", "or walking_speed, as the flags say"),
        Takes("Instantaneous Cadence", "cadence_steps"),
        Takes("Instantaneous Stride Length", "running_stride_length", "while running"),
    ),
    reading=partial(Single, make=_events),
)
