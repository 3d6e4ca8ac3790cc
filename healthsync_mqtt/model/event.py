"""What the decoder makes of a delivery: accepted events and rejections."""

from collections.abc import Callable
from enum import IntEnum
from hashlib import sha256
from typing import Final, NamedTuple

from healthsync_mqtt.model.delivery import OWN_FORM
from healthsync_mqtt.model.reasons import Reason

DEVICE_FIELDS: Final = ("platform", "model", "manufacturer", "type", "os_version", "app_version", "firmware")
SOURCE_FIELDS: Final = ("provider", "record_id", "recording", "app", "app_version")
"""The texts of ``device`` and ``source`` that have a meaning."""
RECORDINGS: Final = ("auto", "active", "manual", "unknown")
"""What ``source.recording`` may say."""

LATEST: Final = -1
"""The version of an event whose source counts none (``"latest"``): the log says which it is, by what it holds."""

REFUSAL_WORK: Final = 1_000
"""What refusing one event takes beside the bytes that are read for it, in bytes of a good delivery."""


class Op(IntEnum):
    """What an event does to its id: set it, or remove it."""

    UPSERT = 0
    DELETE = 1


class Event(NamedTuple):
    """One accepted event.

    ``type`` is the canonical name. Times are integer microseconds since the epoch, UTC; ``start_us`` is 0 for a delete
    without a start. ``version`` may be LATEST. ``body`` is a compact JSON object with those of the keys
    value, device, utc_offset, source that are present, in that order. ``index`` is the event's place in its delivery.
    """

    id: str
    type: str
    start_us: int
    end_us: int | None
    version: int
    op: int
    body: bytes
    index: int  # type: ignore[assignment]  # the field shadows tuple.index, which nobody calls


class Omitted(NamedTuple):
    """Bytes that are not kept: how many, and their SHA-256 in hexadecimal."""

    size: int
    sha256: str


def omitted(raw: bytes) -> Omitted:
    """What is said of bytes in their place."""
    return Omitted(len(raw), sha256(raw).hexdigest())


class Rejection(NamedTuple):
    """One event that was not accepted.

    ``field`` is a dotted path (``value.bpm``); ``raw`` is the event's own bytes, or the whole payload when no event can
    be told apart in it. ``message`` goes back to the sender and may name the offending number; it goes into no log.
    ``retry``: the same bytes may be accepted later, when the bridge's clock has moved on or was put right.
    ``due_us``: what the clock must say for that; ``raw`` is held until then and tried again.
    ``omitted``: what was sent instead of ``raw``, which is empty then because it may not be kept.
    ``type`` is the canonical name when ``raw`` was read exactly and every name in it is one of this type's, so that it
    holds nothing of another type; else None, and ``guarded`` are the guarded types that may be named in it (None: any).
    ``form`` is the format that ``raw`` is in: another one only where it is a whole payload.
    """

    index: int  # type: ignore[assignment]  # the field shadows tuple.index, which nobody calls
    id: str | None
    reason: Reason
    field: str | None
    message: str
    raw: bytes
    type: str | None = None
    retry: bool = False
    omitted: Omitted | None = None
    due_us: int | None = None
    form: str = OWN_FORM
    guarded: frozenset[str] | None = None


class Gone(NamedTuple):
    """What a device brought in a format is gone, as far as its ``name`` begins so and it starts in the window.

    It is of what was stored before the message that says so. What was made without a name is not meant. ``until_us`` is
    not in the window; None: no bound.
    """

    prefix: str
    from_us: int | None = None
    until_us: int | None = None


class Aftermath(NamedTuple):
    """What a message in a format of its own leaves beside events: what the format remembers, names, and what is gone.

    ``state`` None: it is what it was. ``named`` are what the source calls records, each with the id of its event.
    ``about`` are the types of which the state holds something; where one of them may not be stored it is ``without``,
    or, where it can be taken apart by them, what ``rest`` says is left without those.
    ``back`` is what was found of what is gone: names with the events that take them back.
    """

    state: bytes | None = None
    named: tuple[tuple[str, str], ...] = ()
    gone: tuple[Gone, ...] = ()
    about: frozenset[str] = frozenset()
    without: bytes | None = None
    rest: Callable[[frozenset[str]], bytes] | None = None
    back: tuple[tuple[str, Event], ...] = ()


class Decoded(NamedTuple):
    """All of a delivery: ``total == len(events) + len(rejections)``; a payload that is not JSON is one rejection.

    ``size`` is the payload's length as it unfolded: what keeping the delivery takes. ``cost`` is how many bytes were
    read to decide, over all passes.
    """

    batch: str | None
    events: list[Event]
    rejections: list[Rejection]
    total: int
    size: int = 0
    cost: int = 0
    aftermath: Aftermath | None = None

    @property
    def work(self) -> int:
        """What deciding took, in bytes of a good delivery: what was read, and the reasons that were written."""
        return self.cost + REFUSAL_WORK * len(self.rejections)
