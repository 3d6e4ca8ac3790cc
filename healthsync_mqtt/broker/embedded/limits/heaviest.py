"""Who holds most, of very many holders, without asking all of them. Pure."""

from collections.abc import Callable, Hashable
from itertools import islice
from typing import Final, Generic, TypeVar

H = TypeVar("H", bound=Hashable)

_STEPS_BITS: Final = 8
_ASKED: Final = 64
"""Holders of the highest step that are compared."""


class Heaviest(Generic[H]):
    """Holders by steps of what they hold, some 200 of them up to ``most`` of one holder.

    Who is found is on the highest step there is: nobody holds more by as much as a step.
    """

    __slots__ = ("_shift", "_steps")

    def __init__(self, most: int) -> None:
        self._shift = max(0, most.bit_length() - _STEPS_BITS)
        self._steps: dict[int, dict[H, None]] = {}

    def moved(self, holder: H, before: int, now: int) -> None:
        """A holder holds so much now, and held so much before; 0: nothing."""
        old = before >> self._shift if before > 0 else -1
        new = now >> self._shift if now > 0 else -1
        if old == new:
            return
        if old >= 0:
            step = self._steps[old]
            del step[holder]
            if not step:
                del self._steps[old]
        if new >= 0:
            self._steps.setdefault(new, {})[holder] = None

    def find(self, held: Callable[[H], int]) -> H | None:
        """Who holds most; None: nobody holds anything."""
        if not self._steps:
            return None
        return max(islice(self._steps[max(self._steps)], _ASKED), key=held)
