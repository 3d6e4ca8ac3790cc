"""A FIT file as events: what its messages say together, part by part.

Ids come from what was measured and when, by the watch that measured it, so that a part of a file and the whole are the
same events. What is wrong costs itself alone.
"""

from collections.abc import Iterator
from typing import Any, Final

from healthsync_mqtt.formats.fit import profile
from healthsync_mqtt.formats.fit.activity import Activity
from healthsync_mqtt.formats.fit.clock import EPOCH_S, is_set
from healthsync_mqtt.formats.fit.counters import DayBook
from healthsync_mqtt.formats.fit.monitoring import Monitoring
from healthsync_mqtt.formats.fit.part import FitAside, FitItem, FitNote, FitPart
from healthsync_mqtt.formats.fit.wire import TIMESTAMP, Damage, FitMessage, NextFile, frames
from healthsync_mqtt.formats.omissions import PassedOver
from healthsync_mqtt.formats.port import AppMessage
from healthsync_mqtt.formats.reading.scribe import Scribe

__all__ = ["FitAside", "FitItem", "FitNote", "created_s", "read_items"]

_LOCAL_AT_MOST_S: Final = 15 * 3600


def read_items(content: bytes, message: AppMessage, book: DayBook) -> Iterator[FitItem]:
    """All that the bytes hold; counters of days go on in ``book``."""
    part: FitPart | None = None
    for frame in frames(content):
        if isinstance(frame, NextFile):
            yield from _told(part, book)
            part = FitPart(Scribe("fit", message, "garmin_fit"), chained=part is not None)
        elif isinstance(frame, Damage):
            yield from _told(part, book)
            part = None
            reason = PassedOver.DAMAGED if frame.lost else PassedOver.AFTER_THE_END
            yield FitAside(reason, f"byte {frame.place}", frame.text)
        elif part is not None:
            _take(part, frame)
    yield from _told(part, book)


def _take(part: FitPart, message: FitMessage) -> None:
    """Remember a message, and what it says of all others."""
    fields = message.fields
    if message.kind == profile.FILE_ID:
        part.named(fields)
    elif message.kind in {profile.ACTIVITY, profile.MONITORING_INFO}:
        at, local = fields.get(TIMESTAMP), fields.get(5 if message.kind == profile.ACTIVITY else 0)
        if is_set(at) and isinstance(local, int) and abs(local - at) <= _LOCAL_AT_MOST_S:
            part.offset_s = round((local - at) / 900) * 900
    part.messages.setdefault(message.kind, []).append(message)


def _told(part: FitPart | None, book: DayBook) -> Iterator[FitItem]:
    if part is None:
        return
    yield from Activity(part).items()
    yield from Monitoring(part, book).items()
    for kind, what in profile.MEASURES.items():
        if kind in part.messages:
            text = f"{what}, of which there is no type here"
            yield FitAside(PassedOver.SUMMARY, f"message {kind}", text, len(part.messages[kind]))


def created_s(head: bytes) -> int:
    """When a file says that it was begun, in seconds since 1970; 0 where it does not."""
    for frame in frames(head):
        if isinstance(frame, FitMessage) and frame.kind == profile.FILE_ID:
            found: Any = frame.fields.get(4)
            return found + EPOCH_S if is_set(found) else 0
    return 0
