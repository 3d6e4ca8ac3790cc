"""The gateway's door: a connection is counted when the system has accepted it, before a TLS handshake costs anything.

Handshakes wait and take turns as at the front door (``broker/embedded/handshakes.py``).
"""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterable

from healthsync_mqtt.broker.embedded.acceptor import HANDSHAKE_S, Acceptor
from healthsync_mqtt.broker.embedded.handshakes import Arrival
from healthsync_mqtt.broker.embedded.introductions import Introductions, Proxies
from healthsync_mqtt.broker.embedded.limits.addresses import network
from healthsync_mqtt.broker.embedded.proxy_header import Introduced
from healthsync_mqtt.broker.embedded.rests import Rests
from healthsync_mqtt.config.sections import GatewaySettings
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.notices import Notices

log = get_logger("gateway")


class Place:
    """A counted connection. ``leave`` gives its place back; said again it changes nothing."""

    __slots__ = ("_crowd", "address", "introduced")

    def __init__(self, crowd: "Crowd", address: str, introduced: str | None) -> None:
        self._crowd: Crowd | None = crowd
        #: as connections are counted: a network that one customer gets
        self.address = address
        #: the client for whom a balancer speaks, which is at the other end of the socket itself
        self.introduced = introduced

    def leave(self) -> None:
        """The connection is closed."""
        crowd, self._crowd = self._crowd, None
        if crowd is not None:
            crowd.left(self.address)


class Crowd:
    """Open connections, those in their handshakes too, in all and by address."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._proxies = Proxies(settings.proxies)
        #: whose connections begin with a header that names the client
        self.balancers = Proxies(settings.balancers)
        self._by_address: dict[str, int] = {}
        self.total = 0
        self.refused = 0

    def enters(self, peer: str, introduced: str | None = None) -> Place | None:
        """Count a connection of ``peer``, or of whom it has introduced; None: too many, and it is not counted."""
        peer = introduced or peer
        address = network(peer)
        here = self._by_address.get(address, 0)
        crowded = here >= self._settings.connections_per_address and not self._proxies.trusts(peer)
        if crowded or self.total >= self._settings.connections:
            self.refused += 1
            return None
        self.total += 1
        self._by_address[address] = here + 1
        return Place(self, address, introduced)

    def left(self, address: str) -> None:
        """One of this address is gone; its place says so once."""
        self.total -= 1
        here = self._by_address[address] - 1
        if here:
            self._by_address[address] = here
        else:
            del self._by_address[address]


class Entrance:
    """Accepts on sockets that listen already; ``protocol`` makes what serves a connection that was let in."""

    def __init__(
        self, crowd: Crowd, protocol: Callable[[Place], asyncio.Protocol], *, tls: ssl.SSLContext | None
    ) -> None:
        self._crowd = crowd
        self._protocol = protocol
        self._tls = tls
        self._acceptor = Acceptor(
            self._accepted, lambda error: log.warning("gateway.accept_failed", error=error), Rests()
        )
        self._introductions = Introductions()
        self._notices = Notices()

    def open(self, sockets: Iterable[socket.socket]) -> None:
        """Accept from now on."""
        for listening in sockets:
            listening.setblocking(False)
            self._acceptor.open(listening)

    def close(self) -> None:
        """Accept no more. The sockets are their owner's."""
        self._acceptor.close()
        self._introductions.close()

    async def wait_closed(self) -> None:
        """Give up the handshakes that are under way, and those that wait."""
        await self._acceptor.closed()

    def _accepted(self, accepted: socket.socket, peer: str, _listening: socket.socket) -> None:
        accepted.setblocking(False)
        if not self._crowd.balancers.trusts(peer):
            self._enters(accepted, peer, None)
            return

        def introduced(by: Introduced) -> None:
            self._enters(accepted, peer, by.peer)

        self._introductions.wait(accepted, introduced, lambda: self._nameless(peer))

    def _nameless(self, peer: str) -> None:
        self._crowd.refused += 1
        left_out = self._notices.due(peer, time.monotonic())
        if left_out is not None:
            hint = "let it send the PROXY protocol, or take it out of gateway.balancers"
            log.warning("gateway.proxy_header", peer=peer, left_out=left_out, hint=hint)

    def _enters(self, accepted: socket.socket, peer: str, introduced: str | None) -> None:
        place = self._crowd.enters(peer, introduced)
        if place is None:
            accepted.close()
            return
        if self._tls is None:
            self._acceptor.serve(self._serve(accepted, place))
            return

        def cut() -> None:
            place.leave()
            with contextlib.suppress(OSError):  # the handshake sees an end, and fails
                accepted.shutdown(socket.SHUT_RDWR)

        def gone(_: Exception) -> None:
            accepted.close()
            place.leave()

        shake = lambda: self._serve(accepted, place)  # noqa: E731
        self._acceptor.shake(Arrival(accepted, place.address, shake=shake, cut=cut, gone=gone))

    async def _serve(self, accepted: socket.socket, place: Place) -> None:
        """Until it has shaken hands; from then on its protocol gives the place back."""
        within_s = None if self._tls is None else HANDSHAKE_S
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._protocol(place), accepted, ssl=self._tls, ssl_handshake_timeout=within_s
            )
        except asyncio.CancelledError:
            accepted.close()
            place.leave()
            raise
        except Exception:  # noqa: BLE001  # whatever a stranger's bytes lead to ends this connection alone
            accepted.close()
            place.leave()
