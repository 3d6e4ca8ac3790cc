"""Leaving with everything and coming back: an export, imported into an empty instance, is the same export."""

import json
from pathlib import Path
from typing import Any

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event_schema import example_event
from healthsync_mqtt.model.event_type import Sensitivity
from tests.support.service import Service, run_cli

OF_THE_INSTANCE = ("user_id", "device_id", "seq", "received_at")
GUARDED = ",".join(each.value for each in Sensitivity if each is not Sensitivity.GENERAL)


def exported(data: Path, user: str, file: Path) -> list[dict[str, Any]]:
    (said,) = run_cli(data, "events", "export", "--user", user, "--format", "jsonl", "-o", str(file))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert said["events"] == len(lines)
    return lines


def test_an_import_of_an_export_is_the_same_export(tmp_path: Path) -> None:
    about = {"utc_offset": 3600, "device": {"model": "Watch7"}, "source": {"app": "a.b", "recording": "manual"}}
    events = [example_event(of) | about for of in CATALOGUE.values()]
    series = {
        "id": "s",
        "type": "heart_rate",
        "start_time": "2026-11-22T22:00:00Z",
        "value": {"samples": [[0, 60], [1.5, 61]]},
    }
    corrected = [events[0] | {"id": "c"}, events[0] | {"id": "c", "version": 3}]
    gone = [events[0] | {"id": "g"}, {"id": "g", "type": events[0]["type"], "op": "delete", "version": 7}]
    came: list[list[dict[str, Any]]] = []
    files: list[Path] = []
    for user, device in (("alice", "watch"), ("zoe", "phone")):
        data, file = tmp_path / user, tmp_path / f"{user}.jsonl"
        run_cli(data, "user", "add", user, "--consent", "all")
        run_cli(data, "consent", "grant", user, "--types", GUARDED)
        run_cli(data, "device", "add", user, device)
        with Service(data) as service:
            if not files:
                (tmp_path / "events.json").write_text(json.dumps([*events, series, *corrected, *gone]))
                service.cli("publish", str(tmp_path / "events.json"), "--user", user, "--device", device)
            else:
                for expected in ({"stored": len(came[0])}, {"stored": 0, "duplicate": len(came[0])}):
                    (said,) = run_cli(data, "import", str(files[0]), "--user", user, "--device", device)
                    assert said.items() >= expected.items(), said
                    assert said["rejected"] == 0
            came.append(exported(data, user, file))
        files.append(file)
    assert len(came[0]) == len(CATALOGUE) + 3
    own = [
        sorted(
            ({key: said for key, said in each.items() if key not in OF_THE_INSTANCE} for each in lines),
            key=lambda e: e["id"],
        )
        for lines in came
    ]
    assert own[0] == own[1]
    assert {each["user_id"] for each in came[1]} == {"zoe"}
