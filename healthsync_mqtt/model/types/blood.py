"""The blood: its pressure and what it carries."""

from fractions import Fraction
from typing import Any

from healthsync_mqtt.model.entries import instant, parts
from healthsync_mqtt.model.event_type import Daily, Form, Quantity, Span, TimeKind, Words
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.shapes import fields, number, struct
from healthsync_mqtt.model.units import GLUCOSE, convert

_BLOOD_PRESSURE = (
    Quantity("systolic", "mm[Hg]", 40, 300, "8480-6", 121),
    Quantity("diastolic", "mm[Hg]", 20, 200, "8462-4", 79),
)
_PULSE = Quantity("pulse", "/min", 20, 300, "8867-4", 64)
_POSITION = Words("position", ("standing", "sitting", "lying", "reclining", "unknown"))
_PLACE = Words("site", ("left_arm", "right_arm", "left_wrist", "right_wrist", "unknown"))

_GLUCOSE = Quantity("mg_dl", "mg/dL", 10, 1000, "41653-7", 98, units=GLUCOSE, decimals=2)
_ABOUT = (
    Words("meal", ("fasting", "before_meal", "after_meal", "general", "unknown")),
    Words(
        "specimen",
        ("capillary_blood", "interstitial_fluid", "plasma", "serum", "tears", "whole_blood", "venous_blood", "unknown"),
    ),
)


def _glucose_mmol(quantity: Quantity) -> Form:
    """``{"mmol_l": 5.5}``, stored as mg/dL with two decimals."""
    conversion = quantity.taken["mmol/L"]
    low, high = (round(float(Fraction(bound) / conversion.factor), 3) for bound in (quantity.low, quantity.high))
    about = fields(_ABOUT, optional=True)
    shape = struct("GlucoseMmol", [("mmol_l", number(low, high)), *about])
    stored = struct("GlucoseMg", [(quantity.field, float), *about])

    def refine(value: Any, _span: Span, _limits: Limits) -> Any:
        milligrams = convert(value.mmol_l, conversion, quantity.decimals)
        said = {each.field: getattr(value, each.field) for each in _ABOUT}
        return stored(min(max(milligrams, quantity.low), quantity.high), **said)

    return Form(shape, refine)


def _diastolic_is_lower(value: Any, _span: Span, _limits: Limits) -> Any:
    if value.diastolic >= value.systolic:
        message = f"diastolic {value.diastolic} is not below systolic {value.systolic}"
        raise RefusedError(Reason.OUT_OF_RANGE, "diastolic", message)
    return value


TYPES = (
    instant("glucose", _GLUCOSE, "blood_glucose", extras=_ABOUT, more=lambda: {"mmol_l": _glucose_mmol(_GLUCOSE)}),
    # One measurement, never two series.
    parts(
        "blood_pressure",
        TimeKind.INSTANT,
        _BLOOD_PRESSURE,
        (_PULSE, _POSITION, _PLACE),
        example={"systolic": 121, "diastolic": 79, "pulse": 64},
        aliases=("bp",),
        daily=Daily.MEAN,
        loinc="85354-9",
        refine=_diastolic_is_lower,
    ),
    parts(
        "insulin_delivery",
        TimeKind.INTERVAL,
        (Quantity("units", "[IU]", 0, 300, usual=4),),
        (Words("reason", ("basal", "bolus", "correction", "unknown")),),
        example={"units": 4, "reason": "bolus"},
        aliases=("insulin",),
        daily=Daily.SUM,
        separate=True,
    ),
    instant("blood_alcohol", Quantity("percent", "%", 0, 2, "74859-0", 0.03), "blood_alcohol_content"),
)
