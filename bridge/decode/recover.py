"""Telling the events of a delivery apart when it is almost JSON: one NaN must not cost the other 499 events."""

import re
from typing import Any, NamedTuple

from bridge.decode.exact_json import TOLERANT

_BLANK = re.compile(r"[ \t\r\n]*+")


class Salvaged(NamedTuple):
    """The wrapper's fields other than ``events`` (empty without a wrapper) and each event's own bytes."""

    wrapper: list[tuple[str, Any]]
    events: list[bytes]


def salvage(payload: bytes, most: int) -> Salvaged | None:
    """The events of an array or a batch wrapper that a tolerant reader can follow, else None.

    ``payload`` is not nested deeper than the limit. None also when there are more events than ``most``.
    """
    try:
        text = payload.decode()
        at = _skip(text, 0)
        if text[at] == "[":
            wrapper: list[tuple[str, Any]] = []
            events, at = _array(text, at, most)
        else:
            wrapper, events, at = _wrapper(text, at, most)
        return Salvaged(wrapper, events) if _skip(text, at) == len(text) else None
    except (ValueError, IndexError, RecursionError):
        return None


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return at if match is None else match.end()


def _expect(text: str, at: int, mark: str) -> int:
    at = _skip(text, at)
    if text[at] != mark:
        raise ValueError(mark)
    return _skip(text, at + 1)


def _array(text: str, at: int, most: int) -> tuple[list[bytes], int]:
    events: list[bytes] = []
    at = _expect(text, at, "[")
    if text[at] == "]":
        return events, at + 1
    while len(events) < most:
        _, end = TOLERANT.raw_decode(text, at)
        events.append(text[at:end].encode())
        at = _skip(text, end)
        if text[at] == "]":
            return events, at + 1
        at = _expect(text, at, ",")
    raise ValueError(most)


def _wrapper(text: str, at: int, most: int) -> tuple[list[tuple[str, Any]], list[bytes], int]:
    """The fields, the events and the end of a batch wrapper; ``events`` is a field whose value is None."""
    fields: list[tuple[str, Any]] = []
    events: list[bytes] | None = None
    at = _expect(text, at, "{")
    while True:
        key, at = TOLERANT.raw_decode(text, at)
        at = _expect(text, at, ":")
        if key == "events" and events is None:
            events, at = _array(text, at, most)
            fields.append((key, None))
        else:
            value, at = TOLERANT.raw_decode(text, at)
            fields.append((key, value))
        at = _skip(text, at)
        if text[at] == "}":
            break
        at = _expect(text, at, ",")
    if events is None:
        raise ValueError("events")
    return fields, events, at + 1
