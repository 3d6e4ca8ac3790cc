"""Records of TLS under a wire: they are its sender's work, few are deciphered at once, next to none after the end."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvloop

from healthsync_mqtt.broker.embedded.wire import WebSocketWire, Wire
from healthsync_mqtt.identity.certificates.files import ensure_ca_and_server, server_context
from tests.support.patience import PATIENCE_S, until

LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
SENT = 5_000

Loop = Callable[[], asyncio.AbstractEventLoop]


class Reader:
    """A listener that reads nothing before it is told to, and then what comes, and what that cost."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.parts: list[bytes] = []
        self.cost = 0
        self.came = asyncio.Event()
        self.ended = asyncio.Event()
        wire.pause()

    def arrived(self) -> None:
        while self.wire.waits:
            data, cost = self.wire.read(1_000)
            self.parts.append(data)
            self.cost += cost
        self.came.set()

    def stalled(self) -> None:
        """It writes next to nothing."""

    def writable(self) -> None:
        """It writes next to nothing."""

    def lost(self) -> None:
        self.ended.set()


@contextlib.asynccontextmanager
async def connected(folder: Path, made: type[Wire] = Wire) -> AsyncIterator[tuple[ssl.SSLSocket, Reader]]:
    files = ensure_ca_and_server(folder, [], datetime.now(UTC))
    readers: asyncio.Queue[Reader] = asyncio.Queue()

    def accept(wire: Wire) -> Reader:
        reader = Reader(wire)
        readers.put_nowait(reader)
        return reader

    def wire() -> Wire:
        if made is WebSocketWire:
            return WebSocketWire(accept, secure=True, origins=(), most=1_000)
        return Wire(accept, secure=True)

    def opened() -> ssl.SSLSocket:
        trusted = ssl.create_default_context(cafile=str(files.ca_cert))
        return trusted.wrap_socket(socket.create_connection(address), server_hostname="localhost")

    server = await asyncio.get_running_loop().create_server(wire, "127.0.0.1", 0, ssl=server_context(files))
    address = server.sockets[0].getsockname()
    try:
        async with asyncio.timeout(PATIENCE_S):
            client = await asyncio.to_thread(opened)
            with client:
                yield client, await readers.get()
    finally:
        server.close()
        await server.wait_closed()


async def send(client: ssl.SSLSocket, records: int, payload: bytes = b"x") -> None:
    def sent() -> None:
        for _ in range(records):
            client.sendall(payload)

    await asyncio.to_thread(sent)


async def gathered(reader: Reader, size: int) -> None:
    """So many bytes are here, and nothing is deciphered."""
    transport: Any = reader.wire.transport
    await until(lambda: transport.get_read_buffer_size() >= size)


async def read_on(reader: Reader, size: int) -> None:
    reader.wire.resume()
    while len(b"".join(reader.parts)) < size:
        reader.came.clear()
        await reader.came.wait()


@LOOPS
def test_records_are_work_and_few_are_deciphered_before_others_come(tmp_path: Path, loop: Loop) -> None:
    async def flood() -> None:
        async with connected(tmp_path) as (client, reader):
            await send(client, SENT)
            await gathered(reader, SENT * 22)
            await read_on(reader, SENT)
            assert SENT <= reader.cost <= SENT + SENT // 100
            assert max(map(len, reader.parts)) < 1_100

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(flood())


@LOOPS
def test_large_records_cost_their_bytes(tmp_path: Path, loop: Loop) -> None:
    async def flood() -> None:
        async with connected(tmp_path) as (client, reader):
            await send(client, 10, b"x" * 16_384)
            await read_on(reader, 163_840)
            assert 160 <= reader.cost <= 160 + 10 + len(reader.parts)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(flood())


@LOOPS
def test_of_a_websocket_too_before_it_is_open(tmp_path: Path, loop: Loop) -> None:
    async def flood() -> None:
        async with connected(tmp_path, WebSocketWire) as (client, reader):
            await send(client, SENT, b"G")
            await gathered(reader, SENT * 22)
            reader.wire.resume()
            while reader.cost < SENT:
                reader.came.clear()
                await reader.came.wait()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(flood())


@LOOPS
def test_who_goes_on_after_the_end_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: Loop) -> None:
    """TLS waits for the peer's goodbye, and deciphered for nobody all that came before it: two seconds of a flood."""
    monkeypatch.setattr("healthsync_mqtt.broker.embedded.wire._CLOSE_S", 3600.0)

    async def flood() -> None:
        async with connected(tmp_path) as (client, reader):
            reader.wire.resume()
            reader.wire.write(b"last words")
            reader.wire.close()
            assert await asyncio.to_thread(client.recv, 64) == b"last words"
            with contextlib.suppress(OSError):  # as it is cut off
                await send(client, SENT)
            await reader.ended.wait()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(flood())
