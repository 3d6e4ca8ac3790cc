"""A command that writes a secret into a file prints none."""

import json
import stat
from pathlib import Path

import pytest

from tests.support.commands import invoke


@pytest.mark.parametrize("noun", ["device", "subscriber"])
def test_what_goes_into_a_file_is_not_printed(tmp_path: Path, noun: str) -> None:
    def run(*words: str) -> str:
        done = invoke([*words, "--data", str(tmp_path / "data")])
        assert done.exit_code == 0, done.output
        return done.output

    run("user", "add", "alice", "--consent", "all")
    file = tmp_path / "token"
    names = ["alice", "watch"] if noun == "device" else ["dash", "--users", "alice"]
    said = run(noun, "add", *names, "--token-file", str(file), "--json")
    token = file.read_text()
    assert token.count(".") == 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert token not in said
    shown = json.loads(said.splitlines()[-1])
    assert shown["token_file"] == str(file)
    assert "token" not in shown
    assert "refresh_token" not in shown
    if "refresh_token_file" in shown:
        secret = Path(shown["refresh_token_file"])
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert secret.read_text() not in said
