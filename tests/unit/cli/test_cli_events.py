"""Reading the log from the command line, without a service."""

import json
from pathlib import Path

import pytest

from bridge.decode.delivery import decode
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.storage.port import Item, Quarantined
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog

NOW = 1_795_430_000_000_000


@pytest.fixture
def log(data: Path) -> Path:
    """Ten heart rates and a rejected one of alice, one of bob."""
    data.mkdir(mode=0o700)
    with SqliteEventLog.open(data / "events.db") as log:
        for user, numbers in (("alice", range(10)), ("bob", range(1))):
            events = [
                {"id": f"e{n}", "type": "hr", "start_time": f"2026-11-22T{n:02d}:00:00Z", "value": {"bpm": 60 + n}}
                for n in numbers
            ]
            events.append({"id": "odd", "type": "hr", "start_time": "2026-11-22T00:00:00Z", "value": {"bpm": 900}})
            origin = Origin(user, "watch", None, f"users/{user}/devices/watch/events")
            decoded = decode(json.dumps(events).encode(), origin, NOW)
            log.stage(
                [Item(origin, event) for event in decoded.events],
                [Quarantined(origin, NOW, rejection) for rejection in decoded.rejections],
                NOW,
            )
        log.commit()
    return data


@pytest.mark.usefixtures("log")
class TestEvents:
    def test_list_gives_canonical_events_in_log_order(self, lines) -> None:
        events = lines("events", "list", "--user", "alice")
        assert [event["id"] for event in events] == [f"e{n}" for n in range(10)]
        assert [event["seq"] for event in events] == list(range(1, 11))
        assert events[3]["value"] == {"bpm": 63}
        assert {event["user_id"] for event in events} == {"alice"}

    def test_list_filters(self, lines) -> None:
        assert len(lines("events", "list")) == 11
        assert len(lines("events", "list", "--type", "steps")) == 0
        assert [e["id"] for e in lines("events", "list", "--user", "alice", "--limit", "2")] == ["e8", "e9"]
        assert len(lines("events", "list", "--user", "alice", "--since", "2026-11-22T07:00:00Z")) == 3

    def test_list_by_device_and_until_an_instant(self, lines) -> None:
        lines("user", "add", "alice", "--consent", "all")
        lines("device", "add", "alice", "phone")
        assert lines("events", "list", "--device", "phone") == []
        assert len(lines("events", "list", "--device", "watch", "--user", "alice")) == 10
        early = ("events", "list", "--user", "alice", "--until", "2026-11-22T03:00:00Z")
        assert [e["id"] for e in lines(*early)] == ["e0", "e1", "e2"], "until is not included, since is"
        assert [e["id"] for e in lines(*early, "--limit", "2")] == ["e1", "e2"], "the newest of what is asked for"
        assert [e["id"] for e in lines(*early, "--since", "2026-11-22T02:00:00Z")] == ["e2"]
        assert lines(*early, "--device", "phone", "--limit", "1") == []

    def test_limit_means_the_newest_in_every_list(self, lines) -> None:
        assert [row["user_id"] for row in lines("rejected", "list", "--limit", "1")] == ["bob"]
        assert [row["user_id"] for row in lines("rejected", "list")] == ["alice", "bob"]
        assert [e["seq"] for e in lines("events", "list", "--limit", "1")] == [11]
        lines("user", "add", "zoe", "--consent", "all")
        assert [row["action"] for row in lines("audit", "list", "--limit", "1")] == ["consent.granted"]

    def test_show_by_seq_and_by_id(self, lines) -> None:
        assert lines("events", "show", "2")[0]["id"] == "e1"
        assert lines("events", "show", "e1", "--user", "alice")[0]["seq"] == 2

    def test_tail_ends_after_its_count(self, lines) -> None:
        assert [e["seq"] for e in lines("events", "tail", "-n", "3", "--count", "3")] == [9, 10, 11]

    def test_lines_for_a_pipe(self, run) -> None:
        first = run("events", "list", "--user", "alice").stdout.splitlines()[0].split("\t")
        assert first == ["1", "2026-11-22T00:00:00Z", "alice", "watch", "heart_rate", '{"bpm":60}']

    def test_rejected_list_and_show(self, lines, run) -> None:
        rejected = lines("rejected", "list", "--user", "alice")
        assert [(row["reason"], row["user_id"], row["device_id"], row["event_id"]) for row in rejected] == [
            ("out_of_range", "alice", "watch", "odd")
        ]
        assert rejected[0]["topic"] == "users/alice/devices/watch/events"
        assert rejected[0]["received_at"].endswith("Z")
        (shown,) = lines("rejected", "show", str(rejected[0]["number"]))
        assert json.loads(shown["raw"])["value"] == {"bpm": 900}
        assert lines("rejected", "list", "--reason", "bad_id") == []
        assert run("rejected", "replay", str(rejected[0]["number"])).exit_code == 69

    def test_totals_without_a_service(self, lines) -> None:
        (status,) = lines("status")
        assert status["totals"]["events"] == 11
        assert status["totals"]["rejected"] == 2
