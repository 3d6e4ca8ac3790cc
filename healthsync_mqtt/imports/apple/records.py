# long: the hot path of an import: each of millions of records goes through it, and nothing in it may be slow
"""The records of an export as events: quantities and categories.

A record has no id and never changes: it is known by its type, when it was, and the app or device that wrote it; one at
a moment also by its value, as two readings of a minute are two. ``unit="%"`` is a fraction there.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import isfinite
from typing import Any, Final, NamedTuple

from healthsync_mqtt.formats.port import Event, event_ids
from healthsync_mqtt.formats.reading.amount import quantity_of
from healthsync_mqtt.formats.reading.moment import in_zone, moment
from healthsync_mqtt.imports.apple import names
from healthsync_mqtt.imports.apple.markup import Attributes
from healthsync_mqtt.imports.apple.times import AppleClock
from healthsync_mqtt.imports.port import LeftOut, PassedOver
from healthsync_mqtt.model.catalogue import CATALOGUE, TimeKind
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import is_clean, printable

FORM: Final = "apple_health"
_USER_ENTERED: Final = "HKWasUserEntered"
_ZONE: Final = "HKTimeZone"
_MEAL: Final = "HKBloodGlucoseMealTime"
_REASON: Final = "HKInsulinDeliveryReason"
_TELLING: Final = frozenset({_USER_ENTERED, _ZONE, _MEAL, _REASON})
_MEALS: Final = {"1": "before_meal", "2": "after_meal"}
_INSULIN: Final = {"1": "basal", "2": "bolus"}
_PROTECTED: Final = {"1": "protected", "0": "unprotected"}
_GLUCOSE_MMOL: Final = "mmol<"

Parts = Sequence[tuple[int, str, Attributes]]


class _RecordPlan(NamedTuple):
    """What is done with a quantity in a unit."""

    type: str
    field: str
    factor: float
    add: float
    of_moment: bool


class AppleRecords:
    """Reads records; what they have in common is worked out once."""

    def __init__(self, user: str) -> None:
        self._user = user
        self.clock = AppleClock()
        self._read = self.clock.read
        self._ids: dict[str, Callable[[str, str, str, str], str]] = {}
        self._plans: dict[tuple[str, str | None], _RecordPlan] = {}
        self._sources: dict[tuple[str, str | None, bool], dict[str, str]] = {}
        self._devices: dict[str, dict[str, str]] = {}

    def event(self, record: Attributes, parts: Parts) -> Event:
        """The event of a record that is one by itself. Raises RefusedError, or KeyError for what it does not have."""
        theirs, unit = record["type"], record.get("unit")
        plan = self._plans.get((theirs, unit))
        if plan is None:
            if theirs not in names.QUANTITIES:
                return self._category(theirs, record, parts)
            plan = self._plans[theirs, unit] = _plan(names.QUANTITIES[theirs], unit)
        type_, field, factor, add, of_moment = plan
        number = float(record["value"])
        if not isfinite(number):
            raise RefusedError(Reason.BAD_NUMBER, "value", "a number that is not finite")
        # Of a percentage only where it is a fraction: some apps write 97 where the phone writes 0.97.
        if (factor != 1.0 or add) and (unit != "%" or -1.0 <= number <= 1.0):
            number = round(number * factor + add, 9)
        told = int(number) if number.is_integer() and abs(number) < 2**53 else number
        key = ""
        if of_moment:
            # A whole number of so few digits reads the same both ways, and this one is far quicker.
            key = str(told) if type(told) is int and 0 < told < 10_000 else f"{number:.4g}"
        event = self.framed(type_, {field: told}, record, key)
        if parts:
            self._described(event, type_, parts)
        return event

    def framed(self, type_: str, value: dict[str, Any], record: Attributes, key: str = "") -> Event:
        """An event with the times, the app and the device of a record."""
        get, read = record.get, self._read
        began, ended, app, version = record["startDate"], get("endDate"), record["sourceName"], get("sourceVersion")
        start, offset_s = read(began)
        end = start if ended is None or ended == began else read(ended)[0]
        try:
            known_by = self._ids[type_]
        except KeyError:
            known_by = self._ids[type_] = event_ids(self._user, FORM, type_)
        event: Event = {
            "id": known_by(start, end, app, key),
            "type": type_,
            "start_time": start,
            "value": value,
            "utc_offset": offset_s,
            "source": self._sources.get((app, version, False)) or self._source(app, version),
        }
        if end != start:
            event["end_time"] = end
        device = get("device")
        if device:
            # The words after the address in memory, which is another one in each export, or for each record.
            words = device.partition(">, ")[2]
            event["device"] = self._devices.get(words) or self._device(words)
        return event

    def _source(self, app: str, version: str | None, *, manual: bool = False) -> dict[str, str]:
        found = self._sources.get((app, version, manual))
        if found is None:
            found = {"provider": "healthkit", "app": _clean(app)}
            if version:
                found["app_version"] = _clean(version)
            if manual:
                found["recording"] = "manual"
            if len(self._sources) > 10_000:
                self._sources.clear()
            self._sources[app, version, manual] = found
        return found

    def _device(self, text: str) -> dict[str, str]:
        found = {"platform": "ios"}
        said = dict(part.partition(":")[::2] for part in text.rstrip(">").split(", ") if ":" in part)
        for ours, theirs in (
            ("model", "hardware"), ("model", "model"), ("manufacturer", "manufacturer"), ("os_version", "software"),
        ):  # fmt: skip
            if said.get(theirs):
                found.setdefault(ours, _clean(said[theirs].strip()))
        if "Watch" in text:
            found["platform"] = "watchos"
        if len(self._devices) > 10_000:
            self._devices.clear()
        self._devices[text] = found
        return found

    def _described(self, event: Event, type_: str, parts: Parts) -> None:
        """What metadata say of a record."""
        for _, name, said in parts:
            if name != "MetadataEntry":
                continue
            key = said.get("key")
            if key not in _TELLING:
                continue
            word = said.get("value", "")
            if key == _USER_ENTERED and word == "1":
                source = event["source"]
                event["source"] = self._source(source["app"], source.get("app_version"), manual=True)
            elif key == _ZONE:
                self.placed(event, word)
            elif key == _MEAL and type_ == "glucose" and word in _MEALS:
                event["value"]["meal"] = _MEALS[word]
            elif key == _REASON and type_ == "insulin_delivery":
                event["value"]["reason"] = _INSULIN.get(word, "unknown")
        if type_ == "insulin_delivery":
            event["value"].setdefault("reason", "unknown")

    def placed(self, event: Event, zone: str) -> None:
        """The offset of the zone in which it was, where that is told; the phone that exports may be in another one."""
        offset = _offset(zone, event["start_time"])
        if offset is not None:
            event["utc_offset"] = offset

    def _category(self, theirs: str, record: Attributes, parts: Parts) -> Event:
        word = record.get("value", "")
        if theirs in names.SYMPTOMS:
            type_, symptom = names.SYMPTOMS[theirs]
            value: dict[str, Any] = {"symptom": symptom}
            severity = names.SEVERITIES.get(_end(word, ("HKCategoryValueSeverity", "HKCategoryValuePresence")))
            if severity:
                value["severity"] = severity
            event = self.framed(type_, value, record, symptom)
        elif theirs in names.CATEGORIES:
            type_, field, words, other = names.CATEGORIES[theirs]
            prefix = f"HKCategoryValue{theirs.removeprefix('HKCategoryTypeIdentifier')}"
            said = _end(word, (prefix, "HKCategoryValueVaginalBleeding", "HKCategoryValue"))
            value = {field: words.get(said, other)}
            for _, name, entry in parts:
                if name == "MetadataEntry":
                    self._about(value, type_, entry)
            event = self.framed(type_, value, record, str(value[field]) if type_ == "heart_notification" else "")
            if CATALOGUE[type_].kind is TimeKind.SESSION:
                event.setdefault("end_time", event["start_time"])
        else:
            raise RefusedError(Reason.UNKNOWN_TYPE, None, f"{printable(theirs)} is nothing that has a type here")
        if parts:
            self._described(event, type_, parts)
        return event

    @staticmethod
    def _about(value: dict[str, Any], type_: str, entry: Attributes) -> None:
        key, word = entry.get("key", ""), entry.get("value", "")
        if type_ == "sexual_activity" and key == "HKSexualActivityProtectionUsed":
            value["protection"] = _PROTECTED.get(word, "unknown")
        elif type_ == "menstrual_flow" and key == "HKMenstrualCycleStart":
            value["cycle_start"] = word == "1"
        elif type_ == "heart_notification" and key == "HKHeartRateEventThreshold":
            number = word.split(" ")[0]
            if number.replace(".", "", 1).isdecimal():
                value["threshold_bpm"] = float(number)


def amount_in(type_: str, field: str, text: str, unit: str | None) -> float:
    """A number of an export in a field of ours. Raises RefusedError."""
    plan = _plan(type_, unit, field)
    try:
        number = float(text)
    except ValueError:
        raise RefusedError(Reason.WRONG_TYPE, "value", f"{printable(text)} is no number") from None
    if unit == "%" and not -1.0 <= number <= 1.0:
        return number
    number = round(number * plan.factor + plan.add, 9)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def refused(error: Exception, place: str) -> LeftOut:
    """Why a record is left out."""
    if isinstance(error, RefusedError):
        return LeftOut(error.code, place, str(error))
    if isinstance(error, KeyError):
        return LeftOut(Reason.MISSING_FIELD, place, f"{printable(str(error.args[0]))} is missing")
    return LeftOut(Reason.WRONG_TYPE, place, "a number in it is none")


@lru_cache(maxsize=4096)
def _plan(type_: str, unit: str | None, field: str | None = None) -> _RecordPlan:
    quantity = CATALOGUE[type_].quantities[0] if field is None else quantity_of(type_, field)
    of_moment = CATALOGUE[type_].kind is TimeKind.INSTANT
    spelled = "mmol/L" if unit is not None and unit.startswith(_GLUCOSE_MMOL) else unit
    if unit == "%":
        return _RecordPlan(type_, quantity.field, 100.0, 0.0, of_moment)
    if unit is None or spelled == names.OWN_UNITS.get(type_):
        if unit is None and type_ not in names.OWN_UNITS:
            raise RefusedError(Reason.UNKNOWN_UNIT, "unit", "the unit is missing")
        return _RecordPlan(type_, quantity.field, 1.0, 0.0, of_moment)
    conversion = quantity.taken.get(spelled or "")
    if conversion is None:
        message = f"{printable(unit)} is no unit that a number in {quantity.unit} can be made of"
        raise RefusedError(Reason.UNKNOWN_UNIT, "unit", message)
    return _RecordPlan(type_, quantity.field, float(conversion.factor), float(conversion.offset), of_moment)


def _end(word: str, prefixes: Sequence[str]) -> str:
    """The end of a value's name, which says what it is."""
    for prefix in prefixes:
        if word.startswith(prefix):
            return word[len(prefix) :]
    return word


@lru_cache(maxsize=4096)
def _clean(text: str) -> str:
    """A name without what a text may not have, and not too long."""
    text = text[:256] if len(text) > 256 else text
    return text if is_clean(text) else printable(text, 256)


def _offset(zone: str, start: str) -> int | None:
    return _offset_of(zone, start[:13])


@lru_cache(maxsize=65_536)
def _offset_of(zone: str, hour: str) -> int | None:
    try:
        return in_zone(moment(f"{hour}:00:00Z"), zone).offset_s
    except RefusedError:
        return None


__all__ = ["FORM", "AppleRecords", "PassedOver", "amount_in", "refused"]
