"""Looking into the log: filters, the versions of one event, counts."""

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.decode.delivery import decode
from healthsync_mqtt.model.choice import ValueRange
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog

NOW = 1_795_430_000_000_000


@pytest.fixture(autouse=True)
def log(data: Path) -> None:
    data.mkdir(mode=0o700)

    def pulse(name: str, value: Any, day: int = 20, **more: Any) -> dict[str, Any]:
        start = f"2026-11-{day}T06:00:00Z"
        return {"id": name, "type": "heart_rate", "start_time": start, "value": value, **more}

    batches: list[tuple[str, str | None, list[dict[str, Any]]]] = [
        ("watch", None, [pulse("slow", {"bpm": 50}), pulse("fast", {"bpm": 150}, 21, source={"app": "run"})]),
        ("phone", None, [pulse("series", {"samples": [[0, 60], [1, 155]]}, 21), pulse("gone", {"bpm": 70})]),
        ("phone", None, [pulse("slow", {"bpm": 55}, version=1)]),
        ("watch", None, [{"id": "gone", "type": "heart_rate", "op": "delete", "version": 2}]),
        ("", "oura", [pulse("cloud", {"bpm": 99}, 22)]),
        ("watch", None, [pulse("slow", {"bpm": 56}, version=4)]),
    ]
    with SqliteEventLog.open(data / "events.db") as log:
        for number, (device, provider, events) in enumerate(batches):
            origin = Origin("alice", device or None, provider, "users/alice/events")
            decoded = decode(json.dumps(events).encode(), origin, NOW)
            assert not decoded.rejections
            log.stage([Item(origin, event) for event in decoded.events], [], NOW + number)
            log.commit()


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [each["id"] for each in found]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--device", "phone"), ["series"]),
        (("--provider", "oura"), ["cloud"]),
        (("--app", "run"), ["fast"]),
        (("--value", "bpm:140.."), ["fast", "series"]),
        (("--value", "..60"), ["series", "slow"]),
        (("--value", "systolic:1.."), []),
        (("--version", "4"), ["slow"]),
        (("--version", "1", "--history"), ["slow"]),
        (("--value", "bpm:90..160", "--limit", "1"), ["cloud"]),
    ],
)
def test_filters(lines, words: tuple[str, ...], expected: list[str]) -> None:
    assert ids(lines("events", "list", "--user", "alice", *words)) == expected
    assert ids(lines("events", "list", *words)) == expected
    if "--limit" not in words:
        assert ids(lines("events", "export", "--user", "alice", *words)) == expected


def test_tail_filters(lines) -> None:
    assert ids(lines("events", "tail", "--value", "bpm:140..", "-n", "1", "--count", "1")) == ["series"]


def test_a_range_is_written_so(run) -> None:
    assert run("events", "list", "--value", "fast").exit_code == 2
    assert ValueRange.of("..") is None
    assert ValueRange.of("celsius:-1.5..2") == ValueRange(field="celsius", low=-1.5, high=2)


def test_the_versions_of_an_event_and_who_brought_them(lines, run) -> None:
    found = lines("events", "history", "slow", "--user", "alice")
    assert [(row["version"], row["device_id"], row["value"]["bpm"]) for row in found] == [
        (0, "watch", 50), (1, "phone", 55), (4, "watch", 56),
    ]  # fmt: skip
    assert [row["received_at"][-7:] for row in found] == ["000000Z", "000002Z", "000005Z"]
    gone = lines("events", "history", "gone", "--user", "alice")
    assert [(row["version"], row["op"]) for row in gone] == [(0, "upsert"), (2, "delete")]
    assert run("events", "history", "nothing", "--user", "alice").exit_code == 1


def test_counts(lines, run) -> None:
    assert lines("events", "stats") == [{"user": "alice", "type": "heart_rate", "events": 4}]
    assert lines("events", "stats", "--user", "alice", "--by", "device,day") == [
        {"device": "oura", "day": "2026-11-22", "events": 1},
        {"device": "phone", "day": "2026-11-21", "events": 1},
        {"device": "watch", "day": "2026-11-20", "events": 1},
        {"device": "watch", "day": "2026-11-21", "events": 1},
    ]
    assert lines("events", "stats", "--by", "type", "--device", "watch", "--since", "2026-11-21")[0]["events"] == 1
    assert run("events", "stats", "--by", "mood").exit_code == 2


def test_where_filters_find_nothing_nobody_is_told_to_start_the_service(run) -> None:
    result = run("events", "stats", "--type", "weight")
    assert result.exit_code == 0
    told = result.stdout + result.stderr
    assert "no such events" in told
    assert "start the service" not in told
