"""Weighings of scales that say the same again and again: each is one, and keeps the time when it was first said."""

from typing import Any, Final, NamedTuple

import msgspec

_MOST: Final = 32
_LONGEST: Final = 64
_WITHIN_US: Final = 300_000_000


class _SaidWeight(NamedTuple):
    """What a scale said: which scale, the weight, when first, when last."""

    scale: str
    weight: float
    first_us: int
    last_us: int


class Repeats:
    """What is remembered of scales: the newest weighings, each until nothing was said of it for five minutes."""

    def __init__(self, state: bytes) -> None:
        rows: list[Any] = msgspec.json.decode(state) if state else []
        self._rows = [_SaidWeight(*row) for row in rows]

    def first_us(self, scale: str, weight: float, at_us: int) -> int:
        """When this weighing was first said: now, or a while ago."""
        scale = scale[:_LONGEST]
        for place, row in enumerate(self._rows):
            if (row.scale, row.weight) == (scale, weight) and abs(at_us - row.last_us) <= _WITHIN_US:
                self._rows[place] = row._replace(last_us=max(row.last_us, at_us))
                return row.first_us
        self._rows.append(_SaidWeight(scale, weight, at_us, at_us))
        if len(self._rows) > _MOST:
            del self._rows[min(range(_MOST), key=lambda place: self._rows[place].last_us)]
        return at_us

    @property
    def state(self) -> bytes:
        """To be remembered."""
        self._rows.sort(key=lambda row: row.last_us)
        return msgspec.json.encode(self._rows[-_MOST:]) if self._rows else b""
