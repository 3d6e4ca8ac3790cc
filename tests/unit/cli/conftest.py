import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from healthsync_mqtt.cli import output, progress_bar, reading_progress
from healthsync_mqtt.cli.main import needed, program
from tests.support.terminal import Clock, DrawnTerminal

Run = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "data"
    monkeypatch.setenv("HEALTHSYNC_DATA", str(place))
    return place


@pytest.fixture
def run(data: Path) -> Run:
    def call(*words: str) -> Result:
        return CliRunner().invoke(program(needed(words)), words)

    return call


@pytest.fixture
def lines(run: Run) -> Callable[..., list]:
    """The objects that a command prints with --json; it has to succeed."""

    def call(*words: str) -> list:
        result = run(*words, "--json")
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    return call


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that the reading of a file and its bar go by."""
    found = Clock()
    monkeypatch.setattr(reading_progress, "time", found)
    return found


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> DrawnTerminal:
    """What a person sees of bars."""
    found = DrawnTerminal(clock)
    monkeypatch.setattr(output, "console", found.console)
    monkeypatch.setattr(progress_bar, "Progress", found.progress)
    return found
