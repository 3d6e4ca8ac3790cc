"""uvicorn with the bounds that it lacks: connections by address, time for a head, clients that do not read."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from healthsync_mqtt.broker.embedded.limits.addresses import network
from healthsync_mqtt.config.sections import GatewaySettings

HANDSHAKE_S: Final = 10.0
"""Seconds that a TLS handshake may take."""
HEAD_S: Final = 10.0
"""Seconds from a connection, or from a request's first byte, to its whole head."""
IDLE_S: Final = 30
"""Seconds that a connection may stand open between two requests."""
WRITE_S: Final = 30.0
"""Seconds that a client may leave what is sent to it untaken."""
HEAD_BYTES: Final = 16_384
"""Bytes of a request's head."""
BACKLOG: Final = 1_024
_GRACE_S: Final = 1


class Crowd:
    """Open connections, in all and by address."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._by_address: dict[str, int] = {}
        self.total = 0
        self.refused = 0

    def enters(self, address: str) -> bool:
        """Count a connection; False: there are too many, and it is not counted."""
        here = self._by_address.get(address, 0)
        if self.total >= self._settings.connections or here >= self._settings.connections_per_address:
            self.refused += 1
            return False
        self.total += 1
        self._by_address[address] = here + 1
        return True

    def leaves(self, address: str) -> None:
        """A counted connection is closed."""
        self.total -= 1
        left = self._by_address[address] - 1
        if left:
            self._by_address[address] = left
        else:
            del self._by_address[address]


def bounded(crowd: Crowd) -> type[H11Protocol]:
    """The protocol of a server whose connections are counted by ``crowd``."""

    class Bounded(H11Protocol):
        """One connection."""

        _address = ""
        _head: asyncio.TimerHandle | None = None
        _write: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            address = network(self.client[0] if self.client else "")
            if crowd.enters(address):
                self._address = address
                self._watch(begins=True)
            else:
                transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._address:
                crowd.leaves(self._address)
                self._address = ""
            self._stop(head=True, write=True)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch(begins=bool(self.conn.trailing_data[0]))

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._watch(begins=bool(self.conn.trailing_data[0]))

        def pause_writing(self) -> None:
            super().pause_writing()
            if self._write is None:
                self._write = self.loop.call_later(WRITE_S, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._stop(write=True)

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            super().handle_websocket_upgrade(event)
            self._stop(head=True, write=True)
            # Its connection goes on in another protocol, which says nothing here when it ends.
            upgraded, lost = self.transport.get_protocol(), self.connection_gone
            _told_of_end(upgraded, lost)

        def connection_gone(self) -> None:
            """The connection that became a WebSocket is closed."""
            if self._address:
                crowd.leaves(self._address)
                self._address = ""

        def _watch(self, *, begins: bool) -> None:
            """A head that has begun has to end in time; ``begins``: something of one is there, or is awaited."""
            waits = self.conn.their_state is h11.IDLE
            if not waits:
                self._stop(head=True)
            elif begins and self._head is None and not self.transport.is_closing():
                self._head = self.loop.call_later(HEAD_S, self.transport.abort)

        def _stop(self, *, head: bool = False, write: bool = False) -> None:
            if head and self._head is not None:
                self._head.cancel()
                self._head = None
            if write and self._write is not None:
                self._write.cancel()
                self._write = None

    return Bounded


def _told_of_end(protocol: Any, ended: Callable[[], None]) -> None:
    lost = protocol.connection_lost

    def connection_lost(error: Exception | None) -> None:
        ended()
        lost(error)

    protocol.connection_lost = connection_lost


class HttpServer(uvicorn.Server):
    """Serves an application on sockets that are open already; ``begun`` is called when it does."""

    def __init__(self, app: Any, crowd: Crowd, *, tls: ssl.SSLContext | None, begun: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            http=bounded(crowd),
            ws="websockets-sansio",
            ws_max_size=65_536,
            lifespan="on",
            log_config=None,
            access_log=False,  # paths hold names of users and ids of events
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=_GRACE_S,
            h11_max_incomplete_event_size=HEAD_BYTES,
        )
        super().__init__(config)
        self._tls = tls
        self._begun = begun

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are for whoever runs the server."""
        yield

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Listen."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            self.should_exit = True
            return
        loop = asyncio.get_running_loop()

        def connection(_loop: asyncio.AbstractEventLoop | None = None) -> asyncio.Protocol:
            made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=_loop
            )
            return made

        handshake_s = None if self._tls is None else HANDSHAKE_S
        self.servers = [
            await loop.create_server(
                connection, sock=each, ssl=self._tls, backlog=BACKLOG, ssl_handshake_timeout=handshake_s
            )
            for each in sockets or ()
        ]
        self.started = True
        self._begun()
