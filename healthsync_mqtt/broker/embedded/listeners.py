"""The ports of the front door: MQTT, MQTT over TLS, MQTT over WebSocket over TLS.

A connection is counted as soon as the system has accepted it, before a TLS handshake costs what thousands of accepts
do; so sockets are accepted here, and not by the loop's own servers, which shake hands first.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

from healthsync_mqtt.broker.embedded.acceptor import HANDSHAKE_S, Acceptor
from healthsync_mqtt.broker.embedded.handshakes import Arrival
from healthsync_mqtt.broker.embedded.introductions import Introductions, Proxies
from healthsync_mqtt.broker.embedded.limits.addresses import Knock
from healthsync_mqtt.broker.embedded.proxy_header import Introduced
from healthsync_mqtt.broker.embedded.rests import Rests
from healthsync_mqtt.broker.embedded.wire import Accept, WebSocketWire, Wire
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.identity.certificates.demand import Demand

_BACKLOG = 1024


class Threshold(Protocol):
    """Who counts connections, from the moment that the system has accepted them."""

    def knock(self, peer: str, leave: Callable[[], None]) -> Knock | None:
        """A new connection; None: it is refused. ``leave`` cuts it, whatever it is at."""

    def failed(self, peer: str, error: Exception) -> None:
        """Its TLS handshake failed."""

    def crowded(self, peer: str) -> None:
        """Its TLS handshake made room for one of an address that has fewer."""

    def foreign(self, peer: str) -> None:
        """A browser's page was refused for its origin."""

    def stray(self, peer: str) -> None:
        """MQTT came to the WebSocket port."""

    def nameless(self, peer: str) -> None:
        """A trusted proxy did not say whose its connection is."""

    def gone(self, knock: Knock) -> None:
        """It is closed. Said again it changes nothing."""

    def exhausted(self, error: OSError) -> None:
        """The system accepts no more: no descriptor is left."""


class Bound(NamedTuple):
    """An address that a listener is bound to."""

    host: str
    port: int

    @property
    def here(self) -> "Bound":
        """How it is reached on this machine: all addresses are the loopback one, too."""
        return Bound({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host), self.port)  # noqa: S104

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def cannot_listen(error: OSError, hint: str) -> UnavailableError:
    """What is told when an address could not be listened on. ``hint``: which setting or option chooses another port."""
    where = f" on {error.filename}" if error.filename else ""
    return UnavailableError(f"cannot listen{where}: {error.strerror or error}", hint=hint)


class _Kind(NamedTuple):
    """What a port speaks."""

    tls: ssl.SSLContext | None
    clients: Demand
    origins: tuple[str, ...] | None
    proxies: Proxies


class Listeners:
    """Open ports. ``threshold`` counts each connection, and ``accept`` takes it once its pipe stands.

    ``rests`` are the loop's. ``most`` bounds the bytes of one WebSocket message.
    """

    def __init__(self, accept: Accept, threshold: Threshold, rests: Rests, *, most: int) -> None:
        self._accept = accept
        self._threshold = threshold
        self._most = most
        self._sockets: dict[socket.socket, _Kind] = {}
        self._introductions = Introductions()
        self._acceptor = Acceptor(self._accepted, threshold.exhausted, rests)

    async def open(
        self,
        hosts: tuple[str, ...],
        port: int,
        *,
        tls: ssl.SSLContext | None,
        clients: Demand = Demand.off,
        origins: tuple[str, ...] | None = None,
        proxies: Proxies | None = None,
    ) -> list[Bound]:
        """Open a listener (MQTT, or MQTT over WebSocket when ``origins`` is given); returns where it is bound.

        All of its addresses have one port. ``clients`` is what logins need there; ``tls`` has to ask for certificates
        accordingly. A connection of one of ``proxies`` begins with a header, and is the client's that it names.
        """
        opened = await listening_on(hosts, port)
        for listening in opened:
            self._sockets[listening] = _Kind(tls, clients, origins, proxies or Proxies())
            self._acceptor.open(listening)
        return list(opened.values())

    def close(self) -> None:
        """Accept no more connections."""
        self._acceptor.close()
        self._introductions.close()
        for listening in self._sockets:
            listening.close()
        self._sockets.clear()

    async def closed(self) -> None:
        """Give up the handshakes that are under way, and those that wait."""
        await self._acceptor.closed()

    def _accepted(self, accepted: socket.socket, peer: str, listening: socket.socket) -> None:
        accepted.setblocking(False)
        kind = self._sockets[listening]
        if not kind.proxies.trusts(peer):
            self._knock(accepted, peer, kind)
            return

        def introduced(by: Introduced) -> None:
            # What a proxy says on its own account is a look whether we are here: nothing of it is worth a line.
            self._knock(accepted, by.peer or peer, kind, told=by.peer is not None)

        self._introductions.wait(accepted, introduced, lambda: self._threshold.nameless(peer))

    def _knock(self, accepted: socket.socket, peer: str, kind: _Kind, *, told: bool = True) -> None:
        wire: Wire
        if kind.origins is None:
            wire = Wire(self._accept, secure=kind.tls is not None, clients=kind.clients)
        else:
            wire = WebSocketWire(
                self._accept,
                secure=kind.tls is not None,
                clients=kind.clients,
                origins=kind.origins,
                most=self._most,
            )

        def leave() -> None:
            if wire.stands:
                wire.abort()
            else:  # the handshake sees an end, and fails
                with contextlib.suppress(OSError):
                    accepted.shutdown(socket.SHUT_RDWR)

        knock = self._threshold.knock(peer, leave)
        if knock is None:
            accepted.close()
            return
        wire.knock = knock
        wire.peer = peer

        def gone() -> None:
            self._threshold.gone(knock)
            # Each would hold the other until the collector comes by, and then holds up everybody.
            knock.leave = wire.on_lost = wire.on_foreign = wire.on_stray = _nothing

        wire.on_lost = gone
        wire.on_foreign = lambda: self._threshold.foreign(peer)
        wire.on_stray = lambda: self._threshold.stray(peer)
        away = partial(self._away, wire, accepted, peer if told else None)
        if kind.tls is None:
            self._acceptor.serve(self._arrive(wire, accepted, kind, away))
            return

        def cut() -> None:
            self._threshold.crowded(peer)
            self._threshold.gone(knock)
            leave()

        self._acceptor.shake(
            Arrival(
                accepted,
                knock.address,
                shake=lambda: self._arrive(wire, accepted, kind, away),
                cut=cut,
                gone=away,
            )
        )

    async def _arrive(
        self, wire: Wire, accepted: socket.socket, kind: _Kind, away: Callable[[Exception], None]
    ) -> None:
        timeout = None if kind.tls is None else HANDSHAKE_S
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: wire, accepted, ssl=kind.tls, ssl_handshake_timeout=timeout
            )
        except asyncio.CancelledError:
            self._close(wire, accepted)
            raise
        except Exception as error:  # noqa: BLE001  # whatever a stranger's bytes lead to ends this connection alone
            # asyncio keeps it in the frames that it names: a cycle with all of the handshake's memory in it.
            away(error.with_traceback(None))

    def _away(self, wire: Wire, accepted: socket.socket, peer: str | None, error: Exception) -> None:
        """A connection ended before its pipe stood; ``peer``: whose it was, if that is to be told."""
        if peer is not None and not wire.evicted:
            self._threshold.failed(peer, error)
        self._close(wire, accepted)

    @staticmethod
    def _close(wire: Wire, accepted: socket.socket) -> None:
        accepted.close()
        wire.on_lost()


def _nothing() -> None:
    """What is left to do for a connection that is gone."""


async def listening_on(hosts: tuple[str, ...], port: int) -> dict[socket.socket, Bound]:
    """Sockets that listen on all of these addresses, on one port. OSError, with nothing left open."""
    loop = asyncio.get_running_loop()
    opened: dict[socket.socket, Bound] = {}
    try:
        for host in hosts:
            for family, _, _, _, address in await loop.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                found = next(iter(opened.values())).port if opened else port
                listening = _listening(family, (str(address[0]), found, *address[2:]))
                name = listening.getsockname()
                opened[listening] = Bound(str(name[0]), int(name[1]))
    except BaseException:
        for listening in opened:
            listening.close()
        raise
    return opened


def _listening(family: int, address: tuple[str | int, ...]) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # IPv4 has a socket of its own, where it is asked for
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        error.filename = f"[{address[0]}]:{address[1]}" if family == socket.AF_INET6 else f"{address[0]}:{address[1]}"
        raise
    except BaseException:
        listening.close()
        raise
    return listening
