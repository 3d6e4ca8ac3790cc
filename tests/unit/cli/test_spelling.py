"""A command in a text is one that works here: with this program, on this directory, as this account."""

import os
import shlex
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
import typer.main

from healthsync_mqtt.cli import spelling
from healthsync_mqtt.cli.main import app
from healthsync_mqtt.cli.spelling import Spelling

ELSEWHERE = Spelling(program="/opt/bin/healthsync", data="/srv/a b")


def leaves(command: Any = None, path: tuple[str, ...] = ()) -> list[str]:
    command = command or typer.main.get_command(app)
    if not hasattr(command, "commands"):
        return [" ".join(path)]
    return [leaf for name, inner in command.commands.items() for leaf in leaves(inner, (*path, name))]


@pytest.mark.parametrize("path", [each for each in leaves() if each != "mcp"])
def test_every_command_is_seen_whole(path: str) -> None:
    assert ELSEWHERE.of(f"first: healthsync {path} alice, then") == (
        f"first: /opt/bin/healthsync {path} --data '/srv/a b' alice, then"
    )


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("healthsync mcp --url https://h", "healthsync mcp --url https://h"),  # it has no data directory
        ("healthsync up --data other", "/opt/bin/healthsync up --data other"),
        ("/usr/bin/healthsync up", "/usr/bin/healthsync up"),
        ("journalctl -u healthsync, or look", "journalctl -u healthsync, or look"),
        ("see: healthsync status", "see: /opt/bin/healthsync status --data '/srv/a b'"),
    ],
)
def test_what_is_no_command_or_names_its_directory_stays(text: str, typed: str) -> None:
    assert ELSEWHERE.of(text) == typed


def test_without_anything_else_texts_stay_as_they_are() -> None:
    assert (
        Spelling().of("fix: healthsync user add alice --consent all") == "fix: healthsync user add alice --consent all"
    )


def test_a_fix_names_the_directory_that_the_command_was_given(run: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    run("cert", "init-ca", "--data", str(other))
    said = run("user", "show", "nobody", "--data", str(other)).stderr
    assert f"fix: healthsync user add --data {other} nobody --consent all" in said.replace("\n", " ")
    assert "--data" not in run("user", "show", "nobody").stderr
    shown = run("user", "show", "nobody", "--json", "--data", str(other)).stderr
    assert f"healthsync user add --data {other} nobody" in shown


def test_the_program_is_named_as_it_can_be_called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / ".venv" / "bin" / "healthsync"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.setattr("sys.argv", [str(program)])
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(tmp_path)
    assert spelling.program() == ".venv/bin/healthsync"
    monkeypatch.chdir("/")
    assert spelling.program() == str(program)
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    assert spelling.program() == str(program)
    monkeypatch.setenv("PATH", str(program.parent))
    assert spelling.program() == "healthsync"


def test_who_runs_it_with_sudo_is_told_with_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "4711")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert spelling.asked_by() == "sudo"
    monkeypatch.setattr(os, "geteuid", lambda: 65_534)
    assert spelling.asked_by().startswith("sudo -u ")
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert spelling.asked_by() == ""


@pytest.mark.parametrize(
    "words", [("user", "list"), ("doctor",), ("status",), ("up",), ("publish", "f", "--user", "a")]
)
@pytest.mark.parametrize("who", ["root", "somebody"])
def test_on_a_directory_of_another_account_the_line_that_works_is_the_fix(
    run: Any, data: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], who: str
) -> None:
    data.mkdir(mode=0o700)
    real = data.stat()
    other = os.stat_result((real.st_mode, real.st_ino, real.st_dev, 1, 54_321, 54_321, *real[6:]))
    stat_of = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **more: other if path == data else stat_of(path, **more))
    monkeypatch.setattr(os, "geteuid", lambda: 0 if who == "root" else 4711)
    monkeypatch.setattr("sys.argv", ["healthsync", *words])
    refused = run(*words, "--device", "x") if words[0] == "publish" else run(*words)
    assert refused.exit_code == 78, refused.output
    assert "belongs to another account" in refused.stderr
    fix = refused.stderr.replace("\n", " ").partition("fix: ")[2].strip()
    assert fix.endswith(f"healthsync {shlex.join(words)} --data {data}")
    by_sudo = who != "root" or shutil.which("sudo")
    assert fix.startswith("sudo -u '#54321' " if by_sudo else "setpriv --reuid=54321 --regid=54321 --clear-groups ")


def test_what_is_missing_above_a_private_directory_is_made_private(run: Any, tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        assert run("broker", "credentials", "--data", str(tmp_path / "new" / "data")).exit_code == 0
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new" / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
