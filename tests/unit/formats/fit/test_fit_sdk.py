"""Every recording, and what Garmin's own reader makes of it: the same messages, times and numbers."""

import csv
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from garmin_fit_sdk import Decoder, Stream

from healthsync_mqtt.formats.fit import profile
from healthsync_mqtt.formats.fit.counters import DayBook
from healthsync_mqtt.formats.fit.file_events import read_items
from healthsync_mqtt.formats.fit.wire import FitMessage, frames
from healthsync_mqtt.formats.port import AppMessage, Made
from healthsync_mqtt.model.times import iso

pytestmark = pytest.mark.shared_data
NAMES = (
    "Activity", "MonitoringFile", "WeightScaleMultiUser", "activity-settings-corruptheader",
    "activity-small-fenix2-run", "activity-unexpected-eof", "garmin-edge-500-activity",
    "garmin-fenix-5-walk", "sample-activity",
)  # fmt: skip
EPOCH_S = 631_065_600


def sdk(path: Path) -> dict[str, list[dict[Any, Any]]]:
    """What Garmin's reader reads, as far as it gets."""
    messages, _ = Decoder(Stream.from_byte_array(bytearray(path.read_bytes()))).read(
        enable_crc_check=False,
        merge_heart_rates=False,
        convert_datetimes_to_dates=False,
        convert_types_to_strings=False,
    )
    return messages


def ours(path: Path) -> tuple[list[FitMessage], list[dict[str, Any]]]:
    content = path.read_bytes()
    messages = [each for each in frames(content) if isinstance(each, FitMessage)]
    items = read_items(content, AppMessage(b"", "alice"), DayBook())
    return messages, [each.event for each in items if isinstance(each, Made)]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_messages_and_fields_are_read(shared_data: Path, name: str) -> None:
    path = shared_data / "fit" / f"{name}.fit"
    theirs, (messages, _) = sdk(path), ours(path)
    for kind, key, fields in (
        (profile.RECORD, "record_mesgs", {253: "timestamp", 3: "heart_rate", 5: "distance"}),
        (
            profile.SESSION,
            "session_mesgs",
            {253: "timestamp", 2: "start_time", 9: "total_distance", 11: "total_calories"},
        ),
        (profile.LAP, "lap_mesgs", {253: "timestamp", 2: "start_time", 9: "total_distance"}),
        (profile.WEIGHT_SCALE, "weight_scale_mesgs", {253: "timestamp", 0: "weight"}),
        (profile.MONITORING, "monitoring_mesgs", {26: "timestamp_16", 19: "active_calories", 29: "duration_min"}),
    ):
        mine = [each.fields for each in messages if each.kind == kind]
        scale = {"distance": 100, "total_distance": 100, "weight": 100}
        expected = theirs.get(key, [])
        assert len(mine) == len(expected)
        for number, field in fields.items():
            read = [each.get(number) for each in mine]
            said = [each.get(field) for each in expected]
            assert read == [None if each is None else round(each * scale.get(field, 1)) for each in said], field


@pytest.mark.parametrize("name", NAMES)
def test_the_events_say_what_garmins_reader_says(shared_data: Path, name: str) -> None:
    path = shared_data / "fit" / f"{name}.fit"
    theirs, (_, events) = sdk(path), ours(path)
    rates = [each["heart_rate"] for each in theirs.get("record_mesgs", []) if each.get("heart_rate")]
    found = [each["value"]["bpm"] for each in events if each["type"] == "heart_rate"]
    assert found == rates
    ways = [each["distance"] for each in theirs.get("record_mesgs", []) if each.get("distance") is not None]
    if ways:
        total = sum(each["value"]["meters"] for each in events if each["type"] == "distance")
        assert total == pytest.approx(max(ways) - ways[0], abs=0.5)
    counted: dict[Any, float] = {}
    for each in theirs.get("monitoring_mesgs", []):
        if each.get("cycles") and each.get("activity_type") in {1, 6}:
            counted[each["activity_type"]] = max(counted.get(each["activity_type"], 0), each["cycles"] * 2)
    if counted:
        assert sum(each["value"]["steps"] for each in events if each["type"] == "steps") == sum(counted.values())


def test_every_recording_of_the_folder_is_compared(shared_data: Path) -> None:
    assert sorted(NAMES) == sorted(path.stem for path in (shared_data / "fit").glob("*.fit"))


def test_a_bike_computers_records_are_those_of_its_decoded_table(shared_data: Path) -> None:
    """Heart rates at their times; and the way between two times, of which a second that is there twice is one."""
    with (shared_data / "fit/garmin-edge-500-activity-records.csv").open(newline="") as table:
        rows = [{**row, "at": pacific(row["timestamp"])} for row in csv.DictReader(table)]
    _, events = ours(shared_data / "fit/garmin-edge-500-activity.fit")
    rates = [(each["start_time"], each["value"]["bpm"]) for each in events if each["type"] == "heart_rate"]
    assert rates == [(row["at"], int(row["heart_rate"])) for row in rows]
    meters: dict[str, float] = {}
    for row in rows:
        meters.setdefault(row["at"], float(row["distance"]))
    assert (len(rows), len(meters)) == (10_686, 10_671)
    ways = [
        (each["start_time"], each["end_time"], each["value"]["meters"]) for each in events if each["type"] == "distance"
    ]
    assert ways == [
        (before, after, pytest.approx(meters[after] - meters[before], abs=0.005)) for before, after in pairwise(meters)
    ]
    assert sum(way for *_, way in ways) == pytest.approx(92_622.34, abs=0.01)


def pacific(text: str) -> str:
    """``Sun Sep 25 06:00:22 PDT 2011`` as events say it."""
    at = datetime.strptime(text.replace(" PDT ", " -0700 "), "%a %b %d %H:%M:%S %z %Y")
    return iso(round(at.timestamp()) * 1_000_000)
