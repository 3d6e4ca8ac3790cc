"""A secret that goes to a file which others may read is warned about; unknown variables are named by `config show`."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.service import HEALTHSYNC

WARNING = "other accounts may read the file"


def into(file: Path, mode: int, data: Path, *words: str) -> str:
    """What the command says on stderr when its stdout is this file."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    os.fchmod(descriptor, mode)
    with os.fdopen(descriptor, "wb") as out:
        done = subprocess.run(
            [*HEALTHSYNC, *words], env=os.environ | {"HEALTHSYNC_DATA": str(data)}, stdout=out, stderr=subprocess.PIPE,
            timeout=60, check=True,
        )  # fmt: skip
    assert file.read_bytes()
    return done.stderr.decode()


def test_a_token_in_a_file_that_others_may_read(lines: Any, data: Path, tmp_path: Path) -> None:
    lines("user", "add", "alice", "--consent", "all")
    lines("device", "add", "alice", "watch")
    words = ("device", "token", "alice", "watch", "--json")
    said = into(tmp_path / "open", 0o644, data, *words)
    assert WARNING in said
    assert "--token-file" in said
    assert WARNING not in into(tmp_path / "closed", 0o600, data, *words)
    file = tmp_path / "token"
    assert WARNING not in into(tmp_path / "open", 0o644, data, *words, "--token-file", str(file))
    assert file.stat().st_mode & 0o777 == 0o600


def test_config_show_names_what_means_nothing(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTHSYNC_DATE", "x")
    shown = run("config", "show", "--json")
    assert "unknown variable HEALTHSYNC_DATE" in shown.stderr
    assert "did you mean HEALTHSYNC_DATA?" in shown.stderr
    assert "DATE" not in shown.stdout
