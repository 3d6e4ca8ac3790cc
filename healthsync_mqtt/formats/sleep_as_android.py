"""Sleep as Android: a night as the events that made it, each at the time when it came.

A night is from ``sleep_tracking_started`` to ``…_stopped``; each stage lasts until the next. A night of which the end
never came is reported when the next begins. Retained events are of an unknown time and are nothing.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from healthsync_mqtt.formats.port import AppMessage, Event, Fold, FormatEntry
from healthsync_mqtt.formats.reading.document import read_object, text
from healthsync_mqtt.formats.reading.moment import Moment, in_zone
from healthsync_mqtt.formats.reading.scribe import Records, Scribe
from healthsync_mqtt.model.reasons import Reason, RefusedError

_STAGES: Final = {
    "light_sleep": "light",
    "deep_sleep": "deep",
    "rem": "rem",
    "awake": "awake",
    "not_awake": "unknown",
    "sleep_tracking_paused": "unknown",
    "sleep_tracking_resumed": "unknown",
}
"""What the body does from an event on. All other events are of alarms, sounds and lullabies."""
_STARTED: Final = "sleep_tracking_started"
_STOPPED: Final = "sleep_tracking_stopped"
_LONGEST_US: Final = 48 * 3_600_000_000
_MOST_STAGES: Final = 1500


class _Night(msgspec.Struct):
    """A night that has begun: when, and its stages with their beginnings."""

    start_us: int
    stages: list[tuple[str, int]]


_decode = msgspec.json.Decoder(_Night).decode


class SleepAsAndroid:
    """Events of the app (``port.Format``)."""

    name = "sleep_as_android"
    summary = "Sleep as Android: nights with their stages"
    roots = ("SleepAsAndroid",)
    remembers: frozenset[str] = frozenset({"sleep"})

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        for event, stage in _STAGES.items():
            yield FormatEntry(event, "sleep", f"stage {stage}")

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """One event. What is remembered is the night that has begun."""
        if message.retained or (not message.payload and message.topic):
            return state
        record = read_object(message.payload)
        event = text(record, "event")
        night = _decode(state) if state else None
        records = Records()
        now_us = message.at_us
        if event == _STARTED:
            if night is not None:
                refusal = RefusedError(Reason.MISSING_FIELD, _STOPPED, "the night before has no end")
                yield records.refuse("", {"started": Moment(night.start_us).text}, refusal, "sleep")
            return msgspec.json.encode(_Night(now_us, []))
        if night is None:
            return state
        if event == _STOPPED:
            scribe = Scribe(self.name, message, "sleep_as_android")
            yield from records.read("", record, lambda _: _slept(scribe, night, now_us), "sleep")
            return b""
        if event not in _STAGES:
            return state
        _turn(night, _STAGES[event], now_us)
        return msgspec.json.encode(night)


def _turn(night: _Night, stage: str, now_us: int) -> None:
    """A stage begins; one that goes on does not."""
    if not night.stages or night.stages[-1][0] != stage:
        night.stages.append((stage, now_us))
    del night.stages[_MOST_STAGES:]


def _slept(scribe: Scribe, night: _Night, end_us: int) -> Iterator[Event]:
    if not night.start_us < end_us <= night.start_us + _LONGEST_US:
        raise RefusedError(Reason.BAD_INTERVAL, None, "the night has no length, or is longer than 48 hours")
    zone = scribe.message.declared.zone
    start, end = in_zone(Moment(night.start_us), zone), in_zone(Moment(end_us), zone)
    ends = [at_us for _, at_us in [*night.stages, ("", end_us)][1:]]
    stages: list[dict[str, Any]] = [
        {"stage": stage, "start_time": Moment(at_us).text, "end_time": Moment(until_us).text}
        for (stage, at_us), until_us in zip(night.stages, ends, strict=True)
        if at_us <= until_us
    ]
    yield scribe.event("sleep", {"stages": stages} if stages else {}, start, end, key=("night", start.text))
