"""How soon after a part of a long message the next one is stored, while others send. Pure.

While a part is written nobody else is acknowledged, and each part brings nearer what a log does now and then for many
rows at once. So that others hardly notice, parts rest in proportion; where nobody else sends nothing rests.
"""

from typing import Final

_SHARE: Final = 3
"""The commit of a part is followed by so many times as long without another."""
_MOST_S: Final = 0.25
"""And by no more than this."""
_OTHERS_S: Final = 2.0
"""Others send if they did within so long."""


class Pace:
    """Times are of one clock, in seconds."""

    def __init__(self) -> None:
        self._others_at = float("-inf")
        self._next_at = float("-inf")

    def others(self, now: float) -> None:
        """Something of somebody else came in."""
        self._others_at = now

    def stored(self, took_s: float, now: float) -> None:
        """A part is durable, which took so long from its first row on."""
        self._next_at = now + min(_MOST_S, took_s * _SHARE)

    def others_send(self, now: float) -> bool:
        """Whether somebody may notice how long a part takes."""
        return now - self._others_at <= _OTHERS_S

    def wait_s(self, now: float) -> float:
        """Seconds until the next part may be written; 0: now."""
        return max(0.0, self._next_at - now) if self.others_send(now) else 0.0
