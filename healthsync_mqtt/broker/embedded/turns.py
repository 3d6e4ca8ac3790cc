"""Turns: how much work the bytes of one client are before the others come. Fair, before and after login.

What a client sends is handled at once as far as there is room. The rest waits: the client is not read, and gets a turn
after each rest (the idea of fq_codel: who has used little lately goes first, among those who have logged in). So a
bystander waits for one pass at most, however many clients flood, and with whatever. What a user's connections use is
one: with fifty of them nobody has fifty times the little that goes first.

A pass is followed by a rest in which the loop does nothing for those who wait (see ``rests``).

Work is counted in units of about a microsecond of this program on one core; they are for comparing, not for timing.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Final, Protocol, TypeVar
from weakref import WeakValueDictionary

from healthsync_mqtt.broker.embedded.rests import Rests

TURN: Final = 1_000
"""Units of work that one client gets at once."""
LIGHT_TURN: Final = 60
"""The same, and for each rest, for one that goes before those who wait."""
PASS: Final = 4_000
"""Units of work for all clients together between two rests."""
RESERVE: Final = 1_000
"""Of these, what is left for clients that need little and come while others wait, whatever a turn came to."""
HURRIED_PASS: Final = RESERVE + TURN
"""The same as ``PASS`` while a commit takes several rounds to prepare: others wait for each of them."""

_BUSY_TURNS: Final = 50
_RECENT_S: Final = 60.0


class WaitingPlace(Enum):
    """Where a client waits."""

    NOWHERE = auto()
    #: before the others: it has used little lately
    LIGHT = auto()
    #: it has not logged in: a login is as much work as a hundred events, and whoever comes anew has used nothing yet
    STRANGER = auto()
    #: it has used up a turn
    HEAVY = auto()


class TurnUsage:
    """What was used lately."""

    __slots__ = ("__weakref__", "_rests", "_used")

    def __init__(self) -> None:
        self._used = self._rests = 0

    def allowance(self, rests: int) -> int:
        """Units that it may use before those who wait, after so many rests."""
        if self._used:
            self._used = max(0, self._used - LIGHT_TURN * (rests - self._rests))
        self._rests = rests
        return LIGHT_TURN - self._used

    def charge(self, spent: int, rests: int) -> None:
        """It has used so much; two turns are forgiven soon enough to be the most that is remembered."""
        self.allowance(rests)
        self._used = min(self._used + spent, 2 * TURN)


class TurnAccount:
    """What ``Turns`` knows of one client: where it waits, what it used lately, how often it had to wait."""

    __slots__ = ("_before", "_count", "_since", "place", "usage")

    def __init__(self) -> None:
        self.place = WaitingPlace.NOWHERE
        #: its own, or that of all connections of its user
        self.usage = TurnUsage()
        self._since = self._before = self._count = 0.0

    def deferred(self, now: float) -> None:
        """It had to wait because it had used up its turn."""
        self._roll(now)
        self._count += 1

    def deferrals(self, now: float) -> int:
        """How often it had to, within about a minute."""
        self._roll(now)
        return int(self._before + self._count)

    def _roll(self, now: float) -> None:
        if now - self._since >= _RECENT_S:
            self._before = self._count if now - self._since < 2 * _RECENT_S else 0.0
            self._since, self._count = now, 0.0


class Waiter(Protocol):
    """Somebody who takes turns."""

    account: TurnAccount

    @property
    def stranger(self) -> bool:
        """Whether it has not logged in."""

    @property
    def waits(self) -> bool:
        """Whether there is something to do now."""

    def put_off(self) -> bool:
        """Whether it is not to have its turn now, for another reason. Asked of those who have used one up."""

    def turn(self, work: int) -> int:
        """Do about so much of it; what it cost."""


W = TypeVar("W", bound=Waiter)


class Turns:
    """The queue of those who have more to do than one turn.

    ``soon`` calls something in the next round of the loop, ``after_rest`` after a rest. ``hurried`` says whether
    something takes several rounds for which others wait: then passes are short.
    """

    def __init__(
        self,
        soon: Callable[[Callable[[], None]], object] | None = None,
        after_rest: Callable[[Callable[[], None]], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        hurried: Callable[[], bool] = lambda: False,
    ) -> None:
        self._soon = soon or (lambda work: asyncio.get_running_loop().call_soon(work))
        self._after_rest = after_rest or Rests().after_next
        self._clock = clock
        self._hurried = hurried
        self._light: deque[Waiter] = deque()
        self._strangers: deque[Waiter] = deque()
        self._heavy: deque[Waiter] = deque()
        self._left = PASS
        self._rests = 0
        self._scheduled = False
        self._strangers_next = True
        self._of_users: WeakValueDictionary[str, TurnUsage] = WeakValueDictionary()

    @property
    def waiting(self) -> int:
        """How many wait for a turn."""
        return len(self._light) + len(self._strangers) + len(self._heavy)

    def arrived(self, waiter: Waiter) -> None:
        """Something came in for ``waiter``: it has a turn at once if there is room, else it waits."""
        account = waiter.account
        if account.place is not WaitingPlace.NOWHERE:
            return
        if self.waiting or self._left <= RESERVE:
            self._among_others(waiter)
            return
        while waiter.waits:
            if self._left <= RESERVE:
                self._wait(waiter, WaitingPlace.HEAVY)
                return
            spent = waiter.turn(min(TURN, self._left - RESERVE))
            self._left = max(RESERVE, self._left - spent)
        if self._left <= RESERVE:
            self._schedule()

    def later(self, waiter: Waiter, *, much: bool = False) -> None:
        """``waiter`` may go on after something that held it up; not from within whatever released it.

        ``much``: it was held up for sending much. They are released together, and would all be before the others.
        """
        if waiter.account.place is not WaitingPlace.NOWHERE or not waiter.waits:
            return
        if waiter.stranger:
            self._wait(waiter, WaitingPlace.STRANGER)
        elif much or waiter.account.usage.allowance(self._rests) <= 0:
            self._wait(waiter, WaitingPlace.HEAVY)
        else:
            self._wait(waiter, WaitingPlace.LIGHT)

    def of_user(self, account: TurnAccount, user: str) -> None:
        """What this account uses is counted with whatever else is of this user."""
        account.usage = self._of_users.setdefault(user, account.usage)

    def busy(self, waiters: Iterable[W]) -> list[W]:
        """Those of them who have had to wait for their turns a lot within the last minute."""
        now = self._clock()
        return [waiter for waiter in waiters if waiter.account.deferrals(now) >= _BUSY_TURNS]

    def _among_others(self, waiter: Waiter) -> None:
        """Others wait: a little is done at once."""
        if waiter.stranger:
            self._wait(waiter, WaitingPlace.STRANGER)
            return
        allowance = waiter.account.usage.allowance(self._rests)
        if allowance > 0 and (self._light or self._left <= 0):
            self._wait(waiter, WaitingPlace.LIGHT)
            return
        if allowance > 0:
            self._give(waiter, allowance)
        if waiter.waits:
            self._wait(waiter, WaitingPlace.HEAVY)

    def _give(self, waiter: Waiter, work: int) -> None:
        spent = waiter.turn(work)
        waiter.account.usage.charge(spent, self._rests)
        self._left -= spent

    def _wait(self, waiter: Waiter, place: WaitingPlace) -> None:
        waiter.account.place = place
        match place:
            case WaitingPlace.LIGHT:
                self._light.append(waiter)
            case WaitingPlace.STRANGER:
                self._strangers.append(waiter)
            case _:
                waiter.account.deferred(self._clock())
                self._heavy.append(waiter)
        self._schedule()

    def _schedule(self) -> None:
        if self._scheduled:
            return
        self._scheduled = True
        if self._left > RESERVE:
            self._soon(self._pass)
        else:
            self._after_rest(self._rested)

    def _rested(self) -> None:
        self._left = HURRIED_PASS if self._hurried() else PASS
        self._rests += 1
        self._pass()

    def _pass(self) -> None:
        try:
            self._serve()
        finally:
            self._scheduled = False
            if self.waiting or self._left <= RESERVE:
                self._schedule()

    def _next(self) -> Waiter | None:
        """Who has the next turn of this pass: last come strangers and those who have used up theirs, in turns."""
        if self._light:
            return self._light.popleft() if self._left > 0 else None
        if self._left <= RESERVE:
            return None
        first, second = self._strangers, self._heavy
        if not self._strangers_next:
            first, second = second, first
        self._strangers_next = not self._strangers_next
        queue = first or second
        return queue.popleft() if queue else None

    def _serve(self) -> None:
        while (waiter := self._next()) is not None:
            account = waiter.account
            came_from, account.place = account.place, WaitingPlace.NOWHERE
            if not waiter.waits or (came_from is WaitingPlace.HEAVY and waiter.put_off()):
                continue
            heavy = came_from is WaitingPlace.HEAVY
            self._give(waiter, TURN if heavy else max(1, account.usage.allowance(self._rests)))
            if came_from is not WaitingPlace.LIGHT:
                self._left = max(RESERVE, self._left)
            if waiter.waits:
                self._wait(waiter, WaitingPlace.HEAVY)
