"""Bytes that requests have this process hold: bodies as they arrive, answers until they are taken."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from healthsync_mqtt.broker.embedded.limits.budget import ByteBudget
from healthsync_mqtt.gateway.bodies.problem import HttpError

_SHARES: Final = 4
"""So many that take as much as they may fill a room."""
_LEAST_SHARE: Final = 2_097_152
"""What everybody may have of it at least, where there is as much: the longest body and another one."""
_AGAIN_S: Final = 1.0


class Room:
    """``most`` bytes for everybody. Nobody takes more than a quarter, so that one who is slow leaves others room."""

    def __init__(self, most: int, what: str) -> None:
        """``what`` is what waits, in words."""
        self._budget = ByteBudget(most, min(most, max(most // _SHARES, _LEAST_SHARE)))
        self._what = what
        self._of: Counter[str] = Counter()

    @property
    def used(self) -> int:
        """Bytes that are taken now."""
        return self._budget.used

    @contextmanager
    def taken_by(self, who: str) -> Iterator[Callable[[int], None]]:
        """Takes bytes for somebody, a piece at a time, until it is left. HttpError 503 for a piece without room."""
        mine = 0

        def take(size: int) -> None:
            nonlocal mine
            if not self._budget.fits(self._of[who], size):
                raise HttpError(
                    503, "busy", f"too many {self._what} wait", hint="ask again later", retry_after_s=_AGAIN_S
                )
            self._budget.take(size)
            self._of[who] += size
            mine += size

        try:
            yield take
        finally:
            self._budget.give_back(mine)
            self._of[who] -= mine
            if not self._of[who]:
                del self._of[who]
