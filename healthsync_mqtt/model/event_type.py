"""What a type of event is, and the shapes its value can have.

A form describes one shape and checks what a description cannot say. Shapes are msgspec structs, made from quantities
where they differ by name and range only. Numbers stay what they were: an integer is read and written as an integer, a
float as a float.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_args

import msgspec
from msgspec import Meta

from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.points import Spread, one_number, several_numbers
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable
from healthsync_mqtt.model.units import Conversion, bounds, convert, units_for


class TimeKind(StrEnum):
    """How an event lies in time."""

    #: A measurement at one moment, or a series of them.
    INSTANT = "instant"
    #: An amount collected between start and end.
    INTERVAL = "interval"
    #: What a source says of a whole day of the user; it is never added to intervals.
    DAILY = "daily"
    #: Something with parts: a night, a meal.
    SESSION = "session"


class Daily(StrEnum):
    """What a type's events of one day and one source come to."""

    SUM = "sum"
    MEAN = "mean"
    LAST = "last"
    LONGEST = "longest"
    NONE = "none"


class Sensitivity(StrEnum):
    """Who may have it: consent and grants that say ``*`` mean general types, all others are asked for by name."""

    GENERAL = "general"
    REPRODUCTIVE = "reproductive"
    MENTAL = "mental"
    LOCATION = "location"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of a value: its field, its unit in UCUM, the range outside of which it is refused, its LOINC code.

    ``checked``: the code was seen in a table of others who map to it. ``units`` are the units that a number may come in
    where they are not the usual ones of ``unit``, ``decimals`` to how many places a converted one is rounded. ``usual``
    is a number that nobody wonders at.
    """

    field: str
    unit: str
    low: float
    high: float
    loinc: str | None = None
    usual: float = 1
    checked: bool = True
    units: str = ""
    decimals: int | None = None

    @property
    def taken(self) -> Mapping[str, Conversion]:
        """The units that a number of it may come in, by all their spellings."""
        return units_for(self.unit, self.units)


class Span(NamedTuple):
    """When an event is, in microseconds; nothing in it may be later than ``latest_us``."""

    start_us: int
    end_us: int | None
    latest_us: int


@dataclass(frozen=True, slots=True)
class Form:
    """One shape of a value.

    ``type`` is the msgspec type that describes it, ``decode`` reads one from JSON. ``refine`` (value, span, limits)
    returns what is stored or raises RefusedError with a field below ``value``. ``schema`` narrows the JSON Schema of
    ``type`` to what ``refine`` takes.
    """

    type: Any
    refine: Callable[[Any, Span, Limits], Any] | None = None
    schema: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    decode: Callable[[bytes], Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "decode", msgspec.json.Decoder(self.type).decode)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EventType:
    """One type of event: a row of the catalogue, and what follows from it.

    ``shapes`` makes the shapes of its value by the field that marks each. ``quantities`` are its numbers. A type with
    ``max_span_us`` is no longer than that and needs an end_time. ``own_spread`` makes its own way of becoming points;
    without one it is what its quantities say. ``example`` is a value of it.

    What follows is made when it is first asked for, because a program that starts needs few of all types: ``forms``,
    ``usual`` (the first of them), ``spread``, and ``names``, all the names that a value of it can have, at any depth.
    """

    name: str
    kind: TimeKind
    quantities: tuple[Quantity, ...]
    shapes: Callable[[], Mapping[str, Form]]
    daily: Daily
    aliases: tuple[str, ...] = ()
    loinc: str | None = None
    sensitivity: Sensitivity = Sensitivity.GENERAL
    max_span_us: int | None = None
    own_spread: Callable[[], Spread] | None = None
    example: Mapping[str, Any] = field(default_factory=dict)
    forms: Mapping[str, Form] = field(init=False, repr=False)
    usual: Form = field(init=False, repr=False)
    spread: Spread = field(init=False, repr=False)
    names: frozenset[str] = field(init=False, repr=False)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Only what is not there yet comes here: afterwards it is a slot like the others.
            follows = _FOLLOWS.get(name)
            if follows is None:
                raise AttributeError(name, name=name, obj=self)
            made = follows(self)
            object.__setattr__(self, name, made)
            return made

    @property
    def example_span(self) -> tuple[str, str | None]:
        """When the example is: its start, and its end where a type of this kind has one."""
        if self.kind in {TimeKind.INSTANT, TimeKind.DAILY}:
            return "2026-11-22T22:00:00Z", None
        return "2026-11-22T22:00:00Z", "2026-11-23T06:00:00Z"

    @property
    def unit(self) -> str | None:
        """The UCUM unit of the first quantity."""
        return self.quantities[0].unit if self.quantities else None


def _spread_of(of: EventType) -> Spread:
    if of.own_spread is not None:
        return of.own_spread()
    fields = tuple(quantity.field for quantity in of.quantities)
    if len(fields) == 1:
        return one_number(of.name, fields[0], lasts=of.kind is TimeKind.INTERVAL)
    return several_numbers(of.name, fields)


_FOLLOWS: Mapping[str, Callable[[EventType], Any]] = {
    "forms": lambda of: of.shapes(),
    "usual": lambda of: next(iter(of.forms.values())),
    "spread": _spread_of,
    "names": lambda of: frozenset({"source"}).union(*(_names(form.type) for form in of.forms.values())),
}


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


def measured(quantity: Quantity) -> Form:
    """``{"amount": 190, "unit": "lb"}``: a number in another unit, stored in the type's own."""
    shape = struct("Measured", [("amount", int | float), ("unit", Annotated[str, Meta(min_length=1, max_length=32)])])
    stored = struct("Single", [(quantity.field, int | float)])

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
        return stored(convert(value.amount, conversion, quantity.decimals))

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


def instant(
    name: str,
    quantity: Quantity,
    *aliases: str,
    daily: Daily = Daily.MEAN,
    sensitivity: Sensitivity = Sensitivity.GENERAL,
    more: Callable[[], Mapping[str, Form]] = dict,
) -> EventType:
    """A type whose events are one number at a moment, or a series of them; ``more`` are further forms."""

    def shapes() -> Mapping[str, Form]:
        return {quantity.field: single(quantity), "samples": series(quantity), "amount": measured(quantity), **more()}

    return _number_type(name, TimeKind.INSTANT, quantity, shapes, aliases, daily, sensitivity)


def interval(
    name: str,
    quantity: Quantity,
    *aliases: str,
    daily: Daily = Daily.SUM,
    sensitivity: Sensitivity = Sensitivity.GENERAL,
) -> EventType:
    """A type whose events are an amount between a start and an end."""

    def shapes() -> Mapping[str, Form]:
        return {quantity.field: single(quantity), "amount": measured(quantity)}

    return _number_type(name, TimeKind.INTERVAL, quantity, shapes, aliases, daily, sensitivity)


def of_a_day(
    name: str,
    quantity: Quantity,
    *aliases: str,
    sensitivity: Sensitivity = Sensitivity.GENERAL,
    more: Callable[[], Mapping[str, Form]] = dict,
) -> EventType:
    """A type whose events are one number that a source gives for a day: the one in which it starts, where it was."""

    def shapes() -> Mapping[str, Form]:
        return {quantity.field: single(quantity), "amount": measured(quantity), **more()}

    return _number_type(name, TimeKind.DAILY, quantity, shapes, aliases, Daily.LAST, sensitivity)


def _number_type(  # noqa: PLR0917  # made by the three above
    name: str,
    kind: TimeKind,
    quantity: Quantity,
    shapes: Callable[[], Mapping[str, Form]],
    aliases: tuple[str, ...],
    daily: Daily,
    sensitivity: Sensitivity,
) -> EventType:
    return EventType(
        name=name,
        kind=kind,
        quantities=(quantity,),
        shapes=shapes,
        daily=daily,
        aliases=aliases,
        loinc=quantity.loinc,
        sensitivity=sensitivity,
        example={quantity.field: quantity.usual},
    )
