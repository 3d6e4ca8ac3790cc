"""What a client that reads nothing can make us write: what the transport takes, and one turn beyond it."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from healthsync_mqtt.broker.embedded.connection import Connection
from healthsync_mqtt.broker.embedded.frames import _FRAME
from healthsync_mqtt.broker.embedded.turns import TURN, Turns
from healthsync_mqtt.broker.embedded.wire import WebSocketWire
from healthsync_mqtt.config.sections import LimitSettings

HIGH_WATER = 65_536
UPGRADE = (
    "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(b'x' * 16).decode()}\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: mqtt\r\n\r\n"
).encode()


class Clogged:
    """A transport whose other end reads nothing."""

    def __init__(self) -> None:
        self.written = 0
        self.wire: Any = None
        self.reads = True

    def write(self, data: bytes) -> None:
        before = self.written
        self.written += len(data)
        if before <= HIGH_WATER < self.written:
            self.wire.pause_writing()

    def get_extra_info(self, _name: str) -> None:
        return None

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


def ping(size: int) -> bytes:
    return bytes((0x89, 0x80 | size)) + bytes(4) + bytes(size)


@pytest.mark.parametrize("size", [0, 1, 125])
async def test_pings_whose_pongs_are_not_read(size: int) -> None:
    door: Any = type("Door", (), {"__getattr__": lambda *_: lambda *_, **__: None})()
    passes: list[Callable[[], None]] = []
    turns = Turns(passes.append, passes.append)
    transport: Any = Clogged()
    made: list[Connection] = []

    def accept(wire: Any) -> Connection:
        made.append(Connection(door, wire, LimitSettings(), turns, visitors=door, wanted=lambda _: None))
        return made[0]

    wire = transport.wire = WebSocketWire(accept, secure=True, origins=(), most=1 << 20)
    wire.connection_made(transport)
    wire.data_received(UPGRADE)
    block = ping(size) * 2_000
    sent = 0
    for _ in range(1_000):
        if transport.reads:
            wire.data_received(block)
            sent += len(block)
        while passes:
            passes.pop(0)()
        if wire.congested:
            break
    assert wire.congested
    assert not transport.reads
    before = transport.written
    assert before <= HIGH_WATER + (TURN // _FRAME + 1) * (size + 2)
    wire.data_received(block)  # what was on its way
    while passes:
        passes.pop(0)()
    assert transport.written == before
    assert len(wire._inbox) <= 2 * len(block)
    made[0]._deadlines.cancel()
