"""What a type of event is: a row of the catalogue. How its value looks its forms say.

A form describes one shape and checks what a description cannot say. The usual shapes are in ``shapes``, rows that are
like many others are made by ``entries``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import msgspec

from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.points import Spread, one_number, several
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.model.units import Conversion, units_for


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


@dataclass(frozen=True, slots=True)
class Words:
    """A field of a value that is one word of a closed set."""

    field: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A field of a value that is free text, which is in no point."""

    field: str
    longest: int = 256


@dataclass(frozen=True, slots=True)
class Flag:
    """A field of a value that is true or false."""

    field: str


Part = Quantity | Words | Text | Flag


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

    ``checked`` is of its LOINC code, as of a quantity's. ``shapes`` makes the shapes of its value by the field that
    marks each. ``quantities`` are its numbers. A type with ``max_span_us`` is no longer than that and needs an
    end_time. ``own_spread`` makes its own way of becoming points; without one it is what its quantities say.
    ``example`` is a value of it, which lasts ``example_s``. ``separate``: each event is a thing of its own, such as a
    drink or a dose: two at one time are two, and not one that was measured twice.

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
    checked: bool = True
    sensitivity: Sensitivity = Sensitivity.GENERAL
    max_span_us: int | None = None
    separate: bool = False
    own_spread: Callable[[], Spread] | None = None
    example: Mapping[str, Any] = field(default_factory=dict)
    example_s: int = 900
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
        start_us = 1_795_384_800_000_000
        lasts = self.kind in {TimeKind.INTERVAL, TimeKind.SESSION}
        return iso(start_us), iso(start_us + self.example_s * 1_000_000) if lasts else None

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
    return several(of.name, fields)


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
