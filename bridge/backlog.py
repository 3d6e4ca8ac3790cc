"""Deliveries that are decoded and wait for their commit. Pure.

They go in the order in which they came, as long as one commit takes all of them. Where more waits, who sends little
goes first, and the others take turns: so many refused events, or large batches, of some make nobody else wait for more
than one commit. What one source sent, and what is of one user, stays in its order always.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from bridge.group import WaitingDelivery

LIGHT: Final = 50
"""Work of a commit that everybody has before those who have more."""
_REFUSED: Final = 10
"""A refused event is as much work of a commit as so many others more."""
_SCAN: Final = 4_000
"""Deliveries that are looked at for one commit."""


def work_of(each: WaitingDelivery) -> int:
    """What a delivery costs a commit: about the number of its events."""
    _, _, rejections, total, _, _, _ = each.decoded
    return total + _REFUSED * len(rejections) if rejections else total


class _Line:
    """Deliveries that stay in their order, because of their source or their user."""

    __slots__ = ("keys", "waiting")

    def __init__(self) -> None:
        self.keys: list[object] = []
        self.waiting: deque[WaitingDelivery] = deque()


class Backlog:
    """A queue that is fair when it is long."""

    def __init__(self) -> None:
        self._waiting: deque[WaitingDelivery] = deque()
        self._work = self._held = 0
        self._commits = 0
        #: whether the last commit was of those alone who had little
        self._little = False
        #: the last commit in which a user had more than a little, while the queue is long
        self._served: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def held(self) -> int:
        """Bytes of all of them."""
        return self._held

    @property
    def work(self) -> int:
        """What all of them cost."""
        return self._work

    def append(self, each: WaitingDelivery) -> None:
        """The newest."""
        self._waiting.append(each)
        self._work += work_of(each)
        self._held += each.size

    def clear(self) -> None:
        """Nothing waits any more."""
        self._waiting.clear()
        self._work = self._held = 0

    def change(self, changed: Callable[[WaitingDelivery], WaitingDelivery]) -> None:
        """Replace each by what it has become."""
        self._waiting = deque(map(changed, self._waiting))
        self._work = sum(map(work_of, self._waiting))
        self._held = sum(each.size for each in self._waiting)

    def take(self, work: int, size: int) -> list[WaitingDelivery]:
        """What the next commit has: no further delivery once it is so much work or so many bytes, at least one."""
        if self._work > work:
            return self._fairly(work, size)
        self._served.clear()
        taken: list[WaitingDelivery] = []
        if self._held <= size:
            taken += self._waiting
            self.clear()
            return taken
        held = 0
        while self._waiting and held < size:
            each = self._waiting.popleft()
            held += each.size
            taken.append(each)
        self._held -= held
        self._work -= sum(map(work_of, taken))
        return taken

    def _fairly(self, work: int, size: int) -> list[WaitingDelivery]:
        self._commits += 1
        front = [self._waiting.popleft() for _ in range(min(_SCAN, len(self._waiting)))]
        lines = sorted(_lines(front), key=lambda line: self._served.get(line.waiting[0].delivery.origin.user, 0))
        taken: list[WaitingDelivery] = []
        spent = held = 0

        def pick(line: _Line) -> int:
            nonlocal spent, held
            each = line.waiting.popleft()
            cost = work_of(each)
            spent += cost
            held += each.size
            taken.append(each)
            return cost

        for line in lines:
            little = LIGHT
            while line.waiting and work_of(line.waiting[0]) <= little and spent < work and held < size:
                little -= pick(line)
        # What was little goes by itself, so that it does not wait for the rest either; every other commit is for those.
        self._little = bool(taken) and not self._little
        ring = deque(line for line in lines if line.waiting and not self._little)
        while ring and spent < work and held < size:
            line = ring.popleft()
            self._served[line.waiting[0].delivery.origin.user] = self._commits
            pick(line)
            if line.waiting:
                ring.append(line)
        self._work -= spent
        self._held -= held
        chosen = set(map(id, taken))
        self._waiting.extendleft(each for each in reversed(front) if id(each) not in chosen)
        return taken


def _lines(front: Iterable[WaitingDelivery]) -> list[_Line]:
    """What has to stay in its order, together."""
    by: dict[object, _Line] = {}
    for each in front:
        keys = each.delivery.source, each.delivery.origin.user
        line = by.get(keys[0]) or by.get(keys[1]) or _Line()
        for key in keys:
            other = by.get(key)
            if other is None:
                line.keys.append(key)
            elif other is not line:
                line.waiting.extend(other.waiting)
                line.keys += other.keys
                by.update(dict.fromkeys(other.keys, line))
            by[key] = line
        line.waiting.append(each)
    return list(dict.fromkeys(by.values()))
