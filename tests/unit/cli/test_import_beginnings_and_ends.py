"""What an import leaves behind: no device for a file that is not there, no mark of one that ended."""

from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.cli import imports
from healthsync_mqtt.cli.import_state import ImportState
from healthsync_mqtt.client.carriage import Mark
from healthsync_mqtt.imports.port import LeftOut, PassedOver
from healthsync_mqtt.imports.tally import Tally
from healthsync_mqtt.model.declaration import Declared
from healthsync_mqtt.model.reasons import Reason
from tests.support.archives import own_lines


def test_a_missing_file_is_told_before_a_device_is_added(
    run: Any, lines: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines("user", "add", "alice", "--consent", "all")
    with monkeypatch.context() as patched:
        patched.setattr(imports.ServiceFile, "read", lambda _data: None)
        result = run("import", str(tmp_path / "none.zip"), "--user", "alice", "--device", "phone")
    assert result.exit_code == 1
    assert "none.zip" in result.stderr
    assert lines("device", "list") == []


def test_what_becomes_no_event_is_counted_as_none_while_it_is_read(run: Any, tmp_path: Path) -> None:
    file = own_lines(tmp_path / "events.jsonl", 2)
    with file.open("a") as more:
        more.write('\nno JSON\n{"type": "steps"}\n')
    said = run("import", str(file), "--user", "alice", "--dry-run").stderr
    assert "events.jsonl: 2 events read in" in said


def test_at_the_end_marks_go_that_were_made_with_another_memory(tmp_path: Path) -> None:
    state, other = ImportState(tmp_path, "alice", "watch"), ImportState(tmp_path, "alice", "phone")
    state.mark("one", Declared(), {}).write(Mark(events=3))
    state.mark("one", Declared(), {"fit": b"later"}).write(Mark(events=4))
    state.mark("two", Declared(), {}).write(Mark(events=5))
    other.mark("one", Declared(), {}).write(Mark(events=6))
    state.forget("one")
    assert state.mark("one", Declared(), {}).read().events == 0
    assert state.mark("two", Declared(), {}).read().events == 5
    assert other.mark("one", Declared(), {}).read().events == 6
    assert len(list((tmp_path / "imports").iterdir())) == 2


@pytest.mark.parametrize(
    ("left_out", "declared"),
    [
        (LeftOut(Reason.NAIVE_TIME, "sleep[0].startTime", "no offset"), "--zone"),
        (LeftOut(PassedOver.OF_OTHERS, "message 30", "measured of several people (2)"), "--slot"),
        (LeftOut(Reason.UNKNOWN_TYPE, "point[0]", "no type here"), "left_out"),
    ],
)
def test_a_file_of_which_nothing_comes_says_what_to_declare(left_out: LeftOut, declared: str) -> None:
    outcome, tally = imports.ImportOutcome(), Tally()
    tally.aside(left_out)
    outcome.add(Path("scale.fit"), tally)
    (failed,) = outcome.failed
    assert left_out.text in failed["message"]
    assert declared in failed["fix"]
