"""uvicorn's WebSockets, whose handshakes are refused as everything else is refused here."""

from email.utils import formatdate
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.http11 import Response
from websockets.server import ServerProtocol

from healthsync_mqtt.gateway.server.unread import Unread


class _Handshake(ServerProtocol):
    """A handshake that is refused is answered as it is told to be."""

    unread: Unread
    tls = False

    def reject(self, status: Any, text: str) -> Response:
        """The refusal; ``text`` may quote what was asked, and is not told."""
        del text
        answer = self.unread(int(status), tls=self.tls, handshake=True)
        headers = Headers([(name.decode(), value.decode()) for name, value in answer.raw_headers])
        headers["Date"] = formatdate(usegmt=True)
        headers["Connection"] = "close"
        refusal = super().reject(answer.status_code, "")
        return Response(refusal.status_code, refusal.reason_phrase, headers, bytes(answer.body))


class WebSocketConnection(WebSocketsSansIOProtocol):
    """One connection that asked for a WebSocket."""

    def __init__(self, unread: Unread, **given: Any) -> None:
        super().__init__(**given)
        before, limit = self.conn, self.config.ws_max_size
        made = _Handshake(extensions=before.available_extensions, max_size=limit, logger=before.logger)
        made.unread = unread
        self.conn = made

    def connection_made(self, transport: Any) -> None:
        """The handshake begins."""
        super().connection_made(transport)
        assert isinstance(self.conn, _Handshake)
        self.conn.tls = self.scheme == "wss"

    async def send(self, message: Any) -> None:
        """ASGI. An answer in place of a WebSocket is the end of the handshake, too: without that it is a defect."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True
