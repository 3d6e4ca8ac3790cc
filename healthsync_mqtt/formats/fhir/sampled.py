"""SampledData of FHIR: many numbers in one text, each some steps of a size above an origin."""

from fractions import Fraction
from typing import Final, NamedTuple

from healthsync_mqtt.formats.reading.amount import quantity_of
from healthsync_mqtt.formats.reading.document import (
    Record,
    inner,
    inside,
    number,
    number_of_text,
    text,
    text_or_none,
    whole,
)
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable
from healthsync_mqtt.model.units import Conversion

MOST: Final = 120_000
_BEYOND: Final = frozenset({"E", "U", "L"})
"""No number: an error, or beyond what the device can tell."""
_SECONDS: Final = {"s": Fraction(1), "ms": Fraction(1, 1000), "us": Fraction(1, 1_000_000), "min": Fraction(60)}


class Sampled(NamedTuple):
    """The numbers in the unit of a field, None where there is none; and how far apart they are."""

    numbers: list[float | None]
    apart_s: Fraction


def read_sampled(data: Record, type_: str, field: str) -> Sampled:
    """What a SampledData holds. Raises RefusedError."""
    if data.get("dimensions", 1) != 1:
        raise RefusedError(Reason.UNKNOWN_FIELD, "dimensions", "samples of more than one dimension")
    apart_s = _apart(data)
    conversion, origin = _unit(inner(data, "origin"), type_, field)
    factor = Fraction(repr(number(data, "factor"))) if data.get("factor") is not None else Fraction(1)
    words = text(data, "data").split(maxsplit=MOST)
    if len(words) > MOST:
        raise RefusedError(Reason.TOO_LARGE, "data", f"more than {MOST} samples")
    step, zero = factor * conversion.factor, origin * conversion.factor + conversion.offset
    with inside("data"):
        numbers = [None if each in _BEYOND else _number(each, step, zero) for each in words]
    return Sampled(numbers, apart_s)


def _apart(data: Record) -> Fraction:
    """The period of R4 in milliseconds, or the interval of R5 in its unit."""
    if "interval" in data:
        unit = text_or_none(data, "intervalUnit")
        if unit not in _SECONDS:
            raise RefusedError(
                Reason.UNKNOWN_UNIT, "intervalUnit", f"{printable(str(unit))} is no unit of the interval"
            )
        field, second = "interval", _SECONDS[unit]
    else:
        field, second = "period", _SECONDS["ms"]
    apart = number(data, field)
    if not 0 < apart < MOST * 1000:
        raise RefusedError(Reason.OUT_OF_RANGE, field, "the samples are not one after the other")
    return Fraction(repr(apart)) * second


def _unit(origin: Record, type_: str, field: str) -> tuple[Conversion, Fraction]:
    """How the unit of the origin, which is that of all, becomes the field's; and the origin itself."""
    unit = text_or_none(origin, "code") or text_or_none(origin, "unit")
    quantity = quantity_of(type_, field)
    conversion = quantity.taken.get(unit or "")
    if conversion is None:
        said = f"{printable(unit)} is no unit that" if unit else "the unit is missing:"
        raise RefusedError(Reason.UNKNOWN_UNIT, "origin.code", f"{said} a number in {quantity.unit} can be made of")
    with inside("origin"):
        return conversion, Fraction(repr(number(origin, "value")))


def _number(word: str, step: Fraction, zero: Fraction) -> float:
    return whole(float(round(Fraction(repr(number_of_text(word))) * step + zero, 9)))
