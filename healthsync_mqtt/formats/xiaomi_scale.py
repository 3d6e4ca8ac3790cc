"""Gateways of Xiaomi's scales: xiaomi_mi_scale, ble-scale-sync, and Tasmota with its Bluetooth scanner.

xiaomi_mi_scale writes local time and pastes ``+00:00`` behind it: where a zone is declared, it is that zone's time.
ble-scale-sync says no time, so that it is the time of arrival, and a retained copy is nothing. Tasmota says the same
many times a second: a weighing is one that stands still. Whom a gateway takes it for by the weight is no matter.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from typing import Any, Final, NamedTuple

from healthsync_mqtt.formats.port import AppMessage, Event, Fold, FormatEntry
from healthsync_mqtt.formats.reading.amount import JIN, first_field, in_field
from healthsync_mqtt.formats.reading.document import (
    Record,
    number,
    number_or_none,
    read_object,
    text_or_none,
    whole,
)
from healthsync_mqtt.formats.reading.moment import Moment, in_zone, moment
from healthsync_mqtt.formats.reading.scribe import Records, Scribe
from healthsync_mqtt.formats.reading.weighings import Repeats
from healthsync_mqtt.model.reasons import Reason, RefusedError

_PASTED: Final = "+00:00"
_TASMOTA: Final = "MISCALE"


class _Composition(NamedTuple):
    """What a gateway says beside the weight: our type, its name there and its unit; and the name of water's share."""

    rows: tuple[tuple[str, str, str], ...]
    water: str


_MISCALE: Final = _Composition(
    (
        ("bmi", "bmi", "kg/m2"),
        ("basal_metabolic_rate", "basal_metabolism", "kcal/d"),
        ("visceral_fat", "visceral_fat", "1"),
        ("lean_mass", "lean_body_mass", "kg"),
        ("muscle_mass", "muscle_mass", "kg"),
        ("bone_mass", "bone_mass", "kg"),
        ("body_fat_percentage", "body_fat", "%"),
        ("metabolic_age", "metabolic_age", "a"),
    ),
    "water",
)
_SYNCED: Final = _Composition(
    (
        ("bmi", "bmi", "kg/m2"),
        ("basal_metabolic_rate", "bmr", "kcal/d"),
        ("visceral_fat", "visceralFat", "1"),
        ("muscle_mass", "muscleMass", "kg"),
        ("bone_mass", "boneMass", "kg"),
        ("body_fat_percentage", "bodyFatPercent", "%"),
        ("metabolic_age", "metabolicAge", "a"),
    ),
    "waterPercent",
)
_NOTHING: Final = _Composition((), "")
_KILOGRAMS_OF_A_JIN: Final = Fraction(1, 2)


class XiaomiScale:
    """Messages of these gateways (``port.Format``)."""

    name = "xiaomi_scale"
    summary = "Xiaomi scales through xiaomi_mi_scale, ble-scale-sync or Tasmota"
    roots = ("miscale", "scale", "tele")
    remembers: frozenset[str] = frozenset({"weight"})

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        yield FormatEntry("weight", "weight", "kg, lbs, jin, st, as said or declared; Tasmota: once it stands still")
        for type_, name, unit in _MISCALE.rows:
            yield FormatEntry(name, type_, unit)
        yield FormatEntry("water", "body_water", "percent of the weight")

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """One message; what is remembered are the newest weighings that say no time of their own."""
        levels = message.topic.strip("/").split("/")
        if (not message.payload and message.topic) or levels[-1] in {"status", "LWT", "STATE"}:
            return state
        record = read_object(message.payload)
        scribe, repeats, records = Scribe(self.name, message, "xiaomi"), Repeats(state), Records()
        slot = message.declared.slot
        if slot is not None and slot not in levels:
            refusal = RefusedError(Reason.IDENTITY_MISMATCH, None, "the message is of another person of the gateway")
            yield records.refuse("", record, refusal)
            return state
        sensors = [name for name in record if name.upper().startswith(_TASMOTA)]
        if sensors:
            for name in sensors:
                read = partial(_tasmota, scribe, repeats, record.get("Time"), name)
                yield from records.read(name, record[name], read)
        elif "weight_unit" in record or "timestamp" in record:
            yield from records.read("", record, partial(_timed, scribe))
        else:
            yield from records.read("", record, partial(_synced, scribe, repeats))
        return repeats.state


def weight_of(record: Record, place: str, declared: str | None) -> float:
    """In kilograms: in the unit that is said at ``place``, else in the login's. Neither is guessed."""
    amount, unit = number(record, "weight", texts=True), text_or_none(record, place) or declared
    if unit is None:
        raise RefusedError(Reason.UNKNOWN_UNIT, place, "nothing says the unit: declare it with the login (--unit)")
    if unit == JIN:
        return whole(float(_KILOGRAMS_OF_A_JIN * Fraction(repr(amount))))
    return in_field("weight", "kg", amount, unit, place=place)


def _weight(scribe: Scribe, record: Record) -> float:
    return weight_of(record, "weight_unit", scribe.message.declared.unit)


def _events(scribe: Scribe, at: Moment, weight: float, record: Record, of: _Composition) -> Iterator[Event]:
    yield scribe.event("weight", {"kg": weight}, at)
    for type_, name, unit in of.rows:
        amount = number_or_none(record, name, texts=True)
        if amount:  # nought says that it was not measured
            field = first_field(type_)
            yield scribe.event(type_, {field: in_field(type_, field, amount, unit, (unit,), place=name)}, at)
    share = number_or_none(record, of.water, texts=True) if of.water else None
    if share:
        kilograms = Fraction(repr(share)) * Fraction(repr(weight)) / 100
        yield scribe.event("body_water", {"kg": whole(float(round(kilograms, 4)))}, at)


def _timed(scribe: Scribe, record: Record) -> Iterator[Event]:
    zone = scribe.message.declared.zone
    said = record.get("timestamp")
    if isinstance(said, str) and zone is not None:
        said = said.strip().removesuffix(_PASTED)
    if said is None:
        raise RefusedError(Reason.MISSING_FIELD, "timestamp", "timestamp is missing")
    at = moment(said, "timestamp", zone)
    yield from _events(scribe, at, _weight(scribe, record), record, _MISCALE)


def _synced(scribe: Scribe, repeats: Repeats, record: Record) -> Iterator[Event]:
    weight = whole(number(record, "weight", texts=True))
    at = arrived(scribe, repeats, "", weight)
    yield from _events(scribe, at, weight, record, _SYNCED)


def _tasmota(scribe: Scribe, repeats: Repeats, said: Any, scale: str, record: Record) -> Iterator[Event]:
    if number_or_none(record, "stabilized") != 1 or number_or_none(record, "weight_removed") != 0:
        return
    weight, zone = _weight(scribe, record), scribe.message.declared.zone
    at = moment(said, "Time", zone)
    at = in_zone(Moment(repeats.first_us(scale, weight, at.us)), zone)
    yield from _events(scribe, at, weight, {}, _NOTHING)


def arrived(scribe: Scribe, repeats: Repeats, scale: str, weight: float) -> Moment:
    """When a weighing was that says no time: when it came first. Raises RefusedError for one that a broker kept."""
    message = scribe.message
    if message.retained:
        raise RefusedError(Reason.MISSING_FIELD, "time", "a retained message says no time: when it was nobody knows")
    first_us = repeats.first_us(scale, weight, message.at_us)
    return in_zone(Moment(first_us), message.declared.zone)
