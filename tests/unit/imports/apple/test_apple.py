"""Apple Health's export, with what real ones get wrong; every event is one that the service takes."""

import json
import tracemalloc
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bridge.decode.delivery import decode
from healthsync_mqtt.errors import InputError
from healthsync_mqtt.imports.apple.markup import _CHUNK
from healthsync_mqtt.imports.catalogue import read_all
from healthsync_mqtt.imports.port import LeftOut, Read, Whose
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.testing.apple_export import AppleExport

NOW_US = 1_795_430_000_000_000
ORIGIN = Origin("alice", "phone", None, "users/alice/devices/phone/events")
MORNING = "2024-10-25 07:04:44 +0200"
DAY = {
    "heart_rate": 1440, "steps": 288, "distance": 288, "energy_active": 288, "spo2": 24, "blood_pressure": 2,
    "food": 2, "weight": 2, "glucose": 2, "sleep": 1, "workout": 1,
}  # fmt: skip


class Told:
    """What a file comes to."""

    def __init__(self, path: Path) -> None:
        items = list(read_all(path, Whose("alice", "phone", now_us=NOW_US)))
        self.events = [each.event for each in items if isinstance(each, Read)]
        self.asides = [each for each in items if isinstance(each, LeftOut)]
        self.left = Counter[str]()
        for each in self.asides:
            self.left[each.reason.value] += each.count
        self.types = Counter(each["type"] for each in self.events)

    def of(self, type_: str) -> list[dict[str, Any]]:
        return [each for each in self.events if each["type"] == type_]


def document(path: Path, *elements: str, head: str = "") -> Path:
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>\n{head}<HealthData locale="de_DE">\n{"".join(elements)}</HealthData>'
    )
    return path


def record(
    kind: str, value: object, unit: str = "", at: str = "2024-10-25 07:04:44 +0200", inner: str = "", **more: str
) -> str:
    said = {"type": kind, "sourceName": "Health", "startDate": at, "endDate": at, "value": str(value), **more}
    if unit:
        said["unit"] = unit
    attributes = " ".join(f'{name}="{text}"' for name, text in said.items())
    return f" <Record {attributes}>{inner}</Record>\n" if inner else f" <Record {attributes}/>\n"


def quantity(name: str, value: object, unit: str = "", **more: Any) -> str:
    return record(f"HKQuantityTypeIdentifier{name}", value, unit, **more)


def test_a_day_with_every_trap_is_what_it_was(tmp_path: Path) -> None:
    told = Told(AppleExport(24).write_xml(tmp_path / "export.xml"))
    assert told.types == DAY
    assert told.left == {"part_of_another": 8, "damaged": 1}  # the route is not beside it
    (night,) = told.of("sleep")
    assert [each["stage"] for each in night["value"]["stages"]] == ["light", "deep", "rem", "awake"]
    (workout,) = told.of("workout")
    value = workout["value"]
    assert (value["activity"], value["indoor"], value["active_s"], value["elevation_gain_m"]) == (
        "walking", False, 1680, 4.18,
    )  # fmt: skip
    assert value["distance_m"] == pytest.approx(863.577, abs=0.001)
    assert (value["heart_rate_low_bpm"], value["heart_rate_high_bpm"], len(value["pauses"])) == (100, 117, 1)
    assert {each["utc_offset"] for each in told.of("glucose")} == {3600}
    assert {each["utc_offset"] for each in told.of("weight")} == {-18_000}
    assert 68 < told.of("weight")[0]["value"]["kg"] < 69
    assert all(90 <= each["value"]["percent"] <= 100 for each in told.of("spo2"))
    assert all(85 < each["value"]["mg_dl"] < 110 for each in told.of("glucose"))
    meal = told.of("food")[0]["value"]
    assert meal == {
        "items": [{"name": "Oats & milk", "protein_g": 12.5, "sodium_mg": 310}], "protein_g": 12.5, "sodium_mg": 310,
    }  # fmt: skip


def test_a_zip_has_its_routes_and_electrocardiograms(tmp_path: Path) -> None:
    told = Told(AppleExport(24).write_zip(tmp_path / "export.zip"))
    assert told.types == {**DAY, "workout_route": 1, "ecg": 1}
    assert told.left == {"part_of_another": 8, "other_file": 1}
    (ecg,) = told.of("ecg")
    assert (ecg["start_time"], ecg["value"]["hz"], len(ecg["value"]["microvolts"])) == (
        "2023-01-01T07:00:00.000000Z", 512, 512 * 30,
    )  # fmt: skip
    assert ecg["value"]["microvolts"][:3] == [-3, -2.1, -1.2]
    (way,) = told.of("workout_route")
    assert way["value"]["places"] == [
        [0.0, 48.130, 11.570, 519.0],
        [1.0, 48.131, 11.571, 519.1],
        [2.0, 48.132, 11.572, 519.2],
    ]
    assert way["value"]["workout_id"] == told.of("workout")[0]["id"]
    folder = tmp_path / "folder"
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        archive.extractall(folder)
    assert Told(folder).types == told.types


def test_every_event_is_one_that_the_service_takes(tmp_path: Path) -> None:
    told = Told(AppleExport(24).write_zip(tmp_path / "export.zip"))
    for start in range(0, len(told.events), 50):
        decoded = decode(json.dumps(told.events[start : start + 50]).encode(), ORIGIN, NOW_US, Limits())
        assert decoded.rejections == []
    assert len({each["id"] for each in told.events}) == len(told.events)


@pytest.mark.shared_data
def test_the_recording(shared_data: Path) -> None:
    told = Told(shared_data / "apple_health/export6s3sample.xml")
    assert told.types == {"steps": 10, "distance": 5, "workout": 1}
    assert told.left == {"summary": 2}
    assert [each["value"]["steps"] for each in told.of("steps")][:3] == [329, 283, 426]
    assert told.of("distance")[0]["value"] == {"meters": 2.88}
    assert told.of("distance")[0]["start_time"] == "2014-09-20T09:41:28.000000Z"
    assert told.of("workout")[0]["value"]["energy_kcal"] == pytest.approx(139.317)


def test_the_same_reading_has_the_same_id_in_another_export(tmp_path: Path) -> None:
    """Another address of the device, another offset of the phone, another unit of the locale."""
    device = "&lt;&lt;HKDevice: 0x{}&gt;, name:iPhone, model:iPhone, hardware:iPhone14,2&gt;"
    one = document(tmp_path / "1.xml", quantity("BodyMass", 70, "kg", device=device.format("1a0")))
    at = "2024-10-25 00:04:44 -0500"
    two = document(tmp_path / "2.xml", quantity("BodyMass", 154.3236, "lb", at=at, device=device.format("2b0")))
    first, second = Told(one).events[0], Told(two).events[0]
    assert (first["id"], first["start_time"]) == (second["id"], second["start_time"])
    assert first["device"] == {"platform": "ios", "model": "iPhone14,2"}
    assert Told(document(tmp_path / "3.xml", quantity("BodyMass", 71, "kg"))).events[0]["id"] != first["id"]


@pytest.mark.parametrize(
    ("name", "value", "unit", "expected"),
    [
        ("StepCount", "0.78", "count", {"steps": 0.78}),
        ("ActiveEnergyBurned", "418.4", "kJ", {"kcal": 100}),
        ("ActiveEnergyBurned", "12.5", "Cal", {"kcal": 12.5}),
        ("DistanceWalkingRunning", "0.00288", "km", {"meters": 2.88}),
        ("OxygenSaturation", "0.97", "%", {"percent": 97}),
        ("OxygenSaturation", "97", "%", {"percent": 97}),
        ("BodyFatPercentage", "0.215", "%", {"percent": 21.5}),
        ("BodyTemperature", "98.6", "degF", {"celsius": 37}),
        ("Height", "5.9", "ft", {"meters": 1.79832}),
        ("BloodGlucose", "5.5", "mmol&lt;180.1558800000541&gt;/L", {"mg_dl": 99.0858}),
        ("VO2Max", "44.1", "mL/min·kg", {"ml_per_kg_min": 44.1}),
        ("HeartRateVariabilitySDNN", "51.2", "ms", {"ms": 51.2}),
        ("DietaryWater", "8.4", "fl_oz_us", {"ml": 248.417819}),
        ("PhysicalEffort", "1.6", "kcal/hr·kg", {"met": 1.6}),
    ],
)
def test_units_of_a_locale_are_ours(
    tmp_path: Path, name: str, value: str, unit: str, expected: dict[str, float]
) -> None:
    (event,) = Told(document(tmp_path / "e.xml", quantity(name, value, unit))).events
    assert event["value"] == {field: pytest.approx(number, rel=1e-6) for field, number in expected.items()}
    assert decode(json.dumps(event).encode(), ORIGIN, NOW_US).rejections == []


def test_categories_are_words_of_ours(tmp_path: Path) -> None:
    kind, end = "HKCategoryTypeIdentifier{}", "2024-10-25 07:14:44 +0200"
    cycle = '<MetadataEntry key="HKMenstrualCycleStart" value="1"/>'
    told = Told(
        document(
            tmp_path / "e.xml",
            record(kind.format("MindfulSession"), "", endDate=end),
            record(kind.format("MenstrualFlow"), "HKCategoryValueVaginalBleedingMedium", inner=cycle),
            record(kind.format("Headache"), "HKCategoryValueSeverityMild"),
            record(kind.format("HighHeartRateEvent"), "HKCategoryValueNotApplicable"),
            record(kind.format("OvulationTestResult"), "HKCategoryValueOvulationTestResultNegative"),
            record(kind.format("AppleStandHour"), "HKCategoryValueAppleStandHourStood"),
            record(kind.format("AppleStandHour"), "HKCategoryValueAppleStandHourStood", at="2024-10-25 08:04:44 +0200"),
            record(kind.format("HandwashingEvent"), "1"),
        )
    )
    assert {each["type"]: each["value"] for each in told.events} == {
        "mindfulness": {"activity": "unknown"}, "menstrual_flow": {"flow": "medium", "cycle_start": True},
        "symptom": {"symptom": "headache", "severity": "mild"},
        "heart_notification": {"notification": "high_heart_rate"}, "ovulation_test": {"result": "negative"},
        "stand_hours": {"hours": 2},
    }  # fmt: skip
    assert told.left == {"unknown_type": 1}
    for event in told.events:
        assert decode(json.dumps(event).encode(), ORIGIN, NOW_US).rejections == []


def test_halves_of_a_pressure_without_their_correlation_are_one(tmp_path: Path) -> None:
    at = "2024-10-25 08:00:00 +0200"
    halves = quantity("BloodPressureSystolic", 121, "mmHg"), quantity("BloodPressureDiastolic", 79, "mmHg")
    told = Told(document(tmp_path / "e.xml", *halves, quantity("BloodPressureSystolic", 130, "mmHg", at=at)))
    assert [each["value"] for each in told.events] == [{"systolic": 121, "diastolic": 79}]
    assert told.left == {"missing_field": 1}


@pytest.mark.parametrize("times", [1, 2])
def test_an_element_that_cannot_be_read_costs_itself(tmp_path: Path, times: int) -> None:
    good = [
        quantity("HeartRate", 60 + each, "count/min", at=f"2024-10-25 07:04:{each:02d} +0200") for each in range(40)
    ]
    bad = ' <Record type="HKQuantityTypeIdentifierHeartRate" sourceName="A & B < C" value="1"/>\n'
    for each in range(times):
        good.insert(10 * (each + 1), bad)
    told = Told(document(tmp_path / "e.xml", *good))
    assert [each["value"]["bpm"] for each in told.events] == [60 + each for each in range(40)]
    assert told.left["damaged"] >= times


def test_a_cut_export_is_read_to_where_it_is_cut(tmp_path: Path) -> None:
    path = AppleExport(24).write_xml(tmp_path / "export.xml")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    told = Told(path)
    assert 600 < told.types["heart_rate"] < 840
    assert told.left["damaged"] >= 1


def test_control_characters_and_references_to_them_are_taken_out(tmp_path: Path) -> None:
    path = document(tmp_path / "e.xml", quantity("HeartRate", 61, "count/min", sourceName="Wat\x0bch&#11;\x1f"))
    (event,) = Told(path).events
    assert event["source"]["app"] == "Watch"


def test_entities_are_not_expanded(tmp_path: Path) -> None:
    bomb = "".join(f'<!ENTITY a{each + 1} "{f"&a{each};" * 10}">' for each in range(12))
    path = document(
        tmp_path / "e.xml",
        quantity("HeartRate", 61, "count/min", sourceName="&a12;"),
        quantity("HeartRate", 62, "count/min"),
        head=f'<!DOCTYPE HealthData [<!ENTITY a0 "boom">{bomb}<!ENTITY f SYSTEM "file:///etc/passwd">]>',
    )
    told = Told(path)
    assert [each["value"]["bpm"] for each in told.events] == [62]
    assert told.left == {"damaged": 1}


def test_what_is_no_number_no_time_or_no_unit_says_so(tmp_path: Path) -> None:
    told = Told(
        document(
            tmp_path / "e.xml",
            quantity("HeartRate", "sixty", "count/min"),
            quantity("HeartRate", "nan", "count/min"),
            quantity("HeartRate", 61, "beats"),
            quantity("HeartRate", 61, "count/min", at="25.10.2024 07:04"),
            ' <Record type="HKQuantityTypeIdentifierHeartRate" unit="count/min"/>\n',
            record("HKDataTypeIdentifierSomethingNew", 1),
        )
    )
    assert told.events == []
    assert told.left == {
        "wrong_type": 1, "bad_number": 1, "unknown_unit": 1, "bad_time": 1, "missing_field": 1, "unknown_type": 1,
    }  # fmt: skip
    assert {each.place for each in told.asides} == {f"e.xml: element {each}" for each in range(1, 7)}


def test_a_route_leads_nowhere_outside_the_export(tmp_path: Path) -> None:
    outside = tmp_path / "secret.gpx"
    outside.write_text("<gpx/>")
    inside = tmp_path / "export"
    inside.mkdir()
    (inside / "link.gpx").symlink_to(outside)
    workout = (
        ' <Workout workoutActivityType="HKWorkoutActivityTypeRunning" sourceName="W" '
        'startDate="2024-10-25 07:04:44 +0200" endDate="2024-10-25 08:04:44 +0200">'
        '<WorkoutRoute><FileReference path="{}"/></WorkoutRoute></Workout>\n'
    )
    for path in ("/../secret.gpx", "../secret.gpx", str(outside), "/link.gpx"):
        told = Told(document(inside / "export.xml", workout.format(path)))
        assert (told.types, told.left) == ({"workout": 1}, {"damaged": 1})


def test_a_route_that_no_workout_names_is_told(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(AppleExport(24).write_zip(path), "a") as archive:
        archive.writestr("apple_health_export/workout-routes/route_2.gpx", "<gpx/>")
    told = Told(path)
    assert told.left == {"part_of_another": 8, "other_file": 2}
    assert any("route_2.gpx" in each.place for each in told.asides)


def test_a_zip_that_unfolds_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("export.xml", b"<HealthData>" + bytes(200 * 1024 * 1024))
    with pytest.raises(InputError, match="no archive of health data"):
        Told(path)


def peak_of_reading(path: Path) -> tuple[int, int]:
    """The events of a file, and the most bytes that were held at once."""
    tracemalloc.start()
    try:
        count = sum(isinstance(item, Read) for item in read_all(path, Whose("alice", "phone", now_us=NOW_US)))
        return count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_export(tmp_path: Path) -> None:
    """Four times the hours are four times the events, and hold no more at once: chunks, and bounded tables."""
    (few, low), (many, high) = (
        peak_of_reading(AppleExport(hours).write_xml(tmp_path / f"{hours}.xml")) for hours in (60, 240)
    )
    assert few > 95 * 60
    assert many > 95 * 240
    assert high < 1.25 * low + (1 << 20), f"{low:,} bytes at 60 hours, {high:,} at 240"


def test_devices_that_are_each_at_another_address_take_no_more_memory_the_more_there_are(tmp_path: Path) -> None:
    """``<<HKDevice: 0x283…>, name:Apple Watch, …>``: the address is another one for each object of the phone's."""

    def export(count: int) -> Path:
        records = (
            quantity("BodyMass", 70, "kg", device=f"&lt;&lt;HKDevice: {each:#x}&gt;, name:Apple Watch, model:Watch&gt;")
            for each in range(count)
        )
        return document(tmp_path / f"{count}.xml", *records)

    (few, low), (many, high) = (peak_of_reading(export(count)) for count in (12_000, 36_000))
    assert (few, many) == (12_000, 36_000)
    assert high < 1.25 * low + (1 << 20), f"{low:,} bytes for {few:,} addresses, {high:,} for {many:,}"


@pytest.mark.parametrize("before", range(0, 14, 1))
def test_a_reference_that_lies_over_two_pieces_is_taken_out_too(tmp_path: Path, before: int) -> None:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<HealthData locale="de_DE">\n'
    begin = ' <Record type="HKQuantityTypeIdentifierBodyMass" sourceName="'
    filler = " " * (2 * _CHUNK - len(head) - len(begin) - before)
    rest = '" unit="kg" startDate="2024-10-25 07:04:44 +0200" endDate="2024-10-25 07:04:44 +0200" value="70"/>\n'
    path = tmp_path / "export.xml"
    path.write_text(f"{head}{filler}{begin}A&#x0b;B&amp;C{rest}</HealthData>")
    told = Told(path)
    assert told.left == {}
    assert [each["source"]["app"] for each in told.events] == ["AB&C"]
