"""The times of a FIT file: which are times at all, and which are far from all others."""

from collections.abc import Sequence
from typing import Final, TypeGuard

from healthsync_mqtt.formats.fit.counters import rising
from healthsync_mqtt.formats.reading.moment import Moment

EPOCH_S: Final = 631_065_600
"""1989-12-31, from which FIT counts."""
_SET_FROM: Final = 0x10000000
"""A smaller time counts from when the device was switched on: its clock was not set."""
_APART_S: Final = 2 * 86_400
_APART_IN_ORDER_S: Final = 6 * 3600
_FEW: Final = 3


def is_set(raw: object) -> TypeGuard[int]:
    """Whether a number is a time, and not one of a clock that nobody had set."""
    return isinstance(raw, int) and raw >= _SET_FROM


def moment_of(raw: float, offset_s: int | None = None) -> Moment:
    """The moment of a time that is one."""
    return Moment(round((raw + EPOCH_S) * 1_000_000), offset_s)


def steady(times: Sequence[float], *, ordered: bool = False) -> set[int]:
    """The places of times that belong together: those of a few that are hours from all others are wrong.

    ``ordered``: they were written as they came, so that one which goes back, or from which all go back, is wrong too.
    """
    apart = _APART_IN_ORDER_S if ordered else _APART_S
    clusters: list[list[int]] = []
    for place in sorted(range(len(times)), key=lambda place: times[place]):
        if clusters and times[place] - times[clusters[-1][-1]] <= apart:
            clusters[-1].append(place)
        else:
            clusters.append([place])
    largest = max(map(len, clusters), default=0)
    few = min(_FEW, largest)
    kept = sorted(place for cluster in clusters if len(cluster) >= few for place in cluster)
    return {kept[each] for each in rising([times[place] for place in kept])} if ordered else set(kept)


def from_low_half(low: int, before: int) -> int:
    """The time of which only the lower 16 bits are told, after another one; a few minutes back are no day ahead."""
    ahead = (low - before) & 0xFFFF
    return before + ahead - (0x10000 if ahead >= 0x10000 - 600 else 0)
