"""Connections are counted when they are accepted: a TLS handshake that never ends has a place like any other."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from healthsync_mqtt.config.sections import GatewaySettings
from healthsync_mqtt.gateway.bodies.unreadable import unread
from healthsync_mqtt.gateway.server.entrance import Crowd
from healthsync_mqtt.gateway.server.http_server import HttpServer
from healthsync_mqtt.identity.certificates.files import ensure_ca_and_server
from tests.support.patience import until
from tests.unit.gateway.server.test_http_server import ended, hello


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's context and a client's."""
    paths = ensure_ca_and_server(tmp_path_factory.mktemp("certs"), (), datetime.now(UTC))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(paths.server_cert, paths.server_key)
    return server, ssl.create_default_context(cafile=str(paths.ca_cert))


@contextlib.asynccontextmanager
async def served(settings: GatewaySettings, tls: ssl.SSLContext) -> AsyncIterator[tuple[int, Crowd]]:
    crowd, begun = Crowd(settings), asyncio.Event()
    listening = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(hello, crowd, tls=tls, begun=begun.set, unread=unread)
    serving = asyncio.create_task(server.serve([listening]))
    await begun.wait()
    try:
        yield listening.getsockname()[1], crowd
    finally:
        server.should_exit = True
        await serving


async def test_handshakes_that_do_not_end_are_counted_by_address(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = tls
    async with served(GatewaySettings(connections_per_address=3), server) as (port, crowd):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        half = await asyncio.open_connection("127.0.0.1", port)
        half[1].write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # the beginning of a hello
        await until(lambda: crowd.total == 3)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await ended(reader)
        writer.close()
        assert crowd.refused == 1
        for _, each in (*silent, half):
            each.close()
        await until(lambda: crowd.total == 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="localhost")
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"200" in await reader.readline()
        assert crowd.total == 1
        writer.close()
        await until(lambda: crowd.total == 0)


async def test_what_is_no_tls_gives_its_place_back(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with served(GatewaySettings(), tls[0]) as (port, crowd):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()  # a TLS alert, or nothing
        writer.close()
        await until(lambda: crowd.total == 0)


async def test_a_server_that_stops_waits_for_no_handshake(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with served(GatewaySettings(), tls[0]) as (port, crowd):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        await until(lambda: crowd.total == 1)
    await until(lambda: crowd.total == 0)
    writer.close()
