"""FHIR R4: a Bundle of Observations, with LOINC and UCUM from the catalogue.

One number is the Observation's value; several (a blood pressure), and what is a word, a flag or has parts, are
components. A series is an Observation a sample, since its samples need not be equally far apart. What was deleted is
there as entered in error. A type without a LOINC code has our own name as its code.
"""

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import IO, Any, Final

import msgspec

from healthsync_mqtt.model.catalogue import CATALOGUE, EventType, TimeKind
from healthsync_mqtt.model.event_type import Quantity
from healthsync_mqtt.model.record import Record

TYPES: Final = "urn:healthsync:type"
_FIELDS: Final = "urn:healthsync:field"
_EVENTS: Final = "urn:healthsync:event"
_USERS: Final = "urn:healthsync:user"
_LOINC: Final = "http://loinc.org"
_UCUM: Final = "http://unitsofmeasure.org"
_NAMESPACE: Final = uuid.UUID("6f3c9a52-0b3a-5d0e-9a47-6c9f5b1d7a10")
_SECOND_US: Final = 1_000_000
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


class Observations:
    """``port.Export``: one Bundle of type collection, written as it comes."""

    left_out: Mapping[str, int] = MappingProxyType({})

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._entries = 0

    def take(self, record: Record) -> None:
        """See ``port.Export.take``."""
        for resource in observations(record):
            self._file.write(b"," if self._entries else b'{"resourceType":"Bundle","type":"collection","entry":[')
            self._entries += 1
            self._file.write(b"\n" + _encode({"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}))

    def close(self) -> None:
        """See ``port.Export.close``."""
        # A list in FHIR is never empty.
        self._file.write(b"\n]}\n" if self._entries else b'{"resourceType":"Bundle","type":"collection"}\n')

    def abandon(self) -> None:
        """See ``port.Export.abandon``."""


def observations(record: Record) -> Iterator[dict[str, Any]]:
    """What a row is: one Observation, or one a sample of a series."""
    body: Mapping[str, Any] = _decode(record.body) if record.body else {}
    value = dict(body.get("value") or {})
    of = CATALOGUE.get(record.type)
    samples = value.get("samples")
    if of is None or not of.quantities or not isinstance(samples, list) or "samples" not in of.forms:
        yield _observation(record, body, of, value, record.start_us, record.id)
        return
    first = of.quantities[0].field
    for number, (seconds, amount) in enumerate(samples):
        at_us = record.start_us + round(seconds * _SECOND_US)
        yield _observation(record, body, of, {first: amount}, at_us, f"{record.id}#{number}")


def _observation(  # noqa: PLR0917  # one event, or a sample of it
    record: Record, body: Mapping[str, Any], of: EventType | None, value: dict[str, Any], at_us: int, name: str
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "resourceType": "Observation",
        "id": str(uuid.uuid5(_NAMESPACE, f"{record.user}\n{name}")),
        "meta": {"versionId": str(record.version)},
        "identifier": [{"system": _EVENTS, "value": name}],
        "status": "entered-in-error" if record.op else "final",
        "code": {
            "coding": [*_loinc(of.loinc if of else None), {"system": TYPES, "code": record.type}],
            "text": record.type,
        },
        "subject": {"identifier": {"system": _USERS, "value": record.user}},
    }
    offset_s = body.get("utc_offset")
    if not record.op or at_us:
        found |= _effective(of, at_us, record.end_us, offset_s)
    found["issued"] = _time(record.received_us, 0)
    model = (body.get("device") or {}).get("model") or record.device
    if model:
        found["device"] = {"display": model}
    if value:
        found |= _value(of, value)
    return found


def _effective(of: EventType | None, at_us: int, end_us: int | None, offset_s: int | None) -> dict[str, Any]:
    lasts = of is not None and of.kind in {TimeKind.INTERVAL, TimeKind.SESSION}
    if lasts and end_us is not None:
        return {"effectivePeriod": {"start": _time(at_us, offset_s), "end": _time(end_us, offset_s)}}
    return {"effectiveDateTime": _time(at_us, offset_s)}


def _value(of: EventType | None, value: dict[str, Any]) -> dict[str, Any]:
    quantities = {each.field: each for each in of.quantities} if of is not None else {}
    numbers = [name for name in value if name in quantities and _is_number(value[name])]
    if len(quantities) == 1 and len(value) == 1 and numbers:
        (name,) = numbers
        return {"valueQuantity": _quantity(value[name], quantities[name])}
    found: dict[str, Any] = {}
    if len(quantities) == 1 and numbers:
        found["valueQuantity"] = _quantity(value[numbers[0]], quantities[numbers[0]])
        value = {name: said for name, said in value.items() if name != numbers[0]}
    components = [_component(name, said, quantities.get(name), value) for name, said in value.items()]
    return found | {"component": components}


def _component(name: str, said: Any, quantity: Quantity | None, value: Mapping[str, Any]) -> dict[str, Any]:
    codes = [*_loinc(quantity.loinc if quantity else None), {"system": _FIELDS, "code": name}]
    found: dict[str, Any] = {"code": {"coding": codes, "text": name}}
    if quantity is not None and _is_number(said):
        found["valueQuantity"] = _quantity(said, quantity)
    elif isinstance(said, bool):
        found["valueBoolean"] = said
    elif quantity is not None and isinstance(said, list) and value.get("hz") and all(map(_is_number, said)):
        found["valueSampledData"] = {
            "origin": {"value": 0, "unit": quantity.unit, "system": _UCUM, "code": quantity.unit},
            "period": 1000 / value["hz"],
            "dimensions": 1,
            "data": " ".join(map(str, said)),
        }
    elif isinstance(said, str):
        found["valueString"] = said
    elif _is_number(said):
        found["valueQuantity"] = {"value": said}
    else:
        found["valueString"] = _encode(said).decode()
    return found


def _quantity(number: float, of: Quantity) -> dict[str, Any]:
    return {"value": number, "unit": of.unit, "system": _UCUM, "code": of.unit}


def _loinc(code: str | None) -> list[dict[str, str]]:
    return [] if code is None else [{"system": _LOINC, "code": code}]


def _is_number(said: Any) -> bool:
    return isinstance(said, int | float) and not isinstance(said, bool)


def _time(at_us: int, offset_s: int | None) -> str:
    """On the clock that the event was seen on, where it says so; FHIR knows offsets of whole minutes."""
    offset = timezone(timedelta(minutes=round((offset_s or 0) / 60))) if abs(offset_s or 0) <= 14 * 3600 else UTC
    moment = datetime.fromtimestamp(at_us // _SECOND_US, UTC) + timedelta(microseconds=at_us % _SECOND_US)
    return moment.astimezone(offset).isoformat()
