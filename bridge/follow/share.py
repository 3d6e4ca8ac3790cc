"""A shared group: each event of the log goes to one member, in order for each user. Pure; it holds places, no events.

An event is *open* from when the group takes it until its member has acknowledged it. All open events of one user that
were handed out are with one member, its keeper, and follow each other there; who the keeper is, is decided anew when
the user has none. A member that goes away gives back what it has not acknowledged; nothing else is handed out again.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

M = TypeVar("M", bound=Hashable)


class Handed(NamedTuple, Generic[M]):
    """An event that has become this member's."""

    member: M
    seq: int
    user: str


class Share(Generic[M]):
    """The open events of one group, at most ``most``, and who has them. ``cursor`` is where the group began."""

    def __init__(self, cursor: int, *, most: int) -> None:
        self._front = cursor
        self._most = most
        #: user by seq of everything that is open, in order of the log
        self._open: OrderedDict[int, str] = OrderedDict()
        #: what no member has, in order, by user
        self._waiting: dict[str, deque[int]] = {}
        #: users of ``_waiting`` whose next event may go out; the longest not served first
        self._ready: OrderedDict[str, None] = OrderedDict()
        self._held: dict[M, dict[int, str]] = {}
        self._keeper: dict[str, M] = {}
        #: by user, how many events its keeper has
        self._kept: dict[str, int] = {}
        #: users of ``_waiting`` whose keeper had no room
        self._blocked: dict[M, OrderedDict[str, None]] = {}
        #: members with blocked users that have room again
        self._freed: OrderedDict[M, None] = OrderedDict()

    @property
    def cursor(self) -> int:
        """Everything up to here is acknowledged, or is not the group's."""
        return next(iter(self._open)) - 1 if self._open else self._front

    @property
    def front(self) -> int:
        """How far the group has read the log."""
        return self._front

    @property
    def room(self) -> int:
        """How many more events it takes."""
        return self._most - len(self._open)

    @property
    def open(self) -> int:
        """Events that were taken and are not acknowledged."""
        return len(self._open)

    @property
    def waits(self) -> bool:
        """Whether there is an event that no member has."""
        return bool(self._waiting)

    @property
    def members(self) -> tuple[M, ...]:
        """Who takes part, the longest first."""
        return tuple(self._held)

    def join(self, member: M) -> None:
        """The member takes events from now on."""
        self._held.setdefault(member, {})

    def leave(self, member: M) -> None:
        """The member is gone: what it has not acknowledged is for the others."""
        held = self._held.pop(member, {})
        back: dict[str, list[int]] = {}
        for seq, user in held.items():
            back.setdefault(user, []).append(seq)
        for user, seqs in back.items():
            self._waiting.setdefault(user, deque()).extendleft(reversed(seqs))
            del self._keeper[user], self._kept[user]
            self._ready[user] = None
        # Who was blocked at this member had events with it, and is among those now.
        self._blocked.pop(member, None)
        self._freed.pop(member, None)

    def take(self, seq: int, user: str) -> None:
        """The next event of the log is the group's. There has to be ``room``."""
        assert seq > self._front
        assert self.room > 0
        self._front = seq
        self._open[seq] = user
        waiting = self._waiting.get(user)
        if waiting is not None:
            waiting.append(seq)
            return
        self._waiting[user] = deque((seq,))
        self._ready[user] = None

    def skip(self, seq: int) -> None:
        """The log was read up to here; what came after the last event that was taken is not the group's."""
        self._front = max(self._front, seq)

    def next(self, room: Callable[[M], int]) -> Handed[M] | None:
        """Hand out one event; None when none waits for a member with ``room``."""
        while self._freed:
            member = next(iter(self._freed))
            users = self._blocked.get(member)
            if not users or room(member) <= 0:
                del self._freed[member]
                continue
            user = next(iter(users))
            users.move_to_end(user)
            return self._hand(user, member)
        while self._ready:
            user = next(iter(self._ready))
            keeper = self._keeper.get(user)
            if keeper is None:
                keeper = self._freest(room)
                if keeper is None:
                    return None
            elif room(keeper) <= 0:
                del self._ready[user]
                self._blocked.setdefault(keeper, OrderedDict())[user] = None
                continue
            self._ready.move_to_end(user)
            return self._hand(user, keeper)
        return None

    def roomy(self, member: M) -> None:
        """The member has room again."""
        if member in self._blocked:
            self._freed[member] = None

    def acknowledge(self, member: M, seq: int) -> None:
        """The member has taken this event for good. What it does not have, it cannot acknowledge: nothing happens."""
        user = self._held.get(member, {}).pop(seq, None)
        if user is None:
            return
        del self._open[seq]
        self._kept[user] -= 1
        if self._kept[user]:
            return
        del self._keeper[user], self._kept[user]
        blocked = self._blocked.get(member)
        if blocked is not None and user in blocked:
            del blocked[user]
            self._ready[user] = None

    def _freest(self, room: Callable[[M], int]) -> M | None:
        """The member with the fewest events among those with room; of equal ones, who was served longest ago."""
        able = [member for member in self._held if room(member) > 0]
        return min(able, key=lambda member: len(self._held[member]), default=None)

    def _hand(self, user: str, member: M) -> Handed[M]:
        waiting = self._waiting[user]
        seq = waiting.popleft()
        if not waiting:
            del self._waiting[user]
            self._ready.pop(user, None)
            if member in self._blocked:
                self._blocked[member].pop(user, None)
        # Members stand in order of their last service.
        held = self._held.pop(member)
        self._held[member] = held
        held[seq] = user
        self._keeper[user] = member
        self._kept[user] = self._kept.get(user, 0) + 1
        return Handed(member, seq, user)
