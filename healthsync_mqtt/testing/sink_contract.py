"""What every kind of sink promises (``sinks.port.Sink``), as tests that any of them runs through.

Subclass ``SinkContract`` in a test module and give it a ``target`` fixture: how to open the sink anew on the same
server, what is there now, and how to make the server go away and come back.
"""

import json
from collections.abc import Sequence
from typing import Any, Protocol

from healthsync_mqtt.model.event import Op
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.sinks.port import Next, Rows, Sink

_START_US = 1_790_000_000_000_000
_MOST_STEPS = 1000


class SinkTarget(Protocol):
    """A server, or a folder, and sinks on it."""

    def open(self) -> Sink[Any]:
        """A sink as a process has it that starts now."""

    def there(self) -> list[tuple[str, float]]:
        """Id or time, and value, of each heart rate that counts as there now, in order of time."""

    def away(self, *, away: bool) -> None:
        """Make the server fail, or work again."""


def row(seq: int, event_id: str, bpm: float = 60.0, *, version: int = 0, op: int = Op.UPSERT, at_s: int = 0) -> Record:
    """A row of the log: a heart rate of alice."""
    body = json.dumps({"value": {"bpm": bpm}}).encode() if op == Op.UPSERT else b"{}"
    at_us = _START_US + at_s * 1_000_000
    return Record(seq, "alice", "watch", None, event_id, "heart_rate", at_us, None, at_us, version, op, body, seq)


def ship(sink: Sink[Any], rows: Rows) -> Next:
    """Send rows until the sink has nothing to do with them now."""
    shipment = sink.begin(rows)
    for _ in range(_MOST_STEPS):
        step = sink.step(shipment)
        if step.next is not Next.GO_ON:
            return step.next
    raise AssertionError("it never ends")


def _plain(records: Sequence[Record], **more: Any) -> Rows:
    return Rows(records, {}, records[-1].seq, **more)


class SinkContract:
    """The tests."""

    def test_what_is_shipped_is_there(self, target: SinkTarget) -> None:
        """And in order."""
        sink = target.open()
        sink.warm_up(0)
        assert ship(sink, _plain([row(n, f"e{n}", 60.0 + n, at_s=n) for n in range(1, 30)])) is Next.DONE
        assert [value for _, value in target.there()] == [60.0 + n for n in range(1, 30)]
        sink.close()
        sink.close()

    def test_twice_is_once(self, target: SinkTarget) -> None:
        """Also in a new process that was killed before the cursor was kept, and in other pieces."""
        records = [row(n, f"e{n}", 60.0 + n, at_s=n) for n in range(1, 10)]
        first = target.open()
        ship(first, _plain(records[:6]))
        ship(first, _plain(records[:6]))
        first.close()
        again = target.open()
        again.warm_up(0)
        assert ship(again, _plain(records)) is Next.DONE
        again.close()
        assert [value for _, value in target.there()] == [60.0 + n for n in range(1, 10)]

    def test_a_later_version_replaces_and_a_tombstone_takes_away(self, target: SinkTarget) -> None:
        """Moved in time, too."""
        sink = target.open()
        old = [row(1, "a", 61.0), row(2, "b", 62.0, at_s=1), row(3, "c", 63.0, at_s=2)]
        ship(sink, _plain(old))
        moved = row(4, "a", 71.0, version=1, at_s=5)
        gone = row(5, "b", version=1, op=Op.DELETE)
        assert ship(sink, Rows([moved, gone], {4: [old[0]], 5: [old[1]]}, 5)) is Next.DONE
        sink.close()
        assert [value for _, value in target.there()] == [63.0, 71.0]

    def test_what_consent_does_not_cover_is_not_written(self, target: SinkTarget) -> None:
        """The cursor moves on."""
        sink = target.open()
        records = [row(1, "a", 61.0), row(2, "b", 62.0, at_s=1)]
        assert ship(sink, _plain(records, withheld=frozenset({1}))) is Next.DONE
        sink.close()
        assert [value for _, value in target.there()] == [62.0]

    def test_a_server_that_is_away_is_waited_for(self, target: SinkTarget) -> None:
        """Never raised, never taken for done; the same shipment goes on afterwards."""
        sink = target.open()
        target.away(away=True)
        shipment = sink.begin(_plain([row(1, "a", 61.0)]))
        assert sink.step(shipment).next is Next.WAIT
        assert sink.step(shipment).reason
        target.away(away=False)
        for _ in range(_MOST_STEPS):
            if sink.step(shipment).next is Next.DONE:
                break
        sink.close()
        assert [value for _, value in target.there()] == [61.0]

    def test_nothing_kept_aside_is_nothing_to_mend(self, target: SinkTarget) -> None:
        """And the status can be printed."""
        sink = target.open()
        assert sink.mend(_START_US).next is Next.DONE
        json.dumps(sink.status())
        sink.close()
