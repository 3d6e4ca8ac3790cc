"""Paths into somebody's message: keys with dots between them, places of lists as ``[0]``, each of a list as ``[*]``."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

_STEP: Final = re.compile(r'\[(\d{1,6}|\*)\]|"([^"]*)"|([^.\["\]]+)')

_Step = str | int | None
"""A key, a place in a list, or every place."""
MISSING: Final = object()


def steps(path: str) -> tuple[_Step, ...]:
    """The steps of a path. Raises ValueError."""
    steps: list[_Step] = []
    at = 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            message = f"{path!r} is no path: keys with dots between them, places as [0], all of them as [*]"
            raise ValueError(message)
        place, quoted, key = found.groups()
        steps.append(None if place == "*" else int(place) if place else quoted if quoted is not None else key)
        at = found.end()
        if path[at : at + 1] == ".":
            at += 1
    return tuple(steps)


def found_at(value: Any, path: str) -> Any:
    """What is at a path; MISSING where there is nothing."""
    for step in steps(path):
        if isinstance(step, str):
            value = value.get(step, MISSING) if isinstance(value, dict) else MISSING
        elif isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else MISSING
        if value is MISSING:
            return MISSING
    return value


def all_at(value: Any, steps: Sequence[_Step], place: str = "") -> Iterator[tuple[str, Any]]:
    """Every value at a path with places that may be all, and where it is."""
    if not steps:
        yield place, value
        return
    step, rest = steps[0], steps[1:]
    if step is None:
        for number, each in enumerate(value if isinstance(value, list) else ()):
            yield from all_at(each, rest, f"{place}[{number}]")
    elif isinstance(step, int):
        if isinstance(value, list) and step < len(value):
            yield from all_at(value[step], rest, f"{place}[{step}]")
    elif isinstance(value, dict) and step in value:
        yield from all_at(value[step], rest, f"{place}.{step}" if place else step)


def is_path(path: str) -> str:
    if None in steps(path):
        message = f"{path!r} is not one place: [*] is for each alone"
        raise ValueError(message)
    return path
