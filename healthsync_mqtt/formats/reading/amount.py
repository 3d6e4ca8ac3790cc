"""Numbers of somebody else in the unit of a type: converted exactly, never guessed."""

from collections.abc import Collection
from functools import cache
from typing import Final

from healthsync_mqtt.formats.reading.document import whole
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event_type import Quantity
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable
from healthsync_mqtt.model.units import convert

JIN: Final = "jin"
"""Half a kilogram, on displays of scales in China."""
_OF_DISPLAYS: Final = frozenset({JIN})
_ITS_OWN: Final[Collection[str]] = ()


def in_field(
    type_: str,
    field: str,
    number: float,
    unit: str | None,
    own: Collection[str] = _ITS_OWN,
    *,
    place: str = "units",
    declared: str | None = None,
) -> float:
    """A number in ``unit``, in that of a field of a type. Raises RefusedError at ``place`` for a unit it is not in.

    ``own`` are further spellings of the field's unit, as this source writes it; ``declared`` is what the login says of
    numbers without a unit: of those that can be in it.
    """
    quantity = quantity_of(type_, field)
    if unit is None and declared in quantity.taken:
        unit = declared
    if unit is None:
        raise RefusedError(Reason.UNKNOWN_UNIT, place, f"the unit is missing; {type_} is in {quantity.unit}")
    if unit in own:
        return whole(number)
    conversion = quantity.taken.get(unit)
    if conversion is None:
        message = f"{printable(unit)} is no unit that a number in {quantity.unit} can be made of"
        raise RefusedError(Reason.UNKNOWN_UNIT, place, message)
    return whole(convert(number, conversion, quantity.decimals))


@cache
def declarable_units() -> frozenset[str]:
    """The units that a login may declare: those that a number of ours can come in, and those of scales' displays."""
    return _OF_DISPLAYS.union(*(each.taken for of in CATALOGUE.values() for each in of.quantities))


@cache
def quantity_of(type_: str, field: str) -> Quantity:
    """The quantity of a field of a type."""
    return next(each for each in CATALOGUE[type_].quantities if each.field == field)


@cache
def first_field(type_: str) -> str:
    """The field of a type that is one number."""
    return CATALOGUE[type_].quantities[0].field
