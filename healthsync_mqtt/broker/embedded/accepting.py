"""Accepting connections: a few between two rests of the loop; what they cost before their pipe stands is bounded."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Final

from healthsync_mqtt.broker.embedded.handshakes import Arrival, Handshakes
from healthsync_mqtt.broker.embedded.turns import REST_S

HANDSHAKE_S: Final = 10.0
"""Seconds that a TLS handshake may take."""
AT_ONCE: Final = 8
"""Connections that are accepted between two rests of the loop: each is some work, and a TLS handshake is more."""
_PAUSE_S: Final = 0.5
"""The pause when the system has no descriptor for one."""


class Accepting:
    """Accepts on sockets that listen. ``enters`` gets each connection, its address, and the socket it came to.

    ``exhausted`` is told when the system accepts no more: no descriptor is left.
    """

    def __init__(
        self, enters: Callable[[socket.socket, str, socket.socket], None], exhausted: Callable[[OSError], None]
    ) -> None:
        self._enters = enters
        self._exhausted = exhausted
        self._sockets: set[socket.socket] = set()
        self._arriving: set[asyncio.Task[None]] = set()
        self.handshakes = Handshakes(rest_s=REST_S, within_s=HANDSHAKE_S)

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
        for _ in range(AT_ONCE):
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:
                self._exhausted(error)
                self._pause(listening, _PAUSE_S)
                return
            self._enters(accepted, str(address[0]), listening)
        self._pause(listening, REST_S)

    def serve(self, arriving: Coroutine[None, None, None]) -> None:
        """Serve a connection that has no handshake before it."""
        task = asyncio.get_running_loop().create_task(arriving)
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    def shake(self, arrival: Arrival) -> None:
        """Let a connection wait for its turn to shake hands."""
        self.handshakes.arrive(arrival)

    def _pause(self, listening: socket.socket, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(seconds, self._again, listening)

    def _again(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            asyncio.get_running_loop().add_reader(listening, self.ready, listening)
