"""Leaving with everything: what ``events export`` writes, where, and what it leaves behind when it fails."""

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.decode.delivery import decode
from healthsync_mqtt.cli import events_export
from healthsync_mqtt.exports.lines import Lines
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.storage.sqlite.index import Tuning
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader

NOW = 1_795_430_000_000_000
ALICE = Origin("alice", "watch", None, "users/alice/devices/watch/events")
BOB = Origin("bob", "watch", None, "users/bob/devices/watch/events")


def stored(data: Path, *batches: tuple[Origin, list[dict]]) -> None:
    data.mkdir(mode=0o700, exist_ok=True)
    with SqliteEventLog.open(data / "events.db") as log:
        for origin, events in batches:
            decoded = decode(json.dumps(events).encode(), origin, NOW)
            assert not decoded.rejections
            log.stage([Item(origin, event) for event in decoded.events], [], NOW)
            log.commit()


def pulse(name: str, bpm: int = 60, **more: object) -> dict:
    return {"id": name, "type": "heart_rate", "start_time": "2026-11-22T06:00:00Z", "value": {"bpm": bpm}, **more}


@pytest.fixture
def log(data: Path) -> Path:
    """Of alice two events, a correction and a deletion; one of bob."""
    gone = {"id": "gone", "type": "heart_rate", "version": 1, "op": "delete"}
    stored(data, (ALICE, [pulse("kept"), pulse("gone"), pulse("late", utc_offset=3600)]))
    stored(data, (BOB, [pulse("other")]), (ALICE, [pulse("kept", 61, version=2), gone]))
    return data


@pytest.mark.usefixtures("log")
class TestExport:
    def test_one_line_an_event_with_versions_and_tombstones(self, run, tmp_path: Path) -> None:
        file = tmp_path / "alice.jsonl"
        done = run("events", "export", "--user", "alice", "--format", "jsonl", "-o", str(file), "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout) == {
            "format": "jsonl", "file": str(file), "events": 3, "types": {"heart_rate": 3}, "left_out": {},
        }  # fmt: skip
        events = [json.loads(line) for line in file.read_text().splitlines()]
        assert [(e["id"], e["version"], e["op"]) for e in events] == [
            ("late", 0, "upsert"), ("kept", 2, "upsert"), ("gone", 1, "delete"),
        ]  # fmt: skip
        assert {e["user_id"] for e in events} == {"alice"}
        assert file.stat().st_mode & 0o777 == 0o600

    def test_without_a_file_it_goes_to_stdout(self, run) -> None:
        done = run("events", "export", "--user", "alice")
        assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["late", "kept", "gone"]

    def test_history_has_what_was_replaced(self, lines) -> None:
        assert len(lines("events", "export", "--user", "alice", "--history")) == 5

    def test_what_is_chosen(self, lines, run) -> None:
        assert lines("events", "export", "--user", "alice", "--type", "steps") == []
        assert lines("events", "export", "--user", "alice", "--since", "2026-11-22T07:00:00Z") == []
        assert len(lines("events", "export", "--user", "alice", "--until", "2026-11-22T07:00:00Z")) == 3
        assert run("events", "export", "--user", "nobody").exit_code == 1

    def test_pages_are_all_written(self, lines, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(events_export, "_PAGE", 1)
        assert [e["id"] for e in lines("events", "export", "--user", "alice")] == ["late", "kept", "gone"]

    def test_a_failure_leaves_what_was_there(self, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "alice.jsonl"
        file.write_text("before")

        def take(self: Lines, record: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Lines, "take", take)
        assert run("events", "export", "--user", "alice", "-o", str(file)).exit_code != 0
        assert file.read_text() == "before"
        assert [each for each in tmp_path.iterdir() if each.is_file()] == [file]

    def test_a_place_that_cannot_be_written(self, run, tmp_path: Path) -> None:
        for place in (tmp_path, tmp_path / "none" / "alice.jsonl"):
            done = run("events", "export", "--user", "alice", "-o", str(place), "--json")
            assert done.exit_code == 2, done.output
            assert json.loads(done.stderr)["error"]["fix"]

    def test_tables_are_a_private_directory_of_files(self, run, tmp_path: Path) -> None:
        for form in ("csv", "parquet"):
            place = tmp_path / form
            done = run("events", "export", "--user", "alice", "--format", form, "-o", str(place), "--json")
            assert done.exit_code == 0, done.output
            assert json.loads(done.stdout)["events"] == 3
            (file,) = place.iterdir()
            assert file.name == f"heart_rate.{form}"
            assert (place.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
            again = run("events", "export", "--user", "alice", "--format", form, "-o", str(place), "--json")
            assert again.exit_code == 2, "what is there is not overwritten"
            assert run("events", "export", "--user", "alice", "--format", form).exit_code == 2, "no directory"
        assert sorted(each.name for each in tmp_path.iterdir() if not each.name.startswith("data")) == [
            "csv", "parquet",
        ]  # fmt: skip

    def test_documents_are_one_file(self, run, tmp_path: Path) -> None:
        for form, count in (("fhir", 3), ("omh", 2)):
            done = run("events", "export", "--user", "alice", "--format", form)
            assert done.exit_code == 0, done.output
            found = json.loads(done.stdout)
            assert len(found["entry"] if form == "fhir" else found) == count
        assert "left out: 1 x heart_rate: a deletion has no data point" in done.stderr

    def test_what_is_left_out_is_not_counted_as_written(self, run, tmp_path: Path) -> None:
        done = run("events", "export", "--user", "alice", "--format", "omh", "-o", str(tmp_path / "a.json"), "--json")
        assert json.loads(done.stdout) == {
            "format": "omh", "file": str(tmp_path / "a.json"), "events": 2, "types": {"heart_rate": 2},
            "left_out": {"heart_rate: a deletion has no data point": 1},
        }  # fmt: skip

    def test_it_is_written_down_who_exported(self, run, lines) -> None:
        run("events", "export", "--user", "alice")
        assert "events.exported" in [row["action"] for row in lines("audit", "list")]


def test_what_is_sought_inside_is_looked_for_only_where_it_may_be(
    data: Path, lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``events list`` does: with 20 million rows it would look at all of them."""
    data.mkdir(mode=0o700)
    tuning = Tuning(rows_per_block=10, rows_per_step=1, rows_sketched_together=10, rows_per_sketch=1)
    with SqliteEventLog.open(data / "events.db", tuning=tuning) as log:
        for number in range(100):
            source = {"app": "rare" if number == 15 else "often"}
            (event,) = decode(json.dumps(pulse(f"e{number}", source=source)).encode(), ALICE, NOW).events
            log.stage([Item(ALICE, event)], [], NOW)
            log.commit()
    looked_at: list[object] = []
    record = SqliteLogReader._record

    def counted(self: SqliteLogReader, row: Any) -> Any:
        looked_at.append(row)
        return record(self, row)

    monkeypatch.setattr(SqliteLogReader, "_record", counted)
    assert [e["id"] for e in lines("events", "export", "--user", "alice", "--app", "rare")] == ["e15"]
    assert len(looked_at) < 50
    for words in (("--device", "watch"), ("--version", "0"), ("--until", "2026-11-22T07:00:00Z")):
        assert len(lines("events", "export", "--user", "alice", *words)) == 100


def test_before_the_first_start(run) -> None:
    assert run("events", "export", "--user", "alice").exit_code == 69


def test_what_replaces_a_row_meanwhile_is_written(data: Path, lines, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(data, (ALICE, [pulse("a"), pulse("b")]))
    monkeypatch.setattr(events_export, "_PAGE", 1)
    take = Lines.take
    corrected = []

    def and_correct(self: Lines, record: object) -> None:
        take(self, record)
        if not corrected:
            corrected.append(True)
            stored(data, (ALICE, [pulse("b", 99, version=1)]))

    monkeypatch.setattr(Lines, "take", and_correct)
    assert [(e["id"], e["version"]) for e in lines("events", "export", "--user", "alice")] == [("a", 0), ("b", 1)]
