"""A command imports what it needs: a person waits for it, and a shell that completes a line at every key."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

import healthsync_mqtt.client
from healthsync_mqtt.cli.main import COMMANDS, completed, needed, program
from healthsync_mqtt.telemetry.parent import UNHURRIED

HEAVY = ("jwt", "cryptography.x509", "pydantic_settings", "asyncio", "yaml", "healthsync_mqtt.broker", "bridge")


def imported(line: str) -> set[str]:
    """What a process of its own has imported when it has done this command."""
    code = (
        "import sys\n"
        f"sys.argv = ['healthsync', *{line.split()!r}]\n"
        "from healthsync_mqtt.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("line", ["version", "token --help"])
def test_a_command_does_not_wait_for_what_others_need(line: str) -> None:
    found = imported(line)
    assert found.isdisjoint(HEAVY), sorted(found & set(HEAVY))


def test_a_line_names_the_one_command_that_is_needed_and_anything_else_may_be_about_all() -> None:
    assert needed(["device", "list"]) == ["device"]
    for words in ([], ["--help"], ["devcie", "list"], ["--version"]):
        assert needed(words) is COMMANDS


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("healthsync", []),
        ("healthsync ", []),
        ("healthsync de", []),
        ("healthsync device", []),  # may become another word
        ("healthsync device ", ["device"]),
        ("healthsync device li", ["device"]),
        ("healthsync device list --us", ["device", "list"]),
    ],
)
def test_the_word_that_is_being_completed_says_nothing_yet(line: str, words: list[str]) -> None:
    assert completed(line) == words


@pytest.mark.parametrize(
    ("line", "lowly"), [("backup create --help", True), ("backup verify --help", True), ("backup list --help", False)]
)
def test_who_has_time_gives_way_before_anything_of_the_command_is_imported(line: str, lowly: bool) -> None:
    code = (
        "import os, sys\n"
        f"sys.argv = ['healthsync', *{line.split()!r}]\n"
        "from healthsync_mqtt.cli import main\n"
        "before = os.getpriority(os.PRIO_PROCESS, 0)\n"
        "main.program = lambda _: print(before, os.getpriority(os.PRIO_PROCESS, 0)) or sys.exit()\n"
        "main.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, then = map(int, done.stdout.split())
    assert then == (min(19, before + UNHURRIED) if lowly else before)


def test_each_command_alone_is_what_it_is_among_all() -> None:
    whole = program()
    for name in COMMANDS:
        alone, among = (CliRunner().invoke(each, [name, "--help"]) for each in (program([name]), whole))
        assert (alone.exit_code, alone.stdout) == (0, among.stdout)
        assert name in alone.stdout


def test_the_client_offers_what_it_says_and_nothing_else() -> None:
    for name in healthsync_mqtt.client.__all__:
        assert getattr(healthsync_mqtt.client, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        healthsync_mqtt.client.nothing  # noqa: B018
