"""Open mHealth and IEEE 1752.1: an array of data points, of the types that have a schema there."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import IO, Any, Final, NamedTuple

import msgspec

from healthsync_mqtt.model.catalogue import CATALOGUE, TimeKind
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.model.times import iso

_SECOND_US: Final = 1_000_000
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_MODALITIES: Final = {"auto": "sensed", "active": "sensed", "manual": "self-reported"}


class _Schema(NamedTuple):
    """A schema and the body that it describes: their fields, ours, and their units."""

    name: str
    version: str
    fields: Mapping[str, tuple[str, str]]


_SCHEMAS: Final = {
    "heart_rate": _Schema("heart-rate", "2.0", {"heart_rate": ("bpm", "beats/min")}),
    "blood_pressure": _Schema(
        "blood-pressure",
        "3.1",
        {"systolic_blood_pressure": ("systolic", "mmHg"), "diastolic_blood_pressure": ("diastolic", "mmHg")},
    ),
    "weight": _Schema("body-weight", "2.0", {"body_weight": ("kg", "kg")}),
    "height": _Schema("body-height", "1.0", {"body_height": ("meters", "m")}),
    "bmi": _Schema("body-mass-index", "2.0", {"body_mass_index": ("kg_m2", "kg/m2")}),
    "body_fat_percentage": _Schema("body-fat-percentage", "1.0", {"body_fat_percentage": ("percent", "%")}),
    "body_temperature": _Schema("body-temperature", "4.0", {"body_temperature": ("celsius", "C")}),
    "glucose": _Schema("blood-glucose", "4.0", {"blood_glucose": ("mg_dl", "mg/dL")}),
    "spo2": _Schema("oxygen-saturation", "2.0", {"oxygen_saturation": ("percent", "%")}),
    "respiratory_rate": _Schema("respiratory-rate", "2.0", {"respiratory_rate": ("breaths_per_minute", "breaths/min")}),
    "steps": _Schema("step-count", "3.0", {"step_count": ("steps", "steps")}),
    "energy_active": _Schema("calories-burned", "2.0", {"kcal_burned": ("kcal", "kcal")}),
    "sleep": _Schema("sleep-duration", "2.0", {"sleep_duration": ("total_asleep_s", "sec")}),
    "workout": _Schema(
        "physical-activity", "1.2", {"distance": ("distance_m", "m"), "kcal_burned": ("energy_kcal", "kcal")}
    ),
}


class DataPoints:
    """``port.Export``: one JSON array, written as it comes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._points = 0
        self._left_out: Counter[str] = Counter()

    @property
    def left_out(self) -> Mapping[str, int]:
        """See ``port.Export.left_out``."""
        return self._left_out

    def take(self, record: Record) -> None:
        """See ``port.Export.take``."""
        found = _points(record, lambda why: self._left_out.update({why: 1}))
        for point in found:
            self._file.write((b",\n" if self._points else b"[\n") + _encode(point))
            self._points += 1

    def close(self) -> None:
        """See ``port.Export.close``."""
        self._file.write(b"\n]\n" if self._points else b"[]\n")

    def abandon(self) -> None:
        """See ``port.Export.abandon``."""


def _points(record: Record, leave_out: Callable[[str], None]) -> list[dict[str, Any]]:
    schema = _SCHEMAS.get(record.type)
    if schema is None:
        leave_out(f"{record.type}: it has no schema")
        return []
    if record.op:
        leave_out(f"{record.type}: a deletion has no data point")
        return []
    body: Mapping[str, Any] = _decode(record.body)
    value = body.get("value") or {}
    samples = value.get("samples")
    if isinstance(samples, list):
        field = CATALOGUE[record.type].quantities[0].field
        moments = [
            (f"{record.id}#{number}", record.start_us + round(seconds * _SECOND_US), {field: amount})
            for number, (seconds, amount) in enumerate(samples)
        ]
    else:
        moments = [(record.id, record.start_us, value)]
    found = []
    for name, at_us, said in moments:
        measured: dict[str, Any] = {
            theirs: {"value": said[ours], "unit": unit}
            for theirs, (ours, unit) in schema.fields.items()
            if said.get(ours) is not None
        }
        if record.type == "workout":
            measured["activity_name"] = said.get("name") or said.get("activity") or "other"
        if not measured:
            leave_out(f"{record.type}: nothing of it has a field in the schema {schema.name}")
            continue
        frame = _frame(record, at_us)
        found.append(
            {"header": _header(record, body, schema, name), "body": measured | {"effective_time_frame": frame}}
        )
    return found


def _header(record: Record, body: Mapping[str, Any], schema: _Schema, name: str) -> dict[str, Any]:
    source = body.get("source") or {}
    provenance: dict[str, Any] = {"source_name": source.get("app") or record.device or record.provider or "unknown"}
    modality = _MODALITIES.get(source.get("recording") or "")
    if modality:
        provenance["modality"] = modality
    return {
        "id": name,
        "creation_date_time": iso(record.received_us),
        "schema_id": {"namespace": "omh", "name": schema.name, "version": schema.version},
        "acquisition_provenance": provenance,
        "user_id": record.user,
    }


def _frame(record: Record, at_us: int) -> dict[str, Any]:
    lasts = CATALOGUE[record.type].kind in {TimeKind.INTERVAL, TimeKind.SESSION}
    if lasts and record.end_us is not None:
        return {"time_interval": {"start_date_time": iso(at_us), "end_date_time": iso(record.end_us)}}
    return {"date_time": iso(at_us)}
