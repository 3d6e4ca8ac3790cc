"""SUBSCRIBE and UNSUBSCRIBE are answered when they are on disk: while that is slow, a client is read no further."""

from collections.abc import Callable
from typing import Any

import pytest

from healthsync_mqtt.broker.embedded.backpressure import Hold
from healthsync_mqtt.broker.embedded.connection import MOST_ASKED, Connection
from healthsync_mqtt.broker.embedded.lifecycle import ConnectionState
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.broker.embedded.turns import TURN, Turns
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.mqtt.codec import encode
from healthsync_mqtt.mqtt.codec.packets import Packet, Suback, Subscribe, Unsuback, Unsubscribe
from tests.unit.broker.embedded.test_protocol import made
from tests.unit.broker.embedded.test_reading_charged import reader


class Wire:
    """A wire with bytes, whose other end is sent what is written."""

    peer = "127.0.0.1"
    congested = False

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.reads = True
        self.written = 0

    @property
    def waits(self) -> bool:
        return bool(self._data)

    def read(self, _: int) -> tuple[bytes, int]:
        data, self._data = self._data, b""
        return data, 1

    def write(self, data: bytes) -> None:
        self.written += len(data)

    def pause(self) -> None:
        self.reads = False

    def resume(self) -> None:
        self.reads = True


class SlowDoor:
    """Answers when the disk has it."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.asked = 0

    def listen(self, _: Session, asked: Subscribe | Unsubscribe, answer: Callable[[Suback | Unsuback], None]) -> None:
        self.asked += 1
        self.waiting.append(lambda: answer(Suback(asked.packet_id, (0,))))

    def settle(self) -> None:
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each()


@pytest.mark.parametrize("asks", [Subscribe(1, (("a/b", 0),)), Unsubscribe(1, ("a/b",))])
async def test_a_client_whose_filters_wait_for_the_disk_is_read_no_further(asks: Packet) -> None:
    door: Any = SlowDoor()
    wire: Any = Wire(encode(asks) * 1_000)
    passes: list[Callable[[], None]] = []
    connection = Connection(
        door, wire, LimitSettings(), Turns(passes.append, passes.append), visitors=door, wanted=lambda _: None
    )
    connection._protocol, connection._decoder = made(ConnectionState.OPEN), reader(five=False)
    for _ in range(1_000):
        connection.turn(TURN)
    assert Hold.FILTERS in connection.reading.held
    assert not wire.reads
    assert MOST_ASKED <= len(door.waiting) <= MOST_ASKED + TURN // 80 + 1
    while door.asked < 1_000:  # the disk is there again
        door.settle()
        connection.turn(TURN)
    door.settle()
    assert wire.reads
    assert wire.written == 1_000 * len(encode(Suback(1, (0,))))
    connection._deadlines.cancel()
