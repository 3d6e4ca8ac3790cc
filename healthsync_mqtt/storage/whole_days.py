"""Which days of a time are whole. What is counted by day is read for these; of the others the rows are looked at."""

from typing import Final, NamedTuple

DAY_US: Final = 86_400_000_000


class CutDay(NamedTuple):
    """A part of a day, from ``since`` on and before ``until``, in microseconds."""

    day: int
    since: int
    until: int


class WholeDays(NamedTuple):
    """The days from ``first`` on and before ``end``, and the parts beside them; None: there is no such bound."""

    first: int | None
    end: int | None
    parts: tuple[CutDay, ...]

    @classmethod
    def between(cls, since_us: int | None, until_us: int | None) -> "WholeDays":
        """Of a time from ``since_us`` on and before ``until_us``. Within one day there is none, and one part."""
        first = None if since_us is None else -(-since_us // DAY_US)
        end = None if until_us is None else until_us // DAY_US
        if since_us is not None and until_us is not None and first is not None and end is not None and first > end:
            return cls(first, end, (CutDay(end, since_us, until_us),))
        parts = []
        if first is not None and since_us is not None and since_us % DAY_US:
            parts.append(CutDay(first - 1, since_us, first * DAY_US))
        if end is not None and until_us is not None and until_us % DAY_US:
            parts.append(CutDay(end, end * DAY_US, until_us))
        return cls(first, end, tuple(parts))

    @property
    def none(self) -> bool:
        """Whether no day is whole for sure: the time is within one."""
        return self.first is not None and self.end is not None and self.first > self.end

    @property
    def since_us(self) -> int | None:
        """Where the first whole day begins."""
        return None if self.first is None else self.first * DAY_US

    @property
    def until_us(self) -> int | None:
        """Where the day after the last whole one begins."""
        return None if self.end is None else self.end * DAY_US
