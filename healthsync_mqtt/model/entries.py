"""Rows of the catalogue that are like many others: one number, or some numbers and words."""

from collections.abc import Callable, Mapping
from typing import Any

from healthsync_mqtt.model.event_type import Daily, EventType, Form, Part, Quantity, Sensitivity, TimeKind, Words
from healthsync_mqtt.model.points import several
from healthsync_mqtt.model.shapes import Refine, flat, measured, series, single


def instant(
    name: str,
    quantity: Quantity,
    *aliases: str,
    daily: Daily = Daily.MEAN,
    sensitivity: Sensitivity = Sensitivity.GENERAL,
    extras: tuple[Part, ...] = (),
    more: Callable[[], Mapping[str, Form]] = dict,
) -> EventType:
    """A type whose events are one number at a moment, or a series of them.

    ``extras`` are what may be said about one number, ``more`` further forms.
    """

    def shapes() -> Mapping[str, Form]:
        usual = {quantity.field: single(quantity, extras), "samples": series(quantity)}
        return usual | {"amount": measured(quantity, extras), **more()}

    return _number_type(name, TimeKind.INSTANT, quantity, shapes, aliases, daily, sensitivity)


def interval(
    name: str,
    quantity: Quantity,
    *aliases: str,
    daily: Daily = Daily.SUM,
    sensitivity: Sensitivity = Sensitivity.GENERAL,
    separate: bool = False,
) -> EventType:
    """A type whose events are an amount between a start and an end."""

    def shapes() -> Mapping[str, Form]:
        return {quantity.field: single(quantity), "amount": measured(quantity)}

    return _number_type(name, TimeKind.INTERVAL, quantity, shapes, aliases, daily, sensitivity, separate=separate)


def of_a_day(
    name: str,
    quantity: Quantity,
    *aliases: str,
    sensitivity: Sensitivity = Sensitivity.GENERAL,
    series_too: bool = False,
) -> EventType:
    """A type whose events are one number that a source gives for a day: the one in which it starts, where it was."""

    def shapes() -> Mapping[str, Form]:
        several = {"samples": series(quantity)} if series_too else {}
        return {quantity.field: single(quantity), **several, "amount": measured(quantity)}

    return _number_type(name, TimeKind.DAILY, quantity, shapes, aliases, Daily.LAST, sensitivity)


def parts(
    name: str,
    kind: TimeKind,
    required: tuple[Part, ...],
    optional: tuple[Part, ...] = (),
    *,
    example: Mapping[str, Any],
    aliases: tuple[str, ...] = (),
    daily: Daily = Daily.NONE,
    sensitivity: Sensitivity = Sensitivity.GENERAL,
    loinc: str | None = None,
    max_span_us: int | None = None,
    refine: Refine | None = None,
    separate: bool = False,
) -> EventType:
    """A type whose value has some numbers, words, texts and flags beside each other; the first of them marks it."""
    both = required + optional
    quantities = tuple(each for each in both if isinstance(each, Quantity))
    words = {each.field: each.words for each in both if isinstance(each, Words)}
    numbers = tuple(each.field for each in quantities)
    lasts = kind in {TimeKind.INTERVAL, TimeKind.SESSION}
    return EventType(
        name=name,
        kind=kind,
        quantities=quantities,
        shapes=lambda: {both[0].field: flat(required, optional, refine)},
        daily=daily,
        aliases=aliases,
        loinc=loinc,
        sensitivity=sensitivity,
        max_span_us=max_span_us,
        separate=separate,
        own_spread=lambda: several(name, numbers, words, lasts=lasts),
        example=example,
    )


def _number_type(  # noqa: PLR0917  # made by the three above
    name: str,
    kind: TimeKind,
    quantity: Quantity,
    shapes: Callable[[], Mapping[str, Form]],
    aliases: tuple[str, ...],
    daily: Daily,
    sensitivity: Sensitivity,
    *,
    separate: bool = False,
) -> EventType:
    return EventType(
        name=name,
        kind=kind,
        quantities=(quantity,),
        shapes=shapes,
        daily=daily,
        aliases=aliases,
        loinc=quantity.loinc,
        checked=quantity.checked,
        separate=separate,
        sensitivity=sensitivity,
        example={quantity.field: quantity.usual},
    )
