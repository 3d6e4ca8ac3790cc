"""What an import leaves behind: no device for a file that is not there, no mark of one that ended."""

from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.cli import imports
from healthsync_mqtt.cli.import_state import ImportState
from healthsync_mqtt.client.carriage import Mark
from healthsync_mqtt.model.declared import Declared


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
