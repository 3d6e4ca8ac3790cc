"""What is remembered of one link between answers: the offset of a day, when a workout began. Bounded; newest last."""

from typing import Any, Final

import msgspec

_MOST: Final = 400
_LONGEST: Final = 96
_MOST_NUMBERS: Final = 4

_decode = msgspec.json.Decoder(dict[str, list[int]]).decode


class LinkMemory:
    """Some integers by name. One that is put again is the newest."""

    def __init__(self, state: bytes) -> None:
        self._rows: dict[str, list[int]] = _decode(state) if state else {}

    def get(self, name: str) -> list[int] | None:
        """What was put under a name."""
        return self._rows.get(name[:_LONGEST])

    def put(self, name: str, *numbers: int) -> None:
        """Remember it; of what is more than there is room for the oldest is forgotten."""
        assert len(numbers) <= _MOST_NUMBERS
        self._rows.pop(name[:_LONGEST], None)
        self._rows[name[:_LONGEST]] = list(numbers)

    def pairs(self, prefix: str) -> list[tuple[int, int]]:
        """Of all names that begin so, the first two integers."""
        return [(row[0], row[1]) for name, row in self._rows.items() if name.startswith(prefix) and len(row) > 1]

    @property
    def state(self) -> bytes:
        """To be remembered."""
        rows: Any = dict(list(self._rows.items())[-_MOST:])
        return msgspec.json.encode(rows) if rows else b""
