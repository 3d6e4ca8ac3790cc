"""Life Dashboard Companion: values that wait for their time, and a webhook that corrects itself."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import AppMessage, Declared, Divisible, Format, folded
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.testing.format_contract import FormatContract
from tests.support.app_messages import NOW_US, Shelf, Told, app_message, recorded
from tests.support.foreign_json import JSON, objects

BERLIN = Declared(zone="Europe/Berlin")
SPAN = {"start_time": "2026-05-03T12:00:00Z", "end_time": "2026-05-03T12:15:00Z"}


def time(at: str, uuid: str = "u1") -> dict[str, str]:
    return {"measured_at": at, "source": "com.example.watch", "uuid": uuid}


def sent(topic: str, content: Any, after_s: float = 0) -> AppMessage:
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    return app_message(payload, topic=topic, declared=BERLIN, at_us=NOW_US + round(after_s * 1_000_000))


def shelf(*messages: AppMessage) -> Shelf:
    return Shelf("life_dashboard").take(messages)


def hook(**arrays: Any) -> AppMessage:
    return sent("", {"timestamp": "2026-05-03T18:00:00Z", "source": "health_connect", **arrays})


class TestContract(FormatContract):
    @pytest.fixture
    def form(self) -> Format:
        return FORMATS["life_dashboard"]

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        body = {
            "sequence": 1,
            "steps": [{"count": 412, **SPAN}],
            "weight": [{"kilograms": 71, "time": SPAN["end_time"]}],
        }
        return {json.dumps(body).encode(): 2}

    @pytest.fixture
    def refusals(self) -> Mapping[bytes, list[str]]:
        body = {
            "deleted_records": [{"type": "moon_phase", "uuid": "u"}, {"type": "steps"}],
            "weight": [{"kilograms": "x"}],
        }
        return {
            json.dumps(body).encode(): ["deleted_records[0].type", "deleted_records[1].uuid", "weight[0].kilograms"]
        }


KEYS = st.sampled_from(
    ["heart_rate", "steps", "blood_pressure_systolic", "blood_pressure_diastolic", "x", "screen_time_x"]
)
PARTS = st.sampled_from(["state", "attributes", ""])
PAYLOADS = st.sampled_from([b"", b"64", b"nan", b"1e999", b"\xff", json.dumps(time("2026-05-03T05:58:12Z")).encode()])
NAMES = """
    steps heart_rate sleep deleted_records daily_totals sequence source test uuid type date count bucket_start
    bucket_end sample_count avg min max total complete sources time start_time end_time metadata last_modified
    zone_offset
"""


@given(
    st.lists(
        st.tuples(KEYS, PARTS, PAYLOADS | JSON.map(lambda each: json.dumps(each).encode()), st.integers(0, 90)),
        max_size=6,
    )
)
def test_no_message_on_a_topic_raises(messages: list[tuple[str, str, bytes, int]]) -> None:
    state, after_s = b"", 0
    for key, part, payload, waits_s in messages:
        after_s += waits_s
        message = sent(f"{key}/{part}", payload, after_s)
        try:
            first = folded(FORMATS["life_dashboard"], message, state)
        except RefusedError:
            continue
        assert first == folded(FORMATS["life_dashboard"], message, state)
        state = first.state
        assert len(state) < 65_536


@given(JSON | objects(NAMES.split()))
def test_no_body_of_the_webhook_raises(content: Any) -> None:
    bucket = {"bucket_start": SPAN["start_time"], "bucket_end": SPAN["end_time"], "x": content, "avg": content}
    for each in (content, {"heart_rate": [content, bucket], "deleted_records": [content], "daily_totals": [content]}):
        try:
            first = folded(FORMATS["life_dashboard"], sent("", each))
        except RefusedError:
            continue
        assert first == folded(FORMATS["life_dashboard"], sent("", each))


# -- topics


def test_a_value_waits_for_its_time() -> None:
    found = shelf(sent("heart_rate/state", b"64"))
    assert found.told == []
    assert found.take([sent("heart_rate/attributes", time("2026-05-03T05:58:12Z"))]).told == [
        Told("heart_rate", {"bpm": 64}, "2026-05-03T05:58:12")
    ]


def test_a_value_is_never_given_the_time_of_the_value_before() -> None:
    first = [sent("heart_rate/state", b"64"), sent("heart_rate/attributes", time("2026-05-03T05:58:12Z"))]
    found = shelf(*first, sent("heart_rate/state", b"71", 3600))
    assert [each.value["bpm"] for each in found.told] == [64]
    found.take([sent("heart_rate/attributes", time("2026-05-03T06:57:40Z", "u2"), 3600)])
    assert [(each.value["bpm"], each.start[11:]) for each in found.told] == [(64, "05:58:12"), (71, "06:57:40")]


def test_a_broker_may_give_the_time_first_and_only_at_once() -> None:
    at = sent("heart_rate/attributes", time("2026-05-03T06:57:40Z"))
    assert [each.value["bpm"] for each in shelf(at, sent("heart_rate/state", b"71", 1)).told] == [71]
    assert shelf(at, sent("heart_rate/state", b"88", 11)).told == []


def test_a_value_without_a_time_is_refused_when_it_has_waited() -> None:
    found = shelf(sent("oxygen_saturation/state", b"97"), sent("weight/state", b"71", 61))
    assert found.refused == [("oxygen_saturation/attributes", "missing_field")]
    assert shelf(sent("weight/state", b"71"), sent("weight/state", b"72", 1)).refused == [
        ("weight/attributes", "missing_field")
    ]


def test_the_halves_of_a_blood_pressure_are_of_one_record() -> None:
    halves = [
        sent("blood_pressure_diastolic/state", b"81"),
        sent("blood_pressure_diastolic/attributes", time("2026-05-03T05:50:00Z")),
        sent("blood_pressure_systolic/state", b"128"),
        sent("blood_pressure_systolic/attributes", time("2026-05-03T05:50:00Z")),
    ]
    assert shelf(*halves).told == [Told("blood_pressure", {"systolic": 128, "diastolic": 81}, "2026-05-03T05:50")]
    other = sent("blood_pressure_systolic/attributes", time("2026-05-03T06:55:00Z", "u2"))
    found = shelf(*halves[:3], other, sent("heart_rate/state", b"64", 120))
    assert (found.told, [why for _, why in found.refused]) == ([], ["missing_field", "missing_field"])


def test_steps_are_of_the_day_so_far_by_the_zone_of_the_login() -> None:
    found = shelf(sent("steps/state", b"2210"), sent("steps/attributes", time("2026-05-03T22:30:00Z")))
    assert found.told == [Told("daily_steps", {"steps": 2210}, "2026-05-03T22:00")]
    grown = found.take([sent("steps/state", b"2300"), sent("steps/attributes", time("2026-05-03T23:30:00Z", ""))])
    assert grown.told == [Told("daily_steps", {"steps": 2300}, "2026-05-03T22:00")]


def test_a_phones_name_is_a_level_and_two_phones_are_two() -> None:
    found = shelf(
        sent("one/heart_rate/state", b"64"),
        sent("two/heart_rate/state", b"80"),
        sent("one/heart_rate/attributes", time("2026-05-03T05:58:12Z")),
        sent("two/heart_rate/attributes", time("2026-05-03T05:59:12Z", "u2")),
    )
    assert [each.value["bpm"] for each in found.told] == [64, 80]


def test_an_empty_message_and_what_has_no_type_are_nothing() -> None:
    found = shelf(
        sent("heart_rate/state", b""), sent("screen_time_total/state", b"4"), sent("sleep_duration/state", b"412")
    )
    assert (found.told, found.refused) == ([], [])
    assert shelf(sent("moon/state", b"1"), sent("moon/attributes", b"{}")).refused == [("moon/state", "unknown_type")]


def test_a_variation_is_rmssd_on_android_and_sdnn_on_ios() -> None:
    for root, type_ in (("", "hrv_rmssd"), ("lifedashboard-ios/", "hrv_sdnn")):
        found = shelf(
            sent(f"{root}heart_rate_variability/state", b"38.0"),
            sent(f"{root}heart_rate_variability/attributes", time("2026-05-03T03:11:00.500Z")),
        )
        assert [each.type for each in found.told] == [type_]


# -- webhook


def test_one_walk_that_an_app_wrote_twice_is_counted_once() -> None:
    walk = {"count": 2980, **SPAN, "source": "com.treadmill"}
    found = shelf(hook(steps=[walk | {"uuid": "a"}, walk | {"uuid": "b"}, walk | {"uuid": "c", "source": "com.phone"}]))
    assert len(found.told) == 2


def test_a_deletion_takes_a_record_and_all_its_samples_before_the_new_ones_come() -> None:
    rates = [{"bpm": 60 + each, "time": f"2026-05-03T12:0{each}:00Z", "uuid": f"rec#{each}"} for each in range(3)]
    found = shelf(hook(heart_rate=rates))
    deleted = {"type": "heart_rate", "uuid": "rec"}
    again = {"bpm": 70, "time": "2026-05-03T12:00:00Z", "uuid": "rec"}
    found.take([hook(heart_rate=[again], deleted_records=[deleted, {"type": "weight", "uuid": "unknown"}])])
    assert [each.value["bpm"] for each in found.told] == [70]
    assert found.refused == []


def bucket(**said: Any) -> dict[str, Any]:
    return {"bucket_start": SPAN["start_time"], "bucket_end": SPAN["end_time"], **said}


def test_a_bucket_is_put_together_unless_it_is_complete() -> None:
    first = hook(
        sequence=50, steps=[bucket(sample_count=3, total=300.0)], distance=[bucket(total=210.0, complete=True)]
    )
    late = hook(sequence=51, steps=[bucket(sample_count=1, total=42.0)], distance=[bucket(total=240.5, complete=True)])
    found = shelf(first, late, late)
    assert [next(iter(each.value.values())) for each in found.told] == [240.5, 342]
    assert [each["samples"] for each in found.sources("steps")] == [4]


@pytest.mark.parametrize("array", ["sleep", "blood_pressure", "exercise", "nutrition", "mindfulness"])
def test_a_bucket_of_what_is_no_number_is_refused_and_the_rest_is_taken(array: str) -> None:
    weight = [{"kilograms": 71, "time": SPAN["end_time"]}]
    found = shelf(hook(**{array: [bucket(sample_count=3, total=3), bucket(avg=2)]}, weight=weight))
    assert [each.type for each in found.told] == ["weight"]
    assert [(place.partition(".")[0], why) for place, why in found.refused] == [
        (f"{array}[0]", "missing_field"),
        (f"{array}[1]", "missing_field"),
    ]


@pytest.mark.parametrize("sequence", [True, 1.5, "1", 10**30, -1])
def test_a_sequence_that_is_no_number_keeps_no_later_message_from_being_read(sequence: object) -> None:
    first = hook(sequence=sequence, steps=[{"count": 412, **SPAN}])
    later = hook(sequence=2, weight=[{"kilograms": 71, "time": SPAN["end_time"]}])
    assert [each.type for each in shelf(first, later).told] == ["steps", "weight"]


def test_an_array_that_is_none_is_refused_and_the_others_are_read() -> None:
    weight = [{"kilograms": 71, "time": SPAN["end_time"]}]
    found = shelf(hook(deleted_records="all", steps={"count": 1}, weight=weight, daily_totals=7))
    assert [each.type for each in found.told] == ["weight"]
    assert found.refused == [(name, "wrong_type") for name in ("deleted_records", "steps", "daily_totals")]


def test_means_of_buckets_are_weighed_by_their_samples() -> None:
    first = hook(sequence=1, heart_rate=[bucket(sample_count=20, avg=70, min=58, max=91)])
    late = hook(sequence=2, heart_rate=[bucket(sample_count=5, avg=90, min=84, max=99)])
    assert [each.value for each in shelf(first, late).told] == [{"bpm": 74, "low_bpm": 58, "high_bpm": 99}]


def test_version_offset_and_recording_are_what_the_record_says() -> None:
    said = {"last_modified": "2026-05-03T05:41:09.120Z", "recording_method": "manual", "zone_offset": "+02:00"}
    record = {"kilograms": 71.35, "time": "2026-05-03T05:41:00Z", "uuid": "w", "source": "com.scale", "metadata": said}
    (event,) = folded(FORMATS["life_dashboard"], hook(weight=[record])._replace(declared=Declared())).events
    assert (event["version"], event["utc_offset"]) == (1777786869120, 7200)
    assert event["source"] == {"provider": "health_connect", "app": "com.scale", "recording": "manual"}


def test_a_ping_and_a_heartbeat_are_nothing() -> None:
    found = shelf(sent("", {"test": True, "message": "ping"}), hook(writeback={"x": 1}, _diagnostics={}))
    assert (found.told, found.refused) == ([], [])


def test_days_need_a_zone() -> None:
    totals = hook(daily_totals=[{"date": "2026-05-03", "steps": 8421}])
    assert shelf(totals).told == [Told("daily_steps", {"steps": 8421}, "2026-05-02T22:00")]
    assert shelf(totals._replace(declared=Declared())).refused == [("daily_totals[0].date", "naive_time")]


def test_what_is_remembered_is_bounded() -> None:
    found = shelf(
        hook(steps=[bucket(sample_count=1, total=1, sources=[f"com.example.{each:090}"]) for each in range(3000)])
    )
    assert len(found.told) == 3000
    assert len(folded(FORMATS["life_dashboard"], hook(sequence=9), found.state).state) < 65_536


# -- recordings


@pytest.fixture
def folder(shared_data: Path) -> Path:
    return shared_data / "phone" / "life_dashboard"


def of(folder: Path, *names: str) -> Shelf:
    found = Shelf("life_dashboard")
    for name in names:
        found.take(recorded(folder / name, "lifedashboard/", declared=BERLIN))
    return found


@pytest.mark.shared_data
def test_recorded_topics(folder: Path) -> None:
    found = of(folder, "state_then_attributes.txt")
    assert found.told == [
        Told("daily_steps", {"steps": 2210}, "2026-05-02T22:00"),
        Told("hrv_rmssd", {"ms": 38}, "2026-05-03T03:11:00.500000"),
        Told("glucose", {"mg_dl": 97.28}, "2026-05-03T05:30"),
        Told("weight", {"kg": 71.35}, "2026-05-03T05:41"),
        Told("heart_rate", {"bpm": 64}, "2026-05-03T05:58:12"),
        Told("heart_rate", {"bpm": 71}, "2026-05-03T06:57:40"),
    ]
    assert (found.refused, found.counts["duplicate"]) == ([], 1)


@pytest.mark.shared_data
def test_recorded_halves_and_retained(folder: Path) -> None:
    assert of(folder, "blood_pressure_pair.txt").told == [
        Told("blood_pressure", {"systolic": 128, "diastolic": 81}, "2026-05-03T05:50")
    ]
    found = of(folder, "retained_after_reconnect.txt")
    assert found.told == [Told("heart_rate", {"bpm": 71}, "2026-05-03T06:57:40")]
    assert found.refused == [("oxygen_saturation/attributes", "missing_field")]


@pytest.mark.shared_data
def test_recorded_records(folder: Path) -> None:
    found = of(folder, "webhook_records.json")
    assert (len(found.told), found.refused) == (23, [])
    assert [each.value["steps"] for each in found.of("steps")] == [398, 412, 2980]
    assert [(each.value["steps"], each.start) for each in found.of("daily_steps")] == [
        (9874, "2026-05-01T22:00"),
        (9120, "2026-05-02T22:00"),
    ]
    assert [each.value for each in found.of("distance", "energy_active", "energy_total")] == [
        {"meters": 301.5}, {"kcal": 21.5}, {"kcal": 39},
    ]  # fmt: skip
    assert found.of("workout") == [
        Told("workout", {"activity": "running", "active_s": 1950}, "2026-05-03T15:30", "2026-05-03T16:02:30")
    ]
    assert [(each.value["bpm"], each.start) for each in found.of("heart_rate")] == [
        (64, "2026-05-03T12:01"),
        (65, "2026-05-03T12:01:05.250000"),
    ]
    assert found.of("hrv_rmssd")[0].start == "2026-05-03T03:11:00.123456"
    (night,) = found.of("sleep")
    assert (night.start, night.end) == ("2026-05-02T21:38", "2026-05-03T04:30")
    assert [each["stage"] for each in night.value["stages"]] == ["light", "asleep", "awake_in_bed"]
    assert found.of("food")[0].value == {
        "meal": "lunch", "items": [{"name": "Soup"}], "energy_kcal": 512, "protein_g": 31.5, "carbohydrate_g": 61,
        "sugar_g": 9.2, "fiber_g": 6.1, "fat_g": 12, "trans_fat_g": 0, "sodium_mg": 830, "vitamin_d_ug": 2.5,
    }  # fmt: skip
    assert found.of("basal_metabolic_rate")[0].value == {"kcal_per_day": 1540}
    assert found.of("skin_temperature_delta")[0].value == {"celsius": -0.3}
    assert found.sources("weight")[0]["recording"] == "manual"


@pytest.mark.shared_data
def test_recorded_deletions(folder: Path) -> None:
    found = of(folder, "webhook_records.json", "webhook_deletions.json")
    assert [each.value["energy_kcal"] for each in found.of("food")] == [540]
    assert [each.value["steps"] for each in found.of("steps")] == [412, 2980]
    assert found.of("heart_rate") == []
    assert found.counts["gone"] == 4
    assert found.refused == [("deleted_records[4].type", "unknown_type")]


@pytest.mark.shared_data
def test_recorded_buckets(folder: Path) -> None:
    late = "webhook_buckets_2_late.json"
    found = of(folder, "webhook_buckets_1.json", late, late)
    assert [(each.type, each.value) for each in found.told] == [
        ("distance", {"meters": 240.5}),
        ("heart_rate", {"bpm": 74, "low_bpm": 58, "high_bpm": 99}),
        ("steps", {"steps": 342}),
    ]
    assert found.counts == {"stored": 3, "duplicate": 0, "superseded": 3, "gone": 0}


@pytest.mark.shared_data
def test_recorded_ios_and_ping(folder: Path) -> None:
    found = of(folder, "webhook_ios.json")
    assert [each.type for each in found.told] == [
        "menstruation", "sleep", "daily_distance", "daily_steps", "hrv_sdnn", "workout",
    ]  # fmt: skip
    assert found.of("sleep")[0].value["stages"][0]["stage"] == "in_bed"
    assert found.of("daily_steps", "daily_distance") == [
        Told("daily_distance", {"meters": 6210.4}, "2026-05-02T22:00"),
        Told("daily_steps", {"steps": 8421}, "2026-05-02T22:00"),
    ]
    assert found.refused == []
    ping = of(folder, "webhook_ping.json")
    assert (ping.told, ping.refused) == ([], [])


# -- what is remembered, by types


def test_what_waits_can_be_told_apart_by_its_type_and_forgotten_alone() -> None:
    form = FORMATS["life_dashboard"]
    assert isinstance(form, Divisible)
    bucket = {"bucket_start": "2026-05-03T12:00:00Z", "bucket_end": "2026-05-03T12:15:00Z", "sample_count": 2}
    state = b""
    for message in (
        sent("heart_rate/state", b"64"),
        sent("steps/state", b"2210"),
        sent("heart_rate_variability/attributes", time("2026-05-03T06:57:40Z")),
        sent("blood_pressure_systolic/state", b"128"),
        sent("blood_pressure_systolic/attributes", time("2026-05-03T05:50:00Z", "u7")),
        sent("", {"weight": [bucket | {"avg": 71, "min": 70, "max": 72}], "steps": [bucket | {"total": 30}]}),
    ):
        state = folded(form, message, state).state
    held = {"heart_rate", "daily_steps", "hrv_rmssd", "hrv_sdnn", "blood_pressure", "weight", "steps"}
    assert form.holds(state) == held
    for each in held - {"hrv_rmssd", "hrv_sdnn"}:
        assert form.holds(form.without(state, frozenset({each}))) == held - {each}
    assert form.holds(form.without(state, frozenset({"hrv_sdnn"}))) == held - {"hrv_rmssd", "hrv_sdnn"}
    assert form.holds(b"") == frozenset()
