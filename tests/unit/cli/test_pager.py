"""Long output on a terminal goes through the pager; on a real (pseudo) terminal of 80 columns and 24 lines."""

import json
import os
from pathlib import Path

import pytest

from bridge.decode.delivery import decode
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from tests.support.commands import invoke
from tests.support.service import HEALTHSYNC, run_cli
from tests.support.terminal import on_terminal

NOW = 1_795_430_000_000_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """3,000 events: more than one page of the log, and more than a pipe holds."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    origin = Origin("alice", "watch", None, "users/alice/devices/watch/events")
    with SqliteEventLog.open(data / "events.db") as log:
        for batch in range(6):
            events = [
                {"id": f"e{batch}-{n}", "type": "hr", "start_time": "2026-11-22T06:00:00Z", "value": {"bpm": 60}}
                for n in range(500)
            ]
            log.stage([(origin, event) for event in decode(json.dumps(events).encode(), origin, NOW).events], [], NOW)
        log.commit()
    return data


def seen_of(data: Path, *words: str, pager: str, lines: int = 24) -> tuple[int, str]:
    """The exit code, and what a person sees."""
    env = os.environ | {"HEALTHSYNC_DATA": str(data), "PAGER": pager}
    return on_terminal([*HEALTHSYNC, *words], env, lines=lines)


@pytest.fixture
def pager(tmp_path: Path) -> Path:
    """It marks each line, so that what went through it is known."""
    program = tmp_path / "pager"
    program.write_text("#!/bin/sh\nexec sed 's/^/PAGED /'\n")
    program.chmod(0o755)
    return program


def test_all_events_go_through_the_pager_as_they_come(data: Path, pager: Path) -> None:
    code, seen = seen_of(data, "events", "list", pager=str(pager))
    assert code == 0
    rows = [line for line in seen.splitlines() if "heart_rate" in line]
    assert len(rows) == 3_000
    assert all(line.startswith("PAGED ") for line in rows)


def test_who_leaves_the_pager_has_seen_enough(data: Path) -> None:
    code, seen = seen_of(data, "events", "list", pager="head -n 3")
    assert code == 0, seen
    assert 1 <= len([line for line in seen.splitlines() if line.strip()]) <= 3
    assert "Traceback" not in seen
    assert "Broken" not in seen


@pytest.mark.parametrize("name", ["", "/no/such/pager"])
def test_without_a_pager_that_is_there_all_is_printed(data: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not name:
        monkeypatch.setenv("PATH", "/nowhere")
    code, seen = seen_of(data, "events", "list", "--limit", "40", pager=name)
    assert (code, seen.count("heart_rate")) == (0, 40)


def test_json_and_what_is_no_terminal_need_no_pager(data: Path, pager: Path) -> None:
    code, seen = seen_of(data, "events", "list", "--limit", "2", "--json", pager=str(pager))
    assert code == 0
    assert "PAGED" not in seen
    assert len(run_cli(data, "events", "list")) == 3_000


def test_a_list_of_few_rows_that_wrap_to_many_lines_is_long_too(data: Path, pager: Path) -> None:
    for number in range(12):
        users = ",".join(f"user-with-a-long-name-{each}" for each in range(6))
        words = ["subscriber", "add", f"s{number}", "--users", users, "--types", "heart_rate", "--data", str(data)]
        assert invoke(words).exit_code == 0
    assert "PAGED" in seen_of(data, "subscriber", "list", pager=str(pager))[1]
    assert "PAGED" not in seen_of(data, "subscriber", "list", pager=str(pager), lines=1_000)[1]
