"""Garmin FIT files as events: heart rate and distance per record, steps of walks and days, weight.

FIT counts distance from the start of the activity; an event carries what came between two records. A file's events
have the same ids every time it is read for the same user, so a second replay stores nothing.
"""

import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from healthsync_mqtt.errors import InputError, UnavailableError
from healthsync_mqtt.formats.port import AppMessage, Event, Fold, FormatEntry, Made
from healthsync_mqtt.model.reasons import Reason, RefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class FitFile:
    """What a file holds. ``damage`` says what is wrong with it, when only the readable part is here."""

    events: list[Event]
    records: int
    damage: str | None = None


@dataclass(slots=True)
class _FitReading:
    user: str
    digest: str
    device: dict[str, str] = field(default_factory=lambda: {"platform": "garmin"})
    events: list[Event] = field(default_factory=list)
    records: int = 0
    #: time and metres of the record that the next distance counts from
    anchor: tuple[datetime, float] | None = None
    people: set[object] = field(default_factory=set)


def read_fit(path: Path, *, user: str, salvage: bool = False) -> FitFile:
    """The events of a FIT file for ``user``, in file order.

    Raises InputError for a file that is damaged (with ``salvage``: that has nothing readable), holds several people's
    weights, or holds nothing that becomes an event; UnavailableError when fitdecode is not installed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", hint="check the path") from None
    reading, damage = _read(content, user)
    if damage and not salvage:
        raise InputError(
            f"{path.name} is damaged: {damage}",
            hint=f"copy it from the watch again, or publish what is readable ({len(reading.events)} events): --salvage",
        )
    if len(reading.people) > 1:
        raise InputError(f"{path.name} holds the weights of several people", hint="export one person's file")
    if not reading.events:
        raise InputError(
            f"{path.name} holds no heart rate, distance, steps or weight",
            hint="use an activity, monitoring or weight file of the watch",
        )
    return FitFile(events=reading.events, records=reading.records, damage=damage)


class Fit:
    """Deliveries that are FIT files (``port.Format``)."""

    name = "fit"
    summary = "Garmin FIT files: activities, monitoring and weight"
    roots = ()
    remembers: frozenset[str] = frozenset()

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        yield FormatEntry("record.heart_rate", "heart_rate")
        yield FormatEntry("record.distance", "distance", "between two records")
        yield FormatEntry("session, monitoring", "steps")
        yield FormatEntry("weight_scale", "weight", "of one person's file")

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """The file's events. A damaged file is refused whole: its sender has the good one still."""
        reading, damage = _read(message.payload, message.user)
        if damage:
            raise RefusedError(Reason.MALFORMED, None, f"the FIT file is damaged: {damage}")
        if len(reading.people) > 1:
            raise RefusedError(Reason.MALFORMED, None, "the FIT file holds the weights of several people")
        if not reading.events:
            raise RefusedError(Reason.MALFORMED, None, "the FIT file holds no heart rate, distance, steps or weight")
        for index, event in enumerate(reading.events):
            yield Made(event, index)
        return state


def _read(content: bytes, user: str) -> tuple[_FitReading, str | None]:
    """What can be read, and what is wrong with the rest."""
    digest = hashlib.sha256(user.encode() + b"/" + content).hexdigest()[:20]
    reading = _FitReading(user=user, digest=digest)
    try:
        for message in _messages(content):
            _take(reading, message)
    except _DamagedError as error:
        return reading, str(error)
    return reading, None


class _DamagedError(Exception):
    """The rest of the file cannot be read."""


def _messages(content: bytes) -> Iterator[Any]:
    try:
        import fitdecode
    except ImportError:
        raise UnavailableError("FIT files need fitdecode", hint="pip install '.[fit]', in the checkout") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about fields that no one reads here
            options = {"check_crc": fitdecode.CrcCheck.RAISE, "error_handling": fitdecode.ErrorHandling.IGNORE}
            with fitdecode.FitReader(content, **options) as reader:
                for frame in reader:
                    if isinstance(frame, fitdecode.FitDataMessage):
                        yield frame
    except fitdecode.FitError as error:
        raise _DamagedError(str(error)) from None
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
        # What fitdecode lets through when a damaged file reads as something else.
        raise _DamagedError(error.__class__.__name__) from None


def _take(reading: _FitReading, message: Any) -> None:
    def value(name: str) -> Any:
        return message.get_value(name, fallback=None)

    match message.name:
        case "file_id":
            model = value("garmin_product") or value("product_name")
            if isinstance(model, str):
                reading.device["model"] = model[:64]
        case "record":
            _take_record(reading, value)
        case "session":
            start, end, strides = value("start_time"), value("timestamp"), value("total_strides")
            if start and end and end > start and strides:
                _add(reading, "steps", start, {"steps": round(strides * 2)}, end=end)
        case "monitoring":
            end, minutes, steps = value("timestamp"), value("duration_min"), value("steps")
            if end and minutes and steps:
                _add(reading, "steps", end - timedelta(minutes=minutes), {"steps": round(steps)}, end=end)
        case "weight_scale":
            at, kg = value("timestamp"), value("weight")
            if at and isinstance(kg, int | float):
                reading.people.add(value("user_profile_index"))
                _add(reading, "weight", at, {"kg": kg})
        case _:
            return


def _take_record(reading: _FitReading, value: Any) -> None:
    at = value("timestamp")
    if not isinstance(at, datetime):
        return
    reading.records += 1
    bpm = value("heart_rate")
    if bpm:  # 0 means that the sensor had no contact
        _add(reading, "heart_rate", at, {"bpm": bpm})
    meters = value("distance")
    if meters is None:
        return
    if reading.anchor is None or meters < reading.anchor[1]:
        reading.anchor = (at, meters)
    elif at > reading.anchor[0]:
        start, before = reading.anchor
        _add(reading, "distance", start, {"meters": round(meters - before, 2)}, end=at)
        reading.anchor = (at, meters)


def _add(
    reading: _FitReading, type_: str, start: datetime, value: dict[str, Any], *, end: datetime | None = None
) -> None:
    number = len(reading.events)
    event: Event = {
        "id": f"fit-{reading.digest}-{number}-{int(start.timestamp())}-{type_}",
        "type": type_,
        "start_time": start.isoformat(),
        "value": value,
        "device": reading.device,
        "source": {"provider": "garmin_fit", "recording": "auto"},
    }
    if end is not None:
        event["end_time"] = end.isoformat()
    reading.events.append(event)
