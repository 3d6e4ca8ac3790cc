"""No recording of an app, gadget or provider is left out, and of each it is told how much comes of it.

The values, and what several messages come to together, are in the tests of the formats.
"""

from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from healthsync_mqtt.formats.port import Declared
from tests.support.app_messages import BERLIN, NOTHING, Shelf, recorded

FOLDERS = ("phone", "googlefit", "fitbit", "withings")
"""Of ../shared/data, of which each file is of a format; omh is walked by its own test."""

ROOTS: Final = {
    "life_dashboard": "lifedashboard/",
    "openscale": "openScaleSync/",
    "sleep_as_android": "SleepAsAndroid",
    "theengs": "home/",
}
LOGINS: Final = {"openscale": Declared(slot="1"), "nightscout": NOTHING}
TOPICS: Final = {"openscale/insert_now.json": "1/measurements/insert"}

COME_TO = [
    (
        "health_auto_export",
        "health_auto_export/dates_12h.json",
        "heart_rate 7",
        ["data.metrics[0].data[6].date: bad_time", "data.metrics[0].data[8].date: bad_time"],
    ),
    (
        "health_auto_export",
        "health_auto_export/ecg_and_notifications.json",
        "ecg 2, heart_notification 3, heart_rate 2",
        ["data.ecg[2].voltageMeasurements[0].date: bad_time"],
    ),
    (
        "health_auto_export",
        "health_auto_export/empty_and_bad.json",
        "resting_heart_rate 1, steps 1",
        [
            "data.metrics[2].data[0].units: unknown_unit",
            "data.metrics[3].data[0].units: unknown_unit",
            "data.metrics[4].data[0]: out_of_range",
            "data.metrics[5].data[0]: out_of_range",
            "data.metrics[6].data[0].qty: wrong_type",
            "data.metrics[6].data[1].qty: wrong_type",
            "data.metrics[6].data[2].qty: missing_field",
            "data.metrics[7].data[0]: out_of_range",
            "data.metrics[7].data[1].diastolic: missing_field",
            "data.metrics[9].name: unknown_type",
        ],
    ),
    ("health_auto_export", "health_auto_export/growing_bucket_1.json", "energy_active 1, steps 2", []),
    ("health_auto_export", "health_auto_export/growing_bucket_2.json", "energy_active 1, steps 2", []),
    ("health_auto_export", "health_auto_export/growing_bucket_3_other_offset.json", "energy_active 1, steps 2", []),
    (
        "health_auto_export",
        "health_auto_export/heart_rate_forms.json",
        "heart_rate 4",
        [
            "data.metrics[0].data[4].Avg: out_of_range",
            "data.metrics[0].data[5]: out_of_range",
            "data.metrics[0].data[6].Avg: missing_field",
        ],
    ),
    (
        "health_auto_export",
        "health_auto_export/metrics_units.json",
        (
            "blood_pressure 1, body_fat_percentage 1, body_temperature 1, distance 1, distance_cycling 1, "
            "energy_active 1, floors 1, food 1, glucose 3, hrv_sdnn 1, hydration 1, respiratory_rate 1, "
            "resting_heart_rate 1, spo2 1, steps 3, vo2_max 1, weight 1"
        ),
        ["data.metrics[18].name: unknown_type"],
    ),
    (
        "health_auto_export",
        "health_auto_export/mind_medication_symptom_cycle.json",
        "medication_dose 3, menstrual_flow 1, state_of_mind 1, symptom 1",
        [],
    ),
    ("health_auto_export", "health_auto_export/no_wrapper.json", "heart_rate 1", []),
    ("health_auto_export", "health_auto_export/not_json_nan.txt", "", [": malformed"]),
    (
        "health_auto_export",
        "health_auto_export/sleep_aggregated.json",
        "sleep 4",
        ["data.metrics[0].data[4].sleepEnd: bad_interval"],
    ),
    (
        "health_auto_export",
        "health_auto_export/sleep_segments_dst.json",
        "sleep 5",
        ["data.metrics[0].data[9].endDate: bad_interval"],
    ),
    ("health_auto_export", "health_auto_export/workout_recovery_series.json", "heart_rate 1, workout 1", []),
    ("health_auto_export", "health_auto_export/workout_v1.json", "heart_rate 1, workout 1, workout_route 1", []),
    ("health_auto_export", "health_auto_export/workout_v2.json", "heart_rate 2, workout 1, workout_route 1", []),
    (
        "health_connect",
        "health_connect/hcwebhook_rates_nutrition.json",
        "basal_metabolic_rate 1, food 2",
        ["active_calories[0].end_time: bad_interval", "sleep[0].duration_seconds: bad_interval"],
    ),
    (
        "health_connect",
        "health_connect/hcwebhook_records.json",
        "blood_pressure 1, glucose 1, heart_rate 1, hrv_rmssd 1, hydration 1, spo2 1, steps 1",
        ["steps[1].end_time: bad_interval", "heart_rate[2]: out_of_range", "sleep[0]: bad_interval"],
    ),
    ("health_connect", "health_connect/hcwebhook_resolution.json", "heart_rate 2, hrv_rmssd 1, spo2 1", []),
    ("health_connect", "health_connect/hcwebhook_test.json", "", ["test: not_allowed"]),
    (
        "health_connect",
        "health_connect/tasker_records.json",
        "blood_pressure 1, glucose 1, heart_rate 2, sleep 1, steps 1, weight 1",
        ["records[6].percentage: unknown_type"],
    ),
    ("life_dashboard", "life_dashboard/blood_pressure_pair.txt", "blood_pressure 1", []),
    (
        "life_dashboard",
        "life_dashboard/retained_after_reconnect.txt",
        "heart_rate 1",
        ["oxygen_saturation/attributes: missing_field"],
    ),
    (
        "life_dashboard",
        "life_dashboard/state_then_attributes.txt",
        "daily_steps 1, glucose 1, heart_rate 2, hrv_rmssd 1, weight 1",
        [],
    ),
    ("life_dashboard", "life_dashboard/webhook_buckets_1.json", "distance 1, heart_rate 1, steps 1", []),
    ("life_dashboard", "life_dashboard/webhook_buckets_2_late.json", "distance 1, heart_rate 1, steps 1", []),
    ("life_dashboard", "life_dashboard/webhook_deletions.json", "food 1", ["deleted_records[4].type: unknown_type"]),
    (
        "life_dashboard",
        "life_dashboard/webhook_ios.json",
        "daily_distance 1, daily_steps 1, hrv_sdnn 1, menstruation 1, sleep 1, workout 1",
        [],
    ),
    ("life_dashboard", "life_dashboard/webhook_ping.json", "", []),
    (
        "life_dashboard",
        "life_dashboard/webhook_records.json",
        (
            "basal_metabolic_rate 1, daily_distance 2, daily_energy_active 2, daily_energy_total 2, "
            "daily_steps 2, distance 1, energy_active 1, energy_total 1, food 1, heart_rate 2, hrv_rmssd 1, "
            "skin_temperature_delta 1, sleep 1, steps 3, weight 1, workout 1"
        ),
        [],
    ),
    (
        "openscale",
        "openscale/bulk_last_history.txt",
        "body_fat_percentage 2, body_water 1, waist_circumference 1, weight 3",
        [],
    ),
    ("openscale", "openscale/delete_update_clear.txt", "", []),
    (
        "openscale",
        "openscale/insert_now.json",
        "body_fat_percentage 1, bone_mass 1, heart_rate 1, lean_mass 1, muscle_mass 1, waist_circumference 1, weight 1",
        [],
    ),
    ("openscale", "openscale/legacy_2025.txt", "", []),
    ("openscale", "openscale/legacy_obfuscated.txt", "", []),
    (
        "openscale",
        "openscale/two_users_and_digits.txt",
        "",
        ["userId: identity_mismatch", "userId: identity_mismatch", "userId: identity_mismatch"],
    ),
    (
        "sleep_as_android",
        "sleep_as_android/never_stopped.txt",
        "sleep 1",
        ["sleep_tracking_stopped: missing_field", ": malformed"],
    ),
    ("sleep_as_android", "sleep_as_android/night.txt", "sleep 1", []),
    ("sleep_as_android", "sleep_as_android/paused_and_retained.txt", "sleep 1", []),
    (
        "xiaomi_scale",
        "scales/ble_scale_sync.txt",
        (
            "basal_metabolic_rate 1, bmi 1, body_fat_percentage 1, body_water 1, bone_mass 1, metabolic_age 1, "
            "muscle_mass 1, visceral_fat 1, weight 1"
        ),
        ["time: missing_field"],
    ),
    ("xiaomi_scale", "scales/miscale_bad.txt", "bmi 1, weight 2", [": malformed", ": out_of_range"]),
    (
        "xiaomi_scale",
        "scales/miscale_kg.txt",
        (
            "basal_metabolic_rate 2, bmi 2, body_fat_percentage 1, body_water 1, bone_mass 1, lean_mass 1, "
            "metabolic_age 1, muscle_mass 1, visceral_fat 2, weight 2"
        ),
        [],
    ),
    (
        "xiaomi_scale",
        "scales/miscale_units.txt",
        "basal_metabolic_rate 2, bmi 3, visceral_fat 2, weight 3",
        ["weight_unit: unknown_unit"],
    ),
    ("xiaomi_scale", "scales/tasmota.txt", "weight 1", []),
    ("theengs", "ble_gateway/omg_old.txt", "weight 1", ["unit: unknown_unit"]),
    ("theengs", "ble_gateway/straps_and_bands.txt", "daily_steps 2, heart_rate 3", [": out_of_range"]),
    ("theengs", "ble_gateway/theengs_lb_object.txt", "weight 1", ["unit: unknown_unit"]),
    ("theengs", "ble_gateway/theengs_repeats.txt", "weight 2", ["time: missing_field"]),
    (
        "nightscout",
        "glucose/nightscout_entries.json",
        "glucose 4",
        ["[2].sgv: out_of_range", "[7].sgv: wrong_type", "[8].sgv: out_of_range"],
    ),
    ("nightscout", "glucose/nightscout_treatments.json", "glucose 2", ["[1].units: missing_field"]),
    ("nightscout", "glucose/xdrip_activity.json", "heart_rate 1, steps 1", []),
    ("nightscout", "glucose/xdrip_local.json", "glucose 2", []),
    ("nightscout", "glucose/juggluco_pebble.json", "", ["bgs[0].sgv: unknown_unit"]),
]
"""Of each recording that a format of the program reads: events by type, and what is refused where."""
OF_OTHERS = {"blood_pressure", "shortcuts", "zepp"}
"""Folders that declared mappings read, and one of which the time of arrival decides: they have tests of their own."""


@pytest.mark.shared_data
def test_each_is_named_by_a_test(shared_data: Path) -> None:
    others = [path for path in Path(__file__).parent.rglob("test_*.py") if path != Path(__file__)]
    tests = "".join(path.read_text("utf-8") for path in others)
    files = [path for folder in FOLDERS for path in (shared_data / folder).rglob("*") if path.is_file()]
    assert len(files) > 90
    assert [path.name for path in files if path.stem not in tests and path.name != "EXPECTED.md"] == []


@pytest.mark.shared_data
@pytest.mark.parametrize(("form", "name", "events", "refused"), COME_TO, ids=[name for _, name, _, _ in COME_TO])
def test_each_comes_to_so_many_events_and_refusals(
    shared_data: Path, form: str, name: str, events: str, refused: list[str]
) -> None:
    file = shared_data / "phone" / name
    messages = recorded(file, ROOTS.get(form, ""), declared=LOGINS.get(form, BERLIN))
    if topic := TOPICS.get(name):
        messages = [each._replace(topic=topic) for each in messages]
    found = Shelf(form).take(messages)
    counts = Counter(each.type for each in found.told)
    assert ", ".join(f"{type_} {count}" for type_, count in sorted(counts.items())) == events
    assert [f"{place}: {why}" for place, why in found.refused] == refused


@pytest.mark.shared_data
def test_none_of_a_format_is_left_out(shared_data: Path) -> None:
    mapped = (Path(__file__).parent / "mapping" / "test_mapping.py").read_text("utf-8")
    phone = shared_data / "phone"
    files = {path.relative_to(phone).as_posix() for path in phone.glob("*/*") if path.parent.name not in OF_OTHERS}
    assert {name for name in files - {name for _, name, _, _ in COME_TO} if f'"{name}"' not in mapped} == set()
