"""A --data that is none is an error of every command that needs what is in it, and nothing is made there."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from healthsync_mqtt.cli.main import needed, program
from tests.unit.cli.test_confirmations import commands

BEGINS = {
    "up": "makes it", "user add": "one may begin with it", "subscriber add": "one may begin with it",
    "admin add": "one may begin with it",
    "cert init-ca": "one may begin with it", "sink add influxdb": "one may begin with it",
    "sink add file": "one may begin with it", "sink add kafka": "one may begin with it",
    "broker render": "one may begin with it",
    "broker credentials": "one may begin with it", "broker provision": "waits for what render makes, and says so",
    "broker check": "needs the settings' defaults at least", "broker password list": "says how passwords are made",
    "broker password rotate": "says that there is none", "bridge run": "makes it", "bridge join": "makes it",
    "gateway run": "makes it", "auth serve": "makes it", "status": "asked before there is any",
    "doctor": "says what is missing", "version": "reads nothing there", "sample": "reads nothing there",
    "type list": "reads nothing there", "type show": "reads nothing there", "type schema": "reads nothing there",
    "mcp": "knows none", "insight kinds": "reads nothing that has to be there",
    "adapter new": "one may begin with it", "ble scan": "reads nothing there",
    "storage migrate": "needs the address of a server, which the environment may say",
    "adapter list": "reads nothing that has to be there", "adapter map": "reads nothing that has to be there",
    "backup list": "reads the sets", "backup verify": "reads the sets", "restore": "makes it",
    "format list": "reads nothing that has to be there", "format show": "reads nothing that has to be there",
    "format try": "reads nothing that has to be there", "topic list": "reads nothing that has to be there",
}  # fmt: skip
"""Commands that take a directory that is not there yet, and why."""
ALL = {" ".join(path) for path, _ in commands()}


def test_there_are_such_commands() -> None:
    assert BEGINS.keys() <= ALL


@pytest.mark.parametrize("command", sorted(ALL - BEGINS.keys()))
def test_a_directory_that_is_none_is_said_to_be_none(tmp_path: Path, command: str) -> None:
    nowhere = tmp_path / "elsewhere"
    result = CliRunner().invoke(program(needed(command.split())), [*command.split(), "--data", str(nowhere)])
    assert result.exit_code == 2, (result.output, result.exception)
    said = result.stderr.replace("\n", " ")
    assert "is no data directory" in said
    assert f"healthsync up --data {nowhere}" in said
    assert list(tmp_path.iterdir()) == []


def test_one_of_others_is_none(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    result = CliRunner().invoke(program(["device"]), ["device", "list", "--data", str(tmp_path)])
    assert (result.exit_code, [path.name for path in tmp_path.iterdir()]) == (2, ["photo.jpg"])


def test_a_certificate_alone_is_what_clients_and_checkouts_have(tmp_path: Path) -> None:
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "ca.crt").touch()
    result = CliRunner().invoke(program(["user"]), ["user", "list", "--data", str(tmp_path)])
    assert (result.exit_code, [path.name for path in tmp_path.iterdir()]) == (2, ["certs"])


def test_where_nobody_named_one_there_is_nothing_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEALTHSYNC_DATA", raising=False)
    assert CliRunner().invoke(program(["user"]), ["user", "list"]).exit_code == 0


@pytest.mark.parametrize("name", ["registry.db", "events.db", "healthsync.toml", "keys", "sinks"])
def test_what_has_anything_of_ours_is_one(tmp_path: Path, name: str) -> None:
    place = tmp_path / "data"
    place.mkdir(mode=0o700)
    (place / name).mkdir() if name.endswith("s") else (place / name).touch(mode=0o600)
    result: Any = CliRunner().invoke(program(["config"]), ["config", "show", "--data", str(place)])
    assert "is no data directory" not in result.stderr
