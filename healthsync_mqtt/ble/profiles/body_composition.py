"""Body Composition Profile 1.0, Body Composition Service 1.0: 3.2 Body Composition Measurement.

What does not fit into one value comes in two, both with the flag that says so: the second has neither time nor user of
its own. The weight has the id that a Weight Measurement of the same moment has, so that a scale with both services
weighs once.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

from healthsync_mqtt.ble.layout import Field, Layout, has, scaled, wanted
from healthsync_mqtt.ble.octets import u8, u16, wall
from healthsync_mqtt.ble.profile import (
    NOT_VALID,
    Heard,
    Peripheral,
    Profile,
    Takes,
    UnusedValue,
    amount_in,
    arrival,
    left_out_user,
    plain,
    single,
    when,
)
from healthsync_mqtt.formats.reading.moment import Moment

MEASUREMENT: Final = 0x2A9C
_IMPERIAL, _IN_TWO = 0, 12
_UNSUCCESSFUL: Final = 0xFFFF
_KCAL_OF_A_KJ: Final = Fraction(125, 523)


LAYOUT: Final = Layout(
    (
        Field("fat", scaled(u16, "1/10", none=_UNSUCCESSFUL)),
        Field("time", wall, when=1),
        Field("user", u8, when=2),
        Field("metabolism_kj", u16, when=3),
        Field("muscle_percentage", scaled(u16, "1/10"), when=4),
        Field("muscle", u16, when=5),
        Field("fat_free", u16, when=6),
        Field("soft_lean", u16, when=7),
        Field("water", u16, when=8),
        Field("impedance", scaled(u16, "1/10"), when=9),
        Field("weight", u16, when=10),
        Field("height", u16, when=11),
    ),
    flags=u16,
)
_MASSES: Final = (
    ("muscle", "muscle_mass"),
    ("fat_free", "lean_mass"),
    ("water", "body_water"),
    ("weight", "weight"),
)


class BodyComposition:
    """Joins the two halves of a measurement that comes in two."""

    def __init__(self, told: Peripheral) -> None:
        self.newest: int | None = None
        self._told = told
        self._first: tuple[dict[str, Any], Moment] | None = None

    def heard(self, _number: int, value: bytes, at_us: int) -> Iterator[Heard]:
        """See ``ProfileReading.heard``."""
        values, at = LAYOUT.read(value), arrival(self._told, at_us)
        first, self._first = self._first, None
        if not has(values, _IN_TWO):
            if first is not None:
                yield from self._events(*first)
            yield from self._events(values, at)
        elif first is not None and not {"time", "user"} & values.keys():
            whole = values | first[0]
            if wanted(first[0], "fat") is None:  # both halves have a place for it
                whole["fat"] = values["fat"]
            yield from self._events(whole, first[1])
        else:
            if first is not None:
                yield from self._events(*first)
            self._first = values, at

    def ended(self) -> Iterator[Heard]:
        """A half whose other half never came is worth what it says."""
        first, self._first = self._first, None
        if first is not None:
            yield from self._events(*first)

    def _events(self, values: dict[str, Any], at: Moment) -> Iterator[Heard]:
        told = self._told
        if not told.is_theirs(values):
            yield left_out_user(told, values)
            return
        at = when(told, values, at)
        composed = wanted(values, "fat") is not None
        if not composed:
            yield UnusedValue(NOT_VALID, "the scale could not measure what the body is made of")
        else:
            yield from single(told, wanted(values, "fat"), "body_fat_percentage", "%", at)
            yield from single(told, wanted(values, "muscle_percentage"), "muscle_percentage", "%", at)
        unit, part = ("lb", Fraction(1, 100)) if has(values, _IMPERIAL) else ("kg", Fraction(1, 200))
        for name, type_ in _MASSES:
            if name in values and (composed or name == "weight"):
                yield told.event(type_, {"kg": amount_in(type_, values[name] * part, unit)}, at)
        kilojoules = wanted(values, "metabolism_kj")
        if composed and kilojoules is not None:
            of_a_day = {"kcal_per_day": plain(round(kilojoules * _KCAL_OF_A_KJ, 2))}
            yield told.event("basal_metabolic_rate", of_a_day, at)


PROFILE: Final = Profile(
    name="body_composition",
    title="body composition",
    service=0x181B,
    heard=(MEASUREMENT,),
    takes=(
        Takes("Body Fat Percentage", "body_fat_percentage"),
        Takes("Muscle Percentage", "muscle_percentage"),
        Takes("Muscle Mass", "muscle_mass", "kg or lb"),
        Takes("Fat Free Mass", "lean_mass", "kg or lb"),
        Takes("Body Water Mass", "body_water", "kg or lb"),
        Takes("Basal Metabolism", "basal_metabolic_rate", "kJ of a day"),
        Takes("Weight", "weight", "kg or lb"),
    ),
    reading=BodyComposition,
    clock=True,
)
