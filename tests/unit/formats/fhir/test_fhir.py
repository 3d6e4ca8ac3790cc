"""FHIR: codes, units, times, and what is taken back."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.fhir.codes import TYPE_OF
from healthsync_mqtt.formats.port import Declared, Format, Gone, folded
from healthsync_mqtt.model.catalogue import CATALOGUE, TimeKind
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.testing.format_contract import FormatContract
from tests.support.app_messages import Shelf, Told, app_message
from tests.support.foreign_json import JSON, objects

UCUM = "http://unitsofmeasure.org"


def coded(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "urn:local", "code": "x"}, {"system": "http://loinc.org", "code": code}]}


def observation(code: str, value: float, unit: str, **more: Any) -> dict[str, Any]:
    quantity = {"value": value, "unit": unit, "system": UCUM, "code": unit}
    return {
        "resourceType": "Observation", "status": "final", "code": coded(code), "valueQuantity": quantity,
        "effectiveDateTime": "2026-05-03T07:41:00+02:00", **more,
    }  # fmt: skip


def component(code: str, value: float, unit: str = "mm[Hg]") -> dict[str, Any]:
    return {"code": coded(code), "valueQuantity": {"value": value, "system": UCUM, "code": unit}}


WEIGHT = observation("29463-7", 157.3, "[lb_av]", id="w1")
PRESSURE = {
    "resourceType": "Observation", "status": "final", "code": coded("85354-9"), "id": "p1",
    "effectiveDateTime": "2026-05-03T07:50:00+02:00",
    "component": [
        component("8480-6", 128), component("8462-4", 81), component("8478-0", 97), component("8867-4", 64, "/min"),
    ],
}  # fmt: skip
BUNDLE = {
    "resourceType": "Bundle",
    "entry": [{"resource": {"resourceType": "Patient", "id": "ben"}}, {"resource": WEIGHT}, {"resource": PRESSURE}],
}


MDC = "urn:oid:2.16.840.1.113883.6.24"


def sampled(data: str, **more: Any) -> dict[str, Any]:
    origin = {"value": 2, "unit": "mV", "system": UCUM, "code": "mV"}
    return {"origin": origin, "period": 2, "factor": 0.5, "dimensions": 1, "data": data, **more}


def lead(code: str, data: str) -> dict[str, Any]:
    return {"code": {"coding": [{"system": MDC, "code": code}]}, "valueSampledData": sampled(data)}


ECG = {
    "resourceType": "Observation", "status": "final", "id": "e1",
    "code": {"coding": [{"system": MDC, "code": "131328"}]},
    "effectiveDateTime": "2026-05-03T07:41:00+02:00", "interpretation": [{"text": "Sinus rhythm"}],
    "component": [lead("131329", "-4 -3 0 1"), lead("131330", "1 2"), component("8867-4", 66, "/min")],
}  # fmt: skip
PANEL = {
    "resourceType": "Observation", "status": "final", "id": "v1", "code": coded("85353-1"),
    "effectiveDateTime": "2026-05-03T07:50:00+02:00",
    "component": [
        component("8480-6", 128), component("8462-4", 81), component("9279-1", 14, "/min"),
        component("8310-5", 98.6, "[degF]"), component("1-1", 1),
    ],
}  # fmt: skip


def shelf(*contents: Any, declared: Declared = Declared()) -> Shelf:  # noqa: B008  # a value
    return Shelf("fhir").take(app_message(each, declared=declared) for each in contents)


class TestContract(FormatContract):
    @pytest.fixture
    def form(self) -> Format:
        return FORMATS["fhir"]

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        return {
            json.dumps(BUNDLE).encode(): 2,
            json.dumps(WEIGHT).encode(): 1,
            json.dumps(ECG).encode(): 2,
            json.dumps(PANEL).encode(): 3,
        }

    @pytest.fixture
    def refusals(self) -> Mapping[bytes, list[str]]:
        bad = {"resourceType": "Bundle", "entry": [{"resource": observation("1-1", 1, "kg")}, {"resource": WEIGHT}, {}]}
        return {json.dumps(bad).encode(): ["entry[0].resource.code.coding", "entry[2].resource"]}


NAMES = """
    resourceType entry resource status code coding system valueQuantity value unit effectiveDateTime effectivePeriod
    start end component id meta valueSampledData origin period factor data request method url interval lastUpdated
    device display identifier
"""


@given(JSON | objects(NAMES.split()))
def test_no_json_raises_and_the_same_is_the_same(content: Any) -> None:
    for each in (content, {"resourceType": "Observation", "status": "final", "code": coded("8867-4"), "x": content}):
        try:
            first = folded(FORMATS["fhir"], app_message(each))
        except RefusedError:
            continue
        assert first == folded(FORMATS["fhir"], app_message(each))


def test_the_codes_are_those_of_the_catalogue() -> None:
    """Each type that is one number and has a code which others map to as well."""
    wanted = {
        of.name: of.loinc
        for of in CATALOGUE.values()
        if of.loinc and len(of.quantities) == 1 and of.kind is not TimeKind.SESSION
    }
    assert {code: name for name, code in wanted.items() if code != "41979-6"}.items() <= TYPE_OF.items()


@pytest.mark.parametrize("code", sorted(TYPE_OF))
def test_every_code_comes_to_its_type(code: str) -> None:
    of = CATALOGUE[TYPE_OF[code]]
    quantity = of.quantities[0]
    period = {"start": "2026-05-03T07:00:00+02:00", "end": "2026-05-03T08:00:00+02:00"}
    sent = observation(code, quantity.usual, quantity.unit, effectivePeriod=period)
    del sent["effectiveDateTime"]
    found = shelf(sent)
    assert found.refused == []
    assert [(each.type, each.value) for each in found.told] == [(of.name, {quantity.field: quantity.usual})]


def test_a_bundle_of_a_weight_and_a_blood_pressure() -> None:
    found = shelf(BUNDLE, BUNDLE)
    assert found.told == [
        Told("weight", {"kg": 71.350079801}, "2026-05-03T05:41"),
        Told("blood_pressure", {"systolic": 128, "diastolic": 81, "pulse": 64}, "2026-05-03T05:50"),
    ]
    assert found.counts == {"stored": 2, "duplicate": 2, "superseded": 0, "gone": 0}


def test_what_was_entered_in_error_is_gone_and_nothing_else() -> None:
    wrong = WEIGHT | {"status": "entered-in-error"}
    found = shelf(BUNDLE, wrong)
    assert [each.type for each in found.told] == ["blood_pressure"]
    assert folded(FORMATS["fhir"], app_message(wrong)).outcomes == [Gone("id w1;")]


def test_a_corrected_resource_supersedes_by_its_own_count() -> None:
    first = observation("29463-7", 71, "kg", id="w", meta={"lastUpdated": "2026-05-03T06:00:00Z"})
    (event,) = folded(FORMATS["fhir"], app_message(first)).events
    assert event["version"] == 1_777_788_000_000
    (unversioned,) = folded(FORMATS["fhir"], app_message(WEIGHT)).events
    assert unversioned["version"] == "latest"


def test_a_day_is_a_date_somewhere() -> None:
    steps = observation("41950-7", 8123, "{steps}/d", effectiveDateTime="2026-05-03")
    assert shelf(steps).refused == [("effectiveDateTime", "naive_time")]
    found = shelf(steps, declared=Declared(zone="Europe/Berlin"))
    assert found.told == [Told("daily_steps", {"steps": 8123}, "2026-05-02T22:00")]


@pytest.mark.parametrize(
    ("change", "place", "reason"),
    [
        ({"status": "registered"}, "status", "not_allowed"),
        ({"code": coded("1-1")}, "code.coding", "unknown_type"),
        (
            {"code": {"coding": [{"system": "http://snomed.info/sct", "code": "29463-7"}]}},
            "code.coding",
            "unknown_type",
        ),
        ({"valueQuantity": {"value": 70, "unit": "firkin"}}, "valueQuantity.unit", "unknown_unit"),
        ({"valueQuantity": {"value": 70}}, "valueQuantity.unit", "unknown_unit"),
        ({"valueQuantity": {"value": "70", "code": "kg", "system": UCUM}}, "valueQuantity.value", "wrong_type"),
        (
            {"valueQuantity": {"value": 70, "code": "kg", "comparator": "<"}},
            "valueQuantity.comparator",
            "unknown_field",
        ),
        ({"valueQuantity": None, "dataAbsentReason": {}}, "valueQuantity", "missing_field"),
        ({"effectiveDateTime": "2026-05-03T07:41:00"}, "effectiveDateTime", "naive_time"),
        ({"effectiveDateTime": "2026-05"}, "effectiveDateTime", "bad_time"),
        (
            {"code": coded("55423-8"), "valueQuantity": {"value": 7, "unit": "steps"}},
            "effectivePeriod",
            "missing_field",
        ),
        ({"resourceType": "Procedure"}, "resourceType", "unknown_type"),
    ],
)
def test_what_is_refused_names_its_place(change: dict[str, Any], place: str, reason: str) -> None:
    found = shelf(WEIGHT | change)
    assert (found.told, found.refused) == ([], [(place, reason)])


def test_a_blood_pressure_is_whole_or_none() -> None:
    found = shelf(PRESSURE | {"component": [component("8480-6", 128)]})
    assert found.refused == [("component", "missing_field")]
    odd = PRESSURE | {"component": [component("8480-6", 17.1, "kPa"), component("8462-4", 81, "firkin")]}
    assert shelf(odd).refused == [("component[1].valueQuantity.code", "unknown_unit")]


# -- sampled data, components, transactions


def test_an_ecg_is_an_event_for_each_lead_in_microvolts() -> None:
    found = shelf(ECG, ECG)
    about = {"classification": "unknown", "label": "Sinus rhythm", "bpm": 66, "hz": 500}
    assert found.told == [
        Told("ecg", about | {"lead": "I", "microvolts": [0, 500, 2000, 2500]}, "2026-05-03T05:41",
             "2026-05-03T05:41:00.008000"),
        Told("ecg", about | {"lead": "II", "microvolts": [2500, 3000]}, "2026-05-03T05:41",
             "2026-05-03T05:41:00.004000"),
    ]  # fmt: skip
    assert found.counts == {"stored": 2, "duplicate": 2, "superseded": 0, "gone": 0}
    assert shelf(ECG, ECG | {"status": "entered-in-error"}).told == []


def test_the_waveform_of_a_resource_itself_is_of_a_lead_that_nobody_said() -> None:
    alone = observation("11524-6", 1, "mV", valueSampledData=sampled("0 0"), id="e2")
    (ecg,) = shelf(alone).told
    assert (ecg.value["lead"], ecg.value["microvolts"]) == ("other", [2000, 2000])


def test_samples_of_a_type_of_a_moment_are_a_series_without_those_that_are_no_number() -> None:
    rates = sampled("0 E 2 U L 10", origin={"value": 60, "code": "/min"}, period=1000, factor=1)
    sent = observation("8867-4", 1, "/min", valueSampledData=rates)
    assert shelf(sent).told == [Told("heart_rate", {"samples": [[0, 60], [2, 62], [5, 70]]}, "2026-05-03T05:41")]
    in_r5 = sent | {"valueSampledData": {**rates, "interval": 5, "intervalUnit": "min"}}
    assert shelf(in_r5).told[0].value == {"samples": [[0, 60], [600, 62], [1500, 70]]}


@pytest.mark.parametrize(
    ("change", "place", "reason"),
    [
        ({"dimensions": 2}, "dimensions", "unknown_field"),
        ({"period": 0}, "period", "out_of_range"),
        ({"interval": 1, "intervalUnit": "moon"}, "intervalUnit", "unknown_unit"),
        ({"origin": {"value": 2}}, "origin.code", "unknown_unit"),
        ({"origin": {"value": 2, "code": "firkin"}}, "origin.code", "unknown_unit"),
        ({"origin": {"code": "mV"}}, "origin.value", "missing_field"),
        ({"data": "1 x"}, "data", "wrong_type"),
        ({"data": "1 E"}, "data", "missing_field"),
        ({"data": None}, "data", "missing_field"),
        ({"data": "1 " * 120_001}, "data", "too_large"),
    ],
)
def test_samples_that_cannot_be_told_are_refused_by_their_place(
    change: dict[str, Any], place: str, reason: str
) -> None:
    bad = ECG | {"component": [lead("131329", "1") | {"valueSampledData": sampled("1") | change}]}
    assert shelf(bad).refused == [(f"component[0].valueSampledData.{place}", reason)]


def test_an_amount_is_no_series() -> None:
    sent = observation("55423-8", 1, "{steps}", valueSampledData=sampled("1"))
    assert shelf(sent).refused == [("valueSampledData", "unknown_field")]


def test_components_of_a_panel_are_events_of_their_own_and_its_pressure_is_one() -> None:
    found = shelf(PANEL, PANEL)
    assert found.told == [
        Told("blood_pressure", {"systolic": 128, "diastolic": 81}, "2026-05-03T05:50"),
        Told("body_temperature", {"celsius": 37}, "2026-05-03T05:50"),
        Told("respiratory_rate", {"breaths_per_minute": 14}, "2026-05-03T05:50"),
    ]
    assert found.counts["duplicate"] == 3
    bad = PANEL | {"component": [component("9279-1", 14, "firkin")]}
    assert shelf(bad).refused == [("component[0].valueQuantity.code", "unknown_unit")]


def test_the_stages_of_a_night_are_figures_of_it() -> None:
    period = {"start": "2026-05-02T22:00:00+02:00", "end": "2026-05-03T06:00:00+02:00"}
    night = observation("93832-4", 7, "h", effectivePeriod=period, component=[
        component("93831-6", 90, "min"), component("93830-8", 4, "h"), component("93829-0", 5400, "s"),
    ])  # fmt: skip
    assert shelf(night).told[0].value == {"total_asleep_s": 25_200, "light_s": 14_400, "deep_s": 5400, "rem_s": 5400}


def test_a_transaction_stores_what_it_puts_and_takes_back_what_it_deletes() -> None:
    put = {"resource": WEIGHT, "request": {"method": "PUT", "url": "Observation/w1"}}
    found = shelf({"resourceType": "Bundle", "type": "transaction", "entry": [put]})
    assert [each.type for each in found.told] == ["weight"]
    others = [
        {"request": {"method": "DELETE", "url": "Patient/w1"}},
        {"request": {"method": "GET", "url": "Observation/w1"}},
        {"request": {"method": "DELETE", "url": "Observation/w1"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": others}
    assert folded(FORMATS["fhir"], app_message(bundle)).outcomes == [Gone("id w1;")]
    assert found.take([app_message(bundle)]).told == []
