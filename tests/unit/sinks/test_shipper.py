"""A server that is restarted while the first piece is on its way: what it had taken of it is sent again."""

import random

from healthsync_mqtt.sinks.config import SinkConfig
from healthsync_mqtt.sinks.port import Next, Rows, SinkStep
from healthsync_mqtt.sinks.shipper import Shipper
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.testing.log_items import item


class Forgetful:
    """A sink whose server can be restarted, and then holds nothing."""

    def __init__(self) -> None:
        self.generation = 0
        self.held: set[str] = set()
        self._left: list[str] = []
        self.events = 0

    def begin(self, rows: Rows) -> "Forgetful":
        self._left = [record.id for record in rows.records]
        self.events = len(self._left)
        return self

    def step(self, shipment: "Forgetful") -> SinkStep:
        if not shipment._left:
            return SinkStep(Next.DONE)
        self.held.add(shipment._left.pop(0))
        return SinkStep(Next.GO_ON)

    def restart(self) -> None:
        self.generation += 1
        self.held.clear()

    def mend(self, now_us: int) -> SinkStep:
        return SinkStep(Next.DONE)

    def probe(self) -> SinkStep:
        return SinkStep(Next.GO_ON)


def test_a_restart_within_the_first_piece_is_noticed() -> None:
    log = MemoryEventLog()
    log.stage([item(f"e{number}") for number in range(3)], [], 1)
    log.commit()
    sink, now = Forgetful(), [0.0]
    shipper = Shipper(
        SinkConfig(kind="test", name="test", flush_s=0.0, settle_s=5.0),
        sink,
        reader=log.reader(),
        cursor=0,
        keep=lambda _: None,
        clock=lambda: now[0],
        jitter=random.Random(1).random,
    )
    shipper.step()
    assert sink.held == {"e0"}
    sink.restart()
    for _ in range(12):
        shipper.step()
        now[0] += 0.1
    assert sink.held == {"e0", "e1", "e2"}


def test_whoever_waits_for_the_server_says_for_what_and_since_when_the_state_holds() -> None:
    log = MemoryEventLog()
    log.stage([item(f"e{number}") for number in range(2)], [], 1)
    log.commit()
    sink, now, asked = Forgetful(), [0.0], list[str]()
    sink.status = dict  # type: ignore[attr-defined]
    probe = SinkStep(Next.WAIT, "unreachable")
    sink.probe = lambda: probe  # type: ignore[method-assign]
    shipper = Shipper(
        SinkConfig(kind="test", name="test", flush_s=0.0, settle_s=5.0),
        sink,
        reader=log.reader(),
        cursor=0,
        keep=lambda _: None,
        asks=asked.append,
        clock=lambda: now[0],
        now_us=lambda: round(now[0] * 1e6),
        jitter=random.Random(1).random,
    )
    idle = shipper.status()
    for _ in range(3):
        shipper.step()
    assert asked == ["ship", ""] * 3
    now[0] = 6.0
    shipper.step()
    assert asked[-2:] == ["probe", ""]
    waiting = shipper.status()
    now[0] = 7.0
    assert [(each["state"], each["since"]) for each in (idle, waiting, shipper.status())] == [
        ("idle", "1970-01-01T00:00:00.000000Z"),
        ("waiting", "1970-01-01T00:00:06.000000Z"),
        ("waiting", "1970-01-01T00:00:06.000000Z"),
    ]
