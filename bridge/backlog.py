"""Deliveries that are decoded and wait for their commit. Pure.

They go in the order in which they came, as long as one commit takes all of them and nobody would feel it. Where it is
much, who sends little goes first, in every other commit, and where it is more, the others take turns: so many refused
events, or large batches, of some make nobody else wait for more than one commit. What one source sent, and what is of
one user, stays in its order always.

A message of very many events goes a part at a time: where others wait, every other commit is for them, and messages
take turns. What its source sent behind it waits for it, and nobody else, not even of the same user.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Final

from bridge.group import LONG, Instalments, WaitingDelivery
from healthsync_mqtt.model.delivery import Delivery

LIGHT: Final = 50
"""Work of a commit that everybody has before those who have more."""
MUCH: Final = 250
"""Work of a commit that is felt by those who have little: sealed, it takes the loop five milliseconds to write."""
_REFUSED: Final = 25
"""A refused event is as much work of a commit as so many others more: its row, and what is let in between the rows."""
_SCAN: Final = 4_000
"""Deliveries that are looked at for one commit."""
_user_of: Final = attrgetter("delivery.origin.user")
_source_of: Final = attrgetter("delivery.source")


def work_of(each: WaitingDelivery) -> int:
    """What a delivery costs a commit: about the number of its events, and more where they are long."""
    _, _, rejections, total, size, _, _ = each.decoded
    work = total if size < total << LONG else size >> LONG  # max() costs as much as all of this
    return work + _REFUSED * len(rejections) if rejections else work


class _Line:
    """Deliveries that stay in their order, because of their source or their user."""

    __slots__ = ("keys", "spent", "waiting")

    def __init__(self) -> None:
        self.spent = 0
        self.keys: list[object] = []
        self.waiting: deque[WaitingDelivery] = deque()

    @property
    def work(self) -> int:
        """What all of them cost."""
        return sum(map(work_of, self.waiting))


class Backlog:
    """A queue that is fair when it is long."""

    def __init__(self) -> None:
        self._waiting: deque[WaitingDelivery] = deque()
        self._work = self._held = self._held_long = 0
        self._commits = 0
        #: whether the last commit was of those alone who had little
        self._little = False
        #: the last commit in which a user had more than a little, while the queue is long
        self._served: dict[str, int] = {}
        #: long messages with what their sources sent right before and after, whose turn is next first
        self._long: OrderedDict[object, deque[WaitingDelivery | Instalments]] = OrderedDict()
        #: whether the last commit had a part of one
        self._parted = False
        #: sources are everybody's: order is kept for what one of them brings of a user
        self.shared = False

    def __bool__(self) -> bool:
        return bool(self._waiting) or bool(self._long)

    @property
    def others(self) -> bool:
        """Whether something waits that is no long message, nor behind one."""
        return bool(self._waiting)

    @property
    def served_little(self) -> bool:
        """Whether the last commit was of those alone who had little: the next one is everybody's."""
        return self._little

    def rested(self) -> None:
        """A commit was nobody's: who has little may go first again."""
        self._little = False

    @property
    def held(self) -> int:
        """Bytes of all of them."""
        return self._held + self._held_long

    @property
    def work(self) -> int:
        """What all of them cost, but for long messages and what waits behind those."""
        return self._work

    @property
    def long_work(self) -> int:
        """Events and refusals that are left of long messages."""
        return sum(each.left for line in self._long.values() for each in line if isinstance(each, Instalments))

    def append(self, each: WaitingDelivery) -> None:
        """The newest."""
        if self._long and (line := self._long.get(self._line(each.delivery))) is not None:
            line.append(each)
            self._held_long += each.size
            return
        self._waiting.append(each)
        self._work += work_of(each)
        self._held += each.size

    def put_back(self, earlier: list[WaitingDelivery]) -> None:
        """What came before all else that waits of the same source, in its order."""
        for each in reversed(earlier):
            if self._long and (line := self._long.get(self._line(each.delivery))) is not None:
                line.appendleft(each)
                self._held_long += each.size
                continue
            self._waiting.appendleft(each)
            self._work += work_of(each)
            self._held += each.size

    def append_long(self, each: Instalments) -> None:
        """The newest, to be taken a part at a time."""
        key = self._line(each.delivery)
        line = self._long.get(key)
        if line is None:
            before = [other for other in self._waiting if self._line(other.delivery) == key]
            if before:
                self._use(other for other in self._waiting if self._line(other.delivery) != key)
                self._held_long += sum(other.size for other in before)
            line = self._long[key] = deque(before)
        line.append(each)
        self._held_long += each.size

    def urgent(self, before: Sequence[WaitingDelivery]) -> bool:
        """Whether somebody who has little would wait for much of one other, if these were stored before."""
        theirs = set(map(_user_of, before))
        others = _work_by_user(each for each in self._waiting if _user_of(each) not in theirs)
        # Mostly there is nobody else: what each of them costs is reckoned where it matters.
        return any(work <= LIGHT for work in others.values()) and bool(beside_much(before))

    def clear(self) -> None:
        """Nothing waits any more."""
        self._waiting.clear()
        self._long.clear()
        self._work = self._held = self._held_long = 0

    def change(self, changed: Callable[[WaitingDelivery], WaitingDelivery]) -> None:
        """Replace each by what it has become, but for long messages."""
        self._use(map(changed, self._waiting))
        for key, line in self._long.items():
            self._long[key] = deque(each if isinstance(each, Instalments) else changed(each) for each in line)
        self._held_long = sum(each.size for line in self._long.values() for each in line)

    def take(self, work: int, size: int, part: int = 1, of_one: int | None = None) -> list[WaitingDelivery]:
        """What the next commit has: no further delivery once it is so much work or so many bytes, at least one.

        Of no user more than about ``of_one``, where that is said. A part of a long message, of at most ``part`` events,
        is the last of them; 0: there is to be none.
        """
        self._parted = bool(self._long) and part > 0 and not (self._parted and self._waiting)
        if self._parted:
            return self._of_long(work, part)
        if self._work > work:
            return self._fairly(work, size, of_one or work)
        self._served.clear()
        if self._work > MUCH and not self._little and (few := _few(self._waiting, shared=self.shared)):
            self._little = True
            return self._only(few, size)
        self._little = False
        if of_one is not None and self._work > of_one and max(_work_by_user(self._waiting).values()) > of_one:
            return self._only(self._some_of_each(of_one), size)
        taken: list[WaitingDelivery] = []
        if self._held <= size:
            taken += self._waiting
            self._use(())
            return taken
        held = 0
        while self._waiting and held < size:
            each = self._waiting.popleft()
            held += each.size
            taken.append(each)
        self._held -= held
        self._work -= sum(map(work_of, taken))
        return taken

    def _only(self, few: list[WaitingDelivery], size: int) -> list[WaitingDelivery]:
        taken: list[WaitingDelivery] = []
        held = 0
        for each in few:
            if held >= size:
                break
            taken.append(each)
            held += each.size
        chosen = set(map(id, taken))
        self._waiting = deque(each for each in self._waiting if id(each) not in chosen)
        self._work -= sum(map(work_of, taken))
        self._held -= held
        return taken

    def _some_of_each(self, most: int) -> list[WaitingDelivery]:
        """The first of each user, no more of one that has so much work; what its source sent behind them waits, too."""
        spent: Counter[str] = Counter()
        behind: set[object] = set()
        some: list[WaitingDelivery] = []
        for each in self._waiting:
            user = _user_of(each)
            if spent[user] >= most:
                behind.add(self._line(each.delivery))
            elif not behind or self._line(each.delivery) not in behind:
                spent[user] += work_of(each)
                some.append(each)
            else:
                spent[user] = most
        return some

    def _use(self, waiting: Iterable[WaitingDelivery]) -> None:
        """These wait, and long messages."""
        self._waiting = deque(waiting)
        self._work = sum(map(work_of, self._waiting))
        self._held = sum(each.size for each in self._waiting)

    def _line(self, delivery: Delivery) -> object:
        """What stays in its order with this, whatever else waits."""
        return (delivery.source, delivery.origin.user) if self.shared else delivery.source

    def _of_long(self, work: int, part: int) -> list[WaitingDelivery]:
        """A part of the long message whose turn it is, and what its source sent before it."""
        key, line = self._long.popitem(last=False)
        taken: list[WaitingDelivery] = []
        spent = 0
        while spent < work and not isinstance(each := line[0], Instalments):
            line.popleft()
            taken.append(each)
            spent += work_of(each)
        if isinstance(each := line[0], Instalments):
            taken.append(each.following(part))
            if not each.left:
                line.popleft()
        self._held_long -= sum(each.size for each in taken)
        if any(isinstance(each, Instalments) for each in line):
            self._long[key] = line
            return taken
        for each in line:  # no long one any more
            if not isinstance(each, Instalments):
                self._held_long -= each.size
                self.append(each)
        return taken

    def _fairly(self, work: int, size: int, of_one: int) -> list[WaitingDelivery]:
        self._commits += 1
        front = [self._waiting.popleft() for _ in range(min(_SCAN, len(self._waiting)))]
        lines = sorted(
            _lines(front, shared=self.shared),
            key=lambda line: self._served.get(line.waiting[0].delivery.origin.user, 0),
        )
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

        # Who has little goes alone, so as not to wait for the rest either; every other commit is for those, too.
        alone = [] if self._little else [line for line in lines if line.work <= LIGHT]
        self._little = bool(alone)
        for line in alone or lines:
            little = LIGHT
            while line.waiting and work_of(line.waiting[0]) <= little and spent < work and held < size:
                little -= pick(line)
        ring = deque(line for line in lines if line.waiting and not self._little)
        while ring and spent < work and held < size:
            line = ring.popleft()
            self._served[line.waiting[0].delivery.origin.user] = self._commits
            line.spent += pick(line)
            if line.waiting and line.spent < of_one:
                ring.append(line)
        self._work -= spent
        self._held -= held
        chosen = set(map(id, taken))
        self._waiting.extendleft(each for each in reversed(front) if id(each) not in chosen)
        return taken


def beside_much(waiting: Iterable[WaitingDelivery]) -> frozenset[str]:
    """Whose these are, where one of them has more than a little: who has little and comes now waits for that."""
    work = _work_by_user(waiting)
    return frozenset(work) if max(work.values(), default=0) > LIGHT else frozenset()


def _work_by_user(waiting: Iterable[WaitingDelivery]) -> Counter[str]:
    work: Counter[str] = Counter()
    for each in waiting:
        work[each.delivery.origin.user] += work_of(each)
    return work


def _few(waiting: Iterable[WaitingDelivery], *, shared: bool) -> list[WaitingDelivery]:
    """What is of those who have little, where others have more; nobody's order changes when it goes first."""
    spent = _work_by_user(waiting)
    light = {user for user, work in spent.items() if work <= LIGHT}
    if not light or len(light) == len(spent):
        return []
    few = [each for each in waiting if each.delivery.origin.user in light]
    sent = Counter(map(_user_of, waiting))
    while few and not shared:
        count, users = Counter(map(_source_of, few)), Counter(map(_user_of, few))
        of_source = Counter(map(_source_of, waiting))
        kept = [
            each for each in few
            if count[each.delivery.source] == of_source[each.delivery.source]
            and users[each.delivery.origin.user] == sent[each.delivery.origin.user]
        ]  # fmt: skip
        if len(kept) == len(few):
            break
        few = kept
    return few


def _lines(front: Iterable[WaitingDelivery], *, shared: bool = False) -> list[_Line]:
    """What has to stay in its order, together; ``shared``: what is of one user."""
    by: dict[object, _Line] = {}
    for each in front:
        user = each.delivery.origin.user
        keys = (user, user) if shared else (each.delivery.source, user)
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
