"""A thousand seeds of the simulator, as ``scripts/simulate-faults`` runs them."""

import subprocess
import sys

import pytest

from healthsync_mqtt.testing.simulator.seeds import arguments


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "healthsync_mqtt.testing.simulator", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=590)


@pytest.mark.parametrize("first", range(0, 1000, 100))
def test_no_promise_breaks_in_a_thousand_seeds(first: int) -> None:
    """In parts: a test that takes as long as a busy machine needs for all of them is taken for one that hangs."""
    done = run("--seeds", "100", "--first", str(first))
    assert done.returncode == 0, done.stdout
    assert "100 seeds" in done.stdout
    assert " 0 broken" in done.stdout


def test_what_happened_in_a_seed_is_shown() -> None:
    done = run("--seeds", "1", "--first", "3", "--show", "--only", "kill", "--processes", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("seed 3: ")
    assert " kill" in done.stdout


def test_there_is_no_other_fault_to_ask_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--only", "earthquake"])
    assert "power_cut" in capsys.readouterr().err
