"""Memory for messages that are longer than a packet may be: charged before it is taken. Pure.

A message that finds no room waits, and so does its connection alone; who holds nothing goes before who holds something,
so one user's apps keep nobody else's out. A place counts until the message is committed: those who hold it while it is
handed on count it twice for a moment, never not at all.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final


class PlaceState(Enum):
    """What a place has come to."""

    WAITING = auto()
    HELD = auto()
    LEFT = auto()


_NEXT: Final = {
    PlaceState.WAITING: {PlaceState.HELD, PlaceState.LEFT},
    PlaceState.HELD: {PlaceState.LEFT},
    PlaceState.LEFT: {PlaceState.LEFT},
}


class RoomPlace:
    """The room of one message. ``then`` is called when it is there, if it was not at once."""

    __slots__ = ("_room", "size", "state", "then", "user")

    def __init__(self, room: "MessageRoom", user: str, size: int, then: Callable[[], None]) -> None:
        """Use ``MessageRoom.ask``."""
        self._room = room
        self.user = user
        self.size = size
        self.then = then
        self.state = PlaceState.WAITING

    @property
    def waits(self) -> bool:
        """Whether there is no room yet."""
        return self.state is PlaceState.WAITING

    def leave(self) -> None:
        """It is needed no more, or not waited for. Idempotent."""
        self._room.left(self)

    def enter(self, state: PlaceState) -> None:
        """For the room alone."""
        assert state in _NEXT[self.state], (self.state, state)
        self.state = state


class MessageRoom:
    """``least``: what is no longer is not counted; ``total``: bytes of all, and so of the longest."""

    def __init__(self, least: int, total: int) -> None:
        self.least = least
        self._total = total
        #: bytes that are charged
        self.used = 0
        self._held: dict[str, int] = {}
        self._waiting: list[RoomPlace] = []

    @property
    def crowded(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def longest(self, wanted: int) -> int:
        """The longest message of whoever may send one of so many bytes: never more than there is room for."""
        return max(self.least, min(wanted, self._total))

    def ask(self, user: str, size: int, then: Callable[[], None]) -> RoomPlace:
        """A place for a message of so many bytes; it may have to wait."""
        place = RoomPlace(self, user, size, then)
        if not self._waiting and self._fits(size):
            self._take(place)
        else:
            self._waiting.append(place)
        return place

    def hold(self, user: str, size: int) -> RoomPlace:
        """A place for what is here already, whether there is room or not."""
        place = RoomPlace(self, user, size, _nothing)
        self._take(place)
        return place

    def left(self, place: RoomPlace) -> None:
        """See ``RoomPlace.leave``."""
        before = place.state
        place.enter(PlaceState.LEFT)
        if before is PlaceState.HELD:
            self.used -= place.size
            if left := self._held[place.user] - place.size:
                self._held[place.user] = left
            else:
                del self._held[place.user]
        elif before is PlaceState.WAITING:
            self._waiting.remove(place)
        while self._waiting:
            following = next((each for each in self._waiting if each.user not in self._held), self._waiting[0])
            if not self._fits(following.size):
                return  # a long one that waits is not overtaken by short ones
            self._waiting.remove(following)
            self._take(following)
            following.then()

    def _fits(self, size: int) -> bool:
        return not self.used or self.used + size <= self._total

    def _take(self, place: RoomPlace) -> None:
        place.enter(PlaceState.HELD)
        self.used += place.size
        self._held[place.user] = self._held.get(place.user, 0) + place.size


def _nothing() -> None:
    pass
