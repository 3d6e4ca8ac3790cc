"""Turns: how much work the bytes of one client are before the others come. Fair, before and after login.

What a client sends is handled at once as far as this pass of the loop still has room. The rest waits: the client is not
read and gets a turn in each pass, after those who sent little (the idea of fq_codel: who has not used up a turn lately
goes first, and can get there again only by way of the others' queue). Between two passes the loop does everything else:
sockets, timers, commits. So a bystander waits for one pass at most, however many clients flood, and with whatever.

Work is counted in units of about a microsecond of this program on one core; they are for comparing, not for timing.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Final, Protocol, TypeVar

TURN: Final = 1_000
"""Units of work that one client gets at once."""
LIGHT_TURN: Final = 60
"""The same for one that has not used up a turn lately: who needs more is not light."""
PASS: Final = 4_000
"""Units of work for all clients together between two looks at everything else."""

_BUSY_TURNS: Final = 50
_RECENT_S: Final = 60.0


class Place(Enum):
    """Where a client waits."""

    NOWHERE = auto()
    #: it has not used up a turn lately
    LIGHT = auto()
    #: it has
    HEAVY = auto()


class Waiter(Protocol):
    """Somebody who takes turns. ``place`` and ``deferrals`` belong to ``Turns``."""

    place: Place
    deferrals: "Deferrals"

    @property
    def waits(self) -> bool:
        """Whether there is something to do now."""

    def turn(self, work: int) -> int:
        """Do about so much of it; what it cost."""


W = TypeVar("W", bound=Waiter)


class Deferrals:
    """How often within about a minute a client had to wait because it had used up its turn."""

    __slots__ = ("_before", "_count", "_since")

    def __init__(self) -> None:
        self._since = self._before = self._count = 0.0

    def note(self, now: float) -> None:
        """It had to wait."""
        self._roll(now)
        self._count += 1

    def count(self, now: float) -> int:
        """How often lately."""
        self._roll(now)
        return int(self._before + self._count)

    def _roll(self, now: float) -> None:
        if now - self._since >= _RECENT_S:
            self._before = self._count if now - self._since < 2 * _RECENT_S else 0.0
            self._since, self._count = now, 0.0


class Turns:
    """The queue of those who have more to do than one turn. ``soon`` calls something in the next pass of the loop."""

    def __init__(
        self,
        soon: Callable[[Callable[[], None]], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._soon = soon or (lambda work: asyncio.get_running_loop().call_soon(work))
        self._clock = clock
        self._light: deque[Waiter] = deque()
        self._heavy: deque[Waiter] = deque()
        self._left = PASS
        self._scheduled = False

    @property
    def waiting(self) -> int:
        """How many wait for a turn."""
        return len(self._light) + len(self._heavy)

    def arrived(self, waiter: Waiter) -> None:
        """Something came in for ``waiter``: it has a turn at once if there is room in this pass, else it waits."""
        if waiter.place is not Place.NOWHERE:
            return
        self._schedule()
        if self._left <= 0 or self._light or self._heavy:
            self._wait(waiter, Place.LIGHT)
            return
        while waiter.waits:
            if self._left <= 0:
                self._wait(waiter, Place.HEAVY)
                return
            self._left -= waiter.turn(min(TURN, self._left))

    def later(self, waiter: Waiter) -> None:
        """``waiter`` may go on after something that held it up; not from within whatever released it."""
        if waiter.place is Place.NOWHERE and waiter.waits:
            self._schedule()
            self._wait(waiter, Place.LIGHT)

    def busy(self, waiters: Iterable[W]) -> list[W]:
        """Those of them who have had to wait for their turns a lot within the last minute."""
        now = self._clock()
        return [waiter for waiter in waiters if waiter.deferrals.count(now) >= _BUSY_TURNS]

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._soon(self._pass)

    def _wait(self, waiter: Waiter, place: Place) -> None:
        waiter.place = place
        if place is Place.LIGHT:
            self._light.append(waiter)
        else:
            waiter.deferrals.note(self._clock())
            self._heavy.append(waiter)

    def _pass(self) -> None:
        self._scheduled = False
        self._left = PASS
        while self._left > 0 and (self._light or self._heavy):
            queue = self._light or self._heavy
            waiter = queue.popleft()
            came_from, waiter.place = waiter.place, Place.NOWHERE
            if waiter.waits:
                self._left -= waiter.turn(LIGHT_TURN if came_from is Place.LIGHT else TURN)
            if waiter.waits or came_from is Place.LIGHT:
                # One that is done stays until the others have had their turns: it is light again only after that.
                self._behind(waiter)
        if self._light or self._heavy:
            self._schedule()

    def _behind(self, waiter: Waiter) -> None:
        if waiter.waits:
            self._wait(waiter, Place.HEAVY)
        elif self._heavy:
            waiter.place = Place.HEAVY
            self._heavy.append(waiter)
