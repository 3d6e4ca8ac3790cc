"""The sample activity is a FIT file that a reader of others accepts, and its events are good ones."""

import json
from collections import Counter
from pathlib import Path

import fitdecode

from bridge.decode.delivery import decode
from healthsync_mqtt.formats.fit import read_fit
from healthsync_mqtt.model.origin import Origin
from tests.unit.cli.conftest import Run


def test_fitdecode_reads_it_whole_and_its_events_are_accepted(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "activity.fit"
    assert run("sample", str(file)).exit_code == 0
    with fitdecode.FitReader(file, check_crc=fitdecode.CrcCheck.RAISE) as reader:
        names = Counter(frame.name for frame in reader if isinstance(frame, fitdecode.FitDataMessage))
    assert names == {"file_id": 1, "record": 120, "lap": 1, "session": 1, "activity": 1}
    events = read_fit(file, user="demo").events
    assert Counter(event["type"] for event in events) == {"heart_rate": 120, "distance": 119, "steps": 1, "workout": 1}
    assert {event["device"]["model"] for event in events} == {"fenix5"}
    origin = Origin(user="demo", device="watch", provider=None, topic="users/demo/devices/watch/events")
    decoded = decode(json.dumps(events).encode(), origin, 1_748_800_000_000_000)
    assert (len(decoded.events), decoded.rejections) == (241, [])


def test_it_is_the_same_each_time_and_replaces_nothing_else(run: Run, tmp_path: Path) -> None:
    first, second = tmp_path / "a.fit", tmp_path / "b.fit"
    assert [run("sample", str(each)).exit_code for each in (first, second, first)] == [0, 0, 0]
    assert first.read_bytes() == second.read_bytes()
    second.write_bytes(b"mine")
    refused = run("sample", str(second))
    assert refused.exit_code != 0
    assert "is there already" in refused.output
    assert second.read_bytes() == b"mine"
