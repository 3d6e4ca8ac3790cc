"""The blood: its pressure and what it carries."""

from fractions import Fraction
from typing import Any

from healthsync_mqtt.model.event_type import (
    Daily,
    EventType,
    Form,
    Quantity,
    Span,
    TimeKind,
    instant,
    number,
    struct,
)
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.units import GLUCOSE, convert

_BLOOD_PRESSURE = (
    Quantity("systolic", "mm[Hg]", 40, 300, "8480-6", 121),
    Quantity("diastolic", "mm[Hg]", 20, 200, "8462-4", 79),
    Quantity("pulse", "/min", 20, 300, "8867-4", 64),
)

_GLUCOSE = Quantity("mg_dl", "mg/dL", 10, 1000, "41653-7", 98, units=GLUCOSE, decimals=2)


def _glucose_mmol(quantity: Quantity) -> Form:
    """``{"mmol_l": 5.5}``, stored as mg/dL with two decimals."""
    conversion = quantity.taken["mmol/L"]
    low, high = (round(float(Fraction(bound) / conversion.factor), 3) for bound in (quantity.low, quantity.high))
    shape = struct("GlucoseMmol", [("mmol_l", number(low, high))])
    stored = struct("GlucoseMg", [(quantity.field, float)])

    def refine(value: Any, _span: Span, _limits: Limits) -> Any:
        milligrams = convert(value.mmol_l, conversion, quantity.decimals)
        return stored(min(max(milligrams, quantity.low), quantity.high))

    return Form(shape, refine)


def _blood_pressure(systolic: Quantity, diastolic: Quantity, pulse: Quantity) -> Form:
    """``{"systolic": 121, "diastolic": 79, "pulse": 64}``, the pulse optional; one measurement, never two series."""
    shape = struct(
        "BloodPressure",
        [
            (systolic.field, number(systolic.low, systolic.high)),
            (diastolic.field, number(diastolic.low, diastolic.high)),
            (pulse.field, number(pulse.low, pulse.high) | None, None),
        ],
    )

    def refine(value: Any, _span: Span, _limits: Limits) -> Any:
        if value.diastolic >= value.systolic:
            message = f"diastolic {value.diastolic} is not below systolic {value.systolic}"
            raise RefusedError(Reason.OUT_OF_RANGE, diastolic.field, message)
        return value

    return Form(shape, refine)


TYPES = (
    instant("glucose", _GLUCOSE, "blood_glucose", more=lambda: {"mmol_l": _glucose_mmol(_GLUCOSE)}),
    EventType(
        name="blood_pressure",
        kind=TimeKind.INSTANT,
        quantities=_BLOOD_PRESSURE,
        shapes=lambda: {"systolic": _blood_pressure(*_BLOOD_PRESSURE)},
        daily=Daily.MEAN,
        aliases=("bp",),
        loinc="85354-9",
        example={quantity.field: quantity.usual for quantity in _BLOOD_PRESSURE},
    ),
)
