"""Settings shown and checked, names that are nearly right, the version, completion."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from healthsync_mqtt import __version__
from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.main import app
from healthsync_mqtt.config.settings import Setting, Settings
from tests.support.commands import invoke

Lines = Callable[..., list[dict[str, Any]]]
Run = Callable[..., Any]


def test_each_setting_is_shown_with_where_it_came_from(
    lines: Lines, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.mkdir(mode=0o700)
    (data / "healthsync.toml").write_text("[broker]\nmqtts_port = 18883\n")
    monkeypatch.setenv("HEALTHSYNC_LOG__LEVEL", "warning")
    shown = {each["setting"]: each for each in lines("config", "show")}
    assert (shown["broker.mqtts_port"]["value"], shown["broker.mqtts_port"]["origin"]) == (
        18883,
        str(data / "healthsync.toml"),
    )
    assert (shown["log.level"]["value"], shown["log.level"]["origin"]) == ("warning", "HEALTHSYNC_LOG__LEVEL")
    assert shown["broker.wss_port"]["origin"] == "default"
    assert (data / "registry.db").exists() is False, "looking creates nothing"


def test_the_data_directory_too_says_where_it_came_from(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def origin(*words: str) -> str:
        shown = run("config", "show", "--json", *words).stdout.splitlines()
        return str({each["setting"]: each for each in map(json.loads, shown)}["data"]["origin"])

    monkeypatch.setenv("HEALTHSYNC_DATA", str(data))
    assert origin() == "HEALTHSYNC_DATA"
    monkeypatch.delenv("HEALTHSYNC_DATA")
    monkeypatch.chdir(tmp_path)
    assert origin() == "default"
    data.mkdir(mode=0o700, exist_ok=True)
    (data / "healthsync.toml").touch()
    assert origin("--data", str(data)) == "option"


@pytest.mark.parametrize(
    ("key", "hidden"),
    [
        ("external.password", True),
        ("external.token", True),
        ("external.password_file", False),
        ("token.lifetime_s", False),
    ],
)
def test_what_is_secret_is_hidden_and_what_names_a_file_is_not(
    run: Run, monkeypatch: pytest.MonkeyPatch, key: str, hidden: bool
) -> None:
    setting = Setting(key=key, value="canary-value", origin="default", summary="")
    monkeypatch.setattr(Settings, "describe", lambda _settings: [setting])
    for words in (("config", "show"), ("config", "show", "--json")):
        shown = run(*words).stdout
        assert key in shown
        assert ("canary-value" in shown) is not hidden


@pytest.mark.parametrize(
    ("text", "meant"),
    [("[broker]\nmqts_port = 1\n", "broker.mqtts_port"), ("[brokers]\nmqtt_port = 1\n", "broker")],
)
def test_a_wrong_key_is_named_with_the_nearest_right_one(run: Run, data: Path, text: str, meant: str) -> None:
    data.mkdir(mode=0o700)
    (data / "healthsync.toml").write_text(text)
    result = run("config", "check")
    assert result.exit_code != 0
    assert f"did you mean {meant}?" in result.stderr


def test_a_wrong_variable_is_named_with_the_nearest_right_one(
    run: Run, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lines("config", "check")[0]["unknown_variables"] == []
    monkeypatch.setenv("HEALTHSYNC_TOKEN_OF_ANOTHER_PROGRAM_ENTIRELY", "x")
    (found,) = lines("config", "check")[0]["unknown_variables"]
    assert found["nearest"] is None
    monkeypatch.setenv("HEALTHSYNC_KEY_PASSFRASE", "very-secret")
    result = run("config", "check")
    assert result.exit_code == 1
    assert "did you mean HEALTHSYNC_KEY_PASSPHRASE?" in result.stderr
    assert "very-secret" not in result.output
    monkeypatch.setenv("HEALTHSYNC_BROKR__MQTT_PORT", "1")
    result = run("config", "check")
    assert result.exit_code == 78
    assert "did you mean broker?" in result.stderr


def test_a_wrong_data_directory_is_an_error_with_the_nearest_right_one(lines: Lines, data: Path) -> None:
    lines("user", "add", "alice", "--consent", "all")
    for wrong in (data.with_name("dat"), data.parent):
        result = invoke(["user", "list", "--data", str(wrong), "--json"])
        assert result.exit_code == 2, result.output
        error = json.loads(result.stderr)["error"]
        assert f"--data {data};" in error["fix"]
    assert not data.with_name("dat").exists(), "nothing is made on the way"
    elsewhere = data.with_name("somewhere-else")
    result = invoke(["user", "list", "--data", str(elsewhere)])
    assert (result.exit_code, elsewhere.exists()) == (2, False), "nothing is listed of what is not there"
    result = invoke(["user", "add", "bob", "--consent", "all", "--data", str(elsewhere)])
    assert result.exit_code == 0, "a new installation may be anywhere else"


def test_the_version_is_an_option_too(run: Run) -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout.split()) == (0, ["healthsync", __version__])


def test_the_shell_is_offered_what_is_there(lines: Lines, data: Path) -> None:
    class Context:
        params: dict[str, Any] = {"data": data, "user": "alice"}  # noqa: RUF012

    context: Any = Context()
    assert completion.users(context, "") == []
    assert not data.exists(), "looking creates nothing"
    lines("user", "add", "alice", "--consent", "all")
    lines("user", "add", "bob", "--consent", "all")
    lines("device", "add", "alice", "watch")
    lines("device", "add", "bob", "phone")
    lines("subscriber", "add", "app", "--users", "*")
    assert completion.users(context, "") == ["alice", "bob"]
    assert completion.users(context, "b") == ["bob"]
    assert completion.devices(context, "") == ["watch"]
    assert completion.subscribers(context, "") == ["app"]
    assert completion.clients(context, "a") == ["alice-watch", "app"]
    assert "heart_rate" in completion.types("heart")
    (data / "registry.db").write_bytes(b"no database")
    assert completion.users(context, "") == []


def test_completion_is_wired_to_the_commands(lines: Lines, data: Path) -> None:
    lines("user", "add", "alice", "--consent", "all")
    result = CliRunner().invoke(
        app,
        [],
        prog_name="healthsync",
        env={
            "_HEALTHSYNC_COMPLETE": "complete_bash",
            "COMP_WORDS": "healthsync device show ",
            "COMP_CWORD": "3",
            "HEALTHSYNC_DATA": str(data),
        },
    )
    assert result.stdout.split() == ["alice"]


def test_tables_have_no_microseconds_and_long_ones_a_pager_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"at": "2026-11-23T06:00:00.123456Z"}] * 200
    output.listing(rows, {"at": "AT"}, as_json=False)
    assert set(capsys.readouterr().out.splitlines()) == {"2026-11-23T06:00:00Z"}
    output.listing(rows[:1], {"at": "AT"}, as_json=True)
    assert "06:00:00.123456Z" in capsys.readouterr().out, "programs get all of it"
    paged: list[str] = []
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setattr(output, "can_ask", lambda: True)
    monkeypatch.setattr("pydoc.pager", paged.append)
    monkeypatch.setenv("LINES", "24")
    output.listing(rows, {"at": "AT"}, as_json=False)
    assert paged
    assert paged[0].count("06:00:00Z") == 200
    output.listing(rows[:5], {"at": "AT"}, as_json=False)
    assert len(paged) == 1
