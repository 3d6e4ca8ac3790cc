"""The bounds around the HTTP server: connections, heads that do not end, clients that do not read."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from healthsync_mqtt.config.sections import GatewaySettings
from healthsync_mqtt.gateway.bodies.unreadable import unread
from healthsync_mqtt.gateway.server import http_server as bounds
from healthsync_mqtt.gateway.server.entrance import Crowd
from healthsync_mqtt.gateway.server.http_server import HttpServer
from tests.support.patience import until


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Eight MiB for whoever asks, so that a client which reads nothing is noticed."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = b"." * (8 << 20 if scope["path"] == "/much" else 5)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for start in range(0, len(body), 65_536):
        await send({"type": "http.response.body", "body": body[start : start + 65_536], "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@asynccontextmanager
async def served(settings: GatewaySettings) -> AsyncIterator[tuple[int, Crowd]]:
    crowd, begun = Crowd(settings), asyncio.Event()
    listening = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(hello, crowd, tls=None, begun=begun.set, unread=unread)
    serving = asyncio.create_task(server.serve([listening]))
    await begun.wait()
    try:
        yield listening.getsockname()[1], crowd
    finally:
        server.should_exit = True
        await serving


async def ended(reader: asyncio.StreamReader) -> bool:
    """Whether the other side hung up without a word."""
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("settings", [GatewaySettings(connections=2), GatewaySettings(connections_per_address=2)])
async def test_one_connection_too_many_is_closed_and_room_comes_back(settings: GatewaySettings) -> None:
    async with served(settings) as (port, crowd):
        two = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await until(lambda: crowd.total == 2)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await ended(reader)
        writer.close()
        for _, each in two:
            each.close()
        await until(lambda: crowd.total == 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"200" in await reader.readline()
        writer.close()
        assert crowd.refused == 1


@pytest.mark.parametrize("begins", [b"", b"GET / HTTP/1.1\r\nHost"])
async def test_a_head_that_does_not_end_is_cut(begins: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "HEAD_S", 0.05)
    async with served(GatewaySettings()) as (port, crowd):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begins)
        assert await ended(reader)
        writer.close()
        assert crowd.total == 0


async def test_a_head_that_does_not_end_behind_a_whole_request_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "HEAD_S", 0.05)
    async with served(GatewaySettings()) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /")
        answer = b""
        while part := await reader.read(65_536):
            answer += part
        assert answer.count(b"200 OK") == 1
        writer.close()


async def test_a_client_that_does_not_read_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "WRITE_S", 0.05)
    async with served(GatewaySettings()) as (port, crowd):
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.setblocking(False)
        with deaf:
            await asyncio.get_running_loop().sock_connect(deaf, ("127.0.0.1", port))
            await asyncio.get_running_loop().sock_sendall(deaf, b"GET /much HTTP/1.1\r\nHost: a\r\n\r\n")
            await until(lambda: crowd.total == 1)
            await until(lambda: crowd.total == 0)
