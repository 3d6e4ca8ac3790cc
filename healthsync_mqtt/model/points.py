"""How a value becomes points in time: what a type says of itself to whoever charts it. No sink is known here.

A number at a moment is one point, a series one for each sample; a night is its summary and its stages, a meal its
summary and its items. Free text (names of food) is in no point: a text is a word of a closed set.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

US = 1_000_000
NO_WORDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})


class Point(NamedTuple):
    """One point: which measurement it is of, when (microseconds since the epoch), and its fields, of which one is."""

    measurement: str
    at_us: int
    fields: tuple[tuple[str, float | str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a type's stored values become points.

    ``stored`` is the msgspec type that reads a stored value, ``points`` (value, start, end in microseconds) makes its
    points; none when it has no number. ``parts`` are the measurements that it writes besides the type's own, ``texts``
    its fields that are words of a closed set. ``simple`` is the field's name where a value may be one number at a
    moment and nothing else: the struct has it as ``amount`` then. ``series`` is the field's name where it may be many
    of them instead: the struct has them as ``samples``, each with its seconds after the start.
    """

    stored: type[msgspec.Struct]
    points: Callable[[Any, int, int | None], list[Point]]
    parts: tuple[str, ...] = ()
    texts: frozenset[str] = frozenset()
    simple: str = ""
    series: str = ""


def one_number(measurement: str, field: str, *, lasts: bool) -> Spread:
    """One number, or samples of it; an amount that ``lasts`` from start to end says for how long."""
    some: Any = msgspec.field(default_factory=list)
    stored = msgspec.defstruct(
        "OneNumber",
        [("amount", float | None, None), ("samples", list[tuple[float, float]], some)],
        rename={"amount": field},
        gc=False,
    )

    def points(value: Any, start_us: int, end_us: int | None) -> list[Point]:
        amount = value.amount
        if amount is None:
            # Rounded, not cut: 0.29 s are 289,999.99 µs as a float.
            return [Point(measurement, start_us + round(at * US), ((field, number),)) for at, number in value.samples]
        if lasts and end_us is not None:
            return [Point(measurement, start_us, ((field, amount), ("duration_s", (end_us - start_us) / US)))]
        return [Point(measurement, start_us, ((field, amount),))]

    return Spread(stored=stored, points=points, simple="" if lasts else field, series=field)


def several(
    measurement: str, numbers: tuple[str, ...], words: Mapping[str, tuple[str, ...]] = NO_WORDS, *, lasts: bool = False
) -> Spread:
    """Several numbers and words of one moment, or of a time that ``lasts``; some of them may be absent."""
    stored = msgspec.defstruct(
        "Several", [*optional_floats(numbers), *((name, str | None, None) for name in words)], gc=False
    )

    def points(value: Any, start_us: int, end_us: int | None) -> list[Point]:
        found = present_words(value, words) + present(value, numbers)
        if found and lasts and end_us is not None:
            found += (("duration_s", (end_us - start_us) / US),)
        return [Point(measurement, start_us, found)] if found else []

    return Spread(stored=stored, points=points, texts=frozenset(words))


def optional_floats(names: tuple[str, ...]) -> list[tuple[str, Any, Any]]:
    """Fields of a struct that may be absent."""
    return [(name, float | None, None) for name in names]


def present(value: Any, names: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """The fields that a value has."""
    return tuple((name, amount) for name in names if (amount := getattr(value, name)) is not None)


def present_words(value: Any, words: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, float | str], ...]:
    """The words that a value has, as far as they are of their closed sets."""
    return tuple((name, found) for name, known in words.items() if (found := getattr(value, name)) in known)
