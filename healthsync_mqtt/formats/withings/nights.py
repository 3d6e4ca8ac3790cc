"""Nights of Withings: a summary with the figures of a night, and elsewhere the stages of nights, without its number.

Both are one session: the stages join the summary of the same device that begins with them. Stages of which no summary
is known are a session of their own, which is taken back when the summary comes; they are in it when they come again.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from healthsync_mqtt.formats.port import Event, Outcome
from healthsync_mqtt.formats.reading.amount import first_field, in_field
from healthsync_mqtt.formats.reading.document import Record, inner, inside, number_or_none, text_or_none
from healthsync_mqtt.formats.reading.moment import Moment, day, in_zone, of_epoch
from healthsync_mqtt.formats.reading.scribe import Named, Records, Scribe
from healthsync_mqtt.formats.reading.stages import Stage, as_written, checked, end_of, nights
from healthsync_mqtt.formats.withings.measures import at_second, code, made_by, version_of
from healthsync_mqtt.formats.withings.memory import LONGEST_NAME, KnownNight, WithingsMemory, stages_alone
from healthsync_mqtt.model.reasons import Reason, RefusedError

_STATES: Final[dict[int | None, str]] = {0: "awake", 1: "light", 2: "deep", 3: "rem"}
"""4 is entered by hand, 5 is not specified: some stage, and not guessed."""

#: A figure of theirs, its unit and ours.
_FIGURES: Final = (
    ("total_sleep_time", "s", "total_asleep_s"),
    ("asleepduration", "s", "total_asleep_s"),
    ("total_timeinbed", "s", "in_bed_s"),
    ("wakeupduration", "s", "awake_s"),
    ("lightsleepduration", "s", "light_s"),
    ("deepsleepduration", "s", "deep_s"),
    ("remsleepduration", "s", "rem_s"),
    ("sleep_latency", "s", "latency_s"),
    ("durationtosleep", "s", "latency_s"),
    ("sleep_efficiency", "1", "efficiency_percent"),
    ("wakeupcount", "1", "awakenings"),
)
#: Of these 0 says that nothing was measured.
_RATES: Final = (
    ("hr_average", "/min", "heart_rate_mean_bpm"),
    ("hr_min", "/min", "heart_rate_low_bpm"),
    ("rr_average", "/min", "respiratory_rate"),
)
_SAMPLES: Final = (
    ("hr", "heart_rate", "/min"),
    ("rr", "respiratory_rate", "/min"),
    ("rmssd", "hrv_rmssd", "ms"),
    ("sdnn_1", "hrv_sdnn", "ms"),
)
"""What a stage has of moments in it, by their seconds."""


def night_of_totals(known: WithingsMemory, scribe: Scribe, record: Record) -> Iterator[Event]:
    """A summary: the night, and beside it how long was snored and how often breathing stopped."""
    start, end = at_second(scribe, record, "startdate"), at_second(scribe, record, "enddate")
    name = record.get("id")
    if type(name) not in {int, str}:
        raise RefusedError(Reason.MISSING_FIELD, "id", "the night has no number")
    with inside("data"):
        data = inner(record, "data")
        value = _figures(data)
        snored_s, stopped = number_or_none(data, "snoring"), number_or_none(data, "apnea_hypopnea_index")
    version, device = version_of(record), made_by(record)
    whose = _device(record, device)
    night = KnownNight(whose, start.us, str(name)[:LONGEST_NAME], value, end.us)
    known.know(night)

    def event(type_: str, of: dict[str, Any], *times: Any) -> Event:
        return scribe.event(type_, of, *times, key=("sleep", str(name)[:LONGEST_NAME]), version=version, device=device)

    yield event("sleep", value, start, end)
    if snored_s is not None:
        yield event(
            "snoring", {"minutes": in_field("snoring", "minutes", snored_s, "s", place="data.snoring")}, start, end
        )
    if stopped is not None:
        of = day(record.get("date"), "date", scribe.message.declared.zone)
        yield event("breathing_disturbances", {first_field("breathing_disturbances"): stopped}, of)


def _figures(data: Record) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for theirs, unit, ours in _FIGURES:
        amount = number_or_none(data, theirs)
        if amount is not None:
            found.setdefault(ours, in_field("sleep", ours, amount, unit, place=theirs))
    for theirs, unit, ours in _RATES:
        amount = number_or_none(data, theirs)
        if amount:
            found[ours] = in_field("sleep", ours, amount, unit, place=theirs)
    score = number_or_none(data, "sleep_score")
    if score:
        found["scores"] = [{"provider": "withings", "name": "sleep_score", "points": score}]
    return found


def _device(record: Record, device: dict[str, Any]) -> str:
    """Which device it was: its hash, else its model."""
    return (text_or_none(record, "hash_deviceid") or str(device.get("model", "")))[:LONGEST_NAME]


class Stages:
    """Stages of an answer, gathered by their device."""

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe
        self._by_device: dict[str, list[Stage]] = {}
        self._about: dict[str, tuple[str, dict[str, Any]]] = {}

    def add(self, place: str, record: Record) -> Iterator[Event]:
        """One stage, and the moments in it."""
        start, end = at_second(self._scribe, record, "startdate"), at_second(self._scribe, record, "enddate")
        stage = checked(Stage(start, end, _STATES.get(code(record, "state"), "unknown")), "enddate")
        device = made_by(record)
        whose = _device(record, device)
        self._about.setdefault(whose, (place, device))
        self._by_device.setdefault(whose, []).append(stage)
        for field, type_, unit in _SAMPLES:
            samples, own = inner(record, field), first_field(type_)
            for key in sorted(samples):
                amount = number_or_none(samples, key)
                if amount:
                    with inside(field):
                        value = {own: in_field(type_, own, amount, unit, place=key[:20])}
                        at = in_zone(of_epoch(_second(key), key[:20]), self._scribe.message.declared.zone)
                    yield self._scribe.event(type_, value, at, device=device)

    def nights(self, records: Records, known: WithingsMemory) -> Iterator[Outcome]:
        """The nights of all that was added, each device by itself."""
        for whose, stages in self._by_device.items():
            place, device = self._about[whose]
            for night in nights(stages):
                make = partial(self._night, whose, device, night, known)
                yield from records.read(place, {"device": whose}, make, "sleep")

    def _night(  # made by the one above
        self, whose: str, device: dict[str, Any], night: list[Stage], known: WithingsMemory, _: Record
    ) -> Iterator[Event | Named]:
        start, end, stages = night[0].start, end_of(night), as_written(night)
        summary = known.summary(whose, start.us)
        if summary is None:
            known.alone(whose, start.us)
            key = ("stages", Moment(start.us).text, whose)
            yield Named(
                self._scribe.event("sleep", {"stages": stages}, start, end, key=key, device=device),
                stages_alone(whose, start.us),
            )
            return
        last = Moment(max(end.us, summary.end_us), end.offset_s)
        yield self._scribe.event(
            "sleep",
            summary.value | {"stages": stages},
            start,
            last,
            key=("sleep", summary.number),
            device=device,
        )


def _second(key: str) -> int:
    if not key.isdecimal():
        raise RefusedError(Reason.BAD_TIME, key[:20], "the key is no second")
    return int(key)
