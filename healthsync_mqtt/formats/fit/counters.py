"""Counters that only go up: which readings belong together, and what came between those of a day that many files tell.

A reading that does not fit between its neighbours is none; a counter that was set back begins anew.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec

_QUARTER_S: Final = 900
_NEAR: Final = 10
"""Readings before a fall that are looked at, to tell a counter that was set back from one that leapt and returned."""
_STAYS: Final = 3
"""Readings after a fall that must stay below, for it to be no slip."""
_FALL: Final = 0.2
_LEAP: Final = 0.8
"""A part of a rise: made by one step, it was a leap."""


def runs(values: Sequence[float], begins: Collection[int] = ()) -> list[list[int]]:
    """The places of the readings that fit, run by run. ``begins`` are places where a counter may begin anew.

    A run is the longest choice of readings that never goes down.
    """
    starts = [0, *(place for place in range(1, len(values)) if _set_back(values, place, begins)), len(values)]
    return [[start + place for place in rising(values[start:end])] for start, end in pairwise(starts) if end > start]


def _set_back(values: Sequence[float], place: int, begins: Collection[int]) -> bool:
    before, now = values[place - 1], values[place]
    if now >= before:
        return False
    if place in begins:
        return True
    after = values[place + 1 : place + 1 + _STAYS]
    if now > before * _FALL or len(after) < _STAYS or any(each >= before for each in after):
        return False
    # A leap up and back goes on where it was before it; what rose step by step and is below now was set back.
    since = next((each for each in range(place - 1, max(-1, place - _NEAR - 1), -1) if values[each] <= now), None)
    if since is None:
        return True
    leap = max(upper - lower for lower, upper in pairwise(values[since:place]))
    return leap < _LEAP * (before - values[since])


def rising(values: Sequence[float]) -> list[int]:
    """The places of the longest choice of values that never goes down."""
    ends: list[float] = []
    places: list[int] = []
    before = [-1] * len(values)
    for place, value in enumerate(values):
        length = bisect_right(ends, value)
        before[place] = places[length - 1] if length else -1
        if length == len(ends):
            ends.append(value)
            places.append(place)
        else:
            ends[length], places[length] = value, place
    chosen: list[int] = []
    at = places[-1] if places else -1
    while at >= 0:
        chosen.append(at)
        at = before[at]
    chosen.reverse()
    if len(chosen) > 1:
        # Of two that could be the first, the one that is nearer to the second.
        fitting = [each for each in range(chosen[1]) if values[each] <= values[chosen[1]]]
        chosen[0] = max(fitting, key=lambda each: values[each])
    return chosen


class Between(NamedTuple):
    """What a counter of a day gained up to ``end_s``. The later it starts, the more is known of it."""

    start_s: int
    end_s: int
    amount: float
    known: int
    """How late in its day it starts, in seconds: what starts later replaces what starts earlier."""


class _Stretch(NamedTuple):
    """Readings that one file told in a row: the first and the last of them."""

    first_s: int
    first: float
    last_s: int
    last: float


class DayBook:
    """Counters since midnight of which several files tell: what was read, so that each amount counts once.

    Files may come in any order, and again. An amount is known by its end; when the reading before it comes later, the
    amount is told again, smaller and with a later start.
    """

    MOST: Final = 600

    def __init__(self, state: bytes = b"", *, most: int = MOST) -> None:
        self._most = most
        self._days: dict[tuple[str, int], list[_Stretch]] = {}
        for name, begin_s, stretches in msgspec.json.decode(state) if state else []:
            self._days[name, begin_s] = [_Stretch(*each) for each in stretches]

    @property
    def state(self) -> bytes:
        """To be remembered: the newest days."""
        self._forget()
        rows: list[Any] = [[name, begin_s, stretches] for (name, begin_s), stretches in self._days.items()]
        return msgspec.json.encode(rows) if rows else b""

    def _forget(self) -> None:
        kept, count = {}, 0
        for key in sorted(self._days, key=lambda key: (-key[1], key[0])):
            count += len(self._days[key])
            if count > self._most:
                break
            kept[key] = self._days[key]
        self._days = kept

    def take(self, name: str, begin_s: int, readings: Sequence[tuple[int, float]]) -> Iterator[Between]:
        """The amounts of readings of one counter and one day, which began at ``begin_s``; in order, never going down.

        Where a day began is told to the minute, and not by every file alike.
        """
        day = round(begin_s / _QUARTER_S) * _QUARTER_S
        known = self._days.setdefault((name, day), [])
        before_s, before = begin_s, 0.0
        place = bisect_left(known, (readings[0][0],))  # compared by its first
        if place:
            earlier = known[place - 1]
            # Within a stretch the reading before is not known any more: what was told of it then knew better.
            inside = earlier.last_s >= readings[0][0]
            before_s, before = (earlier.first_s, earlier.first) if inside else (earlier.last_s, earlier.last)
        for at_s, value in readings:
            if at_s > before_s and value > before:
                yield Between(before_s, at_s, value - before, before_s - day + _QUARTER_S)
            if value >= before:
                before_s, before = at_s, value
        following = next((each for each in known if each.first_s > readings[-1][0]), None)
        if following is not None and following.first > before:
            amount = following.first - before
            yield Between(before_s, following.first_s, amount, before_s - day + _QUARTER_S)
        self._keep(known, _Stretch(*readings[0], *readings[-1]))

    @staticmethod
    def _keep(known: list[_Stretch], new: _Stretch) -> None:
        """Put a stretch among those that are known; those that it touches become one with it."""
        touched = [each for each in known if each.first_s <= new.last_s and new.first_s <= each.last_s]
        for each in touched:
            known.remove(each)
        first = min([new, *touched], key=lambda each: each.first_s)
        last = max([new, *touched], key=lambda each: each.last_s)
        insort(known, _Stretch(first.first_s, first.first, last.last_s, last.last))
