"""The exact reading of one piece of JSON: slow, and used only where the fast reading could be fooled or has failed.

Finds what a typed decoder does not see or does not name: repeated keys, numbers that no JSON has, too deep nesting,
and characters that texts may not have.
"""

import json
import math
import re
from typing import Any, NamedTuple

from healthsync_mqtt.model.reasons import Reason, RefusedError

MAX_INTEGER = 2**53

# C0, DEL, C1, bidirectional overrides and isolates, and halves of surrogate pairs.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_FORBIDDEN_IN_JSON = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_LONGEST_DIGITS = 20


class _Repeated(dict[str, Any]):
    """An object that named one of its keys twice."""

    key = ""


class Scrutiny(NamedTuple):
    """``value`` is the JSON value, None when it cannot be read; ``refusal`` is the first thing wrong with it."""

    value: Any
    refusal: RefusedError | None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_DIGITS else math.copysign(math.inf, -1.0 if digits[0] == "-" else 1.0)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    repeated = _Repeated(plain)
    seen: set[str] = set()
    repeated.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return repeated


#: Reads NaN, Infinity and endless integers as floats that are not finite, so that one of them is one event's fault.
TOLERANT = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer)


def scrutinize(raw: bytes, max_depth: int) -> Scrutiny:
    """Reads one JSON value exactly; never raises."""
    if is_too_deep(raw, max_depth):
        return Scrutiny(None, RefusedError(Reason.TOO_DEEP, None, f"nested deeper than {max_depth} levels"))
    try:
        value = TOLERANT.decode(raw.decode())
    except UnicodeDecodeError:
        return Scrutiny(None, RefusedError(Reason.MALFORMED, None, "not UTF-8"))
    except ValueError as error:
        return Scrutiny(None, RefusedError(Reason.MALFORMED, None, f"not JSON: {error}"))
    except RecursionError:
        return Scrutiny(None, RefusedError(Reason.TOO_DEEP, None, f"nested deeper than {max_depth} levels"))
    return Scrutiny(value, _first_fault(value, ""))


def repeated_key(raw: bytes) -> RefusedError | None:
    """The refusal of an object that repeats one of its own keys, whatever is inside; ``raw`` must be readable."""
    value = TOLERANT.decode(raw.decode(errors="replace"))
    return _repetition(value, "") if isinstance(value, _Repeated) else None


def is_too_deep(raw: bytes, max_depth: int) -> bool:
    """Whether brackets nest deeper than the limit. Without a loop over characters: a payload may have a million."""
    if raw.count(b"[") + raw.count(b"{") <= max_depth:
        return False
    brackets = _STRINGS.sub(b"", raw).translate(None, _NO_BRACKETS)
    for _ in range(max_depth):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return bool(brackets)


def has_forbidden_text(payload: bytes) -> bool:
    """Whether JSON without backslashes holds a character that texts may not have. Raises UnicodeDecodeError."""
    return _FORBIDDEN_IN_JSON.search(payload.decode()) is not None


def is_clean(text: str) -> bool:
    """Whether a text has none of the characters that texts may not have."""
    return _FORBIDDEN.search(text) is None


def printable(text: str, longest: int = 64) -> str:
    """A text of a sender, made safe to show: cut, forbidden characters replaced."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text[:longest])


def _first_fault(value: Any, path: str) -> RefusedError | None:
    """Depth first, in the order of the text; ``value`` is at most max_depth deep."""
    match value:
        case str():
            return None if is_clean(value) else RefusedError(Reason.BAD_STRING, path or None, _BAD_TEXT)
        case bool() | None:
            return None
        case int() if abs(value) > MAX_INTEGER:
            return RefusedError(Reason.BAD_NUMBER, path or None, f"{value} is beyond 2^53")
        case float() if not math.isfinite(value):
            return RefusedError(Reason.BAD_NUMBER, path or None, "the number is not finite or too long")
        case list():
            for place, part in enumerate(value):
                if fault := _first_fault(part, f"{path}[{place}]"):
                    return fault
        case dict():
            return _fault_of_object(value, path)
    return None


def _fault_of_object(value: dict[str, Any], path: str) -> RefusedError | None:
    prefix = f"{path}." if path else ""
    if isinstance(value, _Repeated):
        return _repetition(value, prefix)
    for key, part in value.items():
        if not is_clean(key):
            return RefusedError(Reason.BAD_STRING, prefix + printable(key), _BAD_TEXT)
        if fault := _first_fault(part, prefix + key[:64]):
            return fault
    return None


def _repetition(value: _Repeated, prefix: str) -> RefusedError:
    key = printable(value.key)
    return RefusedError(Reason.REPEATED_KEY, prefix + key, f"the key {key} is there twice")


_BAD_TEXT = "the text has control characters, bidirectional overrides or half a surrogate pair"
