"""Why a typed decoder refused an event: its error turned into a reason, a field and a message for the sender."""

import re
from typing import Any

import msgspec

from bridge.decode.exact_json import TOLERANT, printable
from healthsync_mqtt.model.event_type import Quantity
from healthsync_mqtt.model.reasons import Reason, RefusedError

_AT = " - at `$"
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_QUOTED = re.compile(r"`([^`]*)`")
_BOUND = re.compile(r"Expected `(?:int|float)` (<=|>=) (\S+)")
_LENGTH = re.compile(r"Expected `(\w+)` of length (<=|>=)? ?(\d+)")
_IDS = frozenset({"id", "user_id", "batch"})
_SERIES_VALUE = re.compile(r"samples\[\d+\]\[1\]")


def explain(error: Exception, raw: bytes, within: str = "", quantities: tuple[Quantity, ...] = ()) -> RefusedError:
    """The refusal behind an error of decoding ``raw``, which stands at the path ``within``.

    ``quantities`` are those of the event's type, whose ranges are named in messages.
    """
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, RecursionError):
        return RefusedError(Reason.TOO_DEEP, within or None, "nested too deep")
    if isinstance(error, UnicodeDecodeError):
        return RefusedError(Reason.MALFORMED, within or None, "not UTF-8")
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return RefusedError(Reason.MALFORMED, within or None, printable(text, 128))
    text, _, below = text.rpartition(_AT) if _AT in text else (text, "", "")
    below = below.rstrip("`")
    path = (within + below).removeprefix(".")
    if text.startswith("Object contains unknown field"):
        name = printable(text.partition("`")[2].removesuffix("`"))
        return RefusedError(Reason.UNKNOWN_FIELD, f"{path}.{name}" if path else name, f"{name} is no field here")
    if text.startswith("Object missing required field"):
        name = _QUOTED.findall(text)[-1]
        return RefusedError(Reason.MISSING_FIELD, f"{path}.{name}" if path else name, f"{name} is missing")
    return _of_field(text, path, below, raw, quantities)


def _of_field(text: str, path: str, below: str, raw: bytes, quantities: tuple[Quantity, ...]) -> RefusedError:
    field = path or None
    name = path.rpartition(".")[2] or "the event"
    if bound := _BOUND.match(text):
        return _out_of_range(bound, field, name, _value_at(raw, below), _quantity(name, quantities))
    if length := _LENGTH.match(text):
        what, sign, size = length.groups()
        relation = {"<=": "at most", ">=": "at least", None: "exactly"}[sign]
        if what == "str":
            reason = Reason.BAD_ID if path in _IDS else Reason.BAD_STRING
            return RefusedError(reason, field, f"{name} must have {relation} {size} characters")
        reason = Reason.TOO_LARGE if sign == "<=" else Reason.WRONG_TYPE
        return RefusedError(reason, field, f"{name} must have {relation} {size} entries")
    if text.startswith("Invalid RFC3339"):
        return RefusedError(Reason.BAD_TIME, field, f"{name} is not an RFC 3339 date and time")
    if "out of range" in text:
        return RefusedError(Reason.BAD_NUMBER, field, f"{name} is not finite or too long a number")
    if text.startswith("Invalid enum value"):
        return RefusedError(Reason.WRONG_TYPE, field, f"{name} is none of the words it may be")
    if got := re.match(r"Expected `(.*)`, got `(\w+)`", text):
        wanted = got[1].removesuffix(" | null").replace(" | ", " or ").replace("datetime", "text with a date and time")
        return RefusedError(Reason.WRONG_TYPE, field, f"{name} must be {wanted}, not {got[2]}")
    return RefusedError(Reason.WRONG_TYPE, field, printable(text, 128))


def _out_of_range(
    bound: re.Match[str], field: str | None, name: str, value: Any, quantity: Quantity | None
) -> RefusedError:
    above = bound[1] == "<="
    limit = float(bound[2]) if quantity is None else quantity.high if above else quantity.low
    if quantity is not None:
        name = quantity.field
    number = "" if value is None else f" {value}"
    message = f"{name}{number} is {'above' if above else 'below'} {limit:.15g}"
    return RefusedError(Reason.OUT_OF_RANGE, field, message)


def _quantity(name: str, quantities: tuple[Quantity, ...]) -> Quantity | None:
    if _SERIES_VALUE.fullmatch(name):
        return quantities[0]
    return next((quantity for quantity in quantities if quantity.field == name), None)


def _value_at(raw: bytes, below: str) -> int | float | None:
    try:
        value: Any = TOLERANT.decode(raw.decode())
        for key, place in _STEP.findall(below):
            value = value[key] if key else value[int(place)]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return value if isinstance(value, int | float) else None
