"""How a characteristic lies in its octets, as a table: the flags, and the fields that are there when a flag says so."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from healthsync_mqtt.ble.octets import Amount, NoNumber, Octets, u8
from healthsync_mqtt.model.reasons import Reason, RefusedError

Read = Callable[[Octets], Any]
Values = Mapping[str, Any]
"""The fields that were there, by their names, and the ``flags``."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field. ``when``: the bit of the flags that has to be set for it to be there, ``unless``: to be clear."""

    name: str
    read: Read
    when: int | None = None
    unless: int | None = None

    def is_there(self, flags: int) -> bool:
        """Whether it is, by the flags."""
        return (self.when is None or bool(flags >> self.when & 1)) and (
            self.unless is None or not flags >> self.unless & 1
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """The flags of a characteristic, and what follows them.

    Octets behind the last field are of a later version of the profile, and passed over (as GATT has it).
    """

    fields: tuple[Field, ...]
    flags: Read = u8

    def read(self, value: bytes) -> dict[str, Any]:
        """The fields of a value. RefusedError for one that is too short, and for what no field can be."""
        octets = Octets(value)
        flags = self.flags(octets)
        found: dict[str, Any] = {"flags": flags}
        for each in self.fields:
            if each.is_there(flags):
                found[each.name] = each.read(octets)
        return found


def scaled(read: Read, unit: str, *, none: int | None = None) -> Read:
    """A whole number of so many parts (``1/200``); ``none`` is the one that says that there is no number."""
    part = Fraction(unit)

    def amount(octets: Octets) -> Amount:
        number = read(octets)
        return NoNumber.NAN if number == none else number * part

    return amount


def has(values: Values, bit: int) -> bool:
    """Whether a bit of the flags is set."""
    return bool(values["flags"] >> bit & 1)


def needed(values: Values, name: str) -> Fraction:
    """The number of a field without which there is no measurement. RefusedError where the device says none."""
    amount = values.get(name)
    if isinstance(amount, Fraction | int):
        return Fraction(amount)
    told = amount.value if isinstance(amount, NoNumber) else "nothing"
    raise RefusedError(Reason.BAD_NUMBER, name, f"in place of a number the device says: {told}")


def wanted(values: Values, name: str) -> Fraction | None:
    """The number of a field; None where it is not there, or the device says no number."""
    amount = values.get(name)
    return Fraction(amount) if isinstance(amount, Fraction | int) else None
