"""Health Auto Export: what its users reported of it, and the contract."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.health_auto_export.metrics import METRICS, NUTRIENTS, SPECIAL
from healthsync_mqtt.formats.health_auto_export.sleep import Nights
from healthsync_mqtt.formats.port import Declared, Format, Made, folded
from healthsync_mqtt.formats.reading.amount import quantity_of
from healthsync_mqtt.formats.reading.moment import moment
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.testing.format_contract import FormatContract
from tests.support.app_messages import BERLIN, Shelf, Told, app_message

WATCH = "Ann's Apple\u00a0Watch"


def metric(name: str, units: str | None, *rows: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "data": list(rows)} | ({"units": units} if units is not None else {})


def row(date: str, qty: object = None, source: str = WATCH, **more: object) -> dict[str, Any]:
    return {"date": date, "source": source, **({} if qty is None else {"qty": qty}), **more}


def export(*metrics: Mapping[str, Any], **sections: object) -> dict[str, Any]:
    return {"data": {"metrics": list(metrics), **sections}}


def shelf(*exports: Any, declared: Declared = BERLIN) -> Shelf:
    return Shelf("health_auto_export").take(app_message(each, declared=declared) for each in exports)


SAMPLE = export(
    metric("heart_rate", "count/min", row("2026-05-03 14:00:00 +0200", Min=58, Avg=63.4, Max=71)),
    metric("weight_body_mass", "lb", row("2026-05-03 07:41:00 +0200", 157.3)),
    metric("resting_heart_rate", "bpm", row("2026-05-03 00:00:00 +0200", 57)),
    workouts=[{"name": "Yoga", "start": "2026-05-03 17:00:00 +0200", "end": "2026-05-03 18:00:00 +0200"}],
)
WITH_BAD = export(
    metric("heart_rate", "count/min", row("2026-05-03 14:00:00", 60), row("2026-05-03 14:00:00 +0200", 60)),
    metric("weight_body_mass", "firkin", row("2026-05-03 07:41:00 +0200", 1.7)),
    metric("telepathy_index", "count", row("2026-05-03 07:41:00 +0200", 1)),
)


class TestContract(FormatContract):
    @pytest.fixture
    def form(self) -> Format:
        return FORMATS["health_auto_export"]

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        rows = [row(f"2026-05-03 {at // 60:02}:{at % 60:02}:00 +0200", 60 + at % 40) for at in range(1000)]
        return {json.dumps(SAMPLE).encode(): 4, json.dumps(export(metric("heart_rate", "bpm", *rows))).encode(): 1000}

    @pytest.fixture
    def refusals(self) -> Mapping[bytes, list[str]]:
        places = ["data.metrics[0].data[0].date", "data.metrics[1].data[0].units", "data.metrics[2].name"]
        return {json.dumps(WITH_BAD).encode(): places}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
NAMES = st.sampled_from([*METRICS, *NUTRIENTS, *SPECIAL, "sleep_analysis", "blood_pressure_systolic", "nonsense"])
DATES = st.sampled_from(
    [
        "2026-05-03 14:00:00 +0200",
        "2026-05-03",
        "2026-05-03 2:00:00\u202fPM +0200",
        "9999-12-31 23:59:59 -1100",
        "0001-01-01",
    ]
)
VALUES = JSON | DATES | st.integers(-5, 400) | st.floats(-5, 400)
FIELDS = """
    date qty source Min Avg Max start end value name units systolic diastolic sleepStart sleepEnd startDate endDate
    totalSleep inBedStart inBedEnd heartRateData heartRate route data id status displayText dosage valence severity
"""
KEYS = st.sampled_from(FIELDS.split())
RECORDS = st.dictionaries(KEYS, VALUES, max_size=8)
SECTIONS = ["workouts", "ecg", "heartRateNotifications", "stateOfMind", "medications", "symptoms", "cycleTracking"]
EXPORTS = st.fixed_dictionaries(
    {
        "metrics": st.lists(
            st.fixed_dictionaries({"name": NAMES, "units": VALUES, "data": st.lists(RECORDS, max_size=4)}), max_size=3
        )
    },
    optional={name: st.lists(RECORDS, max_size=3) | JSON for name in SECTIONS},
)


@given(st.one_of(JSON, EXPORTS, EXPORTS.map(lambda data: {"data": data})), st.sampled_from([None, 60, 3600, 86_400]))
def test_no_json_raises_and_the_same_is_the_same(content: Any, bucket_s: int | None) -> None:
    sent = app_message(content, declared=Declared("Europe/Berlin", None, bucket_s))
    try:
        first = folded(FORMATS["health_auto_export"], sent)
    except RefusedError:
        return
    assert first == folded(FORMATS["health_auto_export"], sent)
    again = folded(FORMATS["health_auto_export"], sent, first.state)
    assert {each["id"] for each in again.events} <= {each["id"] for each in first.events}
    assert len(first.state) < 65_536
    Shelf("health_auto_export").take([sent])


def test_every_row_of_the_tables_names_a_number_of_a_type() -> None:
    for name, row_ in METRICS.items():
        assert row_.field in {each.field for each in CATALOGUE[row_.type].quantities}, name
        assert name == name.casefold()
    food = {each.field for each in CATALOGUE["food"].quantities}
    assert set(NUTRIENTS.values()) <= food


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_that_is_a_number_comes_to_its_type(name: str) -> None:
    of = METRICS[name]
    usual = {each.field: each for each in CATALOGUE[of.type].quantities}[of.field]
    unit = of.own[0] if of.own else next(iter(usual.taken))
    sent = export(metric(name.upper(), unit, row("2026-05-03 14:00:00 +0200", usual.usual)))
    bucket_s = 86_400 if name.startswith("apple_stand") else 3600
    found = shelf(sent, declared=Declared("Europe/Berlin", None, bucket_s))
    assert found.refused == []
    assert [(each.type, each.value) for each in found.told] == [(of.type, {of.field: usual.usual})]


# -- times


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-05-03 14:00:00 +0200", "2026-05-03T12:00:00.000000Z"),
        ("2026-05-03 2:00:00 PM +0200", "2026-05-03T12:00:00.000000Z"),
        ("2026-05-03 2:00:00\u202fpm +0200", "2026-05-03T12:00:00.000000Z"),
        ("2026-05-03 02:00:00\u00a0p.m. +0200", "2026-05-03T12:00:00.000000Z"),
        ("2026-05-03 12:00:00 AM +0200", "2026-05-02T22:00:00.000000Z"),
        ("2026-05-03 12:00:00 PM +0200", "2026-05-03T10:00:00.000000Z"),
        ("2026-05-03 14:00:00 +0530", "2026-05-03T08:30:00.000000Z"),
        ("2026-05-03 14:00:00 -0700", "2026-05-03T21:00:00.000000Z"),
        (
            "\u0662\u0660\u0662\u0666-\u0660\u0665-\u0660\u0663 \u0661\u0664:\u0660\u0660:\u0660\u0660 +0200",
            "2026-05-03T12:00:00.000000Z",
        ),
    ],
)
def test_every_spelling_of_a_time(text: str, at: str) -> None:
    assert moment(text).text == at


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2026-05-03 13:00:00 PM +0200", Reason.BAD_TIME),
        ("2026-05-03 0:00:00 AM +0200", Reason.BAD_TIME),
        ("2026-02-30 14:00:00 +0100", Reason.BAD_TIME),
        ("2026-05-03 24:00:00 +0200", Reason.BAD_TIME),
        ("2026-05-03 14:00:00 +9900", Reason.BAD_TIME),
        ("1969-05-03 14:00:00 +0200", Reason.BAD_TIME),
        ("2026-05-03 14:00:00", Reason.NAIVE_TIME),
        ("2026-05-03", Reason.NAIVE_TIME),
        ("3. Mai 2026 um 07:41", Reason.BAD_TIME),
    ],
)
def test_what_is_no_time_is_refused_and_never_another_time(text: str, reason: Reason) -> None:
    found = shelf(export(metric("heart_rate", "bpm", row(text, 60))), declared=Declared(bucket_s=3600))
    assert (found.told, found.refused) == ([], [("data.metrics[0].data[0].date", reason)])


def test_the_same_moment_with_another_offset_is_the_same_event() -> None:
    berlin = export(metric("step_count", "count", row("2026-05-03 09:00:00 +0200", 512)))
    london = export(metric("step_count", "count", row("2026-05-03 08:00:00 +0100", 512.0)))
    assert shelf(berlin, london).counts == {"stored": 1, "duplicate": 1, "superseded": 0, "gone": 0}


def test_a_day_that_is_spelled_from_another_country_is_the_same_day() -> None:
    home = export(metric("resting_heart_rate", "bpm", row("2026-05-03 00:00:00 +0200", 57)))
    away = export(metric("resting_heart_rate", "bpm", row("2026-05-02 18:00:00 -0400", 57)))
    date = export(metric("resting_heart_rate", "bpm", row("2026-05-03", 57)))
    assert shelf(home, away, date).told == [Told("resting_heart_rate", {"bpm": 57}, "2026-05-02T22:00")]


# -- units and buckets


def test_the_unit_may_change_between_two_exports_of_one_bucket() -> None:
    kilojoules = export(metric("active_energy", "kJ", row("2026-05-03 10:00:00 +0200", 167.36)))
    calories = export(metric("active_energy", "kcal", row("2026-05-03 10:00:00 +0200", 40)))
    assert shelf(kilojoules, calories).counts == {"stored": 1, "duplicate": 1, "superseded": 0, "gone": 0}


@pytest.mark.parametrize(
    ("unit", "metres_per_second"),
    [
        *((unit, 1.3888888888888888) for unit in ("km/hr", "km/h", "kmh", "kph", "kmph")),
        *((unit, 2.2352) for unit in ("mph", "mi/hr", "mi/h")),
        ("ft/s", 1.524),
        ("m/s", 5),
    ],
)
def test_a_speed_in_every_unit_that_is_shown(unit: str, metres_per_second: float) -> None:
    """Also in a workout: a spelling of kilometres an hour is never one of metres a second."""
    names = ("walking_speed", "running_speed", "cycling_speed")
    found = shelf(export(*(metric(name, unit, row("2026-05-03 10:00:00 +0200", 5)) for name in names)))
    assert [each.value for each in found.told] == [{"meters_per_second": pytest.approx(metres_per_second)}] * 3
    climbed = shelf(export(metric("stair_speed_up", unit, row("2026-05-03 10:00:00 +0200", 0.5))))
    assert [each.value for each in climbed.told] == [{"meters_per_second": pytest.approx(metres_per_second / 10)}]
    times = {"start": "2026-05-03 10:00:00 +0200", "end": "2026-05-03 10:30:00 +0200"}
    speeds = {name: {"qty": 5, "units": unit} for name in ("avgSpeed", "maxSpeed")}
    (walk,) = shelf(export(workouts=[{"name": "Outdoor Walk", **times, **speeds}])).told
    assert [walk.value[field] for field in ("speed_mean_m_s", "speed_high_m_s")] == [
        pytest.approx(metres_per_second)
    ] * 2


def test_no_spelling_that_is_taken_as_our_unit_is_one_of_another_unit() -> None:
    for name, of in METRICS.items():
        taken = quantity_of(of.type, of.field).taken
        assert [
            unit for unit in of.own if unit in taken and taken[unit] != taken[quantity_of(of.type, of.field).unit]
        ] == [], name


def test_an_array_that_is_none_is_refused_and_the_others_are_read() -> None:
    sent = export(metric("weight_body_mass", "kg", row("2026-05-03 10:00:00 +0200", 71)), workouts={"a": 1}, ecg="none")
    found = shelf(sent)
    assert [each.type for each in found.told] == ["weight"]
    assert found.refused == [("data.workouts", "wrong_type"), ("data.ecg", "wrong_type")]
    mood = {"id": "1", "start": "2026-05-03 10:00:00 +0200", "valence": 0.5}
    other = shelf({"data": {"metrics": {"name": "weight"}, "stateOfMind": [mood]}})
    assert ([each.type for each in other.told], other.refused) == (["state_of_mind"], [("data.metrics", "wrong_type")])


def test_a_growing_bucket_sent_six_times_is_one_with_its_last_value() -> None:
    exports = [
        export(
            metric(
                "step_count", "count", row("2026-05-03 10:00:00 +0200", 100 * each), row("2026-05-03 09:00:00 +0200", 7)
            )
        )
        for each in range(1, 7)
    ]
    found = shelf(*exports)
    assert [each.value["steps"] for each in found.told] == [7, 600]
    assert found.counts == {"stored": 2, "duplicate": 5, "superseded": 5, "gone": 0}


def test_a_bucket_that_is_still_running_ends_when_the_message_came() -> None:
    at_us = moment("2026-05-03T08:20:00Z").us
    sent = export(metric("step_count", "count", row("2026-05-03 10:00:00 +0200", 40)))
    running = app_message(sent, declared=BERLIN, at_us=at_us)
    found = Shelf("health_auto_export").take([running])
    assert found.told == [Told("steps", {"steps": 40}, "2026-05-03T08:00", "2026-05-03T08:20")]
    assert found.take([app_message(sent, declared=BERLIN)]).told == [
        Told("steps", {"steps": 40}, "2026-05-03T08:00", "2026-05-03T09:00")
    ]


def test_two_sources_at_one_moment_are_two_and_their_order_in_a_name_is_nothing() -> None:
    rows = [row("2026-05-03 10:00:00 +0200", 5, each) for each in (WATCH, "Ann's iPhone", "A|B", "B|A")]
    found = shelf(export(metric("step_count", "count", *rows)))
    assert len(found.told) == 3


def test_a_sum_without_a_declared_bucket_is_refused_with_what_to_declare() -> None:
    sent = app_message(export(metric("step_count", "count", row("2026-05-03 10:00:00 +0200", 5))))
    (refused,) = folded(FORMATS["health_auto_export"], sent).refused
    assert (refused.reason, refused.place) == (Reason.MISSING_FIELD, "data.metrics[0].data[0].end")
    assert "--bucket" in refused.text


def test_a_sum_that_begins_no_bucket_is_not_made_one() -> None:
    found = shelf(export(metric("step_count", "count", row("2026-05-03 10:03:22 +0200", 5))))
    assert found.refused == [("data.metrics[0].data[0].date", "bad_interval")]


def test_sums_of_days_are_of_the_day_and_never_added_to_intervals() -> None:
    sent = export(
        metric("step_count", "count", row("2026-10-25", 9120)),
        metric("swimming_distance", "m", row("2026-10-25", 400)),
        metric("apple_stand_time", "min", row("2026-10-25", 96)),
    )
    found = shelf(sent, declared=Declared("Europe/Berlin", None, 86_400))
    assert found.told == [
        Told("daily_steps", {"steps": 9120}, "2026-10-24T22:00"),
        Told("distance_swimming", {"meters": 400}, "2026-10-24T22:00", "2026-10-25T23:00"),  # 25 hours
        Told("stand_time", {"minutes": 96}, "2026-10-24T22:00"),
    ]


def test_what_we_have_of_days_alone_is_not_made_of_hours() -> None:
    found = shelf(export(metric("apple_stand_time", "min", row("2026-05-03 10:00:00 +0200", 4))))
    assert found.refused == [("data.metrics[0].data[0].date", "bad_interval")]


def test_a_date_alone_needs_a_zone() -> None:
    found = shelf(export(metric("resting_heart_rate", "bpm", row("2026-05-03", 57))), declared=Declared())
    assert found.refused == [("data.metrics[0].data[0].date", "naive_time")]


BY_DAYS = Declared("Europe/Berlin", None, 86_400)


@pytest.mark.parametrize(
    ("name", "unit", "values"),
    [
        ("weight_body_mass", "kg", {"qty": 71.3}),
        ("heart_rate", "bpm", {"Avg": 61, "Min": 48, "Max": 131}),
        ("blood_glucose", "mg/dL", {"qty": 97}),
        ("blood_pressure", "mmHg", {"systolic": 128, "diastolic": 81}),
        ("insulin_delivery", "IU", {"qty": 4, "reason": "Basal"}),
        ("mindful_minutes", "min", {"qty": 10}),
        ("protein", "g", {"qty": 71}),
        ("dietary_caffeine", "mg", {"qty": 120}),
    ],
)
def test_a_value_of_a_day_is_one_event_with_a_date_alone_and_with_its_midnight(
    name: str, unit: str, values: dict[str, Any]
) -> None:
    dated, timed = (
        export(metric(name, unit, row(day, **values))) for day in ("2026-05-03", "2026-05-03 00:00:00 +0200")
    )
    found = shelf(dated, timed, declared=BY_DAYS)
    assert found.counts == {"stored": 1, "duplicate": 1, "superseded": 0, "gone": 0}
    assert [each.start for each in found.told] == ["2026-05-02T22:00"]


def test_a_date_alone_is_no_moment_where_no_days_are_declared() -> None:
    found = shelf(export(metric("weight_body_mass", "kg", row("2026-05-03", 71.3))))
    assert found.refused == [("data.metrics[0].data[0].date", "naive_time")]


def test_a_moment_of_which_nobody_knows_the_day_is_refused_by_its_place() -> None:
    sent = export(metric("resting_heart_rate", "bpm", row("2026-05-03 10:00:00Z", 57)))
    assert shelf(sent, declared=Declared()).refused == [("data.metrics[0].data[0].date", "naive_time")]


@pytest.mark.parametrize(
    ("name", "unit", "number", "reason"),
    [
        ("weight_body_mass", None, 71.3, "unknown_unit"),
        ("weight_body_mass", "firkin", 1.7, "unknown_unit"),
        ("body_temperature", "degC", 98.6, "out_of_range"),
        ("blood_oxygen_saturation", "%", 0.97, "out_of_range"),
        ("body_fat_percentage", "%", 0.274, "out_of_range"),
        ("hrv", "ms", 40, "unknown_type"),
        ("apple_move_time", "min", 40, "unknown_type"),
        ("underwater_depth", "m", 4, "unknown_type"),
        ("hydration", "L", 4, "unknown_type"),
    ],
)
def test_nothing_is_guessed(name: str, unit: str | None, number: float, reason: str) -> None:
    found = shelf(export(metric(name, unit, row("2026-05-03 10:00:00 +0200", number))))
    assert (found.told, [why for _, why in found.refused]) == ([], [reason])


@pytest.mark.parametrize("number", ["NaN", "41,5", "41", True, [], {}])
def test_what_is_no_number_is_none(number: object) -> None:
    found = shelf(export(metric("heart_rate_variability", "ms", row("2026-05-03 10:00:00 +0200", number))))
    assert found.refused == [("data.metrics[0].data[0].qty", "wrong_type")]


def test_an_empty_day_is_no_fault() -> None:
    for nothing in ([], None):
        assert shelf({"data": nothing}).refused == []
        assert shelf(export(metric("step_count", "count") | {"data": nothing})).refused == []
    assert shelf(export(metric("telepathy_index", "count"))).refused == []


def test_sdnn_is_never_rmssd() -> None:
    found = shelf(export(metric("heart_rate_variability", "ms", row("2026-05-03 10:00:00 +0200", 47.3))))
    assert [each.type for each in found.told] == ["hrv_sdnn"]


def test_halves_of_a_blood_pressure_are_joined_and_one_alone_is_refused() -> None:
    sent = export(
        metric(
            "blood_pressure_systolic",
            "mmHg",
            row("2026-05-03 07:50:00 +0200", 128),
            row("2026-05-03 07:55:00 +0200", 121),
        ),
        metric("blood_pressure_diastolic", "mmHg", row("2026-05-03 07:50:00 +0200", 81)),
    )
    found = shelf(sent)
    assert found.told == [Told("blood_pressure", {"systolic": 128, "diastolic": 81}, "2026-05-03T05:50")]
    assert found.refused == [("data.metrics[0].data[1].diastolic", "missing_field")]


def test_nutrients_of_one_moment_and_source_are_one_meal() -> None:
    sent = export(
        metric("dietary_energy", "kJ", row("2026-05-03 12:40:00 +0200", 418.4, "Food")),
        metric("monosaturated_fat", "g", row("2026-05-03 12:40:00 +0200", 2, "Food")),
        metric(
            "vitamin_b12",
            "mcg",
            row("2026-05-03 12:40:00 +0200", 1.5, "Food"),
            row("2026-05-03 12:40:00 +0200", 1, "Other"),
        ),
    )
    assert [each.value for each in shelf(sent).of("food")] == [
        {"energy_kcal": 100, "monounsaturated_fat_g": 2, "vitamin_b12_ug": 1.5},
        {"vitamin_b12_ug": 1},
    ]


def test_insulin_says_why_and_basal_beside_bolus_stays_two() -> None:
    rows = [row("2026-05-03 12:40:00 +0200", 4.5, reason="Bolus"), row("2026-05-03 12:40:00 +0200", 12, reason="Basal")]
    found = shelf(export(metric("insulin_delivery", "IU", *rows)))
    assert [each.value for each in found.told] == [{"units": 12, "reason": "basal"}, {"units": 4.5, "reason": "bolus"}]


def test_mindful_minutes_and_sexual_activity_are_of_their_guarded_types() -> None:
    sent = export(
        metric("mindful_minutes", "min", row("2026-05-03 12:40:00 +0200", 10)),
        metric(
            "sexual_activity", "count", row("2026-05-03 00:00:00 +0200", **{"Unspecified": 0, "Protection Used": 1})
        ),
    )
    assert shelf(sent).told == [
        Told("sexual_activity", {"protection": "protected"}, "2026-05-02T22:00"),
        Told("mindfulness", {"activity": "unknown"}, "2026-05-03T10:40", "2026-05-03T10:50"),
    ]


# -- sleep


def segment(start: str, end: str, value: str, source: str = WATCH) -> dict[str, Any]:
    return {"startDate": start, "endDate": end, "qty": 1, "value": value, "source": source}


def sleep(*rows: Mapping[str, Any]) -> dict[str, Any]:
    return export(metric("sleep_analysis", "hr", *rows))


LIGHT = segment("2026-05-02 23:10:00 +0200", "2026-05-03 01:00:00 +0200", "Core")
DEEP = segment("2026-05-03 01:00:00 +0200", "2026-05-03 03:00:00 +0200", "Deep")
REM = segment("2026-05-03 03:00:00 +0200", "2026-05-03 06:00:00 +0200", "REM")


def test_a_night_that_grows_is_one_night() -> None:
    found = shelf(sleep(LIGHT), sleep(LIGHT, DEEP), sleep(LIGHT, DEEP, REM))
    assert [(each.start, each.end, len(each.value["stages"])) for each in found.told] == [
        ("2026-05-02T21:10", "2026-05-03T04:00", 3)
    ]


def test_a_night_whose_beginning_is_found_later_is_the_same_night() -> None:
    found = shelf(sleep(DEEP, REM), sleep(LIGHT, DEEP, REM))
    assert [each.start for each in found.told] == ["2026-05-02T21:10"]


def test_the_window_of_an_export_cuts_no_night_that_is_known() -> None:
    found = shelf(sleep(LIGHT, DEEP, REM), sleep(DEEP, REM))
    assert [(each.start, len(each.value["stages"])) for each in found.told] == [("2026-05-02T21:10", 3)]


def test_segments_of_two_apps_and_those_sent_twice_are_not_added_up() -> None:
    found = shelf(sleep(LIGHT, LIGHT, DEEP, segment(LIGHT["startDate"], DEEP["endDate"], "Asleep", "Sleep App")))
    assert [[stage["stage"] for stage in each.value["stages"]] for each in found.told] == [
        ["asleep"],
        ["light", "deep"],
    ]


def test_a_word_of_another_language_is_some_stage_and_never_guessed() -> None:
    found = shelf(sleep(LIGHT, segment(DEEP["startDate"], DEEP["endDate"], "Tiefschlaf")))
    assert [stage["stage"] for each in found.told for stage in each.value["stages"]] == ["light", "unknown"]


def test_totals_of_a_night_invent_no_stages_and_zeros_are_not_known() -> None:
    night = {"date": "2026-05-03", "sleepStart": "2026-05-02 23:21:30 +0200", "sleepEnd": "2026-05-03 06:24:00 +0200"}
    without = night | {"asleep": 5.2, "core": 0, "deep": 0, "rem": 0, "awake": 0, "inBed": 0, "source": WATCH}
    assert [each.value for each in shelf(sleep(without)).told] == [{"total_asleep_s": 18_720}]
    staged = night | {"asleep": 0, "core": 4.1, "deep": 0.9, "rem": 1.6, "awake": 0.4, "source": WATCH}
    (found,) = shelf(sleep(staged)).told
    assert found.value == {"total_asleep_s": 23_760, "awake_s": 1440, "light_s": 14_760, "deep_s": 3240, "rem_s": 5760}


def test_an_empty_night_is_none() -> None:
    empty = {
        "date": "2026-05-07",
        "asleep": 0,
        "sleepStart": "2026-05-07 00:00:00 +0200",
        "sleepEnd": "2026-05-07 00:00:00 +0200",
    }
    assert shelf(sleep(empty)).refused == [("data.metrics[0].data[0].sleepEnd", "bad_interval")]


def test_what_is_remembered_of_nights_is_bounded() -> None:
    nights = Nights()
    for each in range(1000):
        nights.began("source " * 500, each * 100, each * 100 + 50)
    assert len(nights.rows) == Nights.MOST
    assert len(str(nights.rows)) < 8000


# -- workouts

RUN = {
    "id": "6F0C1E52-9C5B-4A7E-8C1F-2A6B5D3E4F10",
    "name": "Outdoor Run",
    "start": "2026-05-03 17:30:00 +0200",
    "end": "2026-05-03 18:02:30 +0200",
}


def beat(time: str, rate: float) -> dict[str, Any]:
    return {"date": f"2026-05-03 {time} +0200", "Min": rate, "Avg": rate, "Max": rate, "units": "bpm"}


def test_every_field_of_a_workout_may_be_absent() -> None:
    found = shelf(export(workouts=[RUN]))
    assert found.told == [
        Told("workout", {"activity": "running", "name": "Outdoor Run"}, "2026-05-03T15:30", "2026-05-03T16:02:30")
    ]


def test_a_name_in_another_language_is_a_label() -> None:
    names = ["Outdoor_Ausführen", "Other", "Outdoor Run", "OUTDOOR_RUN"]
    found = shelf(export(workouts=[RUN | {"name": name, "id": str(place)} for place, name in enumerate(names)]))
    assert sorted((each.value["name"], each.value["activity"]) for each in found.told) == [
        ("OUTDOOR_RUN", "running"), ("Other", "other"), ("Outdoor Run", "running"), ("Outdoor_Ausführen", "other"),
    ]  # fmt: skip


def test_points_after_the_end_are_recovery_and_never_of_the_workout() -> None:
    run = RUN | {
        "avgHeartRate": {"qty": 98, "units": "bpm"},
        "heartRateData": [beat("18:02:30", 121), beat("18:03:00", 104)],
    }
    found = shelf(export(workouts=[run]))
    assert "heart_rate_mean_bpm" not in found.of("workout")[0].value
    assert found.of("heart_rate") == [Told("heart_rate", {"samples": [[0, 121], [30, 104]]}, "2026-05-03T16:02:30")]
    assert found.sources("heart_rate")[0]["context"] == "recovery"


def test_what_is_in_a_workout_is_no_more_of_the_day() -> None:
    inner = [{"date": "2026-05-03 17:30:00 +0200", "qty": 158.2, "units": "steps"}]
    found = shelf(export(workouts=[RUN | {"stepCount": inner, "activeEnergy": [inner[0] | {"units": "kJ"}]}]))
    assert [each.type for each in found.told] == ["workout"]
    assert found.told[0].value["steps"] == 158.2


def test_a_workout_of_the_first_version_has_a_stable_id_and_its_odd_spellings() -> None:
    first = {
        "name": "Cycling", "start": "2021-08-14 09:00:00 +0100", "end": "2021-08-14 10:10:00 +0100",
        "intesity": {"qty": 6.4, "units": "MET"}, "elevation": {"ascent": 310, "descent": 305, "units": "ft"},
        "distance": {"qty": 15.53, "units": "mi"}, "stepCount": {"qty": 0, "units": "steps"},
    }  # fmt: skip
    found = shelf(export(workouts=[first]), {"data": {"metrics": []}, "workouts": [first]})
    assert found.counts == {"stored": 1, "duplicate": 1, "superseded": 0, "gone": 0}
    (told,) = found.told
    assert told.value == {
        "activity": "cycling", "name": "Cycling", "met_mean": 6.4, "distance_m": 24993.11232,
        "elevation_gain_m": 94.488, "elevation_loss_m": 92.964,
    }  # fmt: skip


def test_a_route_is_an_event_of_its_own_which_is_asked_for_by_name() -> None:
    route = [
        {
            "latitude": 10.1,
            "longitude": 20.1,
            "altitude": 34,
            "speed": -1,
            "course": -1,
            "timestamp": "2026-05-03 17:30:04 +0200",
        },
        {"lat": 10, "lon": 20, "timestamp": "2026-05-03 17:30:01 +0200"},
    ]
    found = shelf(export(workouts=[RUN | {"route": route}]))
    assert found.of("workout_route")[0].value["places"] == [[0, 10, 20, None], [3, 10.1, 20.1, 34]]
    assert CATALOGUE["workout_route"].sensitivity == "location"


def test_a_bad_point_names_its_place() -> None:
    found = shelf(export(workouts=[RUN | {"heartRateData": [beat("17:31:00", 120), {"date": "x"}]}]))
    assert found.refused == [("data.workouts[0].heartRateData[1].date", "bad_time")]


# -- the heart and the diary

ECG = {
    "start": "2026-05-03 21:10:00 +0200",
    "end": "2026-05-03 21:10:30 +0200",
    "classification": "Sinus Rhythm",
    "averageHeartRate": 0,
    "samplingFrequency": 512,
    "source": WATCH,
}


@pytest.mark.parametrize("first_s", [1777835400.0, 799528200.0])
def test_an_ecg_is_of_whichever_epoch_lies_within_it(first_s: float) -> None:
    volts = [{"date": first_s + at / 512, "voltage": at - 1.5, "units": "mcV"} for at in range(4)]
    (told,) = shelf(export(ecg=[ECG | {"voltageMeasurements": volts}])).told
    assert told.value == {"classification": "sinus_rhythm", "hz": 512, "microvolts": [-1.5, -0.5, 0.5, 1.5]}


def test_an_ecg_of_no_known_epoch_or_with_missing_voltages_is_refused() -> None:
    lost = ECG | {"voltageMeasurements": [{"date": 12.0, "voltage": 1, "units": "mcV"}]}
    cut = ECG | {
        "numberOfVoltageMeasurements": 15_379,
        "voltageMeasurements": [{"date": 1777835400.0, "voltage": 1, "units": "mcV"}],
    }
    assert [why for _, why in shelf(export(ecg=[lost, cut])).refused] == ["bad_time", "bad_interval"]


def test_a_classification_in_another_language_is_kept_as_it_is() -> None:
    (told,) = shelf(export(ecg=[ECG | {"classification": "Ritmo Sinusal"}])).told
    assert told.value == {"classification": "unknown", "label": "Ritmo Sinusal", "hz": 512}


def test_a_notification_without_its_word_is_of_the_side_of_its_threshold() -> None:
    notice = {
        "start": "2026-05-04 15:00:00 +0200",
        "end": "2026-05-04 15:10:00 +0200",
        "threshold": 120,
        "heartRate": [{"hr": 124, "units": "bpm", "timestamp": {"start": "2026-05-04 15:00:00 +0200"}}],
    }
    found = shelf(export(heartRateNotifications=[notice, notice | {"heartRate": []}]))
    assert found.of("heart_notification")[0].value == {
        "notification": "high_heart_rate", "bpm": 124, "threshold_bpm": 120,
    }  # fmt: skip
    assert found.refused == [("data.heartRateNotifications[1].heartNotification", "missing_field")]


DOSE = {"displayText": "Examplol ", "start": "2026-05-03 08:00:00 +0200", "dosage": 1, "form": "Tablet", "codings": []}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("Taken", {"status": "taken", "dose": 1, "dose_unit": "Tablet"}),
        ("Skipped", {"status": "skipped"}),
        ("Not Interacted", {"status": "not_interacted"}),
        ("Tomado", {"status": "unknown", "label": "Tomado", "dose": 1, "dose_unit": "Tablet"}),
    ],
)
def test_only_what_was_taken_is_a_dose(word: str, value: dict[str, Any]) -> None:
    (told,) = shelf(export(medications=[DOSE | {"status": word}])).told
    assert told.value == {"medication": "Examplol", **value}


def test_a_planned_dose_that_is_taken_later_is_one() -> None:
    planned = DOSE | {"scheduledDate": DOSE["start"]}
    taken = planned | {"status": "Taken", "start": "2026-05-03 08:20:00 +0200"}
    found = shelf(export(medications=[planned | {"status": "Not Interacted"}]), export(medications=[taken]))
    assert [each.value["status"] for each in found.told] == ["taken"]


def test_symptoms_of_mind_and_cycle_are_of_their_guarded_types() -> None:
    when = {"start": "2026-05-03 16:00:00 +0200", "end": "2026-05-03 18:00:00 +0200", "severity": "Mild"}
    names = ["Headache", "Mood Changes", "Hot Flashes", "Kopfschmerzen"]
    found = shelf(export(symptoms=[when | {"name": name} for name in names]))
    assert [(each.type, each.value["symptom"]) for each in found.told] == [
        ("mental_symptom", "mood_changes"), ("reproductive_symptom", "hot_flashes"), ("symptom", "headache"),
        ("symptom", "other"),
    ]  # fmt: skip


def test_of_the_cycle_an_unknown_name_is_refused_and_an_unknown_word_kept() -> None:
    when = {"start": "2026-05-03 00:00:00 +0200", "end": "2026-05-03 23:59:59 +0200"}
    known = when | {"name": "Menstrual Flow", "value": "Leicht", "isCycleStart": True}
    found = shelf(export(cycleTracking=[known, when | {"name": "Menstruation in Worten", "value": "x"}]))
    assert [each.value for each in found.told] == [{"flow": "unspecified", "label": "Leicht", "cycle_start": True}]
    assert found.refused == [("data.cycleTracking[1].name", "unknown_type")]


def test_a_mood_has_the_words_that_are_known() -> None:
    mood = {
        "id": "0b6e", "start": "2026-05-03 20:00:00 +0200", "kind": "daily_mood", "valence": 0.31,
        "labels": ["calm", "ruhig"], "associations": ["Self Care"], "valenceClassification": "slightly_pleasant",
    }  # fmt: skip
    (told,) = shelf(export(stateOfMind=[mood])).told
    assert told.value == {"valence": 0.31, "kind": "mood", "labels": ["calm"], "associations": ["self_care"]}


def test_not_json_is_refused_whole() -> None:
    payload = b'{"data":{"metrics":[{"name":"step_count","units":"count","data":[{"qty":NaN}]}]}}'
    assert shelf(payload).refused == [("", "malformed")]
    assert shelf(b"[1]").refused == [("", "malformed")]


def test_places_are_those_of_the_message() -> None:
    outcomes = folded(FORMATS["health_auto_export"], app_message(SAMPLE)).outcomes
    assert [each.place for each in outcomes if isinstance(each, Made)] == [
        "data.metrics[0].data[0]", "data.metrics[1].data[0]", "data.metrics[2].data[0]", "data.workouts[0]",
    ]  # fmt: skip
