"""How soon after a long message the next one is read, while others send. Pure.

A message is one commit, and a commit of tens of thousands of events takes a part of a second, in which nobody else's
PUBACK goes out. So that it shows in no more than one of a hundred of theirs, long messages rest in proportion: who
sends them waits, and where nobody else sends nobody waits.
"""

from typing import Final

_SHARE: Final = 100
"""A commit of a long message is followed by so many times as long without another."""
_MOST_S: Final = 30.0
"""And by no more than this."""
_OTHERS_S: Final = 2.0
"""Others send if they did within so long."""


class Pace:
    """Times are of one clock, in seconds."""

    def __init__(self) -> None:
        self._others_at = float("-inf")
        self._next_at = float("-inf")

    def others(self, now: float) -> None:
        """Something that is not long came in."""
        self._others_at = now

    def committed(self, took_s: float, now: float) -> None:
        """The commit of a long message is over, and took so long from its first row on."""
        self._next_at = now + min(_MOST_S, took_s * _SHARE)

    def wait_s(self, now: float) -> float:
        """Seconds until the next long message may be read; 0: now."""
        if now - self._others_at > _OTHERS_S:
            return 0.0
        return max(0.0, self._next_at - now)
