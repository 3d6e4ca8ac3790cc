"""What a type of event is, and the shapes its value can have.

A form describes one shape and checks what a description cannot say. Shapes are msgspec structs, made from quantities
where they differ by name and range only. Numbers stay what they were: an integer is read and written as an integer, a
float as a float.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, get_args

import msgspec
from msgspec import Meta

from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.points import Spread, one_number, several_numbers
from healthsync_mqtt.model.reasons import Reason, RefusedError


class TimeKind(StrEnum):
    """How an event lies in time."""

    #: A measurement at one moment, or a series of them.
    INSTANT = "instant"
    #: An amount collected between start and end.
    INTERVAL = "interval"
    #: Something with parts: a night, a meal.
    SESSION = "session"


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

    ``type`` is the msgspec type that describes it, ``decode`` reads one from JSON. ``refine`` (value, span, limits)
    returns what is stored or raises RefusedError with a field below ``value``.
    """

    type: Any
    refine: Callable[[Any, Span, Limits], Any] | None = None
    decode: Callable[[bytes], Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "decode", msgspec.json.Decoder(self.type).decode)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One type of event.

    ``forms`` are the shapes of its value by the field that marks each; ``usual`` is the first of them. ``quantities``
    are its numbers; ``unit`` is the unit of the first, None where the value is no number. A type with ``max_span_us``
    needs an end_time. ``spread`` is how its values become points: its own way, or what its quantities say. ``names``
    are all the names that a value of it can have, at any depth.
    """

    name: str
    kind: TimeKind
    quantities: tuple[Quantity, ...]
    forms: Mapping[str, Form]
    aliases: tuple[str, ...] = ()
    loinc: str | None = None
    max_span_us: int | None = None
    own_spread: Spread | None = None
    spread: Spread = field(init=False)
    usual: Form = field(init=False)
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spread", self.own_spread or _usual_spread(self))
        object.__setattr__(self, "usual", next(iter(self.forms.values())))
        object.__setattr__(self, "names", frozenset({"source"}).union(*(_names(f.type) for f in self.forms.values())))

    @property
    def unit(self) -> str | None:
        """The UCUM unit of the first quantity."""
        return self.quantities[0].unit if self.quantities else None


def _usual_spread(of: EventType) -> Spread:
    fields = tuple(quantity.field for quantity in of.quantities)
    if len(fields) == 1:
        return one_number(of.name, fields[0], lasts=of.kind is TimeKind.INTERVAL)
    return several_numbers(of.name, fields)


def _names(described: Any) -> set[str]:
    """The names of a type's fields, and of the types in them."""
    if isinstance(described, type) and issubclass(described, msgspec.Struct):
        fields = msgspec.structs.fields(described)
        return {each.encode_name for each in fields}.union(*(_names(each.type) for each in fields))
    return set().union(*(_names(part) for part in get_args(described)))


def number(low: float, high: float) -> Any:
    """The type of an integer or a float within low..high."""
    return (
        Annotated[int, Meta(ge=math.ceil(low), le=math.floor(high))]
        | Annotated[float, Meta(ge=float(low), le=float(high))]
    )


def struct(name: str, fields: list[Any]) -> type[msgspec.Struct]:
    """A frozen struct of these fields that takes no others and is written without its defaults."""
    return msgspec.defstruct(name, fields, frozen=True, forbid_unknown_fields=True, omit_defaults=True, module=__name__)


def single(quantity: Quantity) -> Form:
    """``{"bpm": 72}``"""
    shape = struct("Single", [(quantity.field, number(quantity.low, quantity.high))])
    return Form(shape)


def series(quantity: Quantity) -> Form:
    """``{"samples": [[0, 72], [1.5, 73]]}``: seconds after the start, at most a day, never going back; and values."""
    sample: Any = tuple[number(0, 86_400), number(quantity.low, quantity.high)]  # type: ignore[misc]
    shape = struct("Series", [("samples", Annotated[list[sample], Meta(min_length=1)])])
    return Form(shape, _refine_series)


def _refine_series(value: Any, span: Span, limits: Limits) -> Any:
    samples = value.samples
    if len(samples) > limits.max_samples:
        raise RefusedError(Reason.TOO_LARGE, "samples", f"{len(samples)} samples are more than {limits.max_samples}")
    seconds = [sample[0] for sample in samples]
    if seconds != sorted(seconds):
        place = next(i for i in range(1, len(seconds)) if seconds[i] < seconds[i - 1])
        raise RefusedError(Reason.BAD_INTERVAL, f"samples[{place}][0]", "the seconds of the samples go back")
    last_us = span.start_us + seconds[-1] * 1_000_000
    if last_us > span.latest_us:
        doubtful = last_us <= span.latest_us + limits.doubtful_future_us
        field = f"samples[{len(seconds) - 1}][0]"
        due_us = int(last_us) + 1 - limits.max_future_us
        raise RefusedError(Reason.FUTURE_TIME, field, "the last sample is in the future", retry=doubtful, due_us=due_us)
    return value


def instant(name: str, quantity: Quantity, *aliases: str, more: Mapping[str, Form] | None = None) -> EventType:
    """A type whose events are one number at a moment, or a series of them; ``more`` are further forms."""
    forms = {quantity.field: single(quantity), "samples": series(quantity), **(more or {})}
    return EventType(
        name=name, kind=TimeKind.INSTANT, quantities=(quantity,), forms=forms, aliases=aliases, loinc=quantity.loinc
    )


def interval(name: str, quantity: Quantity, *aliases: str) -> EventType:
    """A type whose events are an amount between a start and an end."""
    forms = {quantity.field: single(quantity)}
    return EventType(
        name=name, kind=TimeKind.INTERVAL, quantities=(quantity,), forms=forms, aliases=aliases, loinc=quantity.loinc
    )
