"""What modules find in synthetic lives against what was planted there: precision and recall of each kind.

What is found of a subject on days that follow each other, with less than ``_APART`` between them, is one thing that a
person hears; it is right where it overlaps what was planted, with the days that a module may be late. A kind is not
asked about another kind's changes of the same subject: a week of illness is no trend, but nor is it wrong to see one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from healthsync_mqtt.insights.evaluation import Found, look_at
from healthsync_mqtt.insights.port import Insight
from tests.support.lives import Life, Planted, life

_APART: Final = 10
_LATE: Final = 35


@dataclass(frozen=True, slots=True)
class Score:
    """``hits`` of what was ``planted`` were found; ``right`` of what was ``said`` was planted."""

    planted: int = 0
    hits: int = 0
    said: int = 0
    right: int = 0

    @property
    def precision(self) -> float:
        """How much of what was said was so."""
        return self.right / self.said if self.said else 1.0

    @property
    def recall(self) -> float:
        """How much of what was so was said."""
        return self.hits / self.planted if self.planted else 1.0

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.planted + other.planted, self.hits + other.hits, self.said + other.said, self.right + other.right
        )


def backtest(insights: Mapping[str, Insight], seeds: Iterable[int]) -> dict[str, Score]:
    """By kind, over all lives."""
    total = dict.fromkeys(insights, Score())
    for seed in seeds:
        made = life(seed)
        found = look_at(insights.values(), made.days, made.values, made.readings, _fail)
        for kind in total:
            total[kind] += score(kind, made, found)
    return total


def score(kind: str, made: Life, found: Found) -> Score:
    """Of one life."""
    planted = [each for each in made.planted if each.kind == kind]
    others = [each for each in made.planted if each.kind != kind]
    said = [each for each in _episodes(kind, found) if not any(_about(each, other) for other in others)]
    said += [each for each in _episodes(kind, found) if each not in said and any(_is(each, one) for one in planted)]
    return Score(
        planted=len(planted),
        hits=sum(any(_is(each, one) for each in said) for one in planted),
        said=len(said),
        right=sum(any(_is(each, one) for one in planted) for each in said),
    )


def _episodes(kind: str, found: Found) -> list[Planted]:
    days: dict[tuple[str, str], list[int]] = {}
    for (of, day), findings in found.items():
        for each in findings if of == kind else ():
            days.setdefault((each.subject, each.what), []).append(day)
    episodes = []
    for (subject, what), on in days.items():
        first = last = min(on)
        for day in sorted(on):
            if day - last > _APART:
                episodes.append(Planted(kind, subject, what, first, last))
                first = day
            last = day
        episodes.append(Planted(kind, subject, what, first, last))
    return episodes


def _is(said: Planted, planted: Planted) -> bool:
    same = (said.subject, said.what) == (planted.subject, planted.what)
    return same and said.first <= planted.last + _LATE and planted.first <= said.last


def _about(said: Planted, other: Planted) -> bool:
    same = said.subject.rstrip("0123456789_") == other.subject.rstrip("0123456789_")
    return same and said.first <= other.last + 60 and other.first <= said.last


def _fail(kind: str, error: Exception) -> None:
    raise AssertionError(kind) from error
