"""Garmin's FIT files: activities, days of a watch, nights, scales, as events.

The bytes are read by ``wire``, what they say by ``file_events``. A damaged file of somebody who asked for the whole one
is refused; what can be read of it is there for who wants it.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.formats.fit import profile
from healthsync_mqtt.formats.fit.clock import is_set
from healthsync_mqtt.formats.fit.counters import DayBook
from healthsync_mqtt.formats.fit.file_events import FitAside, FitNote, read_items
from healthsync_mqtt.formats.fit.wire import TIMESTAMP, FitMessage, frames
from healthsync_mqtt.formats.omissions import PassedOver
from healthsync_mqtt.formats.port import AppMessage, Event, Fold, FormatEntry, Made
from healthsync_mqtt.model.reasons import Reason, RefusedError

_MOST_BYTES: Final = 64 * 1024 * 1024
_NOTHING: Final = "holds nothing that becomes an event"


@dataclass(frozen=True, slots=True, kw_only=True)
class FitFile:
    """What a file holds. ``damage`` says what is wrong with it, when only the readable part is here."""

    events: list[Event]
    records: int
    damage: str | None = None
    left_out: list[FitAside] = field(default_factory=list)
    notes: list[FitNote] = field(default_factory=list)


def unfolded(content: bytes) -> bytes:
    """What a gzip holds, or the content itself. Raises InputError for one that is damaged or holds too much."""
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            found = file.read(_MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        raise InputError("the gzip is damaged", hint="copy it from the watch again") from None
    if len(found) > _MOST_BYTES:
        raise InputError(f"it unfolds to more than {_MOST_BYTES} bytes", hint="no FIT file is that long")
    return found


def read_fit(path: Path, *, user: str, salvage: bool = False, book: DayBook | None = None) -> FitFile:
    """The events of a FIT file for ``user``, also of one in a gzip. Counters of days go on in ``book``.

    Raises InputError for a file that is damaged (with ``salvage``: that has nothing readable), holds several people's
    weights, or holds nothing that becomes an event.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", hint="check the path") from None
    events: list[Event] = []
    asides: list[FitAside] = []
    notes: list[FitNote] = []
    content = unfolded(content)
    for item in read_items(content, AppMessage(b"", user), book or DayBook()):
        if isinstance(item, Made):
            events.append(item.event)
        elif isinstance(item, FitAside):
            asides.append(item)
        else:
            notes.append(item)
    damage = next((each.text for each in asides if each.reason is PassedOver.DAMAGED), None)
    if damage and not salvage:
        raise InputError(
            f"{path.name} is damaged: {damage}",
            hint=f"copy it from the watch again, or publish what is readable ({len(events)} events): --salvage",
        )
    if not events:
        why = next((f": {each.text}" for each in asides), "")
        raise InputError(
            f"{path.name} {_NOTHING}{why}", hint="use an activity, monitoring, sleep or weight file of the watch"
        )
    told = [each for each in frames(content) if isinstance(each, FitMessage) and each.kind == profile.RECORD]
    records = sum(is_set(each.fields.get(TIMESTAMP)) for each in told)
    return FitFile(events=events, records=records, damage=damage, left_out=asides, notes=notes)


class Fit:
    """Deliveries that are FIT files (``port.Format``)."""

    name = "fit"
    summary = "Garmin FIT files: activities, days of a watch, nights, blood pressure and weight"
    roots = ()
    remembers: frozenset[str] = frozenset({"steps", "energy_active", "elevation_gain", *profile.DISTANCE_ON.values()})

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        yield FormatEntry("record.heart_rate, hr, monitoring.heart_rate", "heart_rate")
        yield FormatEntry("record.distance, length, lap, session", "distance", "between two records")
        yield FormatEntry("session, lap, event", "workout", "with laps and pauses")
        yield FormatEntry("session, monitoring", "steps", "of days: what came between two readings of a counter")
        yield FormatEntry("monitoring", "distance, distance_cycling, distance_swimming, energy_active, elevation_gain")
        yield FormatEntry("sleep_level, sleep_assessment", "sleep")
        yield FormatEntry("stress_level", "stress")
        yield FormatEntry("spo2_data", "spo2")
        yield FormatEntry("respiration_rate", "respiratory_rate")
        yield FormatEntry("hrv_value, hrv_status_summary", "hrv_rmssd, daily_hrv_rmssd")
        yield FormatEntry("monitoring_hr_data", "resting_heart_rate")
        yield FormatEntry("max_met_data", "vo2_max")
        yield FormatEntry("skin_temp_overnight", "skin_temperature, skin_temperature_delta")
        yield FormatEntry("blood_pressure", "blood_pressure", "of one person")
        scale = ", ".join(type_ for _, type_, _, _ in profile.SCALE)
        yield FormatEntry("weight_scale", scale, "of one person's file, or of the declared slot")

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """The file's events. A damaged file is refused whole: its sender has the good one still."""
        book = DayBook(state)
        events, why = 0, ""
        items = list(read_items(message.payload, message, book))
        for item in items:
            if isinstance(item, FitAside):
                if item.reason is PassedOver.DAMAGED:
                    raise RefusedError(Reason.MALFORMED, None, f"the FIT file is damaged: {item.text}")
                why = why or f": {item.text}"
        for item in items:
            if isinstance(item, Made):
                events += 1
                yield item
        if not events:
            raise RefusedError(Reason.MALFORMED, None, f"the FIT file {_NOTHING}{why}")
        return book.state or state
