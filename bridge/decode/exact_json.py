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
_BAD_TEXT = "the text has control characters, bidirectional overrides or half a surrogate pair"

# More than any event can have (a night of 2,880 stages has 35,000), and few enough to be read in some milliseconds.
_MOST_QUOTES = 40_000


class _Repeated(dict[str, Any]):
    """An object that named one of its keys twice."""

    key = ""


class _Fault(NamedTuple):
    reason: Reason
    path: str
    message: str

    def inside(self, step: str) -> "_Fault":
        return self._replace(path=step + self.path)

    def refusal(self) -> RefusedError:
        return RefusedError(self.reason, self.path.removeprefix(".") or None, self.message)


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
    if raw.count(b'"') > _MOST_QUOTES:
        return Scrutiny(None, RefusedError(Reason.TOO_LARGE, None, "more keys and texts than any event has"))
    try:
        value = TOLERANT.decode(raw.decode())
    except UnicodeDecodeError:
        return Scrutiny(None, RefusedError(Reason.MALFORMED, None, "not UTF-8"))
    except ValueError as error:
        return Scrutiny(None, RefusedError(Reason.MALFORMED, None, f"not JSON: {error}"))
    except RecursionError:
        return Scrutiny(None, RefusedError(Reason.TOO_DEEP, None, f"nested deeper than {max_depth} levels"))
    fault = _first_fault(value)
    return Scrutiny(value, None if fault is None else fault.refusal())


def repeated_key(raw: bytes) -> RefusedError | None:
    """The refusal of an object that repeats one of its own keys, whatever is inside; ``raw`` must be readable."""
    value = TOLERANT.decode(raw.decode(errors="replace"))
    fault = _first_fault(value) if type(value) is _Repeated else None
    return None if fault is None else fault.refusal()


def is_too_deep(raw: bytes, max_depth: int) -> bool:
    """Whether brackets nest deeper than the limit. Without a loop over characters: a payload may have a million."""
    if raw.count(b"[") + raw.count(b"{") <= max_depth:
        return False
    brackets = _STRINGS.sub(b"", raw).translate(None, _NO_BRACKETS)
    if re.search(rb"[\[{]{%d}" % (max_depth + 1), brackets):
        return True
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


def _first_fault(value: Any) -> _Fault | None:
    """Depth first, in the order of the text. Paths are put together on the way back: most values have no fault."""
    kind = type(value)
    if kind is str:
        return None if is_clean(value) else _Fault(Reason.BAD_STRING, "", _BAD_TEXT)
    if kind is int:
        return None if abs(value) <= MAX_INTEGER else _Fault(Reason.BAD_NUMBER, "", f"{value} is beyond 2^53")
    if kind is float:
        return None if math.isfinite(value) else _Fault(Reason.BAD_NUMBER, "", "the number is not finite or too long")
    if kind is list:
        for place, part in enumerate(value):
            if fault := _first_fault(part):
                return fault.inside(f"[{place}]")
    elif kind is _Repeated:
        key = printable(value.key)
        return _Fault(Reason.REPEATED_KEY, f".{key}", f"the key {key} is there twice")
    elif kind is dict:
        for key, part in value.items():
            fault = _first_fault(part) if is_clean(key) else _Fault(Reason.BAD_STRING, "", _BAD_TEXT)
            if fault:
                return fault.inside(f".{printable(key)}")
    return None
