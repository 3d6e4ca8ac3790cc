"""Numbers over time, thinned for a picture: a bucket keeps its lowest, its highest and its mean, or its sum.

Pure. Buckets have widths that clocks have, and begin on the clock of the viewer, so that the same question has the
same answer a moment later.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

_MS: Final = 1_000
WIDTHS_S: Final = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 604_800
)  # fmt: skip
"""Widths of buckets in seconds."""


class Thinned(NamedTuple):
    """Columns of one length, in order of time. ``width_s`` is 0 where each number stands for itself.

    ``at`` are milliseconds since the epoch: of a bucket its beginning.
    """

    width_s: int
    at: list[int]
    value: list[float]
    low: list[float]
    high: list[float]


def width_for(span_us: int, most: int) -> int:
    """The narrowest width by which a span has at most so many buckets; whole weeks where none is wide enough."""
    needed = span_us / 1_000_000 / most
    week = WIDTHS_S[-1]
    return next((width for width in WIDTHS_S if width >= needed), week * math.ceil(needed / week))


def thinned(
    points: Sequence[tuple[int, float]], *, span_us: int, most: int, adds_up: bool, offset_s: int = 0
) -> Thinned:
    """``points`` are microseconds and numbers, in order of time; no more of them than ``most`` stay as they are.

    Of what ``adds_up`` a bucket has the sum. ``offset_s`` is the viewer's clock, ahead of UTC.
    """
    if len(points) <= most:
        values = [number for _, number in points]
        return Thinned(0, [at_us // _MS for at_us, _ in points], values, values, values)
    width_s = width_for(span_us, most)
    width_us, offset_us = width_s * 1_000_000, offset_s * 1_000_000
    found = Thinned(width_s, [], [], [], [])
    held: list[float] = []
    bucket: int | None = None

    def close(number: int) -> None:
        total = math.fsum(held)
        found.at.append((number * width_us - offset_us) // _MS)
        found.value.append(total if adds_up else total / len(held))
        found.low.append(min(held))
        found.high.append(max(held))

    for at_us, number in points:
        place = (at_us + offset_us) // width_us
        if bucket is not None and place != bucket:
            close(bucket)
            held.clear()
        bucket = place
        held.append(number)
    if bucket is not None:
        close(bucket)
    return found
