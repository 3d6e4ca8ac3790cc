"""Who came to the door lately and never said, or never could say, who they are: by reason and address. Pure."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

_MOST: Final = 500


@dataclass(slots=True)
class TurnedAway:
    """Connections from one address that ended for one reason before a login; times in microseconds since the epoch."""

    reason: str
    address: str
    count: int
    first_us: int
    last_us: int


class Strangers:
    """Bounded; who was turned away longest ago is forgotten first. A restart forgets all: they come again."""

    def __init__(self) -> None:
        self._lately: OrderedDict[tuple[str, str], TurnedAway] = OrderedDict()

    def note(self, reason: str, address: str, now_us: int) -> None:
        """One more of ``address``; ``reason`` is one of the program's own words."""
        found = self._lately.setdefault((reason, address), TurnedAway(reason, address, 0, now_us, now_us))
        found.count += 1
        found.last_us = now_us
        self._lately.move_to_end((reason, address))
        if len(self._lately) > _MOST:
            self._lately.popitem(last=False)

    def newest(self) -> list[TurnedAway]:
        """All that are remembered, the newest first."""
        return list(reversed(self._lately.values()))
