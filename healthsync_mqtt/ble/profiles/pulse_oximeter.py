"""Pulse Oximeter Profile 1.0.1, Pulse Oximeter Service 1.0.1: 3.2 PLX Spot-Check, 3.3 PLX Continuous Measurement.

Of the three pairs of a continuous measurement the normal one is taken. What the device marks as a demonstration, a
test, a calibration, questionable or invalid is no measurement.
"""

from collections.abc import Iterator
from typing import Any, Final

from healthsync_mqtt.ble.assigned_numbers import RECORD_ACCESS_CONTROL_POINT
from healthsync_mqtt.ble.layout import Field, Layout, has, needed, wanted
from healthsync_mqtt.ble.octets import sfloat, u16, u24, wall
from healthsync_mqtt.ble.profile import (
    NOT_VALID,
    Heard,
    Peripheral,
    Profile,
    Takes,
    UnusedValue,
    amount_in,
    arrival,
    single,
    when,
)
from healthsync_mqtt.model.reasons import Reason, RefusedError

SPOT_CHECK: Final = 0x2A5E
CONTINUOUS: Final = 0x2A5F
_CLOCK_NOT_SET = 4
_BROKEN: Final = {
    10: "a demonstration",
    11: "a test",
    12: "a calibration",
    13: "not available",
    14: "questionable",
    15: "invalid",
}
"""Bits of the Measurement Status."""

SPOT_CHECK_LAYOUT: Final = Layout(
    (
        Field("spo2", sfloat),
        Field("pulse", sfloat),
        Field("time", wall, when=0),
        Field("status", u16, when=1),
        Field("sensor", u24, when=2),
        Field("amplitude", sfloat, when=3),
    )
)
CONTINUOUS_LAYOUT: Final = Layout(
    (
        Field("spo2", sfloat),
        Field("pulse", sfloat),
        Field("fast_spo2", sfloat, when=0),
        Field("fast_pulse", sfloat, when=0),
        Field("slow_spo2", sfloat, when=1),
        Field("slow_pulse", sfloat, when=1),
        Field("status", u16, when=2),
        Field("sensor", u24, when=3),
        Field("amplitude", sfloat, when=4),
    )
)


class PulseOximeter:
    """Both characteristics; each value stands for itself."""

    def __init__(self, told: Peripheral) -> None:
        self.newest: int | None = None
        self._told = told

    def heard(self, number: int, value: bytes, at_us: int) -> Iterator[Heard]:
        """See ``ProfileReading.heard``."""
        told = self._told
        spot = number == SPOT_CHECK
        values: dict[str, Any] = (SPOT_CHECK_LAYOUT if spot else CONTINUOUS_LAYOUT).read(value)
        for bit, what in _BROKEN.items():
            if values.get("status", 0) >> bit & 1:
                yield UnusedValue(NOT_VALID, f"the device says that it is {what}")
                return
        if spot and "time" in values and has(values, _CLOCK_NOT_SET):
            raise RefusedError(Reason.BAD_TIME, "time", "the device says that its clock is not set (--set-clock)")
        at = when(told, values, arrival(told, at_us))
        yield told.event("spo2", {"percent": amount_in("spo2", needed(values, "spo2"), "%")}, at)
        yield from single(told, wanted(values, "pulse"), "heart_rate", "/min", at)
        yield from single(told, wanted(values, "amplitude"), "perfusion_index", "%", at)

    def ended(self) -> Iterator[Heard]:
        """Nothing is kept back."""
        return iter(())


PROFILE: Final = Profile(
    name="pulse_oximeter",
    title="pulse oximeter",
    service=0x1822,
    heard=(SPOT_CHECK, CONTINUOUS),
    takes=(
        Takes("SpO2", "spo2", "of a spot check, and the normal one of a continuous measurement"),
        Takes("Pulse Rate", "heart_rate"),
        Takes("Pulse Amplitude Index", "perfusion_index"),
    ),
    reading=PulseOximeter,
    clock=True,
    records=RECORD_ACCESS_CONTROL_POINT,
)
