"""The blood: its pressure and what it carries."""

from typing import Any

from healthsync_mqtt.model.event_type import EventType, Form, Quantity, Span, TimeKind, instant, number, struct
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.reasons import Reason, RefusedError

#: mg/dL of glucose in one mmol/L.
MG_DL_PER_MMOL_L = 18.0156

_BLOOD_PRESSURE = (
    Quantity("systolic", "mm[Hg]", 40, 300, "8480-6"),
    Quantity("diastolic", "mm[Hg]", 20, 200, "8462-4"),
    Quantity("pulse", "/min", 20, 300, "8867-4"),
)

_GLUCOSE = Quantity("mg_dl", "mg/dL", 10, 1000, "41653-7")


def _glucose_mmol(quantity: Quantity) -> Form:
    """``{"mmol_l": 5.5}``, stored as mg/dL with two decimals."""
    low, high = (round(bound / MG_DL_PER_MMOL_L, 3) for bound in (quantity.low, quantity.high))
    shape = struct("GlucoseMmol", [("mmol_l", number(low, high))])
    stored = struct("GlucoseMg", [(quantity.field, float)])

    def refine(value: Any, _span: Span, _limits: Limits) -> Any:
        milligrams = round(value.mmol_l * MG_DL_PER_MMOL_L, 2)
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
    instant("glucose", _GLUCOSE, "blood_glucose", more={"mmol_l": _glucose_mmol(_GLUCOSE)}),
    EventType(
        name="blood_pressure",
        kind=TimeKind.INSTANT,
        quantities=_BLOOD_PRESSURE,
        forms={"systolic": _blood_pressure(*_BLOOD_PRESSURE)},
        aliases=("bp",),
        loinc="85354-9",
    ),
)
