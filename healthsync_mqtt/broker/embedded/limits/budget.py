"""Bytes that many holders keep of one store. Pure.

A full store takes nothing more from whoever holds most. Everybody else is made room for by that one, who loses half:
so a few that want everything cost those who keep little nothing.
"""


class ByteBudget:
    """``total`` bytes for everybody, at most ``each`` for one holder."""

    __slots__ = ("_total", "each", "used")

    def __init__(self, total: int, each: int) -> None:
        self._total = total
        #: the most bytes of one holder
        self.each = each
        #: bytes taken now
        self.used = 0

    def room(self, size: int) -> bool:
        """Whether the store has room for so many bytes."""
        return self.used + size <= self._total

    def fits(self, held: int, size: int) -> bool:
        """Whether a holder that keeps ``held`` bytes may keep ``size`` more."""
        return held + size <= self.each and self.room(size)

    def take(self, size: int) -> None:
        """Count bytes, whether they fit or not: what must be kept is kept."""
        self.used += size

    def give_back(self, size: int) -> None:
        """Bytes that are kept no more."""
        self.used -= size
