"""The table of what users expect: each "has" names something that exists, and nothing that was promised is missing."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from healthsync_mqtt.cli.main import app
from healthsync_mqtt.config.settings import Settings

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| (\d+) \| (.+?) \| (has|partly|missing) \| (.+?) \|$",
    (ROOT / "docs/features.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)
PROMISED = {
    "removal": range(14, 18), "last seen": [22], "login explanation": [24], "sink remove and test": [17, 18],
    "config show": [51], "--version": [7], "upgrade": [59], "health checks": [54], "device filter, --until": [26],
    "trace": [25],
}  # fmt: skip


def settings() -> set[str]:
    def of(model: Any, path: str) -> set[str]:
        found = set()
        for name, field in model.model_fields.items():
            inner = field.annotation
            found |= of(inner, f"{path}{name}.") if hasattr(inner, "model_fields") else {f"{path}{name}"}
        return found

    return of(Settings, "")


def exists(command: str) -> bool:
    """Whether ``healthsync a b --option`` is a command with this option."""
    found: Any = typer.main.get_command(app)
    for word in command.split()[1:]:
        if word.startswith("-"):
            return word in {option for parameter in found.params for option in parameter.opts}
        found = getattr(found, "commands", {}).get(word)
        if found is None:
            return False
    return True


def test_there_are_seventy_one() -> None:
    assert [int(number) for number, *_ in ROWS] == list(range(1, 72))


@pytest.mark.parametrize(("number", "expected", "state", "where"), ROWS, ids=[row[0] for row in ROWS])
def test_what_is_named_exists(number: str, expected: str, state: str, where: str) -> None:
    code = re.findall(r"`([^`]+)`", where)
    for each in code:
        assert exists(each) if each.startswith("healthsync") else each in settings(), (number, each)
    pages = re.findall(r"\b(?:docs/[\w/.-]+\.md|README\.md)", where)
    for page in pages:
        assert (ROOT / page).is_file(), (number, page)
    assert state != "has" or code or pages, (number, expected, "names nothing that can be looked for")
    assert state == "has" or len(where) > 30, (number, expected, "says no reason")


@pytest.mark.parametrize("what", PROMISED)
def test_nothing_that_was_promised_is_missing(what: str) -> None:
    states = {int(number): state for number, _, state, _ in ROWS}
    assert {states[number] for number in PROMISED[what]} == {"has"}


@pytest.mark.parametrize("gone", ["healthsync sink fly", "healthsync user list --fly", "healthsync fly"])
def test_the_test_sees_what_does_not_exist(gone: str) -> None:
    assert not exists(gone)
