"""Log lines that clients can cause: the first at once, then some in a while with the number left out. Pure."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, NamedTuple

_EVERY_S: Final = 10.0
_REMEMBER: Final = 1_000
_MOST: Final = 200
"""Lines in such a while, whoever causes them: there is no end of addresses."""


class _Said(NamedTuple):
    since: float
    lines: int
    left_out: int


class Notices:
    """What was said when, by key. Remembers a bounded number of keys."""

    def __init__(self, every_s: float = _EVERY_S, most: int = _MOST) -> None:
        self._every_s = every_s
        self._most = most
        self._said: OrderedDict[Hashable, _Said] = OrderedDict()
        self._all = _Said(float("-inf"), 0, 0)

    def due(self, key: Hashable, now: float, burst: int = 1) -> int | None:
        """How many were left out since the last line when this one is to be written, else None; ``now`` monotonic.

        ``burst`` lines of one key are written in a while.
        """
        said = self._said.pop(key, None)
        fresh = said is None or now - said.since >= self._every_s
        if said is None or fresh:
            said = _Said(now, 0, 0 if said is None else said.left_out)
        due = said.lines < burst and self._has_room(now)
        if due:
            self._said[key] = _Said(said.since, said.lines + 1, 0)
        else:
            self._said[key] = said._replace(left_out=said.left_out + 1)
        while len(self._said) > _REMEMBER:
            self._said.popitem(last=False)
        return said.left_out if due else None

    def _has_room(self, now: float) -> bool:
        """Whether all together may have one more line; then it is counted."""
        if now - self._all.since >= self._every_s:
            self._all = _Said(now, 0, 0)
        if self._all.lines >= self._most:
            return False
        self._all = self._all._replace(lines=self._all.lines + 1)
        return True
