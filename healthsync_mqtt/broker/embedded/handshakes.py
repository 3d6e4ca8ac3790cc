"""TLS handshakes: none before the client has said something, a few between two rests, and so many at once.

A handshake costs a millisecond of processor and, on asyncio's own loop, 300 KB of memory; a socket that waits for one
costs next to nothing. So sockets wait here, and addresses take turns. Where all places are taken, the oldest handshake
of the address that has most of them makes room, for an address that has fewer; else who comes waits for a place.
"""

import asyncio
import socket
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from healthsync_mqtt.broker.embedded.rests import Rests

MOST: Final = 200
"""Handshakes that are under way."""
AT_ONCE: Final = 4
"""Handshakes that begin between two rests of the loop."""


class Arrival:
    """A socket that was accepted and waits for its handshake, of an ``address`` as connections are counted.

    ``shake`` does the handshake and never raises; ``cut`` ends the socket, whatever it is at; ``gone`` is called when
    it ended before its handshake began.
    """

    __slots__ = ("address", "cut", "gone", "shake", "socket", "timer")

    def __init__(
        self,
        accepted: socket.socket,
        address: str,
        *,
        shake: Callable[[], Coroutine[Any, Any, None]],
        cut: Callable[[], None],
        gone: Callable[[Exception], None],
    ) -> None:
        self.socket = accepted
        self.address = address
        self.shake = shake
        self.cut = cut
        self.gone = gone
        self.timer: asyncio.TimerHandle | None = None


class Handshakes:
    """``rests`` are the loop's; ``within_s`` bounds the wait for a first byte and a place."""

    def __init__(self, rests: Rests, *, within_s: float) -> None:
        self._rests = rests
        self._within_s = within_s
        self._left = AT_ONCE
        self._resting = False
        #: those that have said nothing yet
        self._silent: dict[Arrival, None] = {}
        #: those that wait for a place, by address; the address that is next first
        self._line: OrderedDict[str, deque[Arrival]] = OrderedDict()
        #: those under way, by address, the oldest first
        self._begun: dict[str, dict[Arrival, None]] = {}
        #: how many these are
        self.under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def arrive(self, arrival: Arrival) -> None:
        """Begin its handshake when it has said something and there is a place."""
        loop = asyncio.get_running_loop()
        arrival.timer = loop.call_later(self._within_s, self._give_up, arrival, TimeoutError())
        self._silent[arrival] = None
        loop.add_reader(arrival.socket, self._speaks, arrival)

    async def close(self) -> None:
        """Give up all of them."""
        for each in [*self._silent, *(each for queue in self._line.values() for each in queue)]:
            self._give_up(each, ConnectionAbortedError())
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- before it begins

    def _speaks(self, arrival: Arrival) -> None:
        try:
            said = arrival.socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._give_up(arrival, error)
            return
        if not said:
            self._give_up(arrival, ConnectionResetError())
            return
        self._heard(arrival)
        self._line.setdefault(arrival.address, deque()).append(arrival)
        self._serve()

    def _heard(self, arrival: Arrival) -> None:
        del self._silent[arrival]
        asyncio.get_running_loop().remove_reader(arrival.socket)

    def _give_up(self, arrival: Arrival, error: Exception) -> None:
        assert arrival.timer is not None
        arrival.timer.cancel()
        if arrival in self._silent:
            self._heard(arrival)
        else:
            queue = self._line[arrival.address]
            queue.remove(arrival)
            if not queue:
                del self._line[arrival.address]
        arrival.gone(error)

    # -- places

    def _serve(self) -> None:
        while self._line and self._left > 0 and (arrival := self._next()) is not None:
            self._left -= 1
            self._begin(arrival)
        if self._left < AT_ONCE and not self._resting:
            self._resting = True
            self._rests.after_next(self._rested)

    def _rested(self) -> None:
        self._resting = False
        self._left = AT_ONCE
        self._serve()

    def _next(self) -> Arrival | None:
        """Who begins now, of the address whose turn it is; None while there is no place for it."""
        if self.under_way >= MOST:
            address = min(self._line, key=lambda each: len(self._begun.get(each, ())))
            most = max(self._begun.values(), key=len)
            if len(most) <= len(self._begun.get(address, ())) + 1:
                return None
            victim = next(iter(most))
            self._over(victim)
            victim.cut()
        else:
            address = next(iter(self._line))
        queue = self._line.pop(address)
        arrival = queue.popleft()
        if queue:
            self._line[address] = queue
        return arrival

    def _begin(self, arrival: Arrival) -> None:
        assert arrival.timer is not None
        arrival.timer.cancel()
        self._begun.setdefault(arrival.address, {})[arrival] = None
        self.under_way += 1
        task = asyncio.get_running_loop().create_task(arrival.shake())
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(arrival, done))

    def _ended(self, arrival: Arrival, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._over(arrival)
        self._serve()

    def _over(self, arrival: Arrival) -> None:
        begun = self._begun.get(arrival.address, {})
        if arrival in begun:
            del begun[arrival]
            self.under_way -= 1
            if not begun:
                del self._begun[arrival.address]
