"""What takes something away asks a person first, and one word means one thing in every command."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.main import app, needed, program
from tests.support.answering import answering

TAKES_AWAY = {"remove", "revoke", "retire", "purge", "withdraw", "kick", "erase"}


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = list(commands())
OF_THAT_KIND = [path for path, _ in ALL if path[-1] in TAKES_AWAY]


def test_there_are_such_commands() -> None:
    assert len(OF_THAT_KIND) == 14


@pytest.fixture
def there(lines: Any, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """One of each noun, and a person at a terminal."""
    lines("user", "add", "alice", "--consent", "all")
    lines("device", "add", "alice", "watch")
    lines("app", "add", "alice", "phone", "--format", "json")
    lines("subscriber", "add", "app", "--users", "*", "--types", "*")
    lines("sink", "add", "file", str(tmp_path / "out"))
    lines("webhook", "add", "hook", "app", "https://localhost/hook")
    lines("admin", "add", "root")
    lines("cert", "init-ca")
    (certificate,) = lines("cert", "issue", "device", "alice", "watch", "--out", str(tmp_path))
    (rotated,) = lines("key", "rotate", "--publish", "1h")
    monkeypatch.setattr(output, "can_ask", lambda: True)
    return {"serial": certificate["serial"], "kid": rotated["kid"]}


LINES = {
    ("user", "remove"): "user remove alice",
    ("user", "erase"): "user erase alice",
    ("webhook", "remove"): "webhook remove hook",
    ("device", "remove"): "device remove alice watch",
    ("app", "remove"): "app remove alice phone",
    ("subscriber", "remove"): "subscriber remove app",
    ("admin", "remove"): "admin remove root",
    ("sink", "remove"): "sink remove file",
    ("cert", "revoke"): "cert revoke {serial}",
    ("key", "retire"): "key retire {kid}",
    ("token", "revoke"): "token revoke --user alice --device watch",
    ("consent", "withdraw"): "consent withdraw alice",
    ("rejected", "purge"): "rejected purge",
    ("client", "kick"): "client kick alice-watch",
}


@pytest.mark.parametrize("path", OF_THAT_KIND, ids=" ".join)
def test_who_says_no_keeps_it(run: Any, data: Path, there: dict[str, str], path: tuple[str, ...]) -> None:
    words = LINES[path].format_map(there).split()
    with answering(data, "alice-watch"):
        _keeps_it(run, path, words)


def _keeps_it(run: Any, path: tuple[str, ...], words: list[str]) -> None:

    def actions() -> list[str]:
        return [line.split("\t")[3] for line in run("audit", "list").stdout.splitlines()]

    before = actions()
    refused = CliRunner().invoke(program(needed(words)), words, input="n\n")
    assert refused.exit_code == 1, refused.output
    assert "[y/N]" in refused.stderr
    assert actions() == before
    command = next(command for each, command in ALL if each == path)
    assert "--yes" in {option for parameter in command.params for option in parameter.opts}


UNLIMITED = {
    "type list": "what the program knows", "topic list": "what the program knows", "format list": "and mappings",
    "adapter list": "what the program knows", "sink list": "a handful, without a time",
    "key list": "a handful: they end", "source list": "in the order in which they count",
    "homeassistant list": "one for each user", "broker password list": "names of files, without a time",
    "events history": "the versions of one event",
}  # fmt: skip
"""Lists of which there is no newest, and why."""


def test_a_limit_is_the_newest_everywhere() -> None:
    limits = {
        " ".join(path): parameter.help
        for path, command in ALL
        for parameter in command.params
        if "--limit" in parameter.opts
    }
    lists = {" ".join(path) for path, _ in ALL if path[-1] in {"list", "history"}}
    assert lists - limits.keys() == UNLIMITED.keys()
    assert limits.keys() - lists == set()
    assert len(set(limits.values())) == 1
