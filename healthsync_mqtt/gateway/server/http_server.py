"""uvicorn with the bounds that it lacks: time for a head, clients that do not read; who enters is counted before."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from healthsync_mqtt.gateway.server.direct_routes import DIRECT
from healthsync_mqtt.gateway.server.entrance import Crowd, Entrance, Place
from healthsync_mqtt.gateway.server.unread import Unread
from healthsync_mqtt.gateway.server.web_socket import WebSocketConnection
from healthsync_mqtt.gateway.server.whole_request import BODY, WholeExchange, WholeRequest
from healthsync_mqtt.mqtt.links.gathered_writes import GatheredWrites
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.notices import Notices

log = get_logger("gateway")

HEAD_S: Final = 10.0
"""Seconds from a connection, or from a request's first byte, to its whole head."""
IDLE_S: Final = 30
"""Seconds that a connection may stand open between two requests."""
WRITE_S: Final = 30.0
"""Seconds that a client may leave what is sent to it untaken."""
HEAD_BYTES: Final = 16_384
"""Bytes of a request's head."""
_GRACE_S: Final = 1
_LONG_HEAD: Final = 431
_TARGETS: Final = frozenset(path.encode() for path in DIRECT)


class _OfClient(GatheredWrites):
    """A transport whose other end is the client that a balancer has introduced."""

    __slots__ = ("_client",)

    def __init__(self, transport: asyncio.Transport, client: str) -> None:
        super().__init__(transport)
        self._client = client

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the transport's own; the socket, which knows the balancer alone, is not told."""
        if name == "socket":
            return default
        return (self._client, 0) if name == "peername" else self._transport.get_extra_info(name, default)


class _BytesRead(h11.Connection):
    """h11, which tells what it cannot read instead of raising it."""

    def __init__(self, unreadable: Callable[[int], None]) -> None:
        super().__init__(h11.SERVER, HEAD_BYTES)
        self._unreadable = unreadable
        #: of the request that is there
        self.method = b""

    def next_event(self) -> Any:
        """As h11's own; of what cannot be read nothing more is read."""
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:  # whose words may quote what was sent
            self._unreadable(error.error_status_hint)
            return h11.NEED_DATA
        if isinstance(event, h11.Request):
            self.method = event.method
            if _head_of(event) > HEAD_BYTES:  # one that comes whole is read by h11 however long it is
                self._unreadable(_LONG_HEAD)
                return h11.NEED_DATA
        return event


def _head_of(request: h11.Request) -> int:
    """The bytes of its head, to its empty line."""
    lines = sum(len(name) + len(value) + len(b": \r\n") for name, value in request.headers)
    return len(request.method) + len(request.target) + len(b"  HTTP/1.1\r\n\r\n") + lines


class Bounded(H11Protocol):
    """One connection, which was counted when it came."""

    conn: _BytesRead
    place: Place
    unread: Unread
    notices: Notices
    """Of requests that cannot be read: strangers may send any number of them."""
    _head: asyncio.TimerHandle | None = None
    _write: asyncio.TimerHandle | None = None
    _early = b""
    """What came before the answer to a whole request."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.conn = _BytesRead(self._unread)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        client = self.place.introduced
        gathered = GatheredWrites(transport) if client is None else _OfClient(transport, client)
        super().connection_made(gathered)  # type: ignore[arg-type]  # a transport by behaviour
        self._watch(begins=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self.place.leave()
        self._stop(head=True, write=True)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if isinstance(self.cycle, WholeExchange) and not self.cycle.response_complete:
            self._early += data
            self.flow.pause_reading()
            return
        whole = WholeRequest.read(data, _TARGETS, HEAD_BYTES) if self._between_requests() else None
        if whole is not None:
            self._answer(whole)
            return
        super().data_received(data)
        self._watch(begins=bool(self.conn.trailing_data[0]))

    def on_response_complete(self) -> None:
        super().on_response_complete()
        early, self._early = self._early, b""
        if early and not self.transport.is_closing():
            self.data_received(early)
        else:
            self._watch(begins=bool(self.conn.trailing_data[0]))

    def _between_requests(self) -> bool:
        """Whether what comes now is the beginning of a request, of which h11 has seen nothing."""
        return self.conn.their_state is h11.IDLE and self.conn.our_state is h11.IDLE and not self.conn.trailing_data[0]

    def _answer(self, request: WholeRequest) -> None:
        """As uvicorn does with what h11 has read."""
        self._unset_keepalive_if_required()
        self._stop(head=True)
        target = request.target.decode("ascii")
        self.headers = request.headers
        self.scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": "POST",
            "root_path": "",
            "path": target,
            "raw_path": request.target,
            "query_string": b"",
            "headers": self.headers,
            "state": {**self.app_state, BODY: request.body},
        }
        self.cycle = WholeExchange(
            request,
            scope=self.scope,
            conn=self.conn,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            on_response=self.on_response_complete,
        )
        task = self.loop.create_task(self.cycle.run_asgi(self.app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write is None:
            self._write = self.loop.call_later(WRITE_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop(write=True)

    def _should_upgrade(self) -> bool:
        """A WebSocket is asked for by a GET of HTTP/1.1; any other request is answered as if it had no such wish."""
        asks = self.scope["method"] == "GET" and self.scope["http_version"] == "1.1"
        return asks and self._get_upgrade() == b"websocket"

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        super().handle_websocket_upgrade(event)
        self._stop(head=True, write=True)
        # Its connection goes on in another protocol, which says nothing here when it ends.
        opened: Any = self.transport.get_protocol()
        _told_of_end(opened, self.place.leave)
        if not opened.handshake_initiated:  # longer lines, or more of them, than it reads: it would wait for ever
            self._say(_LONG_HEAD)
            self.transport.close()

    def _unread(self, status: int) -> None:
        """What cannot be read is told where nothing was told yet, and is the last of its connection."""
        if self.transport.is_closing():
            return
        peer = self.client[0] if self.client else ""
        left_out = self.notices.due(peer, time.monotonic())
        if left_out is not None:
            log.info("gateway.unreadable", peer=peer, status=status, left_out=left_out)
        if self.cycle is not None and not self.cycle.response_complete:
            # Whoever reads its body hears that it has ended; nothing else is said to it.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self._say(status)
        self.transport.close()

    def _say(self, status: int) -> None:
        """Refuse the request that is there, or the bytes that are to be one."""
        answer = self.unread(status, tls=self.scheme == "https")
        headers = [*self.server_state.default_headers, *answer.raw_headers, (b"connection", b"close")]
        asked = self.conn.our_state is h11.SEND_RESPONSE
        body = b"" if asked and self.conn.method == b"HEAD" else bytes(answer.body)
        reason = STATUS_PHRASES[answer.status_code]
        for event in (
            h11.Response(status_code=answer.status_code, headers=headers, reason=reason),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")

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


def _told_of_end(protocol: Any, ended: Callable[[], None]) -> None:
    lost = protocol.connection_lost

    def connection_lost(error: Exception | None) -> None:
        ended()
        lost(error)

    protocol.connection_lost = connection_lost


class HttpServer(uvicorn.Server):
    """Serves an application on sockets that are open already; ``begun`` is called when it does."""

    def __init__(
        self, app: Any, crowd: Crowd, *, tls: ssl.SSLContext | None, begun: Callable[[], None], unread: Unread
    ) -> None:
        """``unread`` makes what is answered before the application is asked."""
        config = uvicorn.Config(
            app,
            http=Bounded,
            ws=partial(WebSocketConnection, unread),  # type: ignore[arg-type]  # made with names alone
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
        self._crowd = crowd
        self._tls = tls
        self._begun = begun
        self._unread = unread

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

        notices = Notices()

        def connection(place: Place) -> asyncio.Protocol:
            made = Bounded(self.config, self.server_state, self.lifespan.state)
            made.place, made.notices, made.unread = place, notices, self._unread
            return made

        entrance = Entrance(self._crowd, connection, tls=self._tls)
        entrance.open(sockets or ())
        self.servers = [entrance]  # type: ignore[list-item]  # closed and waited for as the loop's own
        self.started = True
        self._begun()
