"""The shapes a value can have. A form reads one shape from JSON and checks what a schema cannot say.

Shapes are msgspec structs, made from quantities where they differ by name and range only. Numbers stay what they were:
an integer is read and written as an integer, a float as a float.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.times import iso, micros

MAX_STAGES = 2880  # one a minute for 48 h
MAX_ITEMS = 100

#: mg/dL of glucose in one mmol/L.
MG_DL_PER_MMOL_L = 18.0156

Stages = Literal["awake", "awake_in_bed", "in_bed", "out_of_bed", "asleep", "light", "deep", "rem", "unknown"]
Meals = Literal["breakfast", "lunch", "dinner", "snack", "unknown"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of a value: its field, its unit in UCUM, the range outside of which it is refused, its LOINC code."""

    field: str
    unit: str
    low: float
    high: float
    loinc: str | None = None


class Span(NamedTuple):
    """When an event is, in microseconds; nothing in it may be later than ``latest_us``."""

    start_us: int
    end_us: int | None
    latest_us: int


@dataclass(frozen=True, slots=True)
class Form:
    """One shape of a value.

    ``decode`` reads it, raising msgspec.MsgspecError or UnicodeDecodeError. ``refine`` (value, span, limits) returns
    what is stored or raises RefusedError with a field below ``value``. ``keys`` is how many JSON keys the shape has
    when it is always the same number, else 0.
    """

    decode: Callable[[bytes], Any]
    refine: Callable[[Any, Span, Limits], Any] | None = None
    keys: int = 0


def number(low: float, high: float) -> Any:
    """The type of an integer or a float within low..high."""
    return (
        Annotated[int, Meta(ge=math.ceil(low), le=math.floor(high))]
        | Annotated[float, Meta(ge=float(low), le=float(high))]
    )


def _struct(name: str, fields: list[Any]) -> type[msgspec.Struct]:
    return msgspec.defstruct(name, fields, frozen=True, forbid_unknown_fields=True, omit_defaults=True, module=__name__)


def single(quantity: Quantity) -> Form:
    """``{"bpm": 72}``"""
    struct = _struct("Single", [(quantity.field, number(quantity.low, quantity.high))])
    return Form(msgspec.json.Decoder(struct).decode, keys=1)


def series(quantity: Quantity) -> Form:
    """``{"samples": [[0, 72], [1.5, 73]]}``: seconds after the start, at most a day, never going back; and values."""
    sample: Any = tuple[number(0, 86_400), number(quantity.low, quantity.high)]  # type: ignore[misc]
    struct = _struct("Series", [("samples", Annotated[list[sample], Meta(min_length=1)])])
    return Form(msgspec.json.Decoder(struct).decode, _refine_series, keys=1)


def _refine_series(value: Any, span: Span, limits: Limits) -> Any:
    samples = value.samples
    if len(samples) > limits.max_samples:
        raise RefusedError(Reason.TOO_LARGE, "samples", f"{len(samples)} samples are more than {limits.max_samples}")
    seconds = [sample[0] for sample in samples]
    if seconds != sorted(seconds):
        place = next(i for i in range(1, len(seconds)) if seconds[i] < seconds[i - 1])
        raise RefusedError(Reason.BAD_INTERVAL, f"samples[{place}][0]", "the seconds of the samples go back")
    if span.start_us + seconds[-1] * 1_000_000 > span.latest_us:
        raise RefusedError(Reason.FUTURE_TIME, f"samples[{len(seconds) - 1}][0]", "the last sample is in the future")
    return value


def glucose_mmol(quantity: Quantity) -> Form:
    """``{"mmol_l": 5.5}``, stored as mg/dL with two decimals."""
    low, high = (round(bound / MG_DL_PER_MMOL_L, 3) for bound in (quantity.low, quantity.high))
    struct = _struct("GlucoseMmol", [("mmol_l", number(low, high))])
    stored = _struct("GlucoseMg", [(quantity.field, float)])

    def refine(value: Any, _span: Span, _limits: Limits) -> Any:
        milligrams = round(value.mmol_l * MG_DL_PER_MMOL_L, 2)
        return stored(min(max(milligrams, quantity.low), quantity.high))

    return Form(msgspec.json.Decoder(struct).decode, refine, keys=1)


def blood_pressure(systolic: Quantity, diastolic: Quantity, pulse: Quantity) -> Form:
    """``{"systolic": 121, "diastolic": 79, "pulse": 64}``, the pulse optional; one measurement, never two series."""
    struct = _struct(
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

    return Form(msgspec.json.Decoder(struct).decode, refine)


class SleepStage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One stage of a night; stages may overlap (in_bed spans the others)."""

    stage: Stages
    start_time: datetime
    end_time: datetime


class Sleep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """``{"stages": [{"stage": "deep", "start_time": "…Z", "end_time": "…Z"}]}``; stages may be left out."""

    stages: Annotated[list[SleepStage], Meta(max_length=MAX_STAGES)] = []


def sleep() -> Form:
    """The value of a sleep session; every stage lies inside the session."""
    return Form(msgspec.json.Decoder(Sleep).decode, _refine_sleep)


def _refine_sleep(value: Sleep, span: Span, _limits: Limits) -> Any:
    stages = []
    for place, stage in enumerate(value.stages):
        path = f"stages[{place}]"
        for field, moment in (("start_time", stage.start_time), ("end_time", stage.end_time)):
            if moment.tzinfo is None:
                raise RefusedError(Reason.NAIVE_TIME, f"{path}.{field}", f"{field} has no offset")
        start_us, end_us = micros(stage.start_time), micros(stage.end_time)
        if end_us < start_us:
            raise RefusedError(Reason.BAD_INTERVAL, f"{path}.end_time", "the stage ends before it starts")
        if start_us < span.start_us or (span.end_us is not None and end_us > span.end_us):
            raise RefusedError(Reason.BAD_INTERVAL, path, "the stage lies outside the session")
        stages.append({"stage": stage.stage, "start_time": iso(start_us), "end_time": iso(end_us)})
    return {"stages": stages} if stages else {}


def food(nutrients: tuple[Quantity, ...], amounts: tuple[Quantity, ...]) -> Form:
    """``{"meal": "lunch", "items": [{"name": "Oats", "grams": 60, "energy_kcal": 225}], "energy_kcal": 225}``.

    Nutrients stand in the value (of the whole meal), in its items, or in both; all are optional, one must be there.
    """
    eaten = [(n.field, number(n.low, n.high) | None, None) for n in nutrients]
    weighed = [(a.field, number(a.low, a.high) | None, None) for a in amounts]
    item = _struct("FoodItem", [("name", Annotated[str, Meta(min_length=1)]), *weighed, *eaten])
    items = Annotated[list[item], Meta(max_length=MAX_ITEMS)]  # type: ignore[valid-type]
    no_items: Any = msgspec.field(default_factory=list)
    struct = _struct("Food", [("meal", Meals | None, None), ("items", items, no_items), *eaten])

    def refine(value: Any, _span: Span, limits: Limits) -> Any:
        if not value.items and all(getattr(value, n.field) is None for n in nutrients):
            raise RefusedError(Reason.MISSING_FIELD, "items", "food has neither items nor nutrients")
        for place, eaten_item in enumerate(value.items):
            if len(eaten_item.name) > limits.max_string:
                message = f"the name is longer than {limits.max_string} characters"
                raise RefusedError(Reason.BAD_STRING, f"items[{place}].name", message)
        return value

    return Form(msgspec.json.Decoder(struct).decode, refine)
