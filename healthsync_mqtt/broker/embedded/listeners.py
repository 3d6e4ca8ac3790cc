"""The ports of the front door: MQTT, MQTT over TLS, MQTT over WebSocket over TLS."""

import asyncio
import ssl

from healthsync_mqtt.broker.embedded.wire import Accept, WebSocketWire, Wire
from healthsync_mqtt.identity.login.proof import Demand

_HANDSHAKE_S = 10.0
_BACKLOG = 1024


class Listeners:
    """Open ports. ``accept`` takes each connection; ``most`` bounds the bytes of one WebSocket message."""

    def __init__(self, accept: Accept, *, most: int) -> None:
        self._accept = accept
        self._most = most
        self._servers: list[asyncio.Server] = []

    async def open(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None,
        clients: Demand = Demand.off,
        origins: tuple[str, ...] | None = None,
    ) -> int:
        """Open a listener (MQTT, or MQTT over WebSocket when ``origins`` is given); returns its port.

        ``clients`` is what logins need there; ``tls`` has to ask for certificates accordingly.
        """
        secure = tls is not None

        def make() -> Wire:
            if origins is None:
                return Wire(self._accept, secure=secure, clients=clients)
            return WebSocketWire(self._accept, secure=secure, clients=clients, origins=origins, most=self._most)

        timeout = _HANDSHAKE_S if secure else None
        loop = asyncio.get_running_loop()
        server = await loop.create_server(make, host, port, ssl=tls, ssl_handshake_timeout=timeout, backlog=_BACKLOG)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Accept no more connections."""
        for server in self._servers:
            server.close()

    async def closed(self) -> None:
        """Wait until every connection is gone."""
        for server in self._servers:
            await server.wait_closed()
