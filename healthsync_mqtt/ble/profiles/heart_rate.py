"""Heart Rate Profile 1.0, Heart Rate Service 1.0: 3.1 Heart Rate Measurement.

The intervals between beats and the energy are read and left: neither is a type of ours as the strap says it.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from healthsync_mqtt.ble.layout import Field, Layout, has, needed
from healthsync_mqtt.ble.octets import Octets, u8, u16
from healthsync_mqtt.ble.profile import (
    NO_CONTACT,
    Heard,
    Peripheral,
    Profile,
    Single,
    Takes,
    UnusedValue,
    measured,
)
from healthsync_mqtt.formats.reading.moment import Moment

MEASUREMENT: Final = 0x2A37
_CONTACT, _KNOWS_CONTACT = 1, 2


def intervals(octets: Octets) -> list[int]:
    """As many as are left, each in 1/1024 s."""
    return [octets.unsigned(2) for _ in range(octets.left // 2)]


LAYOUT: Final = Layout(
    (
        Field("bpm", u8, unless=0),
        Field("bpm", u16, when=0),
        Field("energy_kj", u16, when=3),
        Field("rr", intervals, when=4),
    )
)


def _events(told: Peripheral, value: bytes, at: Moment) -> Iterator[Heard]:
    values = LAYOUT.read(value)
    if has(values, _KNOWS_CONTACT) and not has(values, _CONTACT):
        yield UnusedValue(NO_CONTACT, "the strap has no contact with the skin")
        return
    yield measured(told, needed(values, "bpm"), "heart_rate", "/min", at)


PROFILE: Final = Profile(
    name="heart_rate",
    title="heart rate",
    service=0x180D,
    heard=(MEASUREMENT,),
    takes=(Takes("Heart Rate Measurement Value", "heart_rate", "while the sensor has contact, or does not know"),),
    reading=partial(Single, make=_events),
)
