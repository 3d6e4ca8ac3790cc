"""The usual shapes of values: msgspec structs, made from quantities where they differ by name and range only.

Numbers stay what they were: an integer is read and written as an integer, a float as a float.
"""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from healthsync_mqtt.model.event_type import Form, Part, Quantity, Span, Text, Words
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable
from healthsync_mqtt.model.times import iso, micros
from healthsync_mqtt.model.units import bounds, convert

Refine = Callable[[Any, Span, Limits], Any]


def number(low: float, high: float) -> Any:
    """The type of an integer or a float within low..high."""
    return (
        Annotated[int, Meta(ge=math.ceil(low), le=math.floor(high))]
        | Annotated[float, Meta(ge=float(low), le=float(high))]
    )


def struct(name: str, fields: list[Any]) -> type[msgspec.Struct]:
    """A frozen struct of these fields that takes no others and is written without its defaults."""
    return msgspec.defstruct(name, fields, frozen=True, forbid_unknown_fields=True, omit_defaults=True, module=__name__)


def part(of: Part) -> Any:
    """The type of one part of a value."""
    if isinstance(of, Quantity):
        return number(of.low, of.high)
    if isinstance(of, Words):
        return Literal[of.words]  # of a tuple: one of its members
    if isinstance(of, Text):
        return Annotated[str, Meta(min_length=1, max_length=of.longest)]
    return bool


def fields(parts: Iterable[Part], *, optional: bool = False) -> list[Any]:
    """Parts as fields of a struct."""
    if optional:
        return [(each.field, part(each) | None, None) for each in parts]
    return [(each.field, part(each)) for each in parts]


def flat(required: Iterable[Part], optional: Iterable[Part], refine: Refine | None = None) -> Form:
    """``{"flow": "light", "cycle_start": true}``: parts beside each other."""
    return Form(struct("Flat", [*fields(required), *fields(optional, optional=True)]), refine)


def single(quantity: Quantity, extras: Iterable[Part] = ()) -> Form:
    """``{"bpm": 72}``, and what else may be said about it."""
    return Form(struct("Single", [*fields((quantity,)), *fields(extras, optional=True)]))


def within(start: datetime, end: datetime, path: str, span: Span, what: str = "part") -> tuple[int, int]:
    """Start and end of a part of a session, in microseconds. RefusedError when it lies outside, or has no offset."""
    for field, moment in (("start_time", start), ("end_time", end)):
        if moment.tzinfo is None:
            raise RefusedError(Reason.NAIVE_TIME, f"{path}.{field}", f"{field} has no offset")
    start_us, end_us = micros(start), micros(end)
    if end_us < start_us:
        raise RefusedError(Reason.BAD_INTERVAL, f"{path}.end_time", f"the {what} ends before it starts")
    if start_us < span.start_us or (span.end_us is not None and end_us > span.end_us):
        raise RefusedError(Reason.BAD_INTERVAL, path, f"the {what} lies outside the session")
    return start_us, end_us


def in_utc(each: Any, path: str, span: Span, what: str = "part") -> dict[str, Any]:
    """A part of a session as it is stored: what it has, and its times in UTC. RefusedError as ``within``."""
    start_us, end_us = within(each.start_time, each.end_time, path, span, what)
    return given(each, start_time=iso(start_us), end_time=iso(end_us))


def given(value: Any, **instead: Any) -> dict[str, Any]:
    """What a value has, without what was left out; some fields as ``instead`` says."""
    stored = {field: getattr(value, field) for field in type(value).__struct_fields__} | instead
    return {field: found for field, found in stored.items() if found is not None and found != []}


def in_order(rows: Sequence[Any], field: str) -> None:
    """RefusedError when the seconds go back, with which each row of ``field`` begins."""
    seconds = [row[0] for row in rows]
    if seconds != sorted(seconds):
        place = next(at for at in range(1, len(seconds)) if seconds[at] < seconds[at - 1])
        raise RefusedError(Reason.BAD_INTERVAL, f"{field}[{place}][0]", f"the seconds of the {field} go back")


def series(quantity: Quantity) -> Form:
    """``{"samples": [[0, 72], [1.5, 73]]}``: seconds after the start, at most a day, never going back; and values."""
    sample: Any = tuple[number(0, 86_400), number(quantity.low, quantity.high)]  # type: ignore[misc]
    shape = struct("Series", [("samples", Annotated[list[sample], Meta(min_length=1)])])
    return Form(shape, _refine_series)


def _refine_series(value: Any, span: Span, limits: Limits) -> Any:
    samples = value.samples
    if len(samples) > limits.max_samples:
        raise RefusedError(Reason.TOO_LARGE, "samples", f"{len(samples)} samples are more than {limits.max_samples}")
    in_order(samples, "samples")
    last_us = span.start_us + samples[-1][0] * 1_000_000
    if last_us > span.latest_us:
        doubtful = last_us <= span.latest_us + limits.doubtful_future_us
        field = f"samples[{len(samples) - 1}][0]"
        due_us = int(last_us) + 1 - limits.max_future_us
        raise RefusedError(Reason.FUTURE_TIME, field, "the last sample is in the future", retry=doubtful, due_us=due_us)
    return value


def measured(quantity: Quantity, extras: Collection[Part] = ()) -> Form:
    """``{"amount": 190, "unit": "lb"}``: a number in another unit, stored in the type's own."""
    about = fields(extras, optional=True)
    unit = Annotated[str, Meta(min_length=1, max_length=32)]
    shape = struct("Measured", [("amount", int | float), ("unit", unit), *about])
    stored = struct("Single", [(quantity.field, int | float), *about])

    def refine(value: Any, _span: Span, _limits: Limits) -> Any:
        conversion = quantity.taken.get(value.unit)
        if conversion is None:
            message = f"{printable(value.unit)} is no unit that a number in {quantity.unit} can be made of"
            raise RefusedError(Reason.UNKNOWN_UNIT, "unit", message)
        low, high = bounds(quantity.low, quantity.high, conversion)
        if not low <= value.amount <= high:
            relation, bound = ("above", high) if value.amount > high else ("below", low)
            message = f"{value.amount} {value.unit} is {relation} {bound:.15g} {value.unit}"
            raise RefusedError(Reason.OUT_OF_RANGE, "amount", message)
        said = {each.field: getattr(value, each.field) for each in extras}
        return stored(convert(value.amount, conversion, quantity.decimals), **said)

    return Form(shape, refine, partial(_measured_schema, quantity))


def _measured_schema(quantity: Quantity, schema: dict[str, Any]) -> dict[str, Any]:
    by_bounds: dict[tuple[float, float], list[str]] = {}
    for spelling, conversion in quantity.taken.items():
        by_bounds.setdefault(bounds(quantity.low, quantity.high, conversion), []).append(spelling)
    units = [
        {"properties": {"amount": {"minimum": low, "maximum": high}, "unit": {"enum": spellings}}}
        for (low, high), spellings in by_bounds.items()
    ]
    return schema | {"anyOf": units}
