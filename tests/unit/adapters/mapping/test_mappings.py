"""What every adapter's mapping promises: it raises on no JSON, says the same twice, names what it leaves out."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.decode.delivery import decode
from healthsync_mqtt.adapters.catalogue import SHIPPED, known, shipped
from healthsync_mqtt.adapters.port import Mapping
from healthsync_mqtt.formats.port import MOST_STATE, AppMessage, Made, folded
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.declaration import NOTHING_DECLARED, Declared
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import RefusedError
from tests.support.foreign_json import JSON, objects

NOW_US = 1_800_000_000_000_000
MAPPED = [name for name in SHIPPED if shipped(name).mapping is not None]
NAMES = """
    data records dataPoints rollupDataPoints nights recharges id sleep_id type score start end bedtime_start bedtime_end
    timezone_offset score_state updated_at created_at heart_rate hrv interval items timestamp day date steps value unit
    recordId systemTime displayTime eventType eventSubType eventStatus sport_type start_date elapsed_time utc_offset
    laps time data heartrate cadence samples hypnogram sleep_start_time sleep_end_time heart_rate_samples sample_time
    start_time start_time_utc_offset duration sample-type recording-rate zones in-zone dailies sleeps hrv activities
    activityDetails summary summaryId activityId userId startTimeInSeconds startTimeOffsetInSeconds durationInSeconds
    sleepLevelsMap timeOffsetHeartRateSamples naps weight sampleTime physicalTime sleep exercise stages metricsSummary
    interval startTime endTime startUtcOffset electrocardiogram waveformSamples samplingFrequencyHertz nutritionLog
    test_time time_zone_offset test_status measurement_type calendarDate periodStartDate periodLength mct
"""


def mapping(name: str) -> Mapping:
    found = shipped(name).mapping
    assert found is not None
    return found


def message(content: Any, kind: str, declared: Declared = NOTHING_DECLARED) -> AppMessage:
    return AppMessage(json.dumps(content).encode(), "ann", topic=kind, at_us=NOW_US, declared=declared)


@pytest.mark.parametrize("name", MAPPED)
@given(content=JSON | objects(NAMES.split()), data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_json_raises_and_the_same_is_the_same(name: str, content: Any, data: Any) -> None:
    of = mapping(name)
    kind = data.draw(st.sampled_from(of.kind_names))
    for each in (content, [content], {"data": [content]}, {"records": [content]}, {kind: [content]}):
        try:
            first = folded(of, message(each, kind))
        except RefusedError:
            continue
        assert first == folded(of, message(each, kind))
        again = folded(of, message(each, kind), first.state)
        assert len(again.state) <= MOST_STATE
        assert all(refused.text for refused in first.refused)
        for made in first.outcomes:
            if isinstance(made, Made):
                json.dumps(made.event)


@pytest.mark.parametrize("name", MAPPED)
def test_a_table_names_types_and_kinds_that_there_are(name: str) -> None:
    of = mapping(name)
    entries = list(of.takes())
    assert entries
    for entry in entries:
        assert entry.type in CATALOGUE or not entry.type.replace("_", "").isalnum() or " " in entry.type, entry
    assert all(of.knows(kind) for kind in of.kind_names)


@pytest.mark.parametrize("name", MAPPED)
@pytest.mark.parametrize("content", [b"", b"<html></html>", b'{"data": [', b"\x00"])
def test_what_is_no_json_is_refused_whole(name: str, content: bytes) -> None:
    kind = mapping(name).kind_names[0]
    with pytest.raises(RefusedError):
        folded(mapping(name), AppMessage(content, "ann", topic=kind, at_us=NOW_US))


@pytest.mark.shared_data
@pytest.mark.parametrize("name", MAPPED)
def test_ids_of_recorded_answers_do_not_depend_on_when_they_are_read_and_all_events_are_events(
    shared_data: Path, name: str
) -> None:
    of = mapping(name)
    origin = Origin("ann", None, name, f"users/ann/adapters/{name}/events")
    roomy = Limits(max_payload=2**26, max_events=100_000)
    for file in sorted((shared_data / "providers" / name).glob("*.json")):
        exchange = json.loads(file.read_text())
        body = exchange.get("response", {}).get("body")
        for kind in of.kind_names:
            try:
                first = folded(of, message(body, kind))
            except RefusedError:
                continue
            later = folded(of, message(body, kind)._replace(at_us=NOW_US + 10**12), first.state)
            assert {each["id"] for each in later.events} <= {each["id"] for each in first.events} or later.state
            for event in first.events:
                found = decode(json.dumps(event).encode(), origin, NOW_US, roomy)
                assert len(found.events) + len(found.rejections) == 1


def test_who_has_ended_says_why_and_what_to_do() -> None:
    for name in ("fitbit", "google_fit"):
        capability = shipped(name).capability
        assert capability.reason
        assert "healthsync import" in capability.hint


MINE = """
from healthsync_mqtt.adapters.capability import AuthMethod, Capability, DeliveryWay
from healthsync_mqtt.adapters.port import Adapter

def register():
    return Adapter(capability=Capability(
        name="mine", title="Mine", auth=AuthMethod.oauth2, delivery=frozenset({DeliveryWay.poll}),
    ))
"""


def test_a_file_in_a_folder_is_an_adapter_and_a_broken_one_is_said_and_leaves_the_others_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "broken.py").write_text("import nothing_of_this_name")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "twice.py").write_text(MINE)
    (tmp_path / "wrong.py").write_text("def register():\n    return 7\n")
    found = known(tmp_path)
    assert list(found.adapters) == [*SHIPPED, "mine"]
    assert {Path(each.where).name for each in found.broken} == {"broken.py", "empty.py", "twice.py", "wrong.py"}
    assert all(each.why for each in found.broken)
