"""The port of a payload format: somebody's message as events that a device of ours would have sent.

A format stands before ``bridge.decode`` and knows nothing behind it: ranges, types, consent and duplicates are decided
there, for every format alike, and by the one exact reader. What a new one promises is in ``testing.format_contract``.
"""

from collections.abc import Callable, Generator, Iterator
from hashlib import sha1
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable
from uuid import UUID

from healthsync_mqtt.model.declaration import NOTHING_DECLARED, Declared
from healthsync_mqtt.model.event import Gone
from healthsync_mqtt.model.reasons import Reason

__all__ = [
    "MOST_STATE",
    "NOTHING_TOLD",
    "AppMessage",
    "Declared",
    "Divisible",
    "Event",
    "Fold",
    "Folded",
    "Format",
    "Gone",
    "Made",
    "Outcome",
    "RefusedRecord",
    "Told",
    "event_id",
    "folded",
]

MOST_STATE: Final = 65_536
"""Bytes that a format may remember of one device."""

_EVENTS: Final = UUID("5b0b3a4e-3b60-5e0e-9d6a-6b6b1f7d2c11")

_EVENTS_SHA1: Final = sha1(_EVENTS.bytes, usedforsecurity=False)
_VARIANT: Final = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}

Event = dict[str, Any]
"""An event as docs/reference says, as JSON values. Where its source has no modification time its ``version`` is
``"latest"``: the log compares it with what it holds of that id, an equal one is a duplicate and another supersedes."""


class AppMessage(NamedTuple):
    """One message, unpacked. ``topic`` is the rest below the format's own topic, "" where there is none.

    ``retained``: it is what a broker kept and not what was just sent, so that ``at_us``, its time of arrival, says
    nothing about when it was measured. (An app that sets RETAIN on what it sends to our own broker is not meant.)
    """

    payload: bytes
    user: str
    device: str = ""
    topic: str = ""
    retained: bool = False
    at_us: int = 0
    declared: Declared = NOTHING_DECLARED


class Told(NamedTuple):
    """What a format is told beside the payload: what it remembers of the device, and what ``AppMessage`` says."""

    state: bytes = b""
    topic: str = ""
    retained: bool = False
    #: None: the time of decoding
    at_us: int | None = None
    declared: Declared = NOTHING_DECLARED


NOTHING_TOLD: Final = Told()


class Made(NamedTuple):
    """An event. ``index`` and ``place`` say where in the message it comes from, as in ``RefusedRecord``.

    ``name`` is what its source calls the record, where the source may say later that it is gone (``Gone``).
    """

    event: Event
    index: int  # type: ignore[assignment]  # the field shadows tuple.index, which nobody calls
    place: str = ""
    name: str | None = None


class RefusedRecord(NamedTuple):
    """A record that becomes no event; the rest of the message does. ``index`` counts the records of a message from 0.

    ``place`` is a path in the message (``data.metrics[2].data[17].qty``), ``text`` goes to the sender and may name the
    offending word. ``record`` is what was refused, as JSON values: it is kept with the refusal. ``type`` is the type of
    ours that all of it is about, where that is known: consent is asked for it.
    """

    index: int  # type: ignore[assignment]  # the same
    place: str
    reason: Reason
    text: str
    record: Any = None
    type: str | None = None


Outcome = Made | RefusedRecord | Gone
Fold = Generator[Outcome, None, bytes]
"""What a message comes to, in the order of the message; returns the new state."""


class FormatEntry(NamedTuple):
    """What a format takes under a name of its source: the type that it becomes, and what there is to say of it."""

    source: str
    type: str
    about: str = ""


class Format(Protocol):
    """One way of writing events. Pure: the same state and message are the same outcomes, ids and new state."""

    @property
    def name(self) -> str:
        """What a delivery in this format is marked with (``Delivery.form``), and the level of its topic."""
        ...

    @property
    def summary(self) -> str:
        """What sends it, in a line for people."""
        ...

    def takes(self) -> Iterator[FormatEntry]:
        """What it takes, for people; what is not here is refused by its place, or of no health."""
        ...

    @property
    def roots(self) -> tuple[str, ...]:
        """First levels that its apps insist on (``openScaleSync``): the embedded broker takes what follows them."""
        ...

    @property
    def remembers(self) -> frozenset[str]:
        """The types of which ``state`` holds something: without consent to one of them it is forgotten whole.

        Empty: those of each message, whose state is not kept without consent to all of them.
        """
        ...

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """One message after those that led to ``state``; b"" is the state before the first.

        ``state`` is committed with the events, so that a kill neither loses nor doubles anything; at most MOST_STATE
        bytes. A format that needs none returns what it got. Raises RefusedError for a message of which nothing can be
        told, damaged or not in this format: none of it is taken then and the state stays. Runs beside the event loop;
        what takes long yields now and then by itself, an outcome at a time.
        """
        ...


@runtime_checkable
class Divisible(Protocol):
    """A format of which the state can be taken apart by types: without consent to one it goes on with the others."""

    def holds(self, state: bytes) -> frozenset[str]:
        """The types of which a state holds something."""
        ...

    def without(self, state: bytes, types: frozenset[str]) -> bytes:
        """A state without what it holds of some types."""
        ...


class Folded(NamedTuple):
    """All that a message comes to."""

    state: bytes
    outcomes: list[Outcome]

    @property
    def events(self) -> list[Event]:
        """The events alone."""
        return [each.event for each in self.outcomes if isinstance(each, Made)]

    @property
    def refused(self) -> list[RefusedRecord]:
        """The refusals alone."""
        return [each for each in self.outcomes if isinstance(each, RefusedRecord)]


def folded(form: Format, message: AppMessage, state: bytes = b"") -> Folded:
    """A fold run to its end. Raises RefusedError as it does."""
    outcomes: list[Outcome] = []
    fold = form.fold(state, message)
    while True:
        try:
            outcomes.append(next(fold))
        except StopIteration as end:
            return Folded(end.value, outcomes)


def event_id(user: str, form: str, *facts: object) -> str:
    """The id of an event whose source gives it none: a UUIDv5 of what the source holds constant when it says it again.

    ``facts`` in an order that the format keeps for ever: type, kind, start and end in UTC, source app and device. Not
    the value where it may be corrected, nor the spelling of a time, nor its offset.
    """
    hashed = _EVENTS_SHA1.copy()
    hashed.update("\x1f".join(map(str, (user, form, *facts))).encode())
    return _as_uuid(hashed.hexdigest())


def event_ids(user: str, form: str, *facts: object) -> Callable[[str, str, str, str], str]:
    """``event_id`` of these facts and four more: an import makes millions of ids that begin alike."""
    begun = _EVENTS_SHA1.copy()
    begun.update("\x1f".join(map(str, (user, form, *facts))).encode())

    def made(one: str, two: str, three: str, four: str) -> str:
        hashed = begun.copy()
        hashed.update(f"\x1f{one}\x1f{two}\x1f{three}\x1f{four}".encode())
        return _as_uuid(hashed.hexdigest())

    return made


def _as_uuid(text: str) -> str:
    """What uuid5 makes of a hash, in a third of its time."""
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"
