"""What a receipt said about each event."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The fate of one event: ``id`` as it was handed over."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted(Result):
    """The event is durably in the log; the device may delete its own copy.

    Plain ``Accepted`` (neither subclass) appears when a batch held both new and known events: the receipt of a batch
    counts them and does not say which is which.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored(Accepted):
    """The log took the event now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate(Accepted):
    """The log had the event before: from an earlier delivery whose receipt was lost, or in a newer version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected(Result):
    """The event is quarantined and not accepted as it is: ``reason`` is a word of ``model.reasons.Reason``."""

    reason: str
    field: str | None = None
    message: str = ""
    #: the event may be accepted later as it is: the client keeps it, and says nothing of it yet
    retry: bool = False
    #: the service took it aside because of its time, and stores it by itself when that has come. It has room for some
    #: only, so the client sends it again now and then; a durable outbox does so over restarts
    held: bool = False


class Results(Sequence[Result]):
    """One result per event, in the order they were handed over, and the exact counts of the receipts."""

    __slots__ = ("_items", "duplicate", "rejected", "stored")

    def __init__(self, items: Iterable[Result], *, stored: int, duplicate: int, rejected: int) -> None:
        self._items = tuple(items)
        self.stored = stored
        self.duplicate = duplicate
        self.rejected = rejected

    @property
    def all_accepted(self) -> bool:
        """Whether every event is in the log."""
        return self.rejected == 0

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Result]: ...
    def __getitem__(self, index: int | slice) -> Result | Sequence[Result]:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Results(stored={self.stored}, duplicate={self.duplicate}, rejected={self.rejected})"
