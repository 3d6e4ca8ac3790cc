"""Each mistake that users of other programs reported, and each trap of their data, with the tests that make it.

A row of the table is what went wrong elsewhere, and the tests here that would fail if it went wrong here.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from healthsync_mqtt.adapters.catalogue import shipped
from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import AppMessage, Declared
from scripts.support.tree import ROOT
from tests.support.app_messages import NOW_US, Shelf, Told, app_message

HOURLY = Declared("Europe/Berlin", None, 3600)

_MISTAKES: Final = """
1 Health Auto Export
    it says published although nothing came
        test_a_refusal_is_listed_and_the_app_is_told_where
    old versions send no user name
        test_what_is_refused_without_a_login
    values that are written late with an old time
        test_a_growing_bucket_sent_six_times_is_one_with_its_last_value
    an empty day
        test_an_empty_day_is_no_fault
    the same moment with another offset
        test_the_same_moment_with_another_offset_is_the_same_event
        test_buckets_that_grow_and_travel
    grouped digits in a number
        test_what_is_no_number_is_none
    megajoules that are called kJ
        test_energy_is_what_its_label_says_and_never_corrected
    a bucket without an end
        test_a_sum_without_a_declared_bucket_is_refused_with_what_to_declare
        test_a_sum_that_begins_no_bucket_is_not_made_one
    segments of two apps counted twice
        test_segments_of_two_apps_and_those_sent_twice_are_not_added_up
    a night without the watch's segments
        test_a_night_that_only_a_phone_lay_in_bed_has_no_sleep
    a recovery as the workout's own heart rate
        test_points_after_the_end_are_recovery_and_never_of_the_workout
        test_a_recovery_that_is_sent_as_the_workouts_own
    a route that was switched off
        test_a_route_is_an_event_of_its_own_which_is_asked_for_by_name
    a workout without a source
        test_every_field_of_a_workout_may_be_absent
    names in the language of the phone
        test_a_name_in_another_language_is_a_label
    fields that real exports lack
        test_every_field_of_a_workout_may_be_absent
    speeds or a route missing
        test_every_field_of_a_workout_may_be_absent
    a classification in another language
        test_a_classification_in_another_language_is_kept_as_it_is
2 openScale-sync
    one client id for all phones
        test_a_message_on_the_first_topic_is_stored_under_any_client_id
    keys that a release build renamed
        test_the_keys_that_release_builds_renamed
    a bulk sync without inserts
        test_a_bulk_sync_is_read_though_nothing_was_inserted
    two weighings in a minute have one date
        test_two_weighings_in_a_minute_are_two_and_a_deletion_takes_both
        test_digits_of_another_script_are_digits
    only deletions arrive; several users
        test_a_deletion_of_what_never_came_is_nothing
        test_recorded_second_user
3 Life Dashboard Companion
    two phones in one broker; old topics cleared
        test_a_phones_name_is_a_level_and_two_phones_are_two
        test_an_empty_message_and_what_has_no_type_are_nothing
    a bucket of late samples alone
        test_a_bucket_is_put_together_unless_it_is_complete
        test_means_of_buckets_are_weighed_by_their_samples
    records doubled, deleted and inserted again
        test_one_walk_that_an_app_wrote_twice_is_counted_once
        test_a_deletion_takes_a_record_and_all_its_samples_before_the_new_ones_come
4 HC Webhook and Tasker
    invented data of a test button
        test_what_the_test_button_invents_is_never_stored
    a body that a redirect lost
        test_what_is_no_message_at_all_is_refused
5 scale gateways
    local time that says UTC
        test_the_pasted_offset_is_the_logins_zone
    numbers that are not JSON, weighings said again
        test_recorded_units_and_bad
        test_recorded_miscale
    a person guessed by weight
        test_a_name_in_the_topic_chooses_no_user_and_is_checked_where_it_is_declared
    no time, and retained
        test_without_a_time_it_is_the_arrival_and_a_retained_copy_is_nothing
    seconds since 2010
        test_recordings_through_declared_mappings
6 BLE gateways
    half a weight without a unit
        test_recorded_gateways
    numbers as texts
        test_what_is_heard
    the last weight, said for minutes
        test_repeats_of_gateways_and_of_the_scale_are_one_weighing
        test_tasmota_is_one_weighing_that_stands_still
    nan, and an impedance of -3
        test_recordings_through_declared_mappings
        test_units_of_the_display
8 glucose
    milliseconds with a fraction
        test_a_fraction_of_a_millisecond_is_kept_and_an_offset_of_nought_is_unknown
    an offset that is always 0
        test_a_fraction_of_a_millisecond_is_kept_and_an_offset_of_nought_is_unknown
    a treatment without its unit
        test_the_unit_of_a_treatment_is_said_or_refused
    checks doubled
        test_one_reading_under_another_id_and_spelling_is_the_same
    treatments again under new ids
        test_a_meal_and_its_bolus_uploaded_twice_are_one_and_taken_back_together
    zones that bridges lose
        test_times
        test_recordings_through_declared_mappings
"""
"""By the chapters of the reference on apps, in its order; under each mistake the tests that make it."""

_TRAPS: Final = """
of health data
    a fraction is no percent
        test_nothing_is_guessed
        test_numbers
    energy: Cal, kJ, kcal and watts
        test_watts_are_a_rate_of_kilocalories_a_day
        test_energy_is_what_its_label_says_and_never_corrected
    a crisis of 210 mmHg
        test_a_pressure_that_health_connect_cannot_store_is_stored
    steps of statistics are fractions
        test_metrics_in_all_units
        test_part_of_a_step_is_an_amount
    seconds after a start, and below zero not measured
        test_keys_are_seconds_after_the_start_and_what_is_below_nought_was_not_measured
    keys that are times
        test_nights_workouts_and_ecgs_are_as_expected
        test_readings_of_a_clock_go_on_after_midnight
    types that others mixed up
        test_what_others_mixed_up_is_told_apart
"""
_WHERE: Final = ("tests/unit/formats", "tests/integration/test_apps.py", "tests/unit/broker/embedded/test_admission.py")


def _table(text: str) -> dict[str, dict[str, list[str]]]:
    """Chapters, their rows, and the tests of each."""
    chapters: dict[str, dict[str, list[str]]] = {}
    for line in filter(None, text.splitlines()):
        depth, words = len(line) - len(line.lstrip()), line.strip()
        if depth == 0:
            rows = chapters.setdefault(words, {})
        elif depth == 4:
            tests = rows.setdefault(words, [])
        else:
            tests.append(words)
    return chapters


def _rows() -> list[tuple[str, list[str]]]:
    tables = (_table(_MISTAKES), _table(_TRAPS))
    return [row for table in tables for rows in table.values() for row in rows.items()]


def _there_are() -> set[str]:
    files = [
        path
        for where in _WHERE
        for path in ((ROOT / where).rglob("*.py") if (ROOT / where).is_dir() else (ROOT / where,))
    ]
    texts = [path.read_text("utf-8") for path in (*files, ROOT / "healthsync_mqtt/testing/format_contract.py")]
    return {name for text in texts for name in re.findall(r"\bdef (test_\w+)", text)}


def test_the_tests_that_the_table_names_are_there() -> None:
    there_are = _there_are()
    assert [test for _, tests in _rows() for test in tests if test not in there_are] == []
    assert [what for what, tests in _rows() if not tests] == []


@pytest.mark.shared_data
def test_every_mistake_and_trap_of_the_reference_is_in_the_table(shared_data: Path) -> None:
    """Counted by its chapters: one that is added there is missed here."""
    chapters: dict[str, int] = {}
    chapter = ""
    for found in re.finditer(
        r"^## (\d+)\. |✗", (shared_data.parent / "reference/phone-apps.md").read_text("utf-8"), re.MULTILINE
    ):
        if found[1]:
            chapter = found[1]
        elif chapter:
            chapters[chapter] = chapters.get(chapter, 0) + 1
    assert {name.partition(" ")[0]: len(rows) for name, rows in _table(_MISTAKES).items()} == chapters
    text = (shared_data.parent / "reference" / "health-data.md").read_text("utf-8")
    traps = text.partition("### 1.3")[2].partition("### 1.4")[0]
    assert len(re.findall(r"^- ", traps, re.MULTILINE)) == sum(map(len, _table(_TRAPS).values()))


# -- what had no test of its own


def metric(name: str, units: str, amount: float, **more: Any) -> dict[str, Any]:
    row = {"date": "2026-05-03 10:00:00 +0200", "qty": amount, "source": "Watch"} | more
    return {"data": {"metrics": [{"name": name, "units": units, "data": [row]}]}}


def export(*contents: Any) -> Shelf:
    return Shelf("health_auto_export").take(app_message(each, declared=HOURLY) for each in contents)


@pytest.mark.parametrize(
    ("amount", "unit", "kilocalories"), [(9.1, "kJ", 2.1749521988527722), (9.1, "kcal", 9.1), (9.1, "Cal", 9.1)]
)
def test_energy_is_what_its_label_says_and_never_corrected(amount: float, unit: str, kilocalories: float) -> None:
    assert [each.value for each in export(metric("active_energy", unit, amount)).told] == [{"kcal": kilocalories}]


def test_part_of_a_step_is_an_amount() -> None:
    assert [each.value for each in export(metric("step_count", "count", 0.78)).told] == [{"steps": 0.78}]


def test_a_night_that_only_a_phone_lay_in_bed_has_no_sleep() -> None:
    row = {"startDate": "2026-05-02 22:00:00 +0200", "endDate": "2026-05-03 06:00:00 +0200", "value": "In Bed"}
    (night,) = export({"data": {"metrics": [{"name": "sleep_analysis", "units": "hr", "data": [row]}]}}).told
    assert [each["stage"] for each in night.value["stages"]] == ["in_bed"]
    assert "total_asleep_s" not in night.value


def test_a_deletion_of_what_never_came_is_nothing() -> None:
    for content in ({"dateTime": "2026-05-03T07:41+0200"}, {"date": 1777786882000}):
        message = app_message(content, declared=Declared(slot="1"), topic="1/measurements/delete")
        found = Shelf("openscale").take([message])
        assert (found.told, found.refused, found.counts["gone"]) == ([], [], 0)


def test_a_pressure_that_health_connect_cannot_store_is_stored() -> None:
    measures = [{"value": 210, "type": 10, "unit": 0}, {"value": 120, "type": 9, "unit": 0}]
    group = {"grpid": 1, "date": 1777786860, "category": 1, "measures": measures}
    found = Shelf("withings").take([app_message([group])])
    assert found.told == [Told("blood_pressure", {"systolic": 210, "diastolic": 120}, "2026-05-03T05:41")]


@pytest.mark.parametrize(
    ("name", "unit", "amount", "type_"),
    [
        ("basal_body_temperature", "degC", 36.4, "basal_body_temperature"),
        ("apple_sleeping_wrist_temperature", "degC", 33.7, "skin_temperature"),
        ("body_temperature", "degC", 36.6, "body_temperature"),
        ("cycling_functional_threshold_power", "W", 231, "functional_threshold_power"),
        ("cycling_power", "W", 231, "cycling_power"),
        ("apple_exercise_time", "min", 12, "exercise_time"),
        ("apple_move_time", "min", 12, None),
        ("under_water_depth", "m", 3, None),
        ("rowing_speed", "m/s", 3, None),
        ("paddle_sports_speed", "m/s", 3, None),
    ],
)
def test_what_others_mixed_up_is_told_apart(name: str, unit: str, amount: float, type_: str | None) -> None:
    assert [each.type for each in export(metric(name, unit, amount)).told] == ([type_] if type_ else [])


def test_all_energy_is_not_active_energy() -> None:
    span = {"start_time": "2026-05-03T12:00:00Z", "end_time": "2026-05-03T12:15:00Z", "calories": 39}
    found = Shelf("health_connect").take([app_message({"total_calories": [span], "active_calories": [span]})])
    assert [each.type for each in found.told] == ["energy_active", "energy_total"]
    assert "energy_active" not in {each.type for each in FORMATS["googlefit"].takes()}


def provided(name: str, kind: str, answer: Any) -> Shelf:
    mapping = shipped(name).mapping
    assert mapping is not None
    return Shelf(mapping).take([AppMessage(json.dumps(answer).encode(), "ann", "x", f"{kind}/", at_us=NOW_US)])


def test_keys_are_seconds_after_the_start_and_what_is_below_nought_was_not_measured() -> None:
    stress = {"0": 18, "180": 51, "360": -2, "540": 29, "720": -1}
    about = {"userId": "u", "summaryId": "s", "startTimeInSeconds": 1793613600, "startTimeOffsetInSeconds": 3600}
    record = about | {"durationInSeconds": 900, "timeOffsetStressLevelValues": stress}
    found = provided("garmin", "push", {"stressDetails": [record]})
    assert found.told == [Told("stress", {"samples": [[0, 18], [180, 51], [540, 29]]}, "2026-11-02T10:00")]
    assert [each["utc_offset"] for each in found.events.values()] == [3600]


def test_readings_of_a_clock_go_on_after_midnight() -> None:
    night = {"date": "2026-11-22", "sleep_start_time": "2026-11-21T23:40:00+01:00"}
    night |= {"sleep_end_time": "2026-11-22T07:00:00+01:00", "hypnogram": {"23:40": 2, "00:40": 4, "06:30": 0}}
    (told,) = provided("polar", "sleep", night).told
    assert [(each["stage"], each["start_time"][:16]) for each in told.value["stages"]] == [
        ("light", "2026-11-21T22:40"),
        ("deep", "2026-11-21T23:40"),
        ("awake", "2026-11-22T05:30"),
    ]
