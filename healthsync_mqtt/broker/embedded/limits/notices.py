"""Log lines that strangers can cause: the first at once, then one in a while with the number left out. Pure."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

_EVERY_S: Final = 10.0
_REMEMBER: Final = 1_000


class Notices:
    """What was said when, by key. Remembers a bounded number of keys."""

    def __init__(self, every_s: float = _EVERY_S) -> None:
        self._every_s = every_s
        self._said: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def due(self, key: Hashable, now: float) -> int | None:
        """How many were left out since the last line when this one is to be written, else None; ``now`` monotonic."""
        said = self._said.pop(key, None)
        if said is not None and now - said[0] < self._every_s:
            self._said[key] = (said[0], said[1] + 1)
            return None
        self._said[key] = (now, 0)
        while len(self._said) > _REMEMBER:
            self._said.popitem(last=False)
        return 0 if said is None else said[1]
