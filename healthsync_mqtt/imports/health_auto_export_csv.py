"""Tables of Health Auto Export: days, hours or minutes with a column for each metric, and workouts with one a row.

Each row is read as the message that the app would have sent of it, by the same code, so that ids are the same where a
message says the same. A table says no zone, and of a bucket only its start: how long they are is declared, or seen in
rows that all begin one.
"""

import csv
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec

from healthsync_mqtt.formats.health_auto_export import HealthAutoExport
from healthsync_mqtt.formats.health_auto_export.metrics import METRICS, NUTRIENTS, SPECIAL
from healthsync_mqtt.formats.port import Made, RefusedRecord
from healthsync_mqtt.formats.reading.document import number_of_text
from healthsync_mqtt.formats.reading.moment import moment
from healthsync_mqtt.imports.port import LeftOut, PassedOver, Read, Reading, Remembered, Whose
from healthsync_mqtt.imports.rows import Row, folded, rows_of
from healthsync_mqtt.imports.source import Member, UnreadableError
from healthsync_mqtt.model.reasons import RefusedError

_TIMES: Final = ("date/time", "date")
_WORKOUT: Final = ("workout type", "type", "name")
_SOURCES: Final = ("sources", "source")
_AT_ONCE: Final = 200
_BUCKETS: Final = (86_400, 3_600, 60)
_US: Final = 1_000_000
_UNIT: Final = re.compile(r"(?P<name>.*?)\s*(?:\[(?P<part>[^\]]*)\])?\s*\((?P<unit>.*)\)\s*")
_CLOCK: Final = re.compile(r"(\d{1,4}):(\d\d)(?::(\d\d(?:\.\d+)?))?")
_PLACE: Final = re.compile(r"data\.(?:metrics\[(\d+)\]\.data|workouts)\[(\d+)\]")
_OTHER_NAMES: Final = {"weight": "weight_body_mass", "weight_body_mass": "weight_body_mass"}
_SLEEP: Final = {"in bed": "inBed", "total": "totalSleep", "total sleep": "totalSleep"}
#: Of a workout: how the app calls a figure in a table, and in a message.
_FIGURES: Final = {
    "active energy": "activeEnergyBurned", "active energy burned": "activeEnergyBurned", "distance": "distance",
    "avg heart rate": "avgHeartRate", "avg. heart rate": "avgHeartRate", "max heart rate": "maxHeartRate",
    "max. heart rate": "maxHeartRate", "step count": "stepCount",
}  # fmt: skip


class _MetricColumn(NamedTuple):
    """A column of a metric: its folded header, the metric, the part of it where it has several, and the unit."""

    header: str
    metric: str
    part: str | None
    unit: str

    @classmethod
    def of(cls, header: str) -> "_MetricColumn | None":
        found = _UNIT.fullmatch(header.strip())
        if found is None:
            return None
        name = re.sub(r"[^a-z0-9]+", "_", found["name"].casefold()).strip("_")
        return cls(folded(header), _OTHER_NAMES.get(name, name), found["part"], found["unit"])

    @property
    def known(self) -> bool:
        return self.metric in METRICS or self.metric in SPECIAL or self.metric in NUTRIENTS or self.metric == _NIGHT


_NIGHT: Final = "sleep_analysis"


class HealthAutoExportTables:
    """Tables of metrics and of workouts (``port.Archive``)."""

    name = "health_auto_export_csv"
    summary = "Health Auto Export (CSV)"

    def recognises(self, member: Member, head: bytes) -> bool:  # noqa: ARG002  # port.Archive
        """A time and two metrics with their units in brackets; or workouts with their start, end and length."""
        headers = _headers(head)
        names = {folded(each) for each in headers}
        if {"start", "end", "duration"} <= names and names & set(_WORKOUT):
            return True
        known = [column for each in headers if (column := _MetricColumn.of(each)) is not None and column.known]
        needed = 1 if "date/time" in names else 2
        return bool(names & set(_TIMES)) and len(known) >= needed

    def read(self, members: list[Member], whose: Whose) -> Reading:
        """All rows, some at a time; which nights there were is remembered as for messages."""
        state = whose.memory.get(HealthAutoExport.name, b"")
        for member in members:
            headers = _headers(member.head())
            try:
                if {"start", "end"} <= {folded(each) for each in headers}:
                    state = yield from _workouts(member, headers, whose, state)
                else:
                    state = yield from _metrics(member, headers, whose, state)
            except UnreadableError as error:
                yield LeftOut(PassedOver.DAMAGED, member.shown, str(error))
        if state:
            yield Remembered(HealthAutoExport.name, state)


def _headers(head: bytes) -> list[str]:
    """The first line's cells as they are written."""
    first = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").split("\n", 1)[0].strip("\r")
    if not first or first[:1] in {"{", "[", "<"} or "\0" in first:
        return []
    try:
        return next(csv.reader([first], delimiter=max(",;\t", key=first.count)), [])
    except csv.Error:
        return []


# -- metrics


def _metrics(member: Member, headers: Sequence[str], whose: Whose, state: bytes) -> Any:
    columns = [column for each in headers if (column := _MetricColumn.of(each)) is not None]
    time = next(each for each in _TIMES if each in {folded(each) for each in headers})
    bucket_s = whose.declared.bucket_s or _observed(member, time, whose)
    told = whose._replace(declared=whose.declared._replace(bucket_s=bucket_s))
    batch: list[Row] = []
    for row in rows_of(member):
        batch.append(row)
        if len(batch) == _AT_ONCE:
            state = yield from _told(member, told, state, *_message(batch, columns, time, whose.declared.zone))
            batch = []
    if batch:
        state = yield from _told(member, told, state, *_message(batch, columns, time, whose.declared.zone))
    return state


def _observed(member: Member, time: str, whose: Whose) -> int | None:
    """The longest bucket of which every row begins one and that two of them are apart; None where there is none."""
    starts = []
    for row in rows_of(member):
        try:
            at = moment(row.cells.get(time, ""), time, whose.declared.zone)
        except RefusedError:
            continue
        starts.append(at.us + (at.offset_s or 0) * _US)
    starts = sorted(set(starts))
    apart = min((later - earlier for earlier, later in pairwise(starts)), default=0)
    return next((each for each in _BUCKETS if apart == each * _US and not any(s % (each * _US) for s in starts)), None)


def _message(
    rows: Sequence[Row], columns: Sequence[_MetricColumn], time: str, zone: str | None
) -> tuple[dict[str, Any], list[list[str]]]:
    """Some rows as a message, and where each of its rows stands: by metric, the line and the column."""
    metrics: dict[str, dict[str, Any]] = {}
    places: dict[str, list[str]] = {}
    for row in rows:
        date = _with_offset(row.cells.get(time, ""), zone)
        source = next((row.cells[each] for each in _SOURCES if row.cells.get(each)), None)
        said: dict[str, dict[str, Any]] = {}
        for column in columns:
            text = row.cells.get(column.header, "")
            if not text:
                continue
            record = said.setdefault(column.metric, {})
            record[_key(column)] = _number(text)
            if column.metric not in metrics:
                metrics[column.metric] = {"name": column.metric, "units": column.unit, "data": []}
                places[column.metric] = []
        for metric, record in said.items():
            if metric == _NIGHT and not any(record.values()):
                continue  # nobody slept, or nobody knows
            metrics[metric]["data"].append({"date": date} | record | ({"source": source} if source else {}))
            places[metric].append(f"{row.line}: {metric}")
    return {"data": {"metrics": list(metrics.values())}}, [places[name] for name in metrics]


def _key(column: _MetricColumn) -> str:
    if column.part is None:
        return "qty"
    if column.metric == "blood_pressure":
        return column.part.casefold()
    if column.metric == _NIGHT:
        return _SLEEP.get(column.part.casefold(), column.part.casefold())
    return column.part


def _number(text: str) -> Any:
    """A number, also with a decimal comma; the text itself where it is none, for the reader to refuse."""
    decimal = text.replace(",", ".") if text.count(",") == 1 and "." not in text else text
    try:
        return number_of_text(decimal, "qty")
    except RefusedError:
        return text


def _with_offset(text: str, zone: str | None) -> str:
    """A time as messages say it, with the offset of a declared zone; as it is where it has one, or nobody can say."""
    try:
        moment(text, "date")
    except RefusedError:
        try:
            offset_s = moment(text, "date", zone).offset_s or 0
        except RefusedError:
            return text
        hours, minutes = divmod(abs(offset_s) // 60, 60)
        return f"{text.strip()} {'-' if offset_s < 0 else '+'}{hours:02d}{minutes:02d}"
    return text


# -- workouts


def _workouts(member: Member, headers: Sequence[str], whose: Whose, state: bytes) -> Any:
    figures = {}
    for each in headers:
        column = _UNIT.fullmatch(each.strip())
        name = folded(column["name"] if column is not None else each)
        if name in _FIGURES:
            figures[folded(each)] = (_FIGURES[name], column["unit"] if column is not None else "count")
    for row in rows_of(member):
        message = {"data": {"workouts": [_workout(row, figures, whose.declared.zone)]}}
        state = yield from _told(member, whose, state, message, [[f"{row.line}"]])
    return state


def _workout(row: Row, figures: dict[str, tuple[str, str]], zone: str | None) -> dict[str, Any]:
    cells = row.cells
    said: dict[str, Any] = {
        "name": next((cells[each] for each in _WORKOUT if cells.get(each)), None),
        "start": _with_offset(cells.get("start", ""), zone),
        "end": _with_offset(cells.get("end", ""), zone),
    }
    clock = _CLOCK.fullmatch(cells.get("duration", ""))
    if clock is not None:
        said["duration"] = int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3] or 0)
    for header, (name, unit) in figures.items():
        if cells.get(header):
            said[name] = {"qty": _number(cells[header]), "units": unit}
    return said


# -- both


def _told(member: Member, whose: Whose, state: bytes, message: dict[str, Any], places: Sequence[Sequence[str]]) -> Any:
    """The outcomes of a message; returns what is remembered then."""
    fold = HealthAutoExport().fold(state, whose.message(msgspec.json.encode(message)))
    while True:
        try:
            outcome = next(fold)
        except StopIteration as end:
            return end.value
        except RefusedError as refusal:
            yield LeftOut(refusal.code, member.shown, str(refusal))
            return state
        if isinstance(outcome, Made):
            yield Read(outcome.event, f"{member.shown}:{_where(outcome.place, places)}")
        elif isinstance(outcome, RefusedRecord):
            yield LeftOut(outcome.reason, f"{member.shown}:{_where(outcome.place, places)}", outcome.text)
        else:
            yield LeftOut(PassedOver.WITHDRAWN, member.shown, "its source says that it is gone")


def _where(place: str, places: Sequence[Sequence[str]]) -> str:
    found = _PLACE.match(place)
    if found is None:
        # A metric that nothing is known of is refused once for all of its rows.
        named = re.match(r"data\.metrics\[(\d+)\]", place)
        return places[int(named[1])][0] if named is not None else place
    return places[int(found[1] or 0)][int(found[2])] if found[1] is not None else places[0][0]
