"""The byte pipes with a fake transport: what reaches the listener, what reaches the socket, and how they close."""

import asyncio
import base64
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from healthsync_mqtt.broker.embedded.wire import WebSocketWire, Wire

UPGRADE = (
    "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(b'x' * 16).decode()}\r\nSec-WebSocket-Version: 13\r\n"
)


class FakeTransport(asyncio.Transport):
    """Remembers what was done to it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1234), "sockname": ("192.0.2.2", 8883)})
        self.written = b""
        self.calls: list[str] = []

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return bool({"close", "abort"} & set(self.calls))

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


class FakeListener:
    def __init__(self) -> None:
        self.data = b""
        self.calls: list[str] = []
        self.wire: Wire | None = None

    def on(self, wire: Wire) -> "FakeListener":
        self.wire = wire
        return self

    def arrived(self) -> None:
        assert self.wire is not None
        while self.wire.waits:
            data, cost = self.wire.read(1000)
            assert cost > 0
            self.data += data

    def stalled(self) -> None:
        self.calls.append("stalled")

    def writable(self) -> None:
        self.calls.append("writable")

    def lost(self) -> None:
        self.calls.append("lost")


def plain(listener: FakeListener | None) -> tuple[Wire, FakeTransport]:
    wire, transport = Wire(lambda wire: listener and listener.on(wire), secure=False), FakeTransport()
    wire.connection_made(transport)
    return wire, transport


def web(listener: FakeListener, *headers: str, most: int = 1000) -> tuple[WebSocketWire, FakeTransport]:
    wire = WebSocketWire(listener.on, secure=True, origins=("https://app.example",), most=most)
    transport = FakeTransport()
    wire.connection_made(transport)
    wire.data_received((UPGRADE + "".join(f"{h}\r\n" for h in headers) + "\r\n").encode())
    return wire, transport


def frame(data: bytes, opcode: Opcode = Opcode.BINARY, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin=fin).serialize(mask=True)


async def test_a_plain_wire_passes_everything_on() -> None:
    listener = FakeListener()
    wire, transport = plain(listener)
    assert wire.peer == "192.0.2.1"
    wire.data_received(b"ab")
    wire.write(b"cd")
    wire.pause()
    wire.resume()
    wire.pause_writing()
    assert wire.congested
    wire.resume_writing()
    assert not wire.congested
    wire.connection_lost(None)
    assert (listener.data, transport.written) == (b"ab", b"cd")
    assert transport.calls == ["pause", "resume"]
    assert listener.calls == ["stalled", "writable", "lost"]


async def test_a_wire_that_is_not_accepted_is_cut() -> None:
    wire, transport = plain(None)
    wire.data_received(b"x")
    wire.connection_lost(None)
    assert transport.calls == ["abort"]


async def test_a_closing_wire_is_cut_when_the_peer_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healthsync_mqtt.broker.embedded.wire._CLOSE_S", 0.0)
    wire, transport = plain(FakeListener())
    wire.close()
    wire.close()
    wire.pause()
    assert transport.calls == ["close", "close"]
    await asyncio.sleep(0.01)
    assert transport.calls == ["close", "close", "abort"]


@pytest.mark.parametrize("make", [plain, web])
async def test_a_wire_that_has_to_be_gone_is_cut_within_a_quarter_of_a_second(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    loop = asyncio.get_running_loop()
    later = loop.call_later

    def noted(delay: float, *work: Any) -> asyncio.TimerHandle:
        waits.append(delay)
        return later(delay, *work)

    monkeypatch.setattr(loop, "call_later", noted)
    wire, _ = make(FakeListener())
    wire.close()
    first = wire._cut
    wire.close(soon=True)
    assert first is not None
    assert first.cancelled()
    assert waits == [2.0, 0.25]


async def test_frames_and_fragments_are_one_stream() -> None:
    listener = FakeListener()
    wire, transport = web(listener, "Sec-WebSocket-Protocol: soap, mqtt")
    assert transport.written.startswith(b"HTTP/1.1 101")
    assert b"Sec-WebSocket-Protocol: mqtt\r\n" in transport.written
    data = frame(b"abc") + frame(b"d", fin=False) + frame(b"", Opcode.PING) + frame(b"ef", Opcode.CONT)
    for n in range(len(data)):
        wire.data_received(data[n : n + 1])
    assert listener.data == b"abcdef"
    transport.written = b""
    wire.write(b"xyz")
    assert transport.written == Frame(Opcode.BINARY, b"xyz").serialize(mask=False)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), b"400"),
        (("Sec-WebSocket-Protocol: soap",), b"400"),
        (("Sec-WebSocket-Protocol: mqtt", "Origin: https://evil.example"), b"403"),
        (("Sec-WebSocket-Protocol: mqtt", "Origin: https://app.example"), b"101"),
    ],
)
async def test_the_opening_is_answered(headers: tuple[str, ...], status: bytes) -> None:
    listener = FakeListener()
    wire, transport = web(listener, *headers)
    assert transport.written.split()[1] == status
    assert transport.is_closing() == (status != b"101")
    wire.data_received(frame(b"abc"))
    assert listener.data == (b"abc" if status == b"101" else b"")
    wire.connection_lost(None)


async def test_text_ends_it_and_nothing_behind_counts() -> None:
    listener = FakeListener()
    wire, transport = web(listener, "Sec-WebSocket-Protocol: mqtt")
    wire.data_received(frame(b"ab") + frame(b"no", Opcode.TEXT) + frame(b"cd"))
    assert listener.data == b"ab"
    assert b"\x03\xeb" in transport.written
    assert transport.is_closing()
    wire.connection_lost(None)


async def test_what_comes_before_a_close_frame_counts() -> None:
    listener = FakeListener()
    wire, transport = web(listener, "Sec-WebSocket-Protocol: mqtt")
    wire.data_received(frame(b"ab") + frame(b"\x03\xe8", Opcode.CLOSE))
    assert listener.data == b"ab"
    assert transport.is_closing()
    wire.write(b"too late")
    assert b"too late" not in transport.written
    wire.connection_lost(None)


async def test_a_message_over_the_limit_ends_it_however_it_is_cut() -> None:
    for data in (frame(b"x" * 1001), frame(b"x" * 600, fin=False) + frame(b"x" * 600, Opcode.CONT)):
        listener = FakeListener()
        wire, transport = web(listener, "Sec-WebSocket-Protocol: mqtt")
        wire.data_received(data)
        assert len(listener.data) <= 600
        assert transport.is_closing()
        wire.connection_lost(None)
