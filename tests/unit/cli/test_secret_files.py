"""Every command that prints a secret can write it to a private file instead, and looks first whether it could."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner, Result

import healthsync_mqtt.cli
from healthsync_mqtt.cli.main import app, needed, program

RUN = Callable[..., Result]
SECRETS = {
    "device add alice ring": ("token", "--token-file"),
    "device token alice watch": ("token", "--token-file"),
    "device enroll alice ring": ("code", "--code-file"),
    "subscriber add dash --users alice": ("token", "--token-file"),
    "subscriber token board": ("token", "--token-file"),
    "app add alice gauge --format json": ("password", "--password-file"),
    "app rotate alice dial": ("password", "--password-file"),
    "homeassistant login board": ("password", "--password-file"),
    "admin add other": ("token", "--token-file"),
    "admin token root": ("token", "--token-file"),
}
"""By the command: the key of its secret in ``--json``, and the option that names a file for it."""
HAVE = {"token", "refresh_token", "code", "password"}


@pytest.fixture
def run(tmp_path: Path) -> RUN:
    def run_(line: str, *more: str, code: int = 0) -> Result:
        words = line.split()
        done = CliRunner().invoke(program(needed(words)), [*words, *more, "--data", str(tmp_path / "data")])
        assert done.exit_code == code, done.output
        return done

    for line in (
        *("user add alice --consent all", "device add alice watch", "subscriber add board --users alice"),
        *("app add alice dial --format json", "admin add root"),
    ):
        run_(line)
    return run_


@pytest.mark.parametrize("line", SECRETS)
def test_a_secret_goes_into_a_file_and_nowhere_else(run: RUN, line: str, tmp_path: Path) -> None:
    key, option = SECRETS[line]
    file = tmp_path / "secret"
    done = run(line, option, str(file), "--json")
    shown = json.loads(done.stdout)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = file.read_text()
    assert len(secret) >= 9
    assert secret not in done.output
    assert shown[f"{key}_file"] == str(file)
    assert not HAVE & shown.keys()


@pytest.mark.parametrize("line", SECRETS)
def test_for_people_the_file_is_named_and_the_secret_is_not(run: RUN, line: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    done = run(line, SECRETS[line][1], str(file))
    assert str(file) in done.stdout
    assert file.read_text() not in done.output


@pytest.mark.parametrize("line", SECRETS)
def test_nothing_is_made_when_its_secret_could_not_be_kept(run: RUN, line: str, tmp_path: Path) -> None:
    nouns = ("device list", "subscriber list", "app list", "admin list")
    before = [run(noun, "--json").stdout for noun in nouns]
    audit = run("audit list", "--json").stdout
    for file in (tmp_path, tmp_path / "none" / "secret", tmp_path / "data" / "registry.db" / "secret"):
        done = run(line, SECRETS[line][1], str(file), code=1)
        assert "fix: " in done.stderr
        assert "Traceback" not in done.output
    assert [run(noun, "--json").stdout for noun in nouns] == before
    assert run("audit list", "--json").stdout == audit


def test_every_command_that_prints_a_secret_is_among_them() -> None:
    """By the options: whoever has one for a file has a row here; by the calls: nobody prints one without."""
    found = set()
    commands = [((), typer.main.get_command(app))]
    while commands:
        path, command = commands.pop()
        commands += [((*path, name), each) for name, each in getattr(command, "commands", {}).items()]
        options = {name for parameter in command.params for name in parameter.opts}
        helps = " ".join(getattr(parameter, "help", "") or "" for parameter in command.params)
        if options & {"--token-file", "--code-file", "--password-file"} and "instead of printing" in helps:
            found.add(" ".join(path))
    assert found == {" ".join(line.split()[:2]) for line in SECRETS}
    sources = Path(healthsync_mqtt.cli.__file__).parent
    calls = {path.name for path in sources.glob("*.py") if "secret_follows(" in path.read_text(encoding="utf-8")}
    assert calls == {"output.py", "secret_file.py", "token_handover.py"}


@pytest.mark.parametrize("line", ["cert issue device alice watch --out /proc", "token revoke --token-file /proc"])
def test_a_file_that_cannot_be_used_is_an_error_with_its_fix(run: RUN, line: str) -> None:
    run("cert init-ca")
    done = run(line, code=1)
    assert "fix: " in done.stderr
    assert isinstance(done.exception, SystemExit)
