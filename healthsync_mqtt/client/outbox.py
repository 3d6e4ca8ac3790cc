"""Where handed-over events wait for their receipts.

The outbox is the only owner of unreceipted events: a connection sends what is pending in it, and forgets its own state
when it ends. Rows are numbered in the order they were handed over; the numbers never repeat.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, NamedTuple, Protocol

KEEP_ACKNOWLEDGED_S = 72 * 3600.0
"""How long acknowledged rows are kept for a service that is restored from an older backup."""
_STEP_S: Final = 86_400.0


class OutboxEntry(NamedTuple):
    """One waiting event: its row, its id and its JSON."""

    key: int
    id: str
    payload: bytes


class Position(NamedTuple):
    """The log the last receipt came from, and how far it was."""

    epoch: str
    seq: int


class KeptTime(NamedTuple):
    """The time that acknowledged rows are kept by: ``now``, when the device's clock says ``clock``.

    It goes as that clock does, and nothing between two looks at the clock counts for more than a day, forwards or
    back: a clock that leaps makes no row old, and one that leaps to and fro does not either. Of a device that was off
    for longer, rows are kept longer.
    """

    now: float
    clock: float

    def at(self, clock: float) -> "KeptTime":
        """The time when the clock says ``clock``."""
        return KeptTime(self.now + min(max(clock - self.clock, -_STEP_S), _STEP_S), clock)

    @property
    def oldest(self) -> float:
        """Rows that were acknowledged before this are not kept any more."""
        return self.now - KEEP_ACKNOWLEDGED_S


class Outbox(Protocol):
    """Durable (or not) waiting room. Methods may block for a disk write; each is atomic."""

    blocking: bool
    """Whether the methods wait for a disk, so that the client calls them in a thread."""
    capacity: int
    """How many unreceipted events it takes before ``DeviceClient`` makes its caller wait."""

    def put(self, events: Sequence[tuple[str, bytes]]) -> Sequence[int]:
        """Append (id, JSON) rows and return their keys; durable on return if the outbox is."""
        ...

    def pending(self, after: int, limit: int) -> list[OutboxEntry]:
        """The first ``limit`` unreceipted rows with a key above ``after``, in order."""
        ...

    def waiting(self) -> int:
        """How many rows are unreceipted."""
        ...

    def acknowledge(self, keys: Iterable[int], position: Position, now: float) -> None:
        """Mark rows as in the log at ``position``; they stay for 72 h (``KeptTime``), and older ones go.

        ``now`` is what the device's clock says.
        """
        ...

    def discard(self, keys: Iterable[int]) -> None:
        """Forget rows that the service rejected."""
        ...

    def position(self) -> Position | None:
        """The position of the newest acknowledgement."""
        ...

    def rewind(self) -> int:
        """Make every acknowledged row that is still here pending again, whatever a clock says now; how many."""
        ...

    def close(self) -> None:
        """Release files; no method is called afterwards."""
        ...


class MemoryOutbox:
    """An outbox that lives as long as its process; keeps the newest ``keep`` acknowledged rows."""

    blocking = False

    def __init__(self, *, capacity: int = 10_000, keep: int = 10_000) -> None:
        self.capacity = capacity
        self._keep = keep
        self._rows: dict[int, OutboxEntry] = {}
        self._acknowledged: dict[int, tuple[OutboxEntry, float]] = {}
        self._last = 0
        self._position: Position | None = None
        self._time: KeptTime | None = None

    def put(self, events: Sequence[tuple[str, bytes]]) -> Sequence[int]:
        keys = range(self._last + 1, self._last + 1 + len(events))
        for key, (event_id, payload) in zip(keys, events, strict=True):
            self._rows[key] = OutboxEntry(key, event_id, payload)
        self._last = keys[-1] if events else self._last
        return keys

    def pending(self, after: int, limit: int) -> list[OutboxEntry]:
        return list(islice((entry for key, entry in self._rows.items() if key > after), limit))

    def waiting(self) -> int:
        return len(self._rows)

    def acknowledge(self, keys: Iterable[int], position: Position, now: float) -> None:
        time = self._time = (self._time or KeptTime(now, now)).at(now)
        for key in keys:
            entry = self._rows.pop(key, None)
            if entry is not None:
                self._acknowledged[key] = (entry, time.now)
        self._position = position
        for key, (_, at) in list(islice(self._acknowledged.items(), 256)):
            if at >= time.oldest and len(self._acknowledged) <= self._keep:
                break
            del self._acknowledged[key]

    def discard(self, keys: Iterable[int]) -> None:
        for key in keys:
            self._rows.pop(key, None)

    def position(self) -> Position | None:
        return self._position

    def rewind(self) -> int:
        again = {key: entry for key, (entry, _) in self._acknowledged.items()}
        self._acknowledged.clear()
        self._rows = dict(sorted((again | self._rows).items()))
        return len(again)

    def close(self) -> None:
        self._rows.clear()
        self._acknowledged.clear()
