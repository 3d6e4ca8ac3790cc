"""What an export tells in several records: nights of stages, meals, both halves of a blood pressure, hours of standing.

Only what is still open is held, and as little of it as can be: numbers of a night, the halves of a pressure. The parts
of a correlation stand again beside it; which those are is known before the records are read.
"""

import io
from array import array
from collections.abc import Iterator
from typing import IO, Any, Final

from healthsync_mqtt.formats.port import event_id
from healthsync_mqtt.formats.reading.moment import Moment, day_around, moment
from healthsync_mqtt.imports.apple import names
from healthsync_mqtt.imports.apple.markup import Attributes, Element, elements
from healthsync_mqtt.imports.apple.records import FORM, AppleRecords, amount_in, refused
from healthsync_mqtt.imports.port import Event, Item, LeftOut, Read
from healthsync_mqtt.model.reasons import Reason, RefusedError

_CHUNK: Final = 1 << 20
_OPEN, _CLOSE = b"<Correlation ", b"</Correlation>"
_LONGEST: Final = 1 << 22
_HOUR_US: Final = 3_600_000_000
_LONGEST_US: Final = 48 * _HOUR_US
_MOST_STAGES: Final = 2880
_MOST_HALVES: Final = 200_000
_STAGES: Final = ("unknown", *sorted(set(names.SLEEP_STAGES.values())))


class Twins:
    """The parts of all correlations, by a number of each: their twins among the records are none by themselves."""

    def __init__(self) -> None:
        self._known: set[int] = set()

    def look(self, file: IO[bytes]) -> None:
        """Find the correlations of an export, and nothing else of it."""
        kept = b""
        while chunk := file.read(_CHUNK):
            kept += chunk
            while (begin := kept.find(_OPEN)) >= 0:
                end = kept.find(_CLOSE, begin)
                if end < 0:
                    kept = kept[begin:]
                    break
                self._take(kept[begin : end + len(_CLOSE)])
                kept = kept[end + len(_CLOSE) :]
            else:
                kept = kept[-len(_OPEN) :]
            if len(kept) > _LONGEST:
                kept = b""

    def _take(self, markup: bytes) -> None:
        for found in elements(io.BytesIO(b"<HealthData>" + markup + b"</HealthData>")):
            if isinstance(found, Element):
                self._known.update(_number_of(each) for _, name, each in found.parts if name == "Record")

    def __contains__(self, record: Attributes) -> bool:
        return bool(self._known) and _number_of(record) in self._known


def _number_of(record: Attributes) -> int:
    return hash(tuple(record.get(each) for each in ("type", "startDate", "endDate", "sourceName", "value")))


class Gathered:
    """What is told in several records, until it is told whole."""

    def __init__(self, user: str, records: AppleRecords) -> None:
        self._user = user
        self._records = records
        self._sleep: dict[str, array[int]] = {}
        self._sleepers: dict[str, Attributes] = {}
        self._halves: dict[tuple[str, str], dict[str, Attributes]] = {}
        self._stood: dict[tuple[str, str, str], float] = {}
        self._standers: dict[tuple[str, str, str], tuple[Attributes, Moment]] = {}

    def take(self, record: Attributes) -> bool:
        """Whether a record is part of something that is told in several. Raises RefusedError, KeyError."""
        theirs = record["type"]
        if theirs == names.SLEEP:
            self._stage(record)
        elif theirs in names.PRESSURES:
            self._half(record)
        elif theirs in {names.STAND_HOUR, names.STAND_TIME}:
            self._stand(record)
        else:
            return False
        return True

    def meal(self, record: Attributes) -> Event:
        """A nutrient that is no part of a meal: food of which this alone is known. Raises RefusedError, KeyError."""
        field = names.NUTRIENTS[record["type"]]
        value = {field: amount_in("food", field, record["value"], record.get("unit"))}
        return self._records.framed("food", value, record, field)

    def correlation(self, element: Element, place: str) -> Iterator[Item]:
        """A correlation as one event."""
        kind = element.attributes.get("type", "")
        inner = [each for _, name, each in element.parts if name == "Record"]
        try:
            if kind == "HKCorrelationTypeIdentifierBloodPressure":
                yield Read(self._pressure(inner, element.attributes), place)
            elif kind == "HKCorrelationTypeIdentifierFood":
                yield Read(self._food(inner, element), place)
            else:
                yield LeftOut(Reason.UNKNOWN_TYPE, place, "a correlation that has no type here")
        except (RefusedError, KeyError, ValueError) as error:
            yield refused(error, place)

    def rest(self) -> Iterator[Item]:
        """What is told whole at the end."""
        yield from self._nights()
        for halves in self._halves.values():
            first = next(iter(halves.values()))
            try:
                yield Read(self._pressure(list(halves.values()), first), "blood pressure")
            except (RefusedError, KeyError, ValueError) as error:
                yield refused(error, "blood pressure")
        for key, amount in self._stood.items():
            yield self._standing(key, amount)

    # Blood pressure and food.

    def _half(self, record: Attributes) -> None:
        key = (record["sourceName"], record["startDate"])
        if len(self._halves) >= _MOST_HALVES and key not in self._halves:
            raise RefusedError(Reason.TOO_MANY, None, "more halves of blood pressures than can be held")
        self._halves.setdefault(key, {})[names.PRESSURES[record["type"]]] = record

    def _pressure(self, halves: list[Attributes], of: Attributes) -> Event:
        value: dict[str, Any] = {}
        for each in halves:
            field = names.PRESSURES.get(each["type"])
            if field is not None:
                value[field] = amount_in("blood_pressure", field, each["value"], each.get("unit"))
        for field in names.PRESSURES.values():
            if field not in value:
                raise RefusedError(Reason.MISSING_FIELD, field, f"{field} is missing")
        return self._records.framed("blood_pressure", value, of, f"{value['systolic']:.4g}/{value['diastolic']:.4g}")

    def _food(self, inner: list[Attributes], element: Element) -> Event:
        value: dict[str, Any] = {}
        for each in inner:
            field = names.NUTRIENTS.get(each["type"])
            if field is not None:
                value[field] = amount_in("food", field, each["value"], each.get("unit"))
        said = {each.get("key"): each.get("value", "") for _, name, each in element.parts if name == "MetadataEntry"}
        name = said.get("HKFoodType", "").strip()
        if name:
            value = {"items": [{"name": name[:256], **value}], **value}
        if not value:
            raise RefusedError(Reason.MISSING_FIELD, None, "a meal without anything that has a field here")
        return self._records.framed("food", value, element.attributes, name or "meal")

    # The night.

    def _stage(self, record: Attributes) -> None:
        start, end = (moment(record[each]).us for each in ("startDate", "endDate"))
        if not 0 <= end - start <= _LONGEST_US:
            raise RefusedError(Reason.BAD_INTERVAL, "endDate", "a stage that ends before it starts, or after two days")
        word = names.SLEEP_STAGES.get(record.get("value", "").removeprefix("HKCategoryValueSleepAnalysis"), "unknown")
        source = record["sourceName"]
        self._sleepers.setdefault(source, record)
        self._sleep.setdefault(source, array("q")).extend((start, end, _STAGES.index(word)))

    def _nights(self) -> Iterator[Item]:
        for source, flat in self._sleep.items():
            stages = sorted(zip(flat[::3], flat[1::3], flat[2::3], strict=True))
            night: list[tuple[int, int, int]] = []
            until = 0
            for each in dict.fromkeys(stages):
                apart = each[0] > until + _HOUR_US
                if night and (apart or each[1] > night[0][0] + _LONGEST_US or len(night) >= _MOST_STAGES):
                    yield self._night(source, night)
                    night, until = [], 0
                night.append(each)
                until = max(until, each[1])
            if night:
                yield self._night(source, night)

    def _night(self, source: str, night: list[tuple[int, int, int]]) -> Item:
        start, end = Moment(night[0][0]), Moment(max(each[1] for each in night))
        of = self._sleepers[source]
        framed = self._records.framed("sleep", {}, {**of, "startDate": start.text, "endDate": end.text})
        offset = moment(of["startDate"]).offset_s
        stages = [
            {"stage": _STAGES[stage], "start_time": Moment(begin).text, "end_time": Moment(stop).text}
            for begin, stop, stage in night
        ]
        # A night that has grown since the last export keeps its id: it is known by when it began.
        known = event_id(self._user, FORM, "sleep", start.text, source)
        event = {**framed, "id": known, "value": {"stages": stages}, "version": "latest"}
        if offset is not None:
            event["utc_offset"] = offset
        return Read(event, f"sleep of {start.text[:10]}")

    # Standing, which is a number of a day here.

    def _stand(self, record: Attributes) -> None:
        at = moment(record["startDate"])
        if record["type"] == names.STAND_HOUR:
            type_, amount = "stand_hours", 1.0 if record.get("value", "").endswith("HourStood") else 0.0
        else:
            type_, amount = "stand_time", amount_in("stand_time", "minutes", record["value"], record.get("unit"))
        of = day_around(at, None)
        key = (type_, of.date, record["sourceName"])
        self._standers.setdefault(key, (record, of.start))
        self._stood[key] = self._stood.get(key, 0.0) + amount

    def _standing(self, key: tuple[str, str, str], amount: float) -> Item:
        type_, date, source = key
        record, start = self._standers[key]
        field = {"stand_hours": "hours", "stand_time": "minutes"}[type_]
        number = round(amount, 6)
        value = {field: int(number) if float(number).is_integer() else number}
        framed = self._records.framed(type_, value, {**record, "startDate": start.text, "endDate": start.text})
        known = event_id(self._user, FORM, type_, date, source)
        event = {**framed, "id": known, "utc_offset": start.offset_s or 0, "version": "latest"}
        return Read(event, f"{type_} of {date}")
