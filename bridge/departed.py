"""What connections left behind that are gone: what is good of it is stored, and a bounded number of refusals. Pure.

Nobody is told any more what became of it: what came with QoS 1 and is not answered, its client sends again, and it is
refused then. To refuse all of it now would be minutes of work at everybody's cost.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from bridge.group import WaitingDelivery
from healthsync_mqtt.model.delivery import OWN_FORM, Delivery, Source

MOST_REFUSED: Final = 1_000
"""Refusals of a user's connections that are still written once those are gone: coming back changes nothing."""


class Sifted(NamedTuple):
    """What is left to store, what nothing is left of, how many events are dropped, and whose rest is too much."""

    kept: list[WaitingDelivery]
    nothing: list[WaitingDelivery]
    dropped: int
    beyond: list[Source]


class Departed:
    """Sources that are gone while something of theirs waits."""

    def __init__(self) -> None:
        self._sources: set[Source] = set()
        #: those of them whose refusals were too many
        self._beyond: set[Source] = set()
        #: refusals that are left to a user
        self._left: dict[str, int] = {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._sources)

    def add(self, source: Source) -> None:
        """It is gone."""
        self._sources.add(source)

    def keep(self, waits: Callable[[Source], bool]) -> None:
        """Forget those of whom nothing waits any more."""
        self._sources = {source for source in self._sources if waits(source)}
        self._beyond &= self._sources
        if not self._sources:
            self._left.clear()

    def sift(self, group: Sequence[WaitingDelivery]) -> Sifted:
        """Take out of a group the refusals that are too many, and say whose they are, once of each."""
        found = Sifted([], [], 0, [])
        dropped = 0
        for each in group:
            delivery, decoded = each.delivery, each.decoded
            source, user, refused = delivery.source, delivery.origin.user, len(decoded.rejections)
            if not refused or source not in self._sources or not is_droppable(delivery):
                found.kept.append(each)
                continue
            left = self._left.get(user, MOST_REFUSED)
            may = min(refused, left)
            self._left[user] = left - may
            if may == refused:
                found.kept.append(each)
                continue
            dropped += refused - may
            if source not in self._beyond:
                self._beyond.add(source)
                found.beyond.append(source)
            rest = each._replace(decoded=decoded._replace(rejections=decoded.rejections[:may]))
            (found.kept if may or decoded.events else found.nothing).append(rest)
        return found._replace(dropped=dropped)


def is_droppable(delivery: Delivery) -> bool:
    """Whether nothing but events hangs on it: a message of a format leaves something behind for the next."""
    return delivery.form == OWN_FORM
