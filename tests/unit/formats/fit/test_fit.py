"""FIT files as events; the recordings are real."""

import json
from collections import Counter
from pathlib import Path

import pytest

from bridge.decode.delivery import decode
from healthsync_mqtt.errors import InputError
from healthsync_mqtt.formats.fit import read_fit
from healthsync_mqtt.model.origin import Origin

pytestmark = pytest.mark.shared_data

FILES = [
    ("Activity.fit", {"distance": 13, "workout": 1}),
    ("activity-small-fenix2-run.fit", {"heart_rate": 2808, "distance": 2808, "workout": 1}),
    ("garmin-edge-500-activity.fit", {"heart_rate": 10686, "distance": 10670, "workout": 1}),
    ("sample-activity.fit", {"heart_rate": 3098, "distance": 3094, "workout": 1}),
    ("garmin-fenix-5-walk.fit", {"heart_rate": 17, "distance": 16, "steps": 1, "workout": 1}),
    ("MonitoringFile.fit", {"steps": 79, "energy_active": 2}),
]


@pytest.mark.parametrize(("name", "types"), FILES, ids=[name for name, _ in FILES])
def test_every_event_of_a_real_file_is_accepted(shared_data: Path, name: str, types: dict) -> None:
    events = read_fit(shared_data / "fit" / name, user="alice").events
    assert Counter(event["type"] for event in events) == types
    assert len({event["id"] for event in events}) == len(events)
    origin = Origin("alice", "garmin", None, "users/alice/devices/garmin/events")
    for start in range(0, len(events), 100):
        decoded = decode(json.dumps(events[start : start + 100]).encode(), origin, 1_795_430_000_000_000)
        assert decoded.rejections == []


def test_ids_depend_on_the_user_and_the_file_alone(shared_data: Path) -> None:
    file = shared_data / "fit" / "garmin-fenix-5-walk.fit"
    first, again, other = (read_fit(file, user=user).events for user in ("alice", "alice", "bob"))
    assert first == again
    assert {event["id"] for event in first}.isdisjoint(event["id"] for event in other)


def test_records_are_counted_whatever_they_hold(shared_data: Path) -> None:
    assert read_fit(shared_data / "fit" / "Activity.fit", user="alice").records == 14
    assert read_fit(shared_data / "fit" / "MonitoringFile.fit", user="alice").records == 0


def test_distances_add_up_to_the_watchs_own_total(shared_data: Path) -> None:
    events = read_fit(shared_data / "fit" / "activity-small-fenix2-run.fit", user="alice").events
    total = sum(event["value"]["meters"] for event in events if event["type"] == "distance")
    assert total == pytest.approx(9008.22, abs=5)


@pytest.mark.parametrize("name", ["activity-settings-corruptheader.fit", "activity-unexpected-eof.fit"])
def test_damaged_file_is_refused_whole_or_salvaged(shared_data: Path, name: str) -> None:
    file = shared_data / "fit" / name
    with pytest.raises(InputError, match="damaged") as caught:
        read_fit(file, user="alice")
    assert "--salvage" in caught.value.hint
    salvaged = read_fit(file, user="alice", salvage=True)
    assert len(salvaged.events) == 14
    assert salvaged.damage


def test_weights_of_several_people_are_not_given_to_one(shared_data: Path) -> None:
    with pytest.raises(InputError, match="several people"):
        read_fit(shared_data / "fit" / "WeightScaleMultiUser.fit", user="alice")


@pytest.mark.parametrize("cut", range(0, 771, 37))
def test_truncated_file_never_passes_as_whole(shared_data: Path, tmp_path: Path, cut: int) -> None:
    file = tmp_path / "cut.fit"
    file.write_bytes((shared_data / "fit" / "Activity.fit").read_bytes()[:cut])
    with pytest.raises(InputError):
        read_fit(file, user="alice")


def test_what_is_no_fit_file(tmp_path: Path) -> None:
    file = tmp_path / "notes.fit"
    file.write_text("not a FIT file at all, only words")
    with pytest.raises(InputError, match="damaged"):
        read_fit(file, user="alice")
    with pytest.raises(InputError, match="cannot read"):
        read_fit(tmp_path / "none.fit", user="alice")
