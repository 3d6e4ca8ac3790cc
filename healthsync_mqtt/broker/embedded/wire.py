"""The byte pipe under a connection: plain or TLS TCP, or a WebSocket; the connection cannot tell which."""

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, Protocol, cast

from websockets.exceptions import NegotiationError
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from healthsync_mqtt.broker.embedded.frames import NORMAL, Frames, Opcode, close_frame, frame
from healthsync_mqtt.broker.embedded.limits.addresses import ConnectionStanding, Knock
from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.identity.certificates.records import TlsRecords


class Listener(Protocol):
    """What a wire tells the connection above it."""

    def arrived(self) -> None:
        """Bytes came in: ``Wire.read`` gives them, when there is a turn for it."""

    def stalled(self) -> None:
        """The peer reads more slowly than we send; ``congested`` is true."""

    def writable(self) -> None:
        """The peer has read enough: sending may go on; ``congested`` is false again."""

    def lost(self) -> None:
        """The pipe is gone; called once. What has not been read yet may be read still."""


Accept = Callable[["Wire"], Listener | None]

#: Seconds that a closing wire has to get its last bytes out, and to say goodbye in TLS, before it is cut.
_CLOSE_S = 2.0
#: The same where it has to be gone: its right is, or the service. Its last words are few, and worth no more of a wait.
_GONE_S = 0.25

_BYTES = 10  # bytes of the stream cost their number >> this in units of work
_LINE = 8  # units of work of a line of the HTTP request
_AT_ONCE = 1_000  # units of work that are spent on deciphering what one client sent, before others come


class Tongue(StrEnum):
    """What came to a port that speaks something else."""

    tls_on_plain_port = "tls_on_plain_port"
    http_on_mqtt_port = "http_on_mqtt_port"
    mqtt_on_websocket_port = "mqtt_on_websocket_port"


_TONGUES = (
    (b"\x16\x03", Tongue.tls_on_plain_port),
    (b"GET ", Tongue.http_on_mqtt_port),
    (b"POST", Tongue.http_on_mqtt_port),
    (b"HEAD", Tongue.http_on_mqtt_port),
)
"""How other protocols begin: a TLS handshake, and HTTP, as a WebSocket does."""
_CONNECT = b"\x10"


def tongue(data: bytes) -> Tongue | None:
    """What the first bytes of a client are that are no MQTT; None when nobody can tell."""
    return next((found for start, found in _TONGUES if data.startswith(start)), None)


class Wire(asyncio.Protocol):
    """TCP or TLS. ``accept`` is called once the pipe stands and returns its listener, or None to refuse it."""

    transport: asyncio.Transport

    def __init__(self, accept: Accept, *, secure: bool, clients: Demand = Demand.off) -> None:
        self._accept = accept
        self._listener: Listener | None = None
        #: how it is counted, and who is told when it is gone
        self.knock: Knock | None = None
        self.on_lost: Callable[[], None] = lambda: None
        #: told when a page of another site is refused
        self.on_foreign: Callable[[], None] = lambda: None
        #: told when MQTT comes where a WebSocket is to be opened first
        self.on_stray: Callable[[], None] = lambda: None
        #: whether the pipe stands, after any handshake
        self.stands = False
        self.secure = secure
        #: what the listener asks of clients besides a token
        self.clients = clients
        self.congested = False
        self._paused = False
        #: whether nothing more can be sent; the loop says so in the log at every try
        self._mute = False
        #: the client's address, which a proxy may have named; without one, whoever is at the other end
        self.peer = ""
        self._cut: asyncio.TimerHandle | None = None
        self._inbox = bytearray()
        #: those of TLS, and what of their work was charged
        self._records: TlsRecords | None = None
        self._charged = 0

    @property
    def waits(self) -> bool:
        """Whether there are bytes to read."""
        return bool(self._inbox)

    def read(self, work: int) -> tuple[bytes, int]:  # noqa: ARG002  # plain bytes cost next to nothing
        """The next bytes of the stream, got with about so much work, and what they cost."""
        data = bytes(self._inbox)
        self._inbox.clear()
        return data, 1 + (len(data) >> _BYTES) + self._toll()

    def allow(self, most: int) -> None:
        """Bytes of one unit of the pipe's own that are taken from now on, if that is more."""

    @property
    def evicted(self) -> bool:
        """Whether it had to make room for others."""
        return self.knock is not None and self.knock.standing is ConnectionStanding.GONE

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
        self.stands = True
        address = transport.get_extra_info("peername")
        self.peer = self.peer or (str(address[0]) if address else "?")
        tls = transport.get_extra_info("ssl_object")
        if isinstance(tls, TlsRecords):
            self._records, tls.at_once = tls, _AT_ONCE
        self._listener = self._accept(self)
        if self._listener is None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes from the socket."""
        if self._listener is not None:
            self._inbox += data
            self._listener.arrived()
        if self._records is not None and self._records.stopped:
            self._records.stopped = False
            asyncio.get_running_loop().call_soon(self._go_on)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio names it
        """The socket is closed."""
        self._mute = True
        if self._cut is not None:
            self._cut.cancel()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.lost()
        self.on_lost()

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
        """Send bytes, if there is anybody to get them."""
        if not (self._mute or self.transport.is_closing()):
            self.transport.write(data)

    def pause(self) -> None:
        """Stop reading: back-pressure."""
        if not (self._mute or self.transport.is_closing()):
            self._paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if not (self._mute or self.transport.is_closing()):
            self._paused = False
            self.transport.resume_reading()

    def close(self, *, soon: bool = False) -> None:
        """Close after what was written has gone out, or at once when the peer does not take it in time.

        ``soon``: however the peer behaves, the socket is closed within a quarter of a second.
        """
        self._mute = True
        self._inbox.clear()
        if self._records is not None:
            self._records.over()
        if soon and self.secure and self._paused:
            # Until the peer says goodbye TLS deciphers all that comes, at once and for nobody: of one that is not read
            # that is what has gathered. What was written goes out before the next round, and no more is waited for.
            asyncio.get_running_loop().call_soon(self.transport.abort)
            return
        self.transport.close()
        if soon and self._cut is not None:
            self._cut.cancel()
            self._cut = None
        if self._cut is None:
            self._cut = asyncio.get_running_loop().call_later(_GONE_S if soon else _CLOSE_S, self.transport.abort)

    def abort(self) -> None:
        """Close at once."""
        self._mute = True
        self._inbox.clear()
        self.transport.abort()

    def _toll(self) -> int:
        """What deciphering has cost since the last time."""
        if self._records is None:
            return 0
        before, self._charged = self._charged, self._records.work
        return self._charged - before

    def _go_on(self) -> None:
        """Decipher more, in a round of its own, unless that waits for a turn."""
        if not (self._paused or self._mute or self.transport.is_closing()):
            self.transport.pause_reading()
            self.transport.resume_reading()


class WebSocketWire(Wire):
    """MQTT over WebSocket [MQTT-6.0.0]: binary frames, sub-protocol ``mqtt``, no compression, origins from a list.

    ``most`` bounds the bytes of one WebSocket message, in however many fragments it comes.
    """

    def __init__(
        self, accept: Accept, *, secure: bool, origins: tuple[str, ...], most: int, clients: Demand = Demand.off
    ) -> None:
        super().__init__(accept, secure=secure, clients=clients)
        self._origins = origins
        #: the opening; None once the WebSocket is open
        self._opening: ServerProtocol | None = ServerProtocol(select_subprotocol=_chosen)
        self._frames = Frames(most)
        self._over = False

    def read(self, work: int) -> tuple[bytes, int]:
        """The next bytes of the stream inside the frames, got with about so much work, and what they cost."""
        spent = toll = self._toll()
        work += toll  # or a flood of small records would never get on
        while self._opening is not None and self._inbox and spent < work and not self._over:
            spent += self._open(self._opening)
        if self._over:
            self._inbox.clear()
        if self._opening is not None or not self._inbox or spent >= work:
            return b"", max(spent, 1)
        with memoryview(self._inbox) as view:
            taken, held = self._frames.take(view, work - spent)
        del self._inbox[:taken]
        if held.reply:
            super().write(held.reply)
        if held.over:
            self._end()
        return held.payload, spent + held.cost

    def allow(self, most: int) -> None:
        """A WebSocket message may have so many bytes."""
        self._frames.most = max(self._frames.most, most)

    def write(self, data: bytes) -> None:
        """Send bytes as one binary frame."""
        if self._opening is None and not self._over:
            super().write(frame(Opcode.BINARY, data))

    def close(self, *, soon: bool = False) -> None:
        """Close the WebSocket, then the socket."""
        if self._opening is None and not self._over:
            super().write(close_frame(NORMAL))
        self._end(soon=soon)

    def _end(self, *, soon: bool = False) -> None:
        self._over = True
        super().close(soon=soon)

    def _open(self, opening: ServerProtocol) -> int:
        """Read one line of the HTTP request, and answer when it was the last; what it cost."""
        if self._inbox.startswith(_CONNECT):
            self.on_stray()
            self._end()
            return _LINE
        end = self._inbox.find(b"\n") + 1 or len(self._inbox)
        opening.receive_data(bytes(self._inbox[:end]))
        del self._inbox[:end]
        for event in opening.events_received():
            if isinstance(event, Request):
                if self._is_foreign(event):
                    self.on_foreign()
                    response = opening.reject(403, "this origin is not allowed: broker.allowed_origins\n")
                else:
                    response = opening.accept(event)
                opening.send_response(response)
        for chunk in opening.data_to_send():
            if chunk:
                super().write(chunk)
        if opening.state is State.OPEN:
            self._opening = None
        elif opening.close_expected() and not self.transport.is_closing():
            self._end()
        return _LINE + (end >> _BYTES)

    def _is_foreign(self, request: Request) -> bool:
        """Whether a page of another site asks. A browser always names its page's origin; most programs name none.

        Some programs name the address they connect to. That is no page's: we serve none, and a page of another name
        at our address would not get past our certificate.
        """
        origins = request.headers.get_all("Origin")
        own = f"https://{request.headers.get('Host')}"
        return any(origin not in self._origins and origin != own for origin in origins)


_SPOKEN: Final = (Subprotocol("mqtt"), Subprotocol("mqttv3.1"))
"""MQTT, and what clients of MQTT 3.1 call it: that version is older than the name."""


def _chosen(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol:
    for spoken in _SPOKEN:
        if spoken in offered:
            return spoken
    raise NegotiationError("the sub-protocol must be mqtt [MQTT-6.0.0-3]")
