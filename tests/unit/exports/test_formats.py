"""What exports write of every type, read back by those who know the formats."""

import csv
import io
import json
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from pyarrow import parquet

from healthsync_mqtt.exports.columns import columns_of, rows
from healthsync_mqtt.exports.comma import CommaFiles
from healthsync_mqtt.exports.data_points import DataPoints
from healthsync_mqtt.exports.observations import Observations
from healthsync_mqtt.exports.parquet import ParquetFiles
from healthsync_mqtt.formats.fhir import Fhir
from healthsync_mqtt.formats.open_mhealth import OpenMhealth
from healthsync_mqtt.formats.port import AppMessage, Format, folded
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.record import Record, canonical_dict
from tests.unit.exports.examples import GONE, NOW_US, SERIES, of_every_type, records


class Folder:
    """Files in memory."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    @contextmanager
    def open(self, name: str) -> Any:
        assert name not in self.files
        file = io.BytesIO()
        yield file
        self.files[name] = file.getvalue()


def told(of: Format, message: AppMessage) -> set[tuple[str, str]]:
    """The types and values of what a format reads in a message; nothing may be refused."""
    read = folded(of, message)
    assert len(read.events) == len(read.outcomes)
    return {(each["type"], json.dumps(each["value"], sort_keys=True)) for each in read.events}


def values(found: list[Record]) -> set[tuple[str, str]]:
    return {(each.type, json.dumps(canonical_dict(each)["value"], sort_keys=True)) for each in found}


def bundle(found: list[Record]) -> dict[str, Any]:
    file = io.BytesIO()
    into = Observations(file)
    for record in found:
        into.take(record)
    into.close()
    return json.loads(file.getvalue())


def test_every_type_has_every_cell_of_its_value() -> None:
    for record in of_every_type():
        (row,) = rows(record)
        names = {column.name for column in columns_of(record.type)}
        assert row.keys() <= names, record.type
        value = canonical_dict(record)["value"]
        assert value.keys() <= row.keys(), record.type
        assert "more" not in row or set(json.loads(row["more"])) == {"device.model"}


def test_csv_has_one_file_a_type_with_units_and_a_row_a_sample() -> None:
    folder = Folder()
    into = CommaFiles(folder.open)
    for record in [*of_every_type(), *records(SERIES, GONE)]:
        into.take(record)
    into.close()
    assert set(folder.files) == {f"{name}.csv" for name in CATALOGUE}
    first, *others = csv.DictReader(io.StringIO(folder.files["heart_rate.csv"].decode(), newline=""))
    assert (first["bpm [/min]"], first["app"], first["utc_offset [s]"]) == ("72", "a.b", "3600")
    assert [(row["id"], row["op"], row["bpm [/min]"], row["start_time"][11:21]) for row in others] == [
        ("s", "upsert", "60", "22:00:00.0"), ("s", "upsert", "61", "22:00:01.5"), ("gone", "delete", "", ""),
    ]  # fmt: skip
    (pressure,) = csv.DictReader(io.StringIO(folder.files["blood_pressure.csv"].decode(), newline=""))
    assert (pressure["systolic [mm[Hg]]"], pressure["diastolic [mm[Hg]]"]) == ("121", "79")


def test_what_a_spreadsheet_would_run_is_text_in_csv() -> None:
    folder = Folder()
    into = CommaFiles(folder.open)
    run = SERIES | {"id": "=1+1", "source": {"app": "@SUM(A1)"}, "value": {"bpm": 60}}
    for record in records(run):
        into.take(record)
    into.close()
    (row,) = csv.DictReader(io.StringIO(folder.files["heart_rate.csv"].decode(), newline=""))
    assert (row["id"], row["app"], row["bpm [/min]"]) == ("'=1+1", "'@SUM(A1)", "60")


def test_parquet_has_typed_columns_with_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healthsync_mqtt.exports.parquet._GROUP", 2)
    folder = Folder()
    into = ParquetFiles(folder.open)
    for record in [*of_every_type(), *records(SERIES, GONE)]:
        into.take(record)
    into.close()
    assert set(folder.files) == {f"{name}.parquet" for name in CATALOGUE}
    table = parquet.read_table(io.BytesIO(folder.files["heart_rate.parquet"]))
    assert table.column("bpm").to_pylist() == [72.0, 60.0, 61.0, None]
    assert table.schema.field("bpm").metadata == {b"unit": b"/min"}
    assert str(table.schema.field("start_time").type) == "timestamp[us, tz=UTC]"
    assert table.column("start_time").to_pylist()[2] == datetime(2026, 11, 22, 22, 0, 1, 500_000, tzinfo=UTC)
    assert {str(field.type) for field in table.schema} <= {"string", "double", "int64", "bool", "timestamp[us, tz=UTC]"}


def test_fhir_bundles_are_valid_and_a_blood_pressure_is_one_observation() -> None:
    found = bundle([*of_every_type(), *records(SERIES, GONE)])
    read = Bundle.model_validate(found)
    assert len(read.entry) == len(CATALOGUE) + 3
    by_type = {each["resource"]["code"]["text"]: each["resource"] for each in found["entry"]}
    pressure = by_type["blood_pressure"]
    assert pressure["code"]["coding"][0] == {"system": "http://loinc.org", "code": "85354-9"}
    parts = {each["code"]["coding"][0]["code"]: each["valueQuantity"] for each in pressure["component"]}
    assert parts["8480-6"] == {
        "value": 121, "unit": "mm[Hg]", "system": "http://unitsofmeasure.org", "code": "mm[Hg]",
    }  # fmt: skip
    assert "8462-4" in parts
    assert "valueQuantity" not in pressure
    weight = by_type["weight"]
    assert weight["valueQuantity"]["code"] == "kg"
    assert weight["effectiveDateTime"].endswith("+01:00")
    assert by_type["ecg"]["component"][-1]["valueSampledData"]["data"] == "12 -3 4.5"
    gone = [each["resource"] for each in found["entry"] if each["resource"]["status"] == "entered-in-error"]
    assert [each["identifier"][0]["value"] for each in gone] == ["gone"]
    assert len({each["fullUrl"] for each in found["entry"]}) == len(found["entry"])


def test_an_empty_bundle_is_valid() -> None:
    assert Bundle.model_validate(bundle([])).entry is None


def test_what_fhir_knows_comes_back_as_the_same_values() -> None:
    known = {"weight", "heart_rate", "bmi", "blood_pressure", "glucose", "spo2", "steps", "daily_steps"}
    own = [each for each in of_every_type() if each.type in known]
    message = AppMessage(json.dumps(bundle(own)).encode(), "alice", "watch", at_us=NOW_US)
    assert told(Fhir(), message) == values(own)


def test_data_points_come_back_as_the_same_values_and_others_are_counted() -> None:
    file = io.BytesIO()
    into = DataPoints(file)
    found = [*of_every_type(), *records(SERIES, GONE)]
    for record in found:
        into.take(record)
    into.close()
    points = json.loads(file.getvalue())
    names = {each["header"]["schema_id"]["name"] for each in points}
    assert {"heart-rate", "blood-pressure", "step-count", "body-weight", "physical-activity"} <= names
    assert into.left_out["heart_rate: a deletion has no data point"] == 1
    assert into.left_out["ecg: it has no schema"] == 1
    assert sum(into.left_out.values()) + len(points) == len(found) + 1  # a series of two is two points
    about = {"physical-activity", "sleep-duration"}  # they say more here than a data point does
    simple = [each for each in points if each["header"]["schema_id"]["name"] not in about]
    message = AppMessage(json.dumps(simple).encode(), "alice", "watch", at_us=NOW_US)
    came = told(OpenMhealth(), message)
    assert ("heart_rate", json.dumps({"bpm": 61})) in came
    assert ("blood_pressure", json.dumps({"diastolic": 79, "systolic": 121})) in came
    assert len(came) == len(simple)
