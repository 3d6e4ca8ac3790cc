"""Glucose Profile 1.0.1, Glucose Service 1.0.1: 3.1 Glucose Measurement, 3.2 Glucose Measurement Context.

A measurement is known by its sequence number and base time, which no change of the meter's clock touches. One whose
flags announce a context waits for it: it says of which meal it was.
"""

from collections.abc import Iterator
from typing import Any, Final

from healthsync_mqtt.ble.assigned_numbers import RECORD_ACCESS_CONTROL_POINT
from healthsync_mqtt.ble.layout import Field, Layout, has, needed
from healthsync_mqtt.ble.octets import s16, sfloat, u8, u16, wall
from healthsync_mqtt.ble.profile import (
    NO_BODY,
    NOT_VALID,
    Heard,
    Peripheral,
    Profile,
    Takes,
    UnusedValue,
    amount_in,
    arrival,
    when,
)
from healthsync_mqtt.formats.reading.moment import Moment
from healthsync_mqtt.model.reasons import Reason, RefusedError

MEASUREMENT: Final = 0x2A18
CONTEXT: Final = 0x2A34
_CONCENTRATION, _MOLES, _CONTEXT_FOLLOWS = 1, 2, 4
_MG_DL_OF_A_KG_L: Final = 100_000
_MMOL_OF_A_MOL: Final = 1000
_CONTROL_SOLUTION, _CONTROL_PLACE = 10, 4
_TIME_FAULT: Final = 11
_MOST_WAITING: Final = 64

LAYOUT: Final = Layout(
    (
        Field("sequence", u16),
        Field("time", wall),
        Field("offset", s16, when=0),
        Field("glucose", sfloat, when=_CONCENTRATION),
        Field("sample", u8, when=_CONCENTRATION),
        Field("status", u16, when=3),
    )
)
CONTEXT_LAYOUT: Final = Layout(
    (
        Field("sequence", u16),
        Field("extended", u8, when=7),
        Field("carbohydrate", u8, when=0),
        Field("carbohydrate_kg", sfloat, when=0),
        Field("meal", u8, when=1),
    )
)
"""As far as the meal; what follows is not taken."""

_SPECIMENS: Final = {
    1: "capillary_blood", 2: "plasma", 3: "venous_blood", 4: "plasma", 5: "whole_blood", 6: "plasma", 7: "whole_blood",
    8: "plasma", 9: "interstitial_fluid",
}  # fmt: skip
_MEALS: Final = {1: "before_meal", 2: "after_meal", 3: "fasting", 4: "general"}
_FAULTS: Final = {
    1: "the sensor had a fault",
    2: "the sample was too small",
    3: "the strip was put in wrongly",
    4: "it was the wrong strip",
    5: "the glucose was higher than the meter can say",
    6: "the glucose was lower than the meter can say",
    7: "it was too warm",
    8: "it was too cold",
    9: "the strip was pulled out too soon",
    10: "the meter had a fault",
}
"""Bits of the Sensor Status Annunciation, but the battery's and the clock's."""


class Glucose:
    """Joins measurements with their contexts, by sequence number."""

    def __init__(self, told: Peripheral) -> None:
        self._told = told
        self._waiting: dict[int, tuple[dict[str, Any], Moment]] = {}
        self.newest: int | None = None

    def heard(self, number: int, value: bytes, at_us: int) -> Iterator[Heard]:
        """See ``ProfileReading.heard``."""
        if number == CONTEXT:
            context = CONTEXT_LAYOUT.read(value)
            waited = self._waiting.pop(context["sequence"], None)
            if waited is not None:
                yield from self._events(*waited, _MEALS.get(context.get("meal", 0)))
            return
        values, at = LAYOUT.read(value), arrival(self._told, at_us)
        self.newest = max(self.newest or 0, values["sequence"])
        if not has(values, _CONTEXT_FOLLOWS):
            yield from self._events(values, at, None)
            return
        self._waiting[values["sequence"]] = values, at
        if len(self._waiting) > _MOST_WAITING:
            yield from self._events(*self._waiting.pop(next(iter(self._waiting))), None)

    def ended(self) -> Iterator[Heard]:
        """Those whose context never came."""
        while self._waiting:
            yield from self._events(*self._waiting.pop(next(iter(self._waiting))), None)

    def _events(self, values: dict[str, Any], at: Moment, meal: str | None) -> Iterator[Heard]:
        status, sample = values.get("status", 0), values.get("sample", 0)
        kind, place = sample & 0x0F, sample >> 4
        if kind == _CONTROL_SOLUTION or place == _CONTROL_PLACE:
            yield UnusedValue(NO_BODY, "it was control solution, and no body")
            return
        faults = [text for bit, text in _FAULTS.items() if status >> bit & 1]
        if faults:
            yield UnusedValue(NOT_VALID, faults[0])
            return
        if status >> _TIME_FAULT & 1:
            raise RefusedError(Reason.BAD_TIME, "time", "the meter says that its clock had a fault (--set-clock)")
        told = self._told
        said: dict[str, Any] = {"mg_dl": _milligrams(values)}
        specimen = _SPECIMENS.get(kind)
        said |= {"meal": meal} if meal else {}
        said |= {"specimen": specimen} if specimen else {}
        key = (values["sequence"], values["time"])
        yield told.event("glucose", said, when(told, values, at, minutes=values.get("offset", 0)), *key)


def _milligrams(values: dict[str, Any]) -> float:
    amount = needed(values, "glucose")
    if has(values, _MOLES):
        return amount_in("glucose", amount * _MMOL_OF_A_MOL, "mmol/L")
    return amount_in("glucose", amount * _MG_DL_OF_A_KG_L, "mg/dL")


PROFILE: Final = Profile(
    name="glucose",
    title="glucose",
    service=0x1808,
    heard=(MEASUREMENT, CONTEXT),
    takes=(
        Takes("Glucose Concentration", "glucose", "kg/L or mol/L, as the flags say"),
        Takes("Type", "glucose", "the specimen; control solution is left out"),
        Takes("Meal", "glucose", "of the context"),
    ),
    reading=Glucose,
    clock=True,
    records=RECORD_ACCESS_CONTROL_POINT,
    live=False,
)
