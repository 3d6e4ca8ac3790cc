"""The octets of a value, taken one after the other, and the numbers and times that are in them: exact, or refused.

Numbers are little-endian (GATT Specification Supplement, 2.1). SFLOAT and FLOAT are IEEE 11073-20601's: a mantissa and
a power of ten, and five mantissas that are no number.
"""

from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import Final

from healthsync_mqtt.model.reasons import Reason, RefusedError


class NoNumber(StrEnum):
    """What a device says in place of a number."""

    NAN = "not a number"
    NRES = "not at this resolution"
    PLUS_INFINITY = "more than it can say"
    MINUS_INFINITY = "less than it can say"
    RESERVED = "a reserved value"


Amount = Fraction | NoNumber

#: By what the mantissa is above the largest that counts.
_SPECIAL: Final = (
    NoNumber.PLUS_INFINITY,
    NoNumber.NAN,
    NoNumber.NRES,
    NoNumber.RESERVED,
    NoNumber.MINUS_INFINITY,
)


class Octets:
    """What is left of one value."""

    def __init__(self, value: bytes) -> None:
        self._value = value
        self._at = 0

    @property
    def left(self) -> int:
        """How many octets are left."""
        return len(self._value) - self._at

    def take(self, count: int) -> bytes:
        """The next so many. RefusedError where there are fewer."""
        if self.left < count:
            message = f"{len(self._value)} octets, and {self._at + count} are needed at least"
            raise RefusedError(Reason.MALFORMED, None, message)
        self._at += count
        return self._value[self._at - count : self._at]

    def unsigned(self, count: int) -> int:
        """A whole number without a sign."""
        return int.from_bytes(self.take(count), "little")

    def signed(self, count: int) -> int:
        """A whole number with one."""
        return int.from_bytes(self.take(count), "little", signed=True)


def u8(octets: Octets) -> int:
    """uint8."""
    return octets.unsigned(1)


def u16(octets: Octets) -> int:
    """uint16."""
    return octets.unsigned(2)


def u24(octets: Octets) -> int:
    """uint24."""
    return octets.unsigned(3)


def u32(octets: Octets) -> int:
    """uint32."""
    return octets.unsigned(4)


def s16(octets: Octets) -> int:
    """sint16."""
    return octets.signed(2)


def sfloat(octets: Octets) -> Amount:
    """medfloat16: a mantissa of 12 bits and an exponent of 4 (IEEE 11073-20601, F.8)."""
    return _decimal(octets.unsigned(2), mantissa_bits=12, exponent_bits=4)


def float32(octets: Octets) -> Amount:
    """medfloat32: a mantissa of 24 bits and an exponent of 8 (IEEE 11073-20601, F.7)."""
    return _decimal(octets.unsigned(4), mantissa_bits=24, exponent_bits=8)


def _decimal(raw: int, *, mantissa_bits: int, exponent_bits: int) -> Amount:
    mantissa, exponent = raw & ((1 << mantissa_bits) - 1), raw >> mantissa_bits
    above = mantissa - ((1 << (mantissa_bits - 1)) - 2)
    if exponent == 0 and 0 <= above < len(_SPECIAL):
        return _SPECIAL[above]
    return Fraction(_with_sign(mantissa, mantissa_bits)) * Fraction(10) ** _with_sign(exponent, exponent_bits)


def _with_sign(number: int, bits: int) -> int:
    return number - (1 << bits) if number >> (bits - 1) else number


def wall(octets: Octets) -> datetime | None:
    """Date Time (0x2A08): what the clock on the device's wall says; None where it does not know the day.

    Raises RefusedError for a time that never was.
    """
    year, month, day, hour, minute, second = octets.unsigned(2), *octets.take(5)
    if not (year and month and day):
        return None
    try:
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  # a clock's on a wall
    except ValueError:
        message = f"{year}-{month}-{day} {hour}:{minute}:{second} was never"
        raise RefusedError(Reason.BAD_TIME, "time", message) from None
