"""What one commit makes durable: deliveries that are decoded, or a part of a long one, and chores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bridge.ports import Chore
from bridge.stages.acknowledge import Outcome
from bridge.stages.quarantine import in_parts, quarantined
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.event import Decoded
from healthsync_mqtt.storage.port import Item, Quarantined

GROUP_EVENTS: Final = 5_000
GROUP_BYTES: Final = 8 * 1024 * 1024
"""Bounds of one commit: no further delivery is taken into a group that is so much work or has so many held bytes."""
PORTION: Final = 500
"""Events of a commit that are written before the loop has a round; one without a version takes 20 µs."""

LONG: Final = 10
"""So many bytes, as a power of two, are as much work of a commit as an event: a series is sealed and looked through."""

_EVENT_BYTES: Final = 300
_REFUSED_BYTES: Final = 700
"""What an event takes in memory beside its own bytes, and a refused one more, roughly."""


class WaitingDelivery(NamedTuple):
    """A delivery that waits for its commit, the bytes that it holds until then, and what that commit does beside.

    ``of``: it is a part of this message, and ``decoded`` has the events of the part.
    """

    delivery: Delivery
    decoded: Decoded
    size: int
    chore: Chore | None = None
    of: "Instalments | None" = None


class Portion(NamedTuple):
    """What is written at once. With it, so many deliveries have all of their events written; 0: it ends within one."""

    items: Sequence[Item]
    refused: Sequence[Quarantined]
    whole: int
    last: bool


@dataclass(slots=True)
class Group:
    """What one commit makes durable. Each of its chores is written once; the log keeps it over a commit that fails.

    A part of a long message is the last of ``waiting``.
    """

    waiting: list[WaitingDelivery]
    chores: list[Chore]
    written: int = 0
    refused: list[Quarantined] = field(default_factory=list)
    #: of all events in their order, 0 for a duplicate
    seqs: list[int] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def part(self) -> "Instalments | None":
        """The message that the last of them is a part of."""
        return self.waiting[-1].of if self.waiting else None

    def portions(self, received_us: int, most: int = PORTION) -> Iterator[Portion]:
        """All of it, a portion of about ``most`` events after the other.

        ``refused`` is of those deliveries that were reached.
        """
        make = tuple.__new__  # half the price of Item(...)
        items: list[Item] = []
        work = 0
        self.refused = []
        for place, (delivery, (_, events, rejections, _, size, _, _), _, _, _) in enumerate(self.waiting):
            if work >= most:
                yield Portion(items, (), place, last=False)
                items, work = [], 0
            origin = delivery.origin
            count = len(events)
            cost = count if size < count << LONG else size >> LONG
            if cost <= most:
                items += [make(Item, (origin, event)) for event in events]
                work += cost
            else:
                for event in events:
                    if work >= most:
                        yield Portion(items, (), 0, last=False)
                        items, work = [], 0
                    items.append(make(Item, (origin, event)))
                    work += max(1, len(event.body) >> LONG)
            if rejections:
                self.refused += quarantined(origin, rejections, received_us)
        yield from self.rejections(items)

    def rejections(self, items: Sequence[Item] = ()) -> Iterator[Portion]:
        """The last portions: what was refused, and with the first of it the last ``items``."""
        parts = list(in_parts(self.refused))
        for number, part in enumerate(parts, 1):
            yield Portion(items, part, len(self.waiting), number == len(parts))
            items = ()

    def part_with(self, some: Sequence[WaitingDelivery]) -> None:
        """Leave out some of its deliveries, and their chores."""
        theirs = set(map(id, some))
        chores = {id(each.chore) for each in some if each.chore is not None}
        self.waiting = [each for each in self.waiting if id(each) not in theirs]
        self.written -= sum(id(chore) in chores for chore in self.chores[: self.written])
        self.chores = [chore for chore in self.chores if id(chore) not in chores]


def waiting_for(delivery: Delivery, decoded: Decoded, chore: Chore | None = None) -> WaitingDelivery:
    """A delivery that holds what came in, and what it was unfolded to in its events."""
    size = len(delivery.payload) + decoded.size + _EVENT_BYTES * decoded.total
    if decoded.rejections:
        size += _REFUSED_BYTES * len(decoded.rejections)
    # Half the price of WaitingDelivery(...), once for each message.
    return tuple.__new__(WaitingDelivery, (delivery, decoded, size, chore, None))


class Instalments:
    """A message that is stored in parts, a commit each: what is left of it, and what became of what is durable.

    Its sender is told after the last part, so whoever is not told sends it again, and what was durable by then is
    duplicates. What the message leaves beside its events goes with the last part, and names of events with those.
    """

    def __init__(self, delivery: Delivery, decoded: Decoded, chore: Chore | None = None) -> None:
        whole = waiting_for(delivery, decoded, chore)
        self.delivery = delivery
        self._decoded = decoded
        self._chore = chore
        #: bytes that it holds until its end
        self.size = whole.size
        self._events = self._refused = 0
        self._found = decoded._replace(events=[], rejections=[], aftermath=None)
        self._seqs: list[int] = []

    @property
    def left(self) -> int:
        """Events and refusals that are in no commit yet."""
        return len(self._decoded.events) - self._events + len(self._decoded.rejections) - self._refused

    def following(self, most: int) -> WaitingDelivery:
        """The next part: at most so many events, or, when there are none, half as many refusals."""
        whole = self._decoded
        events = whole.events[self._events : self._events + most]
        self._events += len(events)
        refused = [] if events else whole.rejections[self._refused : self._refused + max(1, most // 2)]
        self._refused += len(refused)
        last = not self.left
        part = whole._replace(events=events, rejections=refused, total=len(events) + len(refused), aftermath=None)
        chore = None if self._chore is None else self._chore.of(events, last=last)
        return WaitingDelivery(self.delivery, part, self.size if last else 0, chore, self)

    def durable(self, outcome: Outcome) -> Outcome | None:
        """A part is durable. When it was the last: what became of all of the message."""
        self._found.events.extend(outcome.decoded.events)
        self._found.rejections.extend(outcome.decoded.rejections)
        self._seqs += outcome.seqs
        if len(self._found.events) + len(self._found.rejections) < self._found.total:
            return None
        self._found.rejections.sort(key=lambda each: each.index)
        return Outcome(self.delivery, self._found, self._seqs)
