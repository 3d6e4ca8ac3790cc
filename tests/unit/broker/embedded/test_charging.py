"""Who sends what is dear to decide is read less, as if it had sent more."""

import asyncio
from typing import Any

from healthsync_mqtt.broker.embedded.backpressure import Hold
from healthsync_mqtt.broker.embedded.connection import Connection
from healthsync_mqtt.broker.embedded.limits.rates import Bucket, Gate
from healthsync_mqtt.broker.embedded.turns import Turns
from healthsync_mqtt.config.sections import LimitSettings
from tests.support.patience import PATIENCE_S


class Wire:
    peer = "127.0.0.1"
    waits = False
    reads = True

    def __init__(self) -> None:
        self.resumed = asyncio.Event()

    def pause(self) -> None:
        self.reads = False

    def resume(self) -> None:
        self.reads = True
        self.resumed.set()


async def test_what_took_long_to_decide_counts_as_messages_of_its_sender() -> None:
    wires = Wire(), Wire()
    door: Any = None
    dear, other = (
        Connection(door, wire, LimitSettings(), Turns(), visitors=door, wanted=lambda _: None)  # type: ignore[arg-type]
        for wire in wires
    )
    user = Bucket(1_000, 1_000)
    dear.reading.gate = Gate(Bucket(1_000, 100), user)
    other.reading.gate = Gate(Bucket(1_000, 100), user)
    dear.charge(256 * 90)
    assert wires[0].reads
    dear.charge(256 * 60)
    assert Hold.RATE in dear.reading.held
    assert not wires[0].reads
    other.reading.passed(1)
    assert wires[1].reads
    async with asyncio.timeout(PATIENCE_S):
        await wires[0].resumed.wait()
    assert wires[0].reads
    for each in (dear, other):
        each._deadlines.cancel()
