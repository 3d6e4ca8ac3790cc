"""Accepting connections: a few between two rests of the loop; what they cost before their pipe stands is bounded."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Final

from healthsync_mqtt.broker.embedded.handshakes import Arrival, Handshakes
from healthsync_mqtt.broker.embedded.rests import Rests

HANDSHAKE_S: Final = 10.0
"""Seconds that a TLS handshake may take."""
AT_ONCE: Final = 8
"""Connections that are accepted between two rests of the loop: each is some work, and a TLS handshake is more."""
_PAUSE_S: Final = 0.5
"""The pause when the system has no descriptor for one."""


class Acceptor:
    """Accepts on sockets that listen. ``enters`` gets each connection, its address, and the socket it came to.

    ``exhausted`` is told when the system accepts no more: no descriptor is left. ``rests`` are the loop's.
    """

    def __init__(
        self,
        enters: Callable[[socket.socket, str, socket.socket], None],
        exhausted: Callable[[OSError], None],
        rests: Rests,
    ) -> None:
        self._enters = enters
        self._exhausted = exhausted
        self._sockets: set[socket.socket] = set()
        self._arriving: set[asyncio.Task[None]] = set()
        self._rests = rests
        self.handshakes = Handshakes(rests, within_s=HANDSHAKE_S)

    def open(self, listening: socket.socket) -> None:
        """Accept on it from now on."""
        self._sockets.add(listening)
        asyncio.get_running_loop().add_reader(listening, self.ready, listening)

    def close(self) -> None:
        """Accept no more. The sockets are their owner's."""
        for listening in self._sockets:
            asyncio.get_running_loop().remove_reader(listening)
        self._sockets.clear()

    async def closed(self) -> None:
        """Give up the handshakes that are under way, and those that wait."""
        await self.handshakes.close()
        arriving = tuple(self._arriving)
        for task in arriving:
            task.cancel()
        await asyncio.gather(*arriving, return_exceptions=True)

    def ready(self, listening: socket.socket) -> None:
        """Somebody waits at this socket."""
        if listening not in self._sockets:
            return
        loop = asyncio.get_running_loop()
        for _ in range(AT_ONCE):
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:
                self._exhausted(error)
                loop.remove_reader(listening)
                loop.call_later(_PAUSE_S, self._again, listening)
                return
            self._enters(accepted, str(address[0]), listening)
        loop.remove_reader(listening)
        self._rests.after_next(partial(self._again, listening))

    def serve(self, arriving: Coroutine[None, None, None]) -> None:
        """Serve a connection that has no handshake before it."""
        task = asyncio.get_running_loop().create_task(arriving)
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    def shake(self, arrival: Arrival) -> None:
        """Let a connection wait for its turn to shake hands."""
        self.handshakes.arrive(arrival)

    def _again(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            asyncio.get_running_loop().add_reader(listening, self.ready, listening)
