"""What one log exports, another takes as the same events: every type of the catalogue, every version, tombstones."""

import json
from pathlib import Path

from bridge.decode.delivery import decode
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event import Event
from healthsync_mqtt.model.record import Record, canonical_json
from tests.unit.imports.told import NOW_US, ORIGIN, Told


def example(number: int, name: str) -> dict[str, object]:
    of = CATALOGUE[name]
    start, end = "2026-11-22T22:00:00Z", "2026-11-23T06:30:00Z"
    event = {
        "id": f"{name}-{number}",
        "type": name,
        "start_time": start,
        "value": dict(of.example),
        "version": number % 3,
    }
    if of.kind in {"interval", "session"} and name != "ecg":
        event["end_time"] = end
    if name == "ecg":
        event["end_time"] = "2026-11-22T22:00:30Z"
    if name == "exercise_time":
        event["utc_offset"] = 3600
    return event


def record_of(number: int, event: Event) -> Record:
    return Record(
        number, "somebody", "thing", None, event.id, event.type, event.start_us, event.end_us, NOW_US, event.version,
        event.op, event.body, number,
    )  # fmt: skip


def test_every_type_comes_back_as_it_was(tmp_path: Path) -> None:
    sent = [example(number, name) for number, name in enumerate(CATALOGUE)]
    sent += [{"id": "gone-1", "type": "steps", "op": "delete", "version": 4}]
    decoded = [decode(json.dumps(each).encode(), ORIGIN, NOW_US) for each in sent]
    assert [each.rejections for each in decoded if each.rejections] == []
    before = [each.events[0] for each in decoded]
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"".join(canonical_json(record_of(*each)) + b"\n" for each in enumerate(before, 1)))
    told = Told(file)
    assert told.left == {}
    after = [decode(json.dumps(each).encode(), ORIGIN, NOW_US) for each in told.events]
    assert [each.events[0]._replace(index=0) for each in after] == [each._replace(index=0) for each in before]
