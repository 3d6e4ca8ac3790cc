"""Blood Pressure Profile 1.1, Blood Pressure Service 1.1: 3.1 Blood Pressure Measurement.

The pressure while the cuff is pumped up (Intermediate Cuff Pressure) is no measurement, and is not listened to.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from healthsync_mqtt.ble.layout import Field, Layout, has, needed, wanted
from healthsync_mqtt.ble.octets import sfloat, u8, u16, wall
from healthsync_mqtt.ble.profile import (
    Heard,
    Peripheral,
    Profile,
    Single,
    Takes,
    amount_in,
    left_out_user,
    plain,
    when,
)
from healthsync_mqtt.formats.reading.moment import Moment

MEASUREMENT: Final = 0x2A35
_KPA = 0

LAYOUT: Final = Layout(
    (
        Field("systolic", sfloat),
        Field("diastolic", sfloat),
        Field("mean", sfloat),
        Field("time", wall, when=1),
        Field("pulse", sfloat, when=2),
        Field("user", u8, when=3),
        Field("status", u16, when=4),
    )
)


def _events(told: Peripheral, value: bytes, at: Moment) -> Iterator[Heard]:
    values = LAYOUT.read(value)
    if not told.is_theirs(values):
        yield left_out_user(told, values)
        return
    unit = "kPa" if has(values, _KPA) else "mmHg"
    said = {each: amount_in("blood_pressure", needed(values, each), unit, each) for each in ("systolic", "diastolic")}
    pulse = wanted(values, "pulse")
    if pulse is not None:
        said["pulse"] = plain(pulse)
    yield told.event("blood_pressure", said, when(told, values, at))


PROFILE: Final = Profile(
    name="blood_pressure",
    title="blood pressure",
    service=0x1810,
    heard=(MEASUREMENT,),
    takes=(
        Takes("Systolic, Diastolic", "blood_pressure", "mmHg or kPa, as the flags say"),
        Takes("Pulse Rate", "blood_pressure", "beside them"),
    ),
    reading=partial(Single, make=_events),
    clock=True,
)
