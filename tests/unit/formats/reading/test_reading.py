"""What all formats read with: numbers at the end of what JSON carries, times at the end of time, texts without end."""

from typing import Any

import pytest

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import folded
from healthsync_mqtt.formats.reading.document import number, number_of_text, read_document, whole
from healthsync_mqtt.formats.reading.moment import Moment, day, moment, of_epoch, of_epoch_ms
from healthsync_mqtt.model.reasons import Reason, RefusedError
from tests.support.app_messages import BERLIN, Shelf, app_message

TEN = "2026-05-03 10:00:00 +0200"
LAST = "9999-12-31 23:00:00 +0000"
SPAN = {"start_time": "2026-05-03T12:00:00Z", "end_time": "2026-05-03T12:15:00Z"}


def metrics(name: str, unit: str, *rows: Any) -> dict[str, Any]:
    return {"data": {"metrics": [{"name": name, "units": unit, "data": list(rows)}]}}


@pytest.mark.parametrize(
    ("form", "content", "topic"),
    [
        ("health_auto_export", metrics("walking_running_distance", "mi", {"date": TEN, "qty": 1e308}), ""),
        ("health_auto_export", metrics("mindful_minutes", "min", {"date": TEN, "qty": 1e308}), ""),
        ("health_auto_export", metrics("step_count", "count", {"date": LAST, "qty": 5}), ""),
        ("health_auto_export", metrics("resting_heart_rate", "bpm", {"date": "9999-12-31", "qty": 57}), ""),
        (
            "health_auto_export",
            metrics(
                "sleep_analysis",
                "hr",
                {
                    "core": 1e308, "deep": 1e308, "rem": 1e308,
                    "sleepStart": "2026-05-02 23:00:00 +0200", "sleepEnd": "2026-05-03 06:00:00 +0200",
                },
            ),
            "",
        ),
        ("health_connect", {"basal_metabolic_rate": [{"watts": 1e308, "time": SPAN["end_time"]}]}, ""),
        ("health_connect", {"records": [{"time": 1e308, "weight": {"kilograms": 71}}]}, ""),
        ("openscale", {"date": "2026-05-03T07:41+0200", "weight": 1e308, "water": 1e308}, "measurements/insert"),
        ("xiaomi_scale", {"weight": 1e308, "weight_unit": "kg", "water": 1e308, "timestamp": TEN}, ""),
        ("nightscout", {"type": "sgv", "sgv": 112, "date": 1e308}, ""),
        ("nightscout", {"glucose": 1e308, "units": "mmol", "created_at": "2026-05-03T05:52:00Z", "eventType": "x"}, ""),
        (
            "open_mhealth",
            {
                "step_count": {"value": 5, "unit": "steps"},
                "effective_time_frame": {
                    "time_interval": {
                        "start_date_time": "9999-12-31T23:00:00Z", "duration": {"value": 1, "unit": "wk"},
                    }
                },
            },
            "",
        ),
    ],
)  # fmt: skip
def test_a_number_or_a_time_beyond_all_is_refused_by_its_place_alone(form: str, content: Any, topic: str) -> None:
    found = Shelf(form).take([app_message(content, topic=topic, declared=BERLIN)])
    assert found.refused
    assert {why for _, why in found.refused} <= {"bad_number", "bad_time", "bad_interval", "out_of_range"}


def test_buckets_that_grow_beyond_all_are_refused() -> None:
    bucket = {"bucket_start": SPAN["start_time"], "bucket_end": SPAN["end_time"], "sample_count": 1, "total": 1e308}
    messages = [app_message({"sequence": each, "steps": [bucket]}) for each in (1, 2)]
    assert {why for _, why in Shelf("life_dashboard").take(messages).refused} == {"out_of_range", "bad_number"}


def test_a_topic_without_end_is_refused() -> None:
    sent = app_message(b"64", topic="x" * 1000 + "/heart_rate/state")
    with pytest.raises(RefusedError):
        folded(FORMATS["life_dashboard"], sent)


def test_a_text_without_end_is_no_time_and_is_not_remembered() -> None:
    for reads in (moment, day):
        with pytest.raises(RefusedError) as caught:
            reads("2026-05-03 14:00:00 +0200" + " " * 1_000_000)
        assert caught.value.code is Reason.BAD_TIME


def test_moments_end_where_time_does() -> None:
    with pytest.raises(RefusedError):
        Moment(253_402_300_799_000_000).later(5)
    for seconds in (1e300, float("inf"), float("nan")):
        with pytest.raises(RefusedError):
            Moment(0).later(seconds)
    with pytest.raises(RefusedError):
        of_epoch(1e300)
    assert of_epoch(1777786860).text == "2026-05-03T05:41:00.000000Z"
    for millis in (1777786860, 0, 99_999_999_999, 1e300):
        with pytest.raises(RefusedError):
            of_epoch_ms(millis)
    assert of_epoch_ms(1777786860000).text == "2026-05-03T05:41:00.000000Z"
    assert of_epoch_ms(100_000_000_000).text == "1973-03-03T09:46:40.000000Z"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NaN", Reason.BAD_NUMBER),
        ("1e999", Reason.BAD_NUMBER),
        ("9" * 30, Reason.BAD_NUMBER),
        ("41,5", Reason.WRONG_TYPE),
        ("1.234.567", Reason.WRONG_TYPE),
        ("0x10", Reason.WRONG_TYPE),
        ("1" * 100, Reason.WRONG_TYPE),
        ("", Reason.WRONG_TYPE),
    ],
)
def test_numbers_in_texts(text: str, reason: Reason) -> None:
    with pytest.raises(RefusedError) as caught:
        number_of_text(text)
    assert caught.value.code is reason


def test_numbers_are_written_as_short_as_they_are() -> None:
    assert [repr(whole(each)) for each in (512.0, 512.5, 512, 1e300)] == ["512", "512.5", "512", "1e+300"]
    with pytest.raises(RefusedError):
        number({"qty": 2**53 + 1}, "qty")
    with pytest.raises(RefusedError):
        number({"qty": True}, "qty")


@pytest.mark.parametrize("payload", [b"", b"{", b'{"a":1,"a":2}', b"[NaN]", b"\xff", b"[" * 100_000])
def test_what_is_no_document(payload: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        read_document(payload)
    assert caught.value.code is Reason.MALFORMED
