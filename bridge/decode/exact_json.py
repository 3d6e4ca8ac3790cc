"""The exact reader: the one place that says what JSON is.

It refuses what two readers could understand differently: a key that is there twice, NaN and infinities, numbers as no
JSON has them, controls in a text, half a surrogate pair, anything after the value. Everything else in ``decode`` works
on what it returns.
"""

import json
import math
from typing import Any, NamedTuple

import jiter

from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import is_clean, printable

MAX_INTEGER = 2**53

#: Bytes of one delivery that are looked at once more, to name the place of what is not JSON in them.
MOST_EXPLAINED = 65_536

_LONGEST_DIGITS = 20
_SHOWN = 10**20
_BACKSLASH = 0x5C
_BAD_TEXT = "the text has control or invisible characters, or half a surrogate pair"


class InexactError(ValueError):
    """The bytes are no JSON, or can be read in more than one way."""


def read(raw: bytes) -> Any:
    """The JSON value that ``raw`` is, and nothing but it. Raises InexactError."""
    try:
        return jiter.from_json(raw, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys")
    except ValueError:
        raise InexactError from None


def says_the_same(raw: bytes, written: bytes) -> bool:
    r"""Whether JSON that a typed decoder took says no more than what it understood, ``written`` again.

    A decoder drops all but the last of keys that are there twice, and with them two quotation marks at least; it adds
    none. Never True when a key is repeated; False also for what is sound but has escapes.
    """
    return _BACKSLASH not in raw and raw.count(b'"') == written.count(b'"')


class ValueFault(NamedTuple):
    """Something wrong in a value: ``path`` leads to it (``.samples[1][0]``), ``message`` says what."""

    reason: Reason
    path: str
    message: str

    def inside(self, step: str) -> "ValueFault":
        """The same fault, seen from the value around."""
        return self._replace(path=step + self.path)

    def refusal(self) -> RefusedError:
        """What is told to the sender."""
        return RefusedError(self.reason, self.path.removeprefix(".") or None, self.message)


def text_fault(value: Any) -> ValueFault | None:
    """The first text of a value that has characters no text may have, depth first in the order of the JSON."""
    kind = type(value)
    if kind is str:
        return None if is_clean(value) else ValueFault(Reason.BAD_STRING, "", _BAD_TEXT)
    if kind is list:
        for place, part in enumerate(value):
            if fault := text_fault(part):
                return fault.inside(f"[{place}]")
    elif kind is dict:
        for key, part in value.items():
            fault = text_fault(part) if is_clean(key) else ValueFault(Reason.BAD_STRING, "", _BAD_TEXT)
            if fault:
                return fault.inside(f".{printable(key)}")
    return None


def number_fault(value: float) -> ValueFault | None:
    """Whether a number is one that every reader of JSON can carry."""
    if type(value) is int:
        if abs(value) <= MAX_INTEGER:
            return None
        return ValueFault(Reason.BAD_NUMBER, "", f"{value if abs(value) < _SHOWN else 'the number'} is beyond 2^53")
    return None if math.isfinite(value) else ValueFault(Reason.BAD_NUMBER, "", "the number is not finite or too long")


def value_fault(value: Any, depth: int) -> ValueFault | None:
    """The first thing in a value of any shape that no event may carry: texts, numbers, more levels than these."""
    kind = type(value)
    if kind is int or kind is float:
        return number_fault(value)
    if kind is str:
        return text_fault(value)
    if (kind is list or kind is dict) and depth < 1:
        return ValueFault(Reason.TOO_DEEP, "", "nested too deep")
    if kind is list:
        for place, part in enumerate(value):
            if fault := value_fault(part, depth - 1):
                return fault.inside(f"[{place}]")
    elif kind is dict:
        for key, part in value.items():
            if fault := text_fault(key) or value_fault(part, depth - 1):
                return fault.inside(f".{printable(key)}")
    return None


class Explained(NamedTuple):
    """Why ``read`` refused: ``value`` is what a tolerant reader made of the same bytes, None when it could not."""

    value: Any
    refusal: RefusedError


def explain(raw: bytes, *, in_detail: bool) -> Explained:
    """Why ``read`` refused ``raw``, which nests no deeper than a tolerant reader can follow.

    The reader is asked again with one rule less at a time. ``in_detail`` names the place too, at several times the
    cost of reading.
    """
    value = None
    if in_detail:
        try:
            value = _TOLERANT.decode(raw.decode())
        except (ValueError, RecursionError):
            pass
        else:
            if fault := _inexact(value):
                return Explained(value, fault.refusal())
    return Explained(value, _rule_broken(raw))


def _rule_broken(raw: bytes) -> RefusedError:
    for reason, message, rules in (
        (Reason.REPEATED_KEY, "a key is there twice", {"allow_inf_nan": False, "catch_duplicate_keys": False}),
        (Reason.BAD_NUMBER, "a number is not finite", {"allow_inf_nan": True, "catch_duplicate_keys": False}),
    ):
        try:
            jiter.from_json(raw, cache_mode="none", **rules)  # type: ignore[arg-type]
        except ValueError:
            continue
        return RefusedError(reason, None, message)
    try:
        raw.decode()
    except UnicodeDecodeError:
        return RefusedError(Reason.MALFORMED, None, "not UTF-8")
    return RefusedError(Reason.MALFORMED, None, "not JSON")


class _Repeated(dict[str, Any]):
    """An object that named one of its keys twice."""

    key = ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    repeated = _Repeated(plain)
    seen: set[str] = set()
    repeated.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return repeated


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_DIGITS else math.copysign(math.inf, -1.0 if digits[0] == "-" else 1.0)


#: Reads NaN, Infinity, endless integers and raw controls in texts, so that the place of each can be named.
_TOLERANT = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, strict=False)


def _inexact(value: Any) -> ValueFault | None:
    """The first thing in a tolerantly read value that the exact reader does not take."""
    kind = type(value)
    if kind is str:
        return None if is_clean(value) else ValueFault(Reason.BAD_STRING, "", _BAD_TEXT)
    if kind is float:
        return (
            None if math.isfinite(value) else ValueFault(Reason.BAD_NUMBER, "", "the number is not finite or too long")
        )
    if kind is list:
        for place, part in enumerate(value):
            if fault := _inexact(part):
                return fault.inside(f"[{place}]")
    elif kind is _Repeated:
        key = printable(value.key)
        return ValueFault(Reason.REPEATED_KEY, f".{key}", f"the key {key} is there twice")
    elif kind is dict:
        for key, part in value.items():
            fault = _inexact(part) if is_clean(key) else ValueFault(Reason.BAD_STRING, "", _BAD_TEXT)
            if fault:
                return fault.inside(f".{printable(key)}")
    return None
