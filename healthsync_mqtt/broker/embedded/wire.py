"""The byte pipe under a connection: plain or TLS TCP, or a WebSocket; the connection cannot tell which."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from websockets.exceptions import NegotiationError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from healthsync_mqtt.identity.login.proof import Demand


class Listener(Protocol):
    """What a wire tells the connection above it."""

    def received(self, data: bytes) -> None:
        """Bytes came in."""

    def stalled(self) -> None:
        """The peer reads more slowly than we send; ``congested`` is true."""

    def writable(self) -> None:
        """The peer has read enough: sending may go on; ``congested`` is false again."""

    def lost(self) -> None:
        """The pipe is gone; called once."""


Accept = Callable[["Wire"], Listener | None]

#: Seconds that a closing wire has to get its last bytes out, and to say goodbye in TLS, before it is cut.
_CLOSE_S = 2.0


class Wire(asyncio.Protocol):
    """TCP or TLS. ``accept`` is called once the pipe stands and returns its listener, or None to refuse it."""

    transport: asyncio.Transport

    def __init__(self, accept: Accept, *, secure: bool, clients: Demand = Demand.off) -> None:
        self._accept = accept
        self._listener: Listener | None = None
        self.secure = secure
        #: what the listener asks of clients besides a token
        self.clients = clients
        self.congested = False
        self.peer = "?"
        self._cut: asyncio.TimerHandle | None = None

    @property
    def certificate(self) -> bytes | None:
        """The client's certificate (DER), which TLS has verified against our CA; None when it sent none."""
        tls = self.transport.get_extra_info("ssl_object")
        certificate: bytes | None = None if tls is None else tls.getpeercert(binary_form=True)
        return certificate

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the peer's address and ask the door."""
        # uvloop's transports are asyncio's by behaviour and not by class.
        self.transport = cast("asyncio.Transport", transport)
        address = transport.get_extra_info("peername")
        self.peer = str(address[0]) if address else "?"
        self._listener = self._accept(self)
        if self._listener is None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes from the socket."""
        if self._listener is not None:
            self._listener.received(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio names it
        """The socket is closed."""
        if self._cut is not None:
            self._cut.cancel()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.lost()

    def pause_writing(self) -> None:
        """The peer reads more slowly than we send."""
        self.congested = True
        if self._listener is not None:
            self._listener.stalled()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self.congested = False
        if self._listener is not None:
            self._listener.writable()

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.transport.write(data)

    def pause(self) -> None:
        """Stop reading: back-pressure."""
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def close(self) -> None:
        """Close after what was written has gone out, or at once when the peer does not take it in time."""
        self.transport.close()
        if self._cut is None:
            self._cut = asyncio.get_running_loop().call_later(_CLOSE_S, self.transport.abort)

    def abort(self) -> None:
        """Close at once."""
        self.transport.abort()


class WebSocketWire(Wire):
    """MQTT over WebSocket [MQTT-6.0.0]: binary frames, sub-protocol ``mqtt``, no compression, origins from a list.

    ``most`` bounds the bytes of one WebSocket message, in however many fragments it comes.
    """

    def __init__(
        self, accept: Accept, *, secure: bool, origins: tuple[str, ...], most: int, clients: Demand = Demand.off
    ) -> None:
        super().__init__(accept, secure=secure, clients=clients)
        self._origins = origins
        self._ws = ServerProtocol(select_subprotocol=_mqtt_only, max_size=most)
        self._open = False
        self._failed = False

    def data_received(self, data: bytes) -> None:
        """Bytes of the WebSocket layer."""
        self._ws.receive_data(data)
        for event in self._ws.events_received():
            if isinstance(event, Request):
                if self._is_foreign(event):
                    response = self._ws.reject(403, "this origin is not allowed: broker.allowed_origins\n")
                else:
                    response = self._ws.accept(event)
                self._ws.send_response(response)
                self._open = self._ws.state is State.OPEN
            elif isinstance(event, Frame):
                self._frame(event)
        self._flush()
        if self._ws.close_expected() and not self.transport.is_closing():
            super().close()

    def write(self, data: bytes) -> None:
        """Send bytes as one binary frame."""
        if self._open and self._ws.state is State.OPEN:
            self._ws.send_binary(data)
            self._flush()

    def close(self) -> None:
        """Close the WebSocket, then the socket."""
        if self._open and self._ws.state is State.OPEN:
            self._ws.send_close(1000)
            self._flush()
        super().close()

    def _is_foreign(self, request: Request) -> bool:
        """Whether a page of another site asks. A browser always names its page's origin; most programs name none.

        Some programs name the address they connect to. That is no page's: we serve none, and a page of another name
        at our address would not get past our certificate.
        """
        origins = request.headers.get_all("Origin")
        own = f"https://{request.headers.get('Host')}"
        return any(origin not in self._origins and origin != own for origin in origins)

    def _frame(self, frame: Frame) -> None:
        # The state is no guide here: a close frame at the end of this read has changed it before its first frame.
        if self._failed:
            return
        if frame.opcode in (Opcode.BINARY, Opcode.CONT):
            super().data_received(bytes(frame.data))
        elif frame.opcode is Opcode.TEXT:
            self._failed = True
            if self._ws.state is State.OPEN:
                self._ws.fail(1003, "MQTT needs binary frames")

    def _flush(self) -> None:
        for chunk in self._ws.data_to_send():
            if chunk:
                self.transport.write(chunk)
            elif self.transport.can_write_eof():
                self.transport.write_eof()


def _mqtt_only(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol:
    if "mqtt" in offered:
        return Subprotocol("mqtt")
    raise NegotiationError("the sub-protocol must be mqtt [MQTT-6.0.0-3]")
