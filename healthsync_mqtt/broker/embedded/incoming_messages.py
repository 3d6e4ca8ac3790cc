"""The long messages of one connection while they come in: each has room before it is kept, or its client waits.

Whoever has room and lets it lie idle while others want it is cut off: at a fair pace it is back soon.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from healthsync_mqtt.mqtt.codec.packets import Skipped
from healthsync_mqtt.mqtt.message_room import MessageRoom, RoomPlace

_LEAST_RATE: Final = 262_144
_GRACE_S: Final = 30.0
"""A message has so long, and a second more for so many bytes, before it goes for others that wait."""


class IncomingMessages:
    """On the event loop. ``may`` says whether a message may be so long, for its client and its topic."""

    def __init__(
        self,
        room: MessageRoom,
        user: str,
        may: Callable[[Skipped], bool],
        *,
        hold: Callable[[], None],
        go_on: Callable[[], None],
        too_slow: Callable[[], None],
        grace_s: float = _GRACE_S,
    ) -> None:
        """``hold`` is called when the client is to be read no further, ``go_on`` when there is room."""
        self._room = room
        self._user = user
        self._may = may
        self._hold = hold
        self._go_on = go_on
        self._too_slow = too_slow
        self._grace_s = grace_s
        self._places: list[RoomPlace] = []
        self._timer: asyncio.TimerHandle | None = None

    def keeps(self, head: Skipped) -> bool:
        """Whether a message that begins so is kept; asked once of each."""
        if not self._may(head):
            return False
        place = self._room.ask(self._user, head.size, self._go_on)
        self._places.append(place)
        if place.waits:
            self._hold()
        self._watch(self._grace_s + head.size / _LEAST_RATE)
        return True

    def handed_on(self, *, keeping: bool) -> None:
        """What had come in whole is with the journal, which has charged it; ``keeping``: the newest is still coming."""
        while len(self._places) > keeping:
            self._places.pop(0).leave()
        if not self._places and self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        """The connection is over."""
        self.handed_on(keeping=False)

    def _watch(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        if any(place.waits for place in self._places) or not self._room.crowded:
            self._watch(self._grace_s)
        elif self._places:
            self._too_slow()
