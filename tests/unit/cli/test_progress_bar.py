"""A bar on the terminal of a person, and what is printed meanwhile: in a file or a pipe, whole, and nowhere else."""

import json
import os
from pathlib import Path

import pytest

from bridge.decode.delivery import decode
from healthsync_mqtt.cli import events_export
from healthsync_mqtt.cli.progress_bar import progress
from healthsync_mqtt.exports.lines import Lines
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.testing.apple_export import AppleExport
from tests.support.service import HEALTHSYNC
from tests.support.terminal import DrawnTerminal, on_terminal
from tests.unit.cli.conftest import Run

NOW = 1_795_430_000_000_000
EVENTS = 8
SHOWN, TAKEN_AWAY = "\u2501", "\x1b[2K"
"""A piece of a bar, and the erasing of its line."""


@pytest.fixture
def log(data: Path) -> Path:
    """Eight events of alice."""
    data.mkdir(mode=0o700)
    origin = Origin("alice", "watch", None, "users/alice/devices/watch/events")
    told = [
        {"id": f"e{n}", "type": "heart_rate", "start_time": "2026-11-22T06:00:00Z", "value": {"bpm": 60}}
        for n in range(EVENTS)
    ]
    with SqliteEventLog.open(data / "events.db") as log:
        log.stage([Item(origin, event) for event in decode(json.dumps(told).encode(), origin, NOW).events], [], NOW)
        log.commit()
    return data


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return AppleExport(2).write_xml(tmp_path / "export.xml")


class TestOfAnExport:
    def test_it_says_how_much_of_all_is_written_and_how_long_it_takes_yet(
        self, log: Path, run: Run, tmp_path: Path, terminal: DrawnTerminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One event a second, and a page for each."""
        seen: list[str] = []
        take = Lines.take

        def slowly(self: Lines, record: object) -> None:
            seen.append(terminal.drawn())
            terminal.clock.now += 1
            take(self, record)

        monkeypatch.setattr(Lines, "take", slowly)
        monkeypatch.setattr(events_export, "_PAGE", 1)
        done = run("events", "export", "--user", "alice", "-o", str(tmp_path / "alice.jsonl"))
        assert done.exit_code == 0, done.output
        assert len(seen) == EVENTS
        assert "alice: jsonl" in seen[4]
        assert " 50%" in seen[4]
        assert "0:00:04" in seen[4], "half of it is written, in four seconds"
        assert " 75%" in seen[6]
        assert "0:00:02" in seen[6]
        last = terminal.shown()
        assert "100%" in last
        assert last.endswith(TAKEN_AWAY)

    def test_into_a_file_by_the_shell_it_is_all_in_the_file_and_the_bar_on_the_terminal(
        self, log: Path, tmp_path: Path
    ) -> None:
        with (tmp_path / "out").open("wb") as out:
            code, seen = on_terminal([*HEALTHSYNC, "events", "export", "--user", "alice"], os.environ, stdout=out)
        assert code == 0, seen
        assert [json.loads(line)["id"] for line in (tmp_path / "out").read_text().splitlines()] == [
            f"e{n}" for n in range(EVENTS)
        ]
        assert SHOWN in seen
        assert "100%" in seen
        assert TAKEN_AWAY in seen.rpartition(SHOWN)[2]
        assert '"id"' not in seen

    def test_no_bar_is_drawn_between_the_lines_that_a_person_looks_at(self, log: Path) -> None:
        code, seen = on_terminal([*HEALTHSYNC, "events", "export", "--user", "alice"], os.environ)
        assert code == 0, seen
        assert [json.loads(line)["id"] for line in seen.splitlines()] == [f"e{n}" for n in range(EVENTS)]

    def test_without_a_terminal_there_is_none(self, log: Path, run: Run) -> None:
        assert run("events", "export", "--user", "alice").stderr == ""


class TestOfWhatAnImportPrints:
    """Nothing is published, and no service is needed."""

    def test_into_a_file_by_the_shell_it_is_all_in_the_file_and_the_bar_on_the_terminal(
        self, archive: Path, tmp_path: Path, data: Path
    ) -> None:
        command = [*HEALTHSYNC, "import", "--print", str(archive), "--user", "alice"]
        with (tmp_path / "out").open("wb") as out:
            code, seen = on_terminal(command, os.environ, stdout=out)
        assert code == 0, seen
        events = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
        assert f"{len(events)} events read" in seen
        assert len(events) > 100
        assert SHOWN in seen
        assert '"id"' not in seen

    def test_no_bar_is_drawn_between_the_lines_that_a_person_looks_at(self, archive: Path, data: Path) -> None:
        code, seen = on_terminal([*HEALTHSYNC, "import", "--print", str(archive), "--user", "alice"], os.environ)
        assert code == 0, seen
        assert SHOWN not in seen
        events = [json.loads(line) for line in seen.splitlines() if line.startswith("{")]
        assert f"{len(events)} events read" in seen
        assert len(events) > 100

    def test_of_a_dry_run_the_summary_is_in_the_file(self, archive: Path, tmp_path: Path, data: Path) -> None:
        command = [*HEALTHSYNC, "import", "--dry-run", str(archive), "--user", "alice", "--json"]
        with (tmp_path / "out").open("wb") as out:
            code, seen = on_terminal(command, os.environ, stdout=out)
        assert code == 0, seen
        assert json.loads((tmp_path / "out").read_text())["events"] > 100
        assert SHOWN in seen


def test_what_is_printed_within_a_bar_is_on_stdout(terminal: DrawnTerminal, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("simulating", 10) as moved:
        moved(4)
        print("data")  # noqa: T201  # as commands do
        assert "4/10" in terminal.drawn()
    assert capsys.readouterr().out == "data\n"
    assert "data" not in terminal.shown()
