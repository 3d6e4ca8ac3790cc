"""Telling the events of a delivery apart when it is almost JSON: one NaN must not cost the other 499 events."""

from typing import Any, NamedTuple

from bridge.scrutiny import TOLERANT, is_too_deep

_BLANK = " \t\r\n"


class Salvaged(NamedTuple):
    """The wrapper's fields other than ``events`` (empty without a wrapper) and each event's own bytes."""

    wrapper: list[tuple[str, Any]]
    events: list[bytes]


def salvage(payload: bytes, max_depth: int) -> Salvaged | None:
    """The events of an array or a batch wrapper that a tolerant reader can follow, else None."""
    if is_too_deep(payload, max_depth):
        return None
    try:
        text = payload.decode()
        at = _skip(text, 0)
        if text[at] == "[":
            wrapper: list[tuple[str, Any]] = []
            events, at = _array(text, at)
        else:
            wrapper, events, at = _wrapper(text, at)
        return Salvaged(wrapper, events) if _skip(text, at) == len(text) else None
    except (ValueError, IndexError, RecursionError):
        return None


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _expect(text: str, at: int, mark: str) -> int:
    at = _skip(text, at)
    if text[at] != mark:
        raise ValueError(mark)
    return _skip(text, at + 1)


def _array(text: str, at: int) -> tuple[list[bytes], int]:
    events: list[bytes] = []
    at = _expect(text, at, "[")
    if text[at] == "]":
        return events, at + 1
    while True:
        _, end = TOLERANT.raw_decode(text, at)
        events.append(text[at:end].encode())
        at = _skip(text, end)
        if text[at] == "]":
            return events, at + 1
        at = _expect(text, at, ",")


def _wrapper(text: str, at: int) -> tuple[list[tuple[str, Any]], list[bytes], int]:
    """The fields, the events and the end of a batch wrapper; ``events`` is a field whose value is None."""
    fields: list[tuple[str, Any]] = []
    events: list[bytes] | None = None
    at = _expect(text, at, "{")
    while True:
        key, at = TOLERANT.raw_decode(text, at)
        at = _expect(text, at, ":")
        if key == "events" and events is None:
            events, at = _array(text, at)
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
