"""What a type comes to on one local day of a user: a pure function of the parts, whatever order they came in.

Sources are ordered: first those that the user prefers, in that order; then what is worn on the body, what is neither,
and phones; then by name. Where two measured the same, the first of them counts: not their sum, and not one for all.
"""

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final, NamedTuple

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event_type import EventType
from healthsync_mqtt.model.points import US
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.summaries.part import (
    DAY_US,
    Contribution,
    DayRule,
    Numbers,
    Pause,
    fields_of,
    go_on,
    local_day,
    rule_of,
)

_DECIMALS: Final = 6
_OTHERS: Final = 1_000_000

_STRETCH: Final = 256
"""Rows between two pauses."""

Rank = tuple[int, int, str]
Ranking = Callable[[Contribution], Rank]


class DayFigures(NamedTuple):
    """What a type comes to: its figures, as people see them, and where the user was: of the last part of the day."""

    figures: dict[str, Any]
    at_us: int
    offset_us: int | None


def ranking(preferred: Sequence[str]) -> Ranking:
    """The order of sources, the best first."""
    places = {name: place for place, name in enumerate(preferred)}

    def rank(part: Contribution) -> Rank:
        return places.get(part.source, _OTHERS), part.worn, part.source

    return rank


def outcome(
    type_name: str, day: int, parts: Iterable[Contribution], preferred: Sequence[str] = (), pause: Pause = go_on
) -> DayFigures | None:
    """What a type comes to on a day, of every part that may touch it; None where nothing does."""
    of = CATALOGUE[type_name]
    rule = rule_of(of)
    if rule is None:
        return None
    rank = ranking(preferred)
    found = _OF_RULE[rule](of, day, list(parts), rank, pause)
    if found is None:
        return None
    figures, used = found
    placed = [part for part in used if part.placed]
    last = max(placed or used, key=lambda part: (part.until_us, part.id))
    best: dict[str, Rank] = {}
    for part in used:
        pause()
        ranked = rank(part)
        best[part.source] = min(ranked, best.get(part.source, ranked))
    return DayFigures(
        figures | {"sources": sorted(best, key=best.__getitem__)}, last.until_us, last.offset_us if placed else None
    )


_Found = tuple[dict[str, Any], list[Contribution]] | None


def _rows(parts: Iterable[Contribution], pause: Pause) -> Iterator[tuple[Contribution, int, Numbers]]:
    """Every row with the part that it is of."""
    for part in parts:
        pause()
        for place, (at_us, numbers) in enumerate(part.rows, 1):
            if place % _STRETCH == 0:
                pause()
            yield part, at_us, numbers


def _shared(of: EventType, day: int, parts: list[Contribution], rank: Ranking, pause: Pause) -> _Found:
    """At any time the best of what lasts counts, with its share; what has no length counts where none of them lasts."""
    lasting = sorted((part for part in parts if part.until_us > part.start_us), key=lambda part: part.start_us)
    shares: list[tuple[float, Contribution]] = []
    waiting: list[tuple[Any, int, Contribution]] = []
    edges = sorted({edge for part in lasting for edge in (part.start_us, part.until_us)})
    at = 0
    for begin, end in pairwise(edges):
        pause()
        while at < len(lasting) and lasting[at].start_us <= begin:
            part = lasting[at]
            heapq.heappush(waiting, ((rank(part), part.start_us, -part.until_us, part.id), at, part))
            at += 1
        while waiting and waiting[0][2].until_us <= begin:
            heapq.heappop(waiting)
        if waiting:
            part = waiting[0][2]
            within = _within(day, part, begin, end)
            if within:
                shares.append((within / (part.until_us - part.start_us), part))
    best: dict[int, Contribution] = {}
    for part in parts:
        pause()
        if part.until_us == part.start_us and local_day(part.start_us, part.offset_us) == day:
            before = best.get(part.start_us)
            if before is None or (rank(part), part.id) < (rank(before), before.id):
                best[part.start_us] = part
    shares += [(1.0, best[at_us]) for at_us in _uncovered(lasting, sorted(best))]
    return _summed(of, shares)


def _uncovered(lasting: list[Contribution], moments: list[int]) -> Iterator[int]:
    """The moments at which none of them lasts; both are in order of time."""
    at, covered_us = 0, -(2**63)
    for at_us in moments:
        while at < len(lasting) and lasting[at].start_us <= at_us:
            covered_us = max(covered_us, lasting[at].until_us)
            at += 1
        if covered_us <= at_us:
            yield at_us


def _portions(of: EventType, day: int, parts: list[Contribution], rank: Ranking, pause: Pause) -> _Found:
    """All of the best source of each time; what lasts over midnight is divided there."""
    groups: dict[tuple[int, int], list[Contribution]] = {}
    for part in parts:
        groups.setdefault((part.start_us, part.until_us), []).append(part)
    shares = []
    for (start_us, end_us), group in groups.items():
        best = min(map(rank, group))
        for part in group:
            pause()
            if rank(part) != best:
                continue
            if end_us > start_us:
                share = _within(day, part, start_us, end_us) / (end_us - start_us)
            else:
                share = float(local_day(start_us, part.offset_us) == day)
            if share:
                shares.append((share, part))
    return _summed(of, shares)


def _within(day: int, part: Contribution, begin: int, end: int) -> int:
    """How much of a stretch of time lies in the day, on the clock of the part."""
    midnight = day * DAY_US - part.offset_us
    return max(0, min(end, midnight + DAY_US) - max(begin, midnight))


def _summed(of: EventType, shares: list[tuple[float, Contribution]]) -> _Found:
    if not shares:
        return None
    figures: dict[str, Any] = {}
    for place, field in enumerate(fields_of(of)):
        said = [share * number for share, part in shares if (number := part.rows[0][1][place]) is not None]
        if said:
            figures[field] = _rounded(of, field, math.fsum(said))
    return figures, [part for _, part in shares]


def _moments(of: EventType, day: int, parts: list[Contribution], rank: Ranking, pause: Pause) -> _Found:
    """Of each moment what its best source says: the statistics of its number; of several numbers each has its own."""
    moments: dict[int, list[tuple[Rank, Numbers, Contribution]]] = {}
    ranks: dict[int, Rank] = {}
    for part, at_us, numbers in _rows(parts, pause):
        if local_day(at_us, part.offset_us) == day:
            ranked = ranks.get(id(part)) or ranks.setdefault(id(part), rank(part))
            moments.setdefault(at_us, []).append((ranked, numbers, part))
    kept: list[tuple[Numbers, Contribution]] = []
    for place, said in enumerate(moments.values(), 1):
        if place % _STRETCH == 0:
            pause()
        best = min(map(itemgetter(0), said))
        kept += [(numbers, part) for its, numbers, part in said if its == best]
    if not kept:
        return None
    fields = fields_of(of)
    each = {
        field: _statistics(of, field, told)
        for place, field in enumerate(fields)
        if (told := [number for row, _ in kept if (number := row[place]) is not None])
    }
    figures = next(iter(each.values())) if len(fields) == 1 and each else each
    return dict(figures), list({part.id: part for _, part in kept}.values())


def _statistics(of: EventType, field: str, numbers: list[float]) -> dict[str, Any]:
    return {
        "mean": _rounded(of, field, math.fsum(numbers) / len(numbers), whole=False),
        "min": _rounded(of, field, min(numbers), whole=False),
        "max": _rounded(of, field, max(numbers), whole=False),
        "count": len(numbers),
    }


def _last(of: EventType, day: int, parts: list[Contribution], rank: Ranking, pause: Pause) -> _Found:
    """The latest of the day; of one moment that of the best source."""
    found = [
        (at_us, rank(part), part.id, numbers, part)
        for part, at_us, numbers in _rows(parts, pause)
        if local_day(at_us, part.offset_us) == day
    ]
    if not found:
        return None
    latest = max(map(itemgetter(0), found))
    at_us, _, _, numbers, part = min((each for each in found if each[0] == latest), key=itemgetter(1, 2))
    return _said(of, numbers) | {"at": iso(at_us)}, [part]


def _word(of: EventType, day: int, parts: list[Contribution], rank: Ranking, pause: Pause) -> _Found:
    """The last word of the best source that says something of the day."""
    found = [
        (rank(part), -at_us, part.id, numbers, part)
        for part, at_us, numbers in _rows(parts, pause)
        if local_day(at_us, part.offset_us) == day
    ]
    if not found:
        return None
    _, _, _, numbers, part = min(found, key=itemgetter(0, 1, 2))
    return _said(of, numbers), [part]


def _longest(of: EventType, day: int, parts: list[Contribution], rank: Ranking, pause: Pause) -> _Found:
    """The longest that ends on the day; the user's order of sources goes before length."""
    ended = [part for part in parts if local_day(part.until_us, part.offset_us) == day]
    if not ended:
        return None

    def order(part: Contribution) -> Any:
        pause()
        preferred, worn, name = rank(part)
        return preferred, part.start_us - part.until_us, worn, name, part.start_us, part.id

    part = min(ended, key=order)
    figures: dict[str, Any] = {"start_time": iso(part.start_us), "end_time": iso(part.until_us)}
    figures |= {"duration_s": _plain((part.until_us - part.start_us) / US)}
    return figures | _said(of, part.rows[0][1]), [part]


def _said(of: EventType, numbers: Numbers) -> dict[str, Any]:
    return {
        field: _rounded(of, field, number)
        for field, number in zip(fields_of(of), numbers, strict=True)
        if number is not None
    }


def _rounded(of: EventType, field: str, number: float, *, whole: bool = True) -> float:
    """As people see it: what is counted in whole things is whole (half a step is none that anybody made)."""
    unit = next((each.unit for each in of.quantities if each.field == field), "")
    return round(number) if whole and unit.startswith("{") else _plain(number)


def _plain(number: float) -> float:
    found = round(number, _DECIMALS)
    return int(found) if found == int(found) else found


_OF_RULE: Final[Mapping[DayRule, Callable[[EventType, int, list[Contribution], Ranking, Pause], _Found]]] = {
    DayRule.SHARED: _shared,
    DayRule.PORTIONS: _portions,
    DayRule.MOMENTS: _moments,
    DayRule.LAST: _last,
    DayRule.WORD: _word,
    DayRule.LONGEST: _longest,
}
