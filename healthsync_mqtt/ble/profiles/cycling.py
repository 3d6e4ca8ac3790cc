"""Cycling Speed and Cadence Profile 1.0, its Service 1.0: 3.1 CSC Measurement.

The sensor counts revolutions and says when the last one was, by a clock that begins anew every 64 s: speed and cadence
are of two values. Between two that are further apart nobody knows how often it began anew.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final, NamedTuple

from healthsync_mqtt.ble.layout import Field, Layout
from healthsync_mqtt.ble.octets import u16, u32
from healthsync_mqtt.ble.profile import Heard, Peripheral, Profile, Takes, arrival, plain

MEASUREMENT: Final = 0x2A5B
_TICKS: Final = 1024
_CLOCK: Final = 1 << 16
_LONGEST_US: Final = 60_000_000
_WHEEL, _CRANK = 1 << 32, 1 << 16

LAYOUT: Final = Layout(
    (
        Field("wheel", u32, when=0),
        Field("wheel_at", u16, when=0),
        Field("crank", u16, when=1),
        Field("crank_at", u16, when=1),
    )
)


class _Revolutions(NamedTuple):
    revolutions: int
    ticks: int
    at_us: int


class Cycling:
    """What each counter said last."""

    def __init__(self, told: Peripheral) -> None:
        self.newest: int | None = None
        self._told = told
        self._last: dict[str, _Revolutions] = {}

    def heard(self, _number: int, value: bytes, at_us: int) -> Iterator[Heard]:
        """See ``ProfileReading.heard``."""
        told, values, at = self._told, LAYOUT.read(value), arrival(self._told, at_us)
        wheel = self._per_second(values, "wheel", _WHEEL, at_us)
        if wheel is not None and told.wheel_mm is not None:
            speed = {"meters_per_second": plain(round(wheel * Fraction(told.wheel_mm, 1000), 4))}
            yield told.event("cycling_speed", speed, at)
        crank = self._per_second(values, "crank", _CRANK, at_us)
        if crank is not None:
            yield told.event("cadence_revolutions", {"revolutions_per_minute": plain(round(crank * 60, 2))}, at)

    def ended(self) -> Iterator[Heard]:
        """Nothing is kept back."""
        return iter(())

    def _per_second(self, values: dict[str, Any], name: str, of: int, at_us: int) -> Fraction | None:
        """Revolutions a second since the value before; None where there is none that it can be reckoned from."""
        if name not in values:
            return None
        now = _Revolutions(values[name], values[f"{name}_at"], at_us)
        before = self._last.get(name)
        self._last[name] = now
        if before is None or not 0 <= at_us - before.at_us <= _LONGEST_US:
            return None
        turns = (now.revolutions - before.revolutions) % of
        ticks = (now.ticks - before.ticks) % _CLOCK
        if turns >= of // 2:  # a wheel that was turned backwards
            return None
        if not ticks:
            return Fraction(0) if not turns else None
        return Fraction(turns * _TICKS, ticks)


PROFILE: Final = Profile(
    name="cycling",
    title="cycling speed and cadence",
    service=0x1816,
    heard=(MEASUREMENT,),
    takes=(
        Takes("Cumulative Wheel Revolutions", "cycling_speed", "with the wheel's circumference (--wheel)"),
        Takes("Cumulative Crank Revolutions", "cadence_revolutions"),
    ),
    reading=Cycling,
)
