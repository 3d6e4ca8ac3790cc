"""Whose a connection is that a TCP load balancer hands on: the PROXY protocol at the gateway's own door, T29."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from healthsync_mqtt.broker.embedded.proxy_header import SIGNATURE
from healthsync_mqtt.config.sections import GatewaySettings
from healthsync_mqtt.gateway.bodies.unreadable import unread
from healthsync_mqtt.gateway.login import beginnings
from healthsync_mqtt.gateway.server.entrance import Crowd
from healthsync_mqtt.gateway.server.http_server import HttpServer
from tests.support.gateway import filled, gateway_here
from tests.support.patience import PATIENCE_S, until
from tests.unit.gateway.server.test_entrance import tls as tls  # noqa: PLC0414  # a fixture
from tests.unit.gateway.server.test_http_server import ended

BALANCER = "127.0.0.9"
TRUSTING = GatewaySettings(balancers=(BALANCER,), connections_per_address=2)
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
ASK = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def version_1(peer: str) -> bytes:
    return f"PROXY TCP4 {peer} 127.0.0.1 56324 443\r\n".encode()


def version_2(peer: str) -> bytes:
    return SIGNATURE + b"\x21\x11\x00\x0c" + socket.inet_aton(peer) + bytes([127, 0, 0, 1, 0xDC, 0x04, 0x01, 0xBB])


async def who(scope: Any, receive: Any, send: Any) -> None:
    """Tells whoever asks where the request is from; a WebSocket is refused with that."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    said = scope["client"][0].encode()
    length = (b"content-length", str(len(said)).encode())
    await send({"type": f"{kind}.start", "status": 403, "headers": [length]})
    await send({"type": f"{kind}.body", "body": said})


@asynccontextmanager
async def served(settings: GatewaySettings, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, Crowd]]:
    crowd, begun = Crowd(settings), asyncio.Event()
    listening = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(who, crowd, tls=tls, begun=begun.set, unread=unread)
    serving = asyncio.create_task(server.serve([listening]))
    await begun.wait()
    try:
        yield listening.getsockname()[1], crowd
    finally:
        server.should_exit = True
        await serving


async def arrives(port: int, source: str = BALANCER) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))


@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.parametrize("header", [version_1, version_2])
async def test_the_client_is_whom_the_balancer_names(
    tls: tuple[ssl.SSLContext, ssl.SSLContext], header: Any, *, encrypted: bool
) -> None:
    async with served(TRUSTING, tls[0] if encrypted else None) as (port, crowd):
        reader, writer = await arrives(port)
        writer.write(header("203.0.113.7"))
        if encrypted:
            await writer.start_tls(tls[1], server_hostname="localhost")
        writer.write(ASK)
        assert (await reader.read()).endswith(b"203.0.113.7")
        writer.close()
        await until(lambda: crowd.total == 0)


async def test_a_websocket_is_the_clients_too() -> None:
    async with served(TRUSTING) as (port, _):
        opened = socket.create_connection(("127.0.0.1", port), source_address=(BALANCER, 0))
        opened.sendall(version_2("203.0.113.7"))
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{port}/", sock=opened, open_timeout=PATIENCE_S)
        assert refused.value.response.body == b"203.0.113.7"


async def test_a_look_of_the_balancer_is_its_own() -> None:
    async with served(TRUSTING) as (port, _):
        reader, writer = await arrives(port)
        writer.write(LOCAL + ASK)
        assert (await reader.read()).endswith(BALANCER.encode())
        writer.close()


async def test_connections_count_for_the_client_and_for_nobody_before() -> None:
    async with served(TRUSTING) as (port, crowd):
        silent = await arrives(port)
        two = [await arrives(port) for _ in range(2)]
        for _, writer in two:
            writer.write(version_2("203.0.113.7"))
        await until(lambda: crowd.total == 2)
        reader, writer = await arrives(port)
        writer.write(version_2("203.0.113.7"))
        assert await ended(reader)
        assert crowd.refused == 1
        other = await arrives(port)
        other[1].write(version_2("203.0.113.8"))
        await until(lambda: crowd.total == 3)
        for _, each in (silent, *two, (reader, writer), other):
            each.close()
        await until(lambda: crowd.total == 0)


@pytest.mark.parametrize("said", [ASK, version_2("1.2.3.4")[:-1], version_1("1.2.3")])
async def test_a_balancer_that_does_not_say_whose_it_is_is_refused(said: bytes) -> None:
    async with served(TRUSTING) as (port, crowd):
        reader, writer = await arrives(port)
        writer.write(said)
        writer.write_eof()
        assert await ended(reader)
        writer.close()
        assert (crowd.refused, crowd.total) == (1, 0)


@pytest.mark.parametrize("header", [version_1, version_2])
async def test_nobody_else_is_believed(header: Any) -> None:
    """The same bytes from another address are a bad request of that address."""
    async with served(TRUSTING) as (port, crowd):
        reader, writer = await arrives(port, "127.0.5.9")
        writer.write(header("203.0.113.7") + ASK)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"203.0.113.7" not in answer
        writer.close()
        assert crowd.refused == 0


def test_limits_of_the_gateway_go_by_whom_the_balancer_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beginnings, "BURST", 1)
    monkeypatch.setattr(beginnings, "PER_S", 1e-6)
    data = tmp_path / "data"
    filled(data, ["alice"], [])
    settings = {"gateway.public_url": "https://health.example.org", "gateway.balancers": BALANCER}
    answers = []
    with gateway_here(data, **settings) as here:
        at = int(here.web.url.rpartition(":")[2])
        for client in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
            with socket.create_connection(("127.0.0.1", at), PATIENCE_S, source_address=(BALANCER, 0)) as opened:
                opened.sendall(version_1(client) + ASK.replace(b"GET /", b"POST /v1/session/challenge"))
                with opened.makefile("rb") as answer:
                    answers.append(answer.readline().split()[1])
    assert answers == [b"200", b"429", b"200"]
