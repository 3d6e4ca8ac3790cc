# long: one app and its two ways of sending, which share their types and their memory
"""Life Dashboard Companion, an app that sends what Health Connect or HealthKit has: by MQTT, and as a webhook.

By MQTT a value comes on one topic and when it was on another, the value first. A value waits for its time, a half of a
blood pressure for the other half; what waits in vain is refused. Steps, distance and calories are of the day so far.
As a webhook come records with their ids, what was deleted, totals of days, and buckets that are to be put together.
"""

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import partial
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from healthsync_mqtt.formats.port import AppMessage, Event, Fold, FormatEntry, Gone, Made, Outcome, RefusedRecord
from healthsync_mqtt.formats.reading.amount import first_field, in_field
from healthsync_mqtt.formats.reading.document import (
    Record,
    as_record,
    items,
    number,
    number_of_text,
    number_or_none,
    read_object,
    text,
    text_or_none,
    whole,
)
from healthsync_mqtt.formats.reading.health_connect import ARRAYS, NUMBERS, HealthRecords, mean, taken_arrays
from healthsync_mqtt.formats.reading.moment import day, day_around, in_zone
from healthsync_mqtt.formats.reading.scribe import Named, Records, Scribe
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

_ROOTS: Final = ("lifedashboard-ios/", "lifedashboard/")
_PATIENCE_US: Final = 60_000_000
"""How long a value waits for its time."""
_TOGETHER_US: Final = 10_000_000
"""How long a time waits for its value: only when a broker gives both again do they come in this order."""

_HALVES: Final = {"blood_pressure_systolic": "systolic", "blood_pressure_diastolic": "diastolic"}
_DAYS: Final = {
    "steps": ("daily_steps", "{steps}"),
    "distance": ("daily_distance", "m"),
    "active_calories": ("daily_energy_active", "kcal"),
    "total_calories": ("daily_energy_total", "kcal"),
}
"""What is of the day so far, by its topic."""
_TOTALS: Final = {
    "steps": ("daily_steps", "{steps}"),
    "distance_meters": ("daily_distance", "m"),
    "active_calories": ("daily_energy_active", "kcal"),
    "total_calories": ("daily_energy_total", "kcal"),
}
"""The same as a webhook says it of whole days."""
_MOMENTS: Final = {array: of for array, of in NUMBERS.items() if array not in {*_DAYS, "skin_temperature"}} | {
    "skin_temperature_delta": NUMBERS["skin_temperature"]
}
_IGNORED: Final = frozenset({"sleep_duration"})
_SCREEN: Final = "screen_time"

_BESIDE: Final = frozenset({
    "timestamp", "app_version", "source", "sequence", "daily_totals", "deleted_records", "deletions_unavailable",
    "records_outside_window", "writeback", "message", "test", "sequence_epoch",
})  # fmt: skip
"""What a webhook says beside its records."""
_APPLE: Final = "healthkit_ios"

_MOST_WAITING: Final = 32
_MOST_SEQUENCES: Final = 256
_MOST_BUCKETS: Final = 400
_LONGEST_TOPIC: Final = 200


class _Value(NamedTuple):
    """A value or a half that waits, and since when."""

    text: str
    at_us: int


class _Time(NamedTuple):
    """When a value was, by whom, and its record; and since when that waits."""

    measured_at: str
    source: str
    uuid: str
    at_us: int


class _Half(NamedTuple):
    half: str
    number: float
    measured_at: str
    source: str
    at_us: int


class _Bucket(NamedTuple):
    """A bucket that may get late samples: how many it has, their sum or mean, their bounds."""

    samples: float
    amount: float
    low: float | None
    high: float | None


class _AppMemory(msgspec.Struct):
    """What is known of an app between its messages."""

    values: dict[str, _Value] = {}
    times: dict[str, _Time] = {}
    halves: dict[str, _Half] = {}
    sequences: list[int] = []
    buckets: dict[str, _Bucket] = {}

    def bounded(self) -> "_AppMemory":
        """The newest of each."""
        return _AppMemory(
            values=_newest(self.values, _MOST_WAITING),
            times=_newest(self.times, _MOST_WAITING),
            halves=_newest(self.halves, _MOST_WAITING),
            sequences=self.sequences[-_MOST_SEQUENCES:],
            buckets=_newest(self.buckets, _MOST_BUCKETS),
        )


def _newest(found: dict[str, Any], most: int) -> dict[str, Any]:
    return dict(list(found.items())[-most:])


_decode = msgspec.json.Decoder(_AppMemory).decode


class LifeDashboard:
    """Messages below ``lifedashboard/``, and bodies of the webhook (``port.Format``)."""

    name = "life_dashboard"
    summary = "Life Dashboard Companion (Android, iOS): newest values by MQTT, all records by webhook"
    roots = ("lifedashboard", "lifedashboard-ios")
    remembers: frozenset[str] = frozenset()

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        for key, of in _MOMENTS.items():
            on_ios = ("hrv_rmssd, hrv_sdnn", "hrv_sdnn on iOS")
            yield FormatEntry(f"{key}/state", *(on_ios if of.type == "hrv_rmssd" else (of.type, "")))
        for key, (type_, _) in _DAYS.items():
            yield FormatEntry(f"{key}/state", type_, "of the day so far")
        yield FormatEntry(", ".join(f"{key}/state" for key in _HALVES), "blood_pressure", "halves of one record")
        yield from taken_arrays()
        for name, (type_, _) in _TOTALS.items():
            yield FormatEntry(f"daily_totals.{name}", type_)
        yield FormatEntry("deleted_records", "what is gone")

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """One message: by its topic a value or its time, without one a body of the webhook."""
        memory = _decode(state) if state else _AppMemory()
        topic, apple = message.topic.strip("/"), False
        for root in _ROOTS:
            if topic.startswith(root):
                topic, apple = topic.removeprefix(root), root == _ROOTS[0]
        scribe = Scribe(self.name, message, "healthkit" if apple else "health_connect")
        if not topic:
            yield from _Webhook(scribe, memory).read(read_object(message.payload))
        else:
            yield from _Topics(scribe, memory, apple=apple).read(topic)
        return msgspec.json.encode(memory.bounded())

    def holds(self, state: bytes) -> frozenset[str]:
        """See ``port.Divisible``."""
        memory = _decode(state) if state else _AppMemory()
        found = {type_ for place in (*memory.values, *memory.times) for type_ in _of_topic(place)}
        found |= {type_ for name in memory.buckets for type_ in _of_bucket(name)}
        return frozenset(found | ({"blood_pressure"} if memory.halves else set()))

    def without(self, state: bytes, types: frozenset[str]) -> bytes:
        """See ``port.Divisible``."""
        memory = _decode(state) if state else _AppMemory()

        def kept(found: dict[str, Any], types_of: Callable[[str], frozenset[str]]) -> dict[str, Any]:
            return {name: each for name, each in found.items() if types.isdisjoint(types_of(name))}

        return msgspec.json.encode(
            _AppMemory(
                values=kept(memory.values, _of_topic),
                times=kept(memory.times, _of_topic),
                halves={} if "blood_pressure" in types else memory.halves,
                sequences=memory.sequences,
                buckets=kept(memory.buckets, _of_bucket),
            )
        )


def _of_topic(place: str) -> frozenset[str]:
    """The types that a value on a topic may be of; of a variation both, which the app's system alone tells apart."""
    key = place.rpartition("/")[2]
    if key in _HALVES:
        return frozenset({"blood_pressure"})
    type_ = _DAYS[key][0] if key in _DAYS else _MOMENTS[key].type
    return frozenset({type_, "hrv_sdnn"} if type_ == "hrv_rmssd" else {type_})


def _of_bucket(name: str) -> frozenset[str]:
    """The types that a bucket may be of."""
    type_ = NUMBERS[name.partition(" ")[0]].type
    return frozenset({type_, "hrv_sdnn"} if type_ == "hrv_rmssd" else {type_})


class _Topics:
    """Values and times on topics of their own."""

    def __init__(self, scribe: Scribe, memory: _AppMemory, *, apple: bool) -> None:
        self._scribe = scribe
        self._memory = memory
        self._apple = apple
        self._records = Records()
        self._now_us = scribe.message.at_us

    def read(self, topic: str) -> Iterator[Outcome]:
        """A message; before it what has waited too long."""
        yield from self._given_up()
        if len(topic) > _LONGEST_TOPIC:
            raise RefusedError(Reason.MALFORMED, None, f"a topic of more than {_LONGEST_TOPIC} letters")
        place, _, part = topic.rpartition("/")
        key = place.rpartition("/")[2]
        if part not in {"state", "attributes"}:
            raise RefusedError(Reason.MALFORMED, None, "the topic ends neither with state nor with attributes")
        payload = self._scribe.message.payload
        if not payload or key in _IGNORED or key.startswith(_SCREEN):
            return  # an empty one takes a retained one back
        if key not in _MOMENTS and key not in _DAYS and key not in _HALVES:
            refusal = RefusedError(Reason.UNKNOWN_TYPE, None, f"{printable(key)} has no type here")
            if part == "state":
                yield self._records.refuse(f"{place}/state", None, refusal)
            return
        if part == "state":
            yield from self._value(place, payload)
        else:
            yield from self._time(place, payload)

    def _given_up(self) -> Iterator[Outcome]:
        memory = self._memory
        for place, value in list(memory.values.items()):
            if self._now_us - value.at_us > _PATIENCE_US:
                del memory.values[place]
                yield self._missing(place, "no time came for the value")
        for uuid, half in list(memory.halves.items()):
            if self._now_us - half.at_us > _PATIENCE_US:
                del memory.halves[uuid]
                yield self._missing(f"blood_pressure_{half.half}", "its other half did not come")

    def _missing(self, place: str, words: str) -> RefusedRecord:
        return self._records.refuse(f"{place}/attributes", None, RefusedError(Reason.MISSING_FIELD, None, words))

    def _value(self, place: str, payload: bytes) -> Iterator[Outcome]:
        found = payload.decode("utf-8", "replace")
        try:
            number_of_text(found)
        except RefusedError as refusal:
            yield self._records.refuse(f"{place}/state", printable(found), refusal)
            return
        if self._memory.values.pop(place, None) is not None:
            yield self._missing(place, "another value came before its time")
        waiting = self._memory.times.pop(place, None)
        if waiting is not None and self._now_us - waiting.at_us <= _TOGETHER_US:
            yield from self._pair(place, found.strip(), waiting)
        else:
            self._memory.values[place] = _Value(found.strip(), self._now_us)

    def _time(self, place: str, payload: bytes) -> Iterator[Outcome]:
        try:
            said = read_object(payload)
            source, uuid = text_or_none(said, "source") or "", text_or_none(said, "uuid") or ""
            when = _Time(self._scribe.moment_in(said, "measured_at").text, source[:128], uuid[:128], self._now_us)
        except RefusedError as refusal:
            self._memory.values.pop(place, None)
            yield self._records.refuse(f"{place}/attributes", None, refusal)
            return
        value = self._memory.values.pop(place, None)
        if value is None:
            self._memory.times[place] = when
        else:
            yield from self._pair(place, value.text, when)

    def _pair(self, place: str, value: str, when: _Time) -> Iterator[Outcome]:
        record = {"state": value, "measured_at": when.measured_at, "source": when.source, "uuid": when.uuid}
        yield from self._records.read(place, record, partial(self._event, place.rpartition("/")[2]))

    def _event(self, key: str, record: Record) -> Iterator[Event | Named]:
        amount, zone = number_of_text(record["state"], "state"), self._scribe.message.declared.zone
        at = in_zone(self._scribe.moment_in(record, "measured_at"), zone)
        app, uuid = text_or_none(record, "source"), text_or_none(record, "uuid")
        if key in _HALVES:
            yield from self._half(_HALVES[key], amount, record)
        elif key in _DAYS:
            type_, unit = _DAYS[key]
            field = first_field(type_)
            of = day_around(at, zone)
            value = {field: in_field(type_, field, amount, unit)}
            yield self._scribe.event(type_, value, of, key=("day", of.date))
        else:
            of_moment = _MOMENTS[key]
            type_ = "hrv_sdnn" if key == "heart_rate_variability" and self._apple else of_moment.type
            field, unit = first_field(type_), next(iter(of_moment.fields.values()))
            value = {field: in_field(type_, field, amount, unit)}
            event = self._scribe.event(type_, value, at, app=app, key=("record", uuid) if uuid else ())
            yield Named(event, uuid) if uuid else event

    def _half(self, half: str, amount: float, record: Record) -> Iterator[Event | Named]:
        """Both halves have one record, or, where it has no id, one time and app."""
        uuid, app = text_or_none(record, "uuid"), text_or_none(record, "source") or ""
        of = uuid or f"{record['measured_at']} {app}"
        other = self._memory.halves.pop(of, None)
        if other is None or other.half == half:
            self._memory.halves[of] = _Half(half, amount, record["measured_at"], app, self._now_us)
            return
        value = {other.half: whole(other.number), half: whole(amount)}
        ordered = {field: value[field] for field in ("systolic", "diastolic")}
        at = in_zone(self._scribe.moment_in(record, "measured_at"), self._scribe.message.declared.zone)
        event = self._scribe.event("blood_pressure", ordered, at, app=app or None, key=("record", uuid) if uuid else ())
        yield Named(event, uuid) if uuid else event


class _Webhook:
    """A body of the webhook."""

    def __init__(self, scribe: Scribe, memory: _AppMemory) -> None:
        self._scribe = scribe
        self._memory = memory
        self._records = Records()

    def read(self, root: Record) -> Iterator[Outcome]:
        """What was deleted, then what there is; nothing of a ping, or of what was taken before."""
        if root.get("test") is True:
            return
        sequence = root.get("sequence")
        if type(sequence) is int:  # a truth would be read back as none
            if sequence in self._memory.sequences:
                return
            self._memory.sequences.append(sequence)
        apple = root.get("source") == _APPLE
        if apple:
            self._scribe = self._scribe._replace(provider="healthkit")
        deleted = yield from self._records.listed("deleted_records", root, "deleted_records")
        yield from self._deleted(deleted)
        arrays = HealthRecords(self._scribe, types={"heart_rate_variability": "hrv_sdnn"} if apple else {})
        for array in root:
            reader = arrays.reader(array)
            if reader is None:
                if array not in _BESIDE and not array.startswith(("_", "backfill", _SCREEN)):
                    refusal = RefusedError(Reason.UNKNOWN_TYPE, None, f"{printable(array)} has no type here")
                    yield self._records.refuse(printable(array), None, refusal)
                continue
            read_one, type_ = reader
            seen: set[tuple[object, ...]] = set()
            rows = yield from self._records.listed(array, root, array)
            for place, record in enumerate(rows):
                read = partial(self._bucket, array, type_) if _is_bucket(array, record) else read_one
                for outcome in self._records.read(f"{array}[{place}]", record, read, type_):
                    if not isinstance(outcome, Made) or _is_new(outcome.event, seen):
                        yield outcome
        totals = yield from self._records.listed("daily_totals", root, "daily_totals")
        for place, total in enumerate(totals):
            yield from self._records.read(f"daily_totals[{place}]", total, self._totals)

    def _deleted(self, records: list[Any]) -> Iterator[Outcome]:
        """A record that is gone, and all samples of it: their names begin with its own."""
        for place, record in enumerate(records):
            try:
                yield Gone(_deleted_name(as_record(record)))
            except RefusedError as refusal:
                yield self._records.refuse(f"deleted_records[{place}]", record, refusal)

    def _totals(self, record: Record) -> Iterator[Event]:
        """What a day came to, over all sources."""
        of = day(record.get("date"), "date", self._scribe.message.declared.zone)
        for name, (type_, unit) in _TOTALS.items():
            amount = number_or_none(record, name)
            if amount is not None:
                field = first_field(type_)
                value = {field: in_field(type_, field, amount, unit)}
                yield self._scribe.event(type_, value, of, key=("day", of.date))

    # -- buckets

    def _bucket(self, array: str, type_: str, record: Record) -> Iterator[Event]:
        """A bucket, with the samples that came before it where it is not the whole."""
        start, end = self._scribe.moment_in(record, "bucket_start"), self._scribe.moment_in(record, "bucket_end")
        if end.us <= start.us:
            raise RefusedError(Reason.BAD_INTERVAL, "bucket_end", "the bucket has no length")
        apps = "|".join(sorted(each for each in items(record, "sources") if isinstance(each, str)))[:128]
        whose = blake2b(apps.encode("utf-8", "replace"), digest_size=8).hexdigest()
        name = f"{array} {start.us // 1_000_000} {end.us // 1_000_000} {whose}"
        new = _bucket_of(record)
        before = self._memory.buckets.pop(name, None)
        if before is not None and record.get("complete") is not True:
            new = _together(before, new)
        self._memory.buckets[name] = new
        zone = self._scribe.message.declared.zone
        source: dict[str, Any] = {"samples": whole(new.samples)}
        value: Mapping[str, Any]
        if "total" in record:
            field, unit = first_field(type_), next(iter(NUMBERS[array].fields.values()))
            value = {field: in_field(type_, field, new.amount, unit)}
        else:
            unit = next(iter(NUMBERS[array].fields.values()))
            value = mean(type_, unit, {"avg": new.amount, "min": new.low, "max": new.high})
            source["statistic"] = "mean"
        key = ("bucket", start.text, end.text, apps)
        yield self._scribe.event(
            type_, value, in_zone(start, zone), in_zone(end, zone), app=apps or None, key=key, source=source
        )


def _deleted_name(record: Record) -> str:
    array = text(record, "type")
    if array not in ARRAYS:
        raise RefusedError(Reason.UNKNOWN_TYPE, "type", f"{printable(array)} has no type here")
    return text(record, "uuid").strip()


def _is_bucket(array: str, record: Any) -> bool:
    """Whether it is one; of what is no number there are none."""
    return array in NUMBERS and isinstance(record, dict) and "bucket_start" in record


def _is_new(event: Event, seen: set[tuple[object, ...]]) -> bool:
    """Whether it is no copy that one app wrote under another id: same time, same value."""
    app = event["source"].get("app")
    if event["type"] not in {"steps", "distance", "energy_active", "energy_total", "hydration"} or app is None:
        return True
    said = (app, event["start_time"], event.get("end_time"), msgspec.json.encode(event["value"]))
    if said in seen:
        return False
    seen.add(said)
    return True


def _bucket_of(record: Record) -> _Bucket:
    count = number_or_none(record, "sample_count")
    if "total" in record:
        return _Bucket(count or 0, number(record, "total"), None, None)
    average = number(record, "avg")
    return _Bucket(count or 1, average, number_or_none(record, "min"), number_or_none(record, "max"))


def _together(one: _Bucket, other: _Bucket) -> _Bucket:
    """Both: sums are added, means are weighed by their samples, exactly."""
    count = whole(float(Fraction(repr(one.samples)) + Fraction(repr(other.samples))))
    first, second = Fraction(repr(one.amount)), Fraction(repr(other.amount))
    if one.low is None and one.high is None and other.low is None and other.high is None:
        return _Bucket(count, whole(float(first + second)), None, None)
    weights = Fraction(repr(one.samples)), Fraction(repr(other.samples))
    amount = (first * weights[0] + second * weights[1]) / (sum(weights) or 1)
    lows = [each for each in (one.low, other.low) if each is not None]
    highs = [each for each in (one.high, other.high) if each is not None]
    mean_ = whole(round(float(amount), 6))
    return _Bucket(count, mean_, min(lows, default=None), max(highs, default=None))
