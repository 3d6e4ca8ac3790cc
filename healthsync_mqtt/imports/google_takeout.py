"""Google Fit in a Takeout: "All data" as JSON, a file a stream; and tables of days, which say the same once more.

A point is known by its type, its times and the stream it comes from, as the answers of Fit's interface are; streams
that are merged from others (``derived:``) are left out where the raw ones are there.
"""

from collections.abc import Iterator
from typing import Any, Final

from healthsync_mqtt.formats.port import Event
from healthsync_mqtt.formats.reading.amount import first_field, in_field
from healthsync_mqtt.formats.reading.document import (
    Record,
    as_record,
    inner,
    is_number,
    items,
    read_object,
    text_or_none,
)
from healthsync_mqtt.formats.reading.moment import Moment, in_zone, of_epoch
from healthsync_mqtt.formats.reading.scribe import Scribe
from healthsync_mqtt.imports.port import Item, LeftOut, PassedOver, Read, Reading, Whose
from healthsync_mqtt.imports.rows import header_of
from healthsync_mqtt.imports.source import Member, UnreadableError
from healthsync_mqtt.model.catalogue import CATALOGUE, TimeKind
from healthsync_mqtt.model.reasons import Reason, RefusedError

_POINTS: Final = "Data Points"
_NUMBERS: Final = {
    "com.google.step_count.delta": ("steps", "{steps}"),
    "com.google.distance.delta": ("distance", "m"),
    "com.google.calories.expended": ("energy_total", "kcal"),
    "com.google.heart_rate.bpm": ("heart_rate", "/min"),
    "com.google.speed": ("speed", "m/s"),
    "com.google.power.sample": ("power", "W"),
    "com.google.weight": ("weight", "kg"),
    "com.google.height": ("height", "m"),
    "com.google.body.fat.percentage": ("body_fat_percentage", "%"),
    "com.google.hydration": ("hydration", "L"),
    "com.google.oxygen_saturation": ("spo2", "%"),
    "com.google.blood_glucose": ("glucose", "mmol/L"),
    "com.google.body.temperature": ("body_temperature", "Cel"),
}
_STAGES: Final = {1: "awake", 2: "asleep", 3: "out_of_bed", 4: "light", 5: "deep", 6: "rem"}
_HOUR_US: Final = 3_600_000_000
_MANUAL: Final = "user_input"


class GoogleFitTakeout:
    """The folder Fit of a Takeout (``port.Archive``)."""

    name = "google_takeout"
    summary = "Google Takeout of Google Fit (JSON)"

    def recognises(self, member: Member, head: bytes) -> bool:  # noqa: ARG002  # port.Archive
        """A stream with its points, or a table of days."""
        start = head[:4096]
        if b'"Data Source"' in start and b'"Data Points"' in start:
            return True
        names = set(header_of(head))
        return "move minutes count" in names or {"start time", "end time", "step count"} <= names

    def read(self, members: list[Member], whose: Whose) -> Reading:
        """The streams; tables say the same once more."""
        scribe = Scribe("google_takeout", whose.message(b""), "google_fit")
        raw = {_type_of(member) for member in members if b'"raw:' in member.head()[:4096]}
        for member in members:
            if header_of(member.head()):
                yield LeftOut(PassedOver.SUMMARY, member.shown, "sums of what stands in All data")
            elif b'"derived:' in member.head()[:4096] and _type_of(member) in raw:
                yield LeftOut(PassedOver.SUMMARY, member.shown, "merged from streams that are read themselves")
            else:
                yield from _stream(member, scribe)


def _type_of(member: Member) -> bytes:
    """The data type of a stream."""
    _, _, rest = member.head()[:4096].partition(b'"Data Source"')
    return rest.partition(b'"')[2].partition(b'"')[0].split(b":")[1:2][0] if b":" in rest[:512] else b""


def _stream(member: Member, scribe: Scribe) -> Iterator[Item]:
    try:
        root = read_object(member.whole())
        source = text_or_none(root, "Data Source") or ""
        points = items(root, _POINTS)
    except RefusedError as refusal:
        yield LeftOut(refusal.code, member.shown, str(refusal))
        return
    except UnreadableError as error:
        yield LeftOut(PassedOver.DAMAGED, member.shown, str(error))
        return
    night: list[tuple[Moment, Moment, str]] = []
    for place, each in enumerate(points):
        where = f"{member.shown}: {_POINTS}[{place}]"
        try:
            point = as_record(each)
            kind = text_or_none(point, "dataTypeName") or ""
            zone = scribe.message.declared.zone
            start, end = (_time(point, field, zone) for field in ("startTimeNanos", "endTimeNanos"))
            if kind == "com.google.sleep.segment":
                if night and start.us > night[-1][1].us + _HOUR_US:
                    yield _night(scribe, night, source, where)
                    night = []
                night.append((start, end, _STAGES.get(_value(point) or 0, "unknown")))
            else:
                yield Read(_event(scribe, kind, point, start, end, source), where)
        except RefusedError as refusal:
            yield LeftOut(refusal.code, where, str(refusal))
    if night:
        yield _night(scribe, night, source, member.shown)


def _event(scribe: Scribe, kind: str, point: Record, start: Moment, end: Moment, source: str) -> Event:  # noqa: PLR0917
    if kind == "com.google.blood_pressure":
        numbers = [_number(each) for each in items(point, "fitValue")[:2]]
        value = dict(zip(("systolic", "diastolic"), numbers, strict=False))
        if len(value) < 2 or None in numbers:
            raise RefusedError(Reason.MISSING_FIELD, "fitValue", "half of a blood pressure is missing")
        return scribe.event("blood_pressure", value, start, app=_app(point, source), source=_said(point))
    if kind not in _NUMBERS:
        raise RefusedError(Reason.UNKNOWN_TYPE, "dataTypeName", "a data type that has no type here")
    type_, unit = _NUMBERS[kind]
    amount = _value(point)
    if amount is None:
        raise RefusedError(Reason.MISSING_FIELD, "fitValue", "a point without a number")
    field = first_field(type_)
    value = {field: in_field(type_, field, amount, unit, place="fitValue")}
    counted = CATALOGUE[type_].kind is TimeKind.INTERVAL
    return scribe.event(type_, value, start, end if counted else None, app=_app(point, source), source=_said(point))


def _night(scribe: Scribe, night: list[tuple[Moment, Moment, str]], source: str, where: str) -> Item:
    start, end = night[0][0], max((each[1] for each in night), key=lambda each: each.us)
    stages = [{"stage": word, "start_time": begin.text, "end_time": until.text} for begin, until, word in night]
    key = ("night", start.text, source)
    return Read(scribe.event("sleep", {"stages": stages}, start, end, key=key), where)


def _app(point: Record, source: str) -> str:
    """The stream that a point comes from first: what it is merged from, where that is said."""
    return (text_or_none(point, "originDataSourceId") or source)[:256]


def _said(point: Record) -> dict[str, str]:
    origin = text_or_none(point, "originDataSourceId") or ""
    return {"recording": "manual"} if origin.endswith(_MANUAL) else {}


def _time(point: Record, field: str, zone: str | None) -> Moment:
    nanos = point.get(field)
    if isinstance(nanos, str) and nanos.isascii() and nanos.isdecimal() and len(nanos) < 24:
        nanos = int(nanos)
    if not isinstance(nanos, int) or isinstance(nanos, bool):
        raise RefusedError(Reason.MISSING_FIELD, field, f"{field} is missing")
    return in_zone(of_epoch(nanos // 1000, field, scale=1_000_000), zone)


def _value(point: Record) -> Any:
    found = items(point, "fitValue")
    return _number(found[0]) if found else None


def _number(each: Any) -> Any:
    value = inner(as_record(each), "value")
    found = value.get("fpVal", value.get("intVal"))
    return found if is_number(found) else None
