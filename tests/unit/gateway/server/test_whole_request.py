"""What is read without h11 is read as h11 reads it, and answered as it answers; everything else is left to it."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from healthsync_mqtt.config.sections import GatewaySettings
from healthsync_mqtt.gateway.bodies.unreadable import unread
from healthsync_mqtt.gateway.server.entrance import Crowd
from healthsync_mqtt.gateway.server.http_server import HEAD_BYTES, HttpServer
from healthsync_mqtt.gateway.server.whole_request import BODY, WholeRequest
from tests.support.patience import until

TARGETS = frozenset({b"/v1/events", b"/sync/events"})
PLAIN = b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"


def read(data: bytes) -> WholeRequest | None:
    return WholeRequest.read(data, TARGETS, HEAD_BYTES)


def read_by_h11(data: bytes) -> WholeRequest:
    """The one request that it is, with all of ``data`` used; whatever h11 raises, or AssertionError."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
    connection.receive_data(data)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method, request.http_version) == (b"POST", b"1.1")
    body, connection_goes_on = b"", connection.our_state
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        assert isinstance(event, h11.Data)
        body += event.data
    assert connection.trailing_data[0] == b""
    assert connection.their_state is h11.DONE, "the connection is to end, or to become another"
    assert not connection.they_are_waiting_for_100_continue
    assert connection_goes_on is h11.SEND_RESPONSE
    return WholeRequest(request.target, list(request.headers), body)


def seldom(usual: bytes, *others: bytes) -> st.SearchStrategy[bytes]:
    """One of the others now and then: were all of them as likely, hardly any request would be one."""
    return st.integers(0, 7 + len(others)).map(lambda drawn: others[drawn - 8] if drawn >= 8 else usual)


line_ends = seldom(b"\r\n", b"\n", b"\r\r\n", b"\r\n ")
separators = seldom(b": ", b":", b" : ", b":  ", b":\t", b"")
names = st.sampled_from(
    [b"X-A", b"Authorization", b"Connection", b"Host", b"host", b"Content-Length", b"content-length",
     b"Content-Length ", b"Transfer-Encoding", b"Expect", b"Upgrade", b"", b" X", b"x\x00", b"\xc3\xa9"]
)  # fmt: skip
values = st.one_of(
    st.sampled_from([b"a", b"2", b"02", b"+2", b"2, 2", b"2 ", b"keep-alive", b"Keep-Alive", b"close", b"chunked",
                     b"100-continue", b"websocket", b"upgrade", b"a\tb", b"a b", b"", b"\xff", b"a\x0bb", b"a\rb"]),
    st.text(alphabet=[chr(code) for code in range(32, 127)], max_size=8).map(str.encode),
    st.binary(max_size=4),
)  # fmt: skip
plain = st.sampled_from([b"X-A: a  b\r\n", b"Connection: Keep-Alive\r\n", b"Authorization:x\r\n", b"x-!#$%: ~\r\n"])
more = st.one_of(plain, st.tuples(names, separators, values, line_ends).map(b"".join))
firsts = seldom(
    b"POST /v1/events HTTP/1.1", b"POST /sync/events HTTP/1.1", b"POST /v1/events HTTP/1.0",
    b"POST  /v1/events HTTP/1.1", b"POST /v1/events? HTTP/1.1", b"GET /v1/events HTTP/1.1",
    b"POST /v1/events HTTP/1.1 ",
)  # fmt: skip
lengths = seldom(b"Content-Length: 2\r\n", b"", b"Content-Length: 02\r\n", b"Content-Length: 12\r\n")
bodies = seldom(b"{}", b"", b"{", b"{}\r\n", b"{}GET / HTTP/1.1\r\n", b"2\r\n{}\r\n0\r\n\r\n")


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A plain request of which something is changed."""
    lines = [draw(seldom(b"Host: a\r\n", b"")), draw(lengths), *draw(st.lists(more, max_size=3))]
    return b"".join([draw(firsts), draw(line_ends), *draw(st.permutations(lines)), draw(line_ends), draw(bodies)])


@given(requests())
@example(PLAIN)
@example(PLAIN.replace(b"Host: a", b"Host:a\r\nConnection: Keep-Alive\r\nX-Empty: a  b"))
def test_what_is_taken_is_what_h11_reads(data: bytes) -> None:
    found = read(data)
    if found is not None:
        assert found == read_by_h11(data)


def test_a_plain_request_is_taken() -> None:
    assert read(PLAIN) == (b"/v1/events", [(b"host", b"a"), (b"content-length", b"2")], b"{}")


@pytest.mark.parametrize(
    "data",
    [
        PLAIN + b"x",
        PLAIN[:-1],
        PLAIN + PLAIN,
        PLAIN[: PLAIN.index(b"{}")],
        PLAIN.replace(b"POST", b"PUT"),
        PLAIN.replace(b"/v1/events", b"/v1/changes"),
        PLAIN.replace(b"/v1/events", b"/v1/events?a=b"),
        PLAIN.replace(b"1.1", b"1.0"),
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"Host: a\r\n", b""),
        PLAIN.replace(b"Host: a", b"Host: a\r\nHost: a"),
        PLAIN.replace(b"Content-Length: 2\r\n", b""),
        PLAIN.replace(b"Length: 2", b"Length: 2\r\nContent-Length: 2"),
        PLAIN.replace(b"Length: 2", b"Length: 2\r\nContent-Length: 3"),
        PLAIN.replace(b"Length: 2", b"Length: +2"),
        PLAIN.replace(b"Length: 2", b"Length: 2, 2"),
        PLAIN.replace(b"Length: 2", b"Length: 00000000002"),
        PLAIN.replace(b"Length: 2", b"Length: 2\r\nTransfer-Encoding: chunked"),
        PLAIN.replace(b"Length: 2", b"Length: 2\r\nTransfer-Encoding: identity"),
        PLAIN.replace(b"Length: 2", b"Length: 2\r\nExpect: 100-continue"),
        PLAIN.replace(b"Length: 2", b"Length: 2\r\nConnection: close"),
        PLAIN.replace(b"Length: 2", b"Length: 2\r\nConnection: upgrade\r\nUpgrade: websocket"),
        PLAIN.replace(b"Host: a", b"Host: a\r\n b"),
        PLAIN.replace(b"Host: a", b"Host : a"),
        PLAIN.replace(b"Host: a", b"Host: \x00"),
        PLAIN.replace(b"Host: a", b"Host: \xff"),
        PLAIN.replace(b"Host: a", b"Host: a\rX: b"),
        PLAIN.replace(b"Host: a", b"Host: a\r\nX: " + b"x" * HEAD_BYTES),
    ],
)
def test_everything_else_is_left_to_h11(data: bytes) -> None:
    assert read(data) is None


class Told:
    """An application that answers what it was asked, when it may; ``answers`` is what it sends."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.may.set()
        self.whole: list[bool] = []
        self.ends: list[str] = []
        self.headers: list[tuple[bytes, bytes]] = [(b"x-said", b"yes")]
        self.fails = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.whole.append(BODY in scope["state"])
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await self.may.wait()
        if self.fails:
            raise ValueError("this application")
        kept = {key: value for key, value in scope.items() if key not in {"state", "client"}}
        said = repr((sorted(kept.items()), body)).encode()
        length = [(b"content-length", b"%d" % len(said))]
        await send({"type": "http.response.start", "status": 200, "headers": [*self.headers, *length]})
        await send({"type": "http.response.body", "body": said})
        self.ends.append((await receive())["type"])


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, HttpServer]]:
    begun, listening = asyncio.Event(), socket.create_server(("127.0.0.1", 0))
    server = HttpServer(app, Crowd(GatewaySettings()), tls=None, begun=begun.set, unread=unread)
    serving = asyncio.create_task(server.serve([listening]))
    await begun.wait()
    reader, writer = await asyncio.open_connection("127.0.0.1", listening.getsockname()[1])
    try:
        yield reader, writer, server
    finally:
        writer.close()
        server.should_exit = True
        await serving


async def answer(reader: asyncio.StreamReader) -> bytes:
    """One whole answer, without the time of day."""
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = re.findall(rb"content-length: (\d+)", head)
    return re.sub(rb"date: [^\r]*", b"date", head) + await reader.readexactly(int(length))


async def test_both_ways_ask_and_answer_alike() -> None:
    app = Told()
    async with served(app) as (reader, writer, _):
        writer.write(PLAIN)
        whole = await answer(reader)
        writer.write(PLAIN.replace(b"Host: ", b"Host:  "))
        assert await answer(reader) == whole
    assert app.whole == [True, False]


async def test_who_asks_before_the_answer_is_answered_after_it() -> None:
    app = Told()
    app.may.clear()
    async with served(app) as (reader, writer, server):
        writer.write(PLAIN)
        await until(lambda: bool(app.whole))
        (connection,) = server.server_state.connections
        writer.write(PLAIN.replace(b"{}", b"[]") + PLAIN[:20])
        await until(lambda: bool(connection._early))  # type: ignore[union-attr]
        app.may.set()
        first, second = await answer(reader), await answer(reader)
        writer.write(PLAIN[20:])
        third = await answer(reader)
    assert first == third == second.replace(b"b'[]'", b"b'{}'")


async def test_a_server_that_ends_lets_the_answer_out_and_closes() -> None:
    app = Told()
    app.may.clear()
    async with served(app) as (reader, writer, server):
        writer.write(PLAIN)
        await until(lambda: bool(app.whole))
        (connection,) = server.server_state.connections
        connection.shutdown()
        app.may.set()
        assert b"\r\nconnection: close\r\n" in await answer(reader)
        assert await reader.read() == b""


async def test_who_leaves_before_the_answer_is_heard_of() -> None:
    app = Told()
    app.may.clear()
    async with served(app) as (_, writer, server):
        writer.write(PLAIN)
        await until(lambda: bool(app.whole))
        writer.close()
        await until(lambda: not server.server_state.connections)
        app.may.set()
        await until(lambda: bool(app.ends))
    assert app.ends == ["http.disconnect"]


async def test_an_application_that_fails_is_a_500_and_the_end() -> None:
    app = Told()
    app.fails = True
    async with served(app) as (reader, writer, _):
        writer.write(PLAIN)
        assert (await answer(reader)).startswith(b"HTTP/1.1 500 ")
        assert await reader.read() == b""


@pytest.mark.parametrize("header", [(b"x", b"a\r\nset-cookie: b"), (b"x", b"a\nb"), (b"x\r\n", b"a"), (b"x", b"\0")])
async def test_no_header_of_an_answer_becomes_two(header: tuple[bytes, bytes]) -> None:
    app = Told()
    app.headers = [header]
    async with served(app) as (reader, writer, _):
        writer.write(PLAIN)
        assert await reader.read() == b""


@pytest.mark.parametrize("said", [b"1", b"9999"])
async def test_no_answer_is_longer_or_shorter_than_it_says(said: bytes) -> None:
    app = Told()
    app.headers = [(b"Content-Length", said)]
    async with served(app) as (reader, writer, _):
        writer.write(PLAIN)
        assert await reader.read() == b""
