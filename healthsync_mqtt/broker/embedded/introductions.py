"""Connections of trusted proxies, from accept to the header that says whose they are; nobody else's header is read."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from healthsync_mqtt.broker.embedded.proxy_header import Introduced, NoHeaderError, ProxyHeader

WITHIN_S: Final = 5.0
"""Seconds that a header may take: a proxy sends it with its first packet."""
MOST: Final = 1_000
"""Connections that wait for theirs; beyond it the oldest is closed. No limit of an address holds before it has one."""


class Proxies:
    """Addresses and networks whose headers are believed."""

    def __init__(self, named: Sequence[str] = ()) -> None:
        self._networks = tuple(ipaddress.ip_network(each, strict=False) for each in named)

    def trusts(self, peer: str) -> bool:
        """Whether a connection from this address begins with a header, and what that says is so."""
        if not self._networks:
            return False
        address = ipaddress.ip_address(peer.partition("%")[0])
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self._networks)


class _Waiting:
    """A socket whose header has not come to its end."""

    __slots__ = ("header", "introduced", "refused", "socket", "timer")

    def __init__(
        self,
        accepted: socket.socket,
        introduced: Callable[[Introduced], None],
        refused: Callable[[], None],
        timer: asyncio.TimerHandle,
    ) -> None:
        self.socket = accepted
        self.header = ProxyHeader()
        self.introduced = introduced
        self.refused = refused
        self.timer = timer


class Introductions:
    """Reads headers."""

    def __init__(self) -> None:
        self._waiting: dict[socket.socket, _Waiting] = {}

    def wait(
        self, accepted: socket.socket, introduced: Callable[[Introduced], None], refused: Callable[[], None]
    ) -> None:
        """Read the header of a socket that does not block. ``refused``: none came, and the socket is closed."""
        if len(self._waiting) >= MOST:
            self._refuse(next(iter(self._waiting)))
        loop = asyncio.get_running_loop()
        timer = loop.call_later(WITHIN_S, self._refuse, accepted)
        self._waiting[accepted] = _Waiting(accepted, introduced, refused, timer)
        loop.add_reader(accepted, partial(self._readable, accepted))

    def close(self) -> None:
        """Close all that wait; nothing is told of them."""
        for accepted in list(self._waiting):
            self._over(accepted)
            accepted.close()

    def _readable(self, accepted: socket.socket) -> None:
        waiting = self._waiting[accepted]
        try:
            data = accepted.recv(waiting.header.wants)
            found = waiting.header.take(data) if data else None
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, NoHeaderError):
            self._refuse(accepted)
            return
        if found is not None:
            self._over(accepted)
            waiting.introduced(found)
        elif not data:
            self._refuse(accepted)

    def _refuse(self, accepted: socket.socket) -> None:
        waiting = self._over(accepted)
        accepted.close()
        waiting.refused()

    def _over(self, accepted: socket.socket) -> _Waiting:
        waiting = self._waiting.pop(accepted)
        waiting.timer.cancel()
        asyncio.get_running_loop().remove_reader(accepted)
        return waiting
