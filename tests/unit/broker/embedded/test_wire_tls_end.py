"""The end of a TLS connection that is not read: what has gathered of it is deciphered for nobody."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvloop

from healthsync_mqtt.broker.embedded.wire import Wire
from healthsync_mqtt.identity.certificates.files import ensure_ca_and_server, server_context
from tests.support.patience import PATIENCE_S


class Held:
    """A listener that does not go on reading what comes."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.paused = asyncio.Event()
        self.ended = asyncio.Event()

    def arrived(self) -> None:
        self.wire.pause()
        self.paused.set()

    def stalled(self) -> None:
        """It writes a few bytes."""

    def writable(self) -> None:
        """It writes a few bytes."""

    def lost(self) -> None:
        self.ended.set()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_who_is_revoked_and_floods_and_says_no_goodbye_gets_the_last_words_and_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Fifty that were revoked held everybody up for two tenths of a second: all that waited in the system was read."""
    monkeypatch.setattr("healthsync_mqtt.broker.embedded.wire._GONE_S", 3600.0)
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(ends(tmp_path))


async def ends(folder: Path) -> None:
    files = ensure_ca_and_server(folder, [], datetime.now(UTC))
    held: asyncio.Queue[Held] = asyncio.Queue()

    def accept(wire: Wire) -> Held:
        listener = Held(wire)
        held.put_nowait(listener)
        return listener

    server = await asyncio.get_running_loop().create_server(
        lambda: Wire(accept, secure=True), "127.0.0.1", 0, ssl=server_context(files)
    )
    try:
        client = await asyncio.to_thread(connected, server.sockets[0].getsockname(), files.ca_cert)
        with client:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.to_thread(fill, client)
                listener = await held.get()
                await listener.paused.wait()
                listener.wire.write(b"last words")
                listener.wire.close(soon=True)
                listener.wire.resume()
                await listener.ended.wait()
            client.settimeout(PATIENCE_S)
            assert client.recv(64) == b"last words"
    finally:
        server.close()
        await server.wait_closed()


def connected(address: tuple[str, int], ca_file: Path) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(ca_file))
    return context.wrap_socket(socket.create_connection(address), server_hostname="localhost")


def fill(client: ssl.SSLSocket) -> None:
    """Send until nobody takes more."""
    client.settimeout(0.2)
    try:
        while True:
            client.send(bytes(65_536))
    except (TimeoutError, ssl.SSLWantWriteError):
        return
