"""Weight Scale Profile 1.0, Weight Scale Service 1.0: 3.2 Weight Measurement."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from healthsync_mqtt.ble.layout import Field, Layout, has, needed, scaled, wanted
from healthsync_mqtt.ble.octets import u8, u16, wall
from healthsync_mqtt.ble.profile import (
    Heard,
    Peripheral,
    Profile,
    Single,
    Takes,
    left_out_user,
    measured,
    single,
    when,
)
from healthsync_mqtt.formats.reading.moment import Moment

MEASUREMENT: Final = 0x2A9D
_IMPERIAL = 0
_UNSUCCESSFUL = 0xFFFF

LAYOUT: Final = Layout(
    (
        Field("weight", scaled(u16, "1/200", none=_UNSUCCESSFUL), unless=_IMPERIAL),
        Field("weight", scaled(u16, "1/100", none=_UNSUCCESSFUL), when=_IMPERIAL),
        Field("time", wall, when=1),
        Field("user", u8, when=2),
        Field("bmi", scaled(u16, "1/10"), when=3),
        Field("height", u16, when=3),
    )
)


def _events(told: Peripheral, value: bytes, at: Moment) -> Iterator[Heard]:
    values = LAYOUT.read(value)
    if not told.is_theirs(values):
        yield left_out_user(told, values)
        return
    at = when(told, values, at)
    yield measured(told, needed(values, "weight"), "weight", "lb" if has(values, _IMPERIAL) else "kg", at)
    if values.get("bmi"):  # nought says that the scale knows no height
        yield from single(told, wanted(values, "bmi"), "bmi", "kg/m2", at)


PROFILE: Final = Profile(
    name="weight_scale",
    title="weight scale",
    service=0x181D,
    heard=(MEASUREMENT,),
    takes=(
        Takes("Weight", "weight", "in 5 g or in 0.01 lb, as the flags say"),
        Takes("BMI", "bmi"),
    ),
    reading=partial(Single, make=_events),
    clock=True,
)
