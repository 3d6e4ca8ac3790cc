"""The rules of tests/conftest.py, tried on a small tree of tests in a process of its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

@pytest.mark.real_server
@pytest.mark.shared_data
def test_both(shared_data): assert shared_data.is_dir()

@pytest.mark.real_server
def test_gives_up(): pytest.skip("the server did not come")

def test_has_no_mark(): pytest.skip("a program of the system is not installed")

def test_of_root(): pytest.skip("gives files away: only root can")
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A tree with our conftest, all that it may import, and no ``../shared`` beside it."""
    root = tmp_path / "somewhere" / "clone"
    shutil.copytree(
        ROOT / "tests" / "support", root / "tests" / "support", ignore=shutil.ignore_patterns("__pycache__", "target")
    )
    for name in ("tests/__init__.py", "tests/conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    (root / "tests" / "test_it.py").write_text(TESTS)
    return root


def run(clone: Path, ci: str, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_it.py", *options]
    servers = clone / "bin"
    servers.mkdir(exist_ok=True)
    for name in ("mosquitto", "mosquitto_pub", "mosquitto_sub"):
        (servers / name).write_text("#!/bin/sh\n")
        (servers / name).chmod(0o755)
    environment = os.environ | {"CI": ci, "PATH": f"{servers}:{os.environ['PATH']}"}
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False).stdout


def test_in_ci_whatever_is_skipped_fails_but_for_a_missing_recording_and_what_only_root_can(clone: Path) -> None:
    assert "2 failed, 2 skipped" in run(clone, "true")


@pytest.mark.parametrize("ci", ["", "0", "false"])
def test_elsewhere_both_are_skipped(clone: Path, ci: str) -> None:
    assert "4 skipped" in run(clone, ci)


FETCHING = re.compile(
    r"^from tests\.support(?: import languages|\.(?:languages|fetched|java_brokers|built_brokers|kafka|chart\.draw) )",
    re.MULTILINE,
)


def test_who_needs_what_may_be_missing_is_marked_so_that_its_skip_is_a_failure_in_ci() -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    fetching = {name for name, text in files.items() if FETCHING.search(text)}
    assert len(fetching) >= 6
    assert {name for name in fetching if "mark.real_server" not in files[name]} == set()


def test_a_test_that_hangs_is_named_and_the_others_run(clone: Path) -> None:
    hangs = "import threading\n\ndef test_hangs(): threading.Event().wait()\n\ndef test_other(): pass\n"
    (clone / "tests" / "test_it.py").write_text(hangs)
    said = run(clone, "", "-n", "1", "-o", "faulthandler_timeout=0.5")
    assert re.search(r"worker 'gw0' crashed while running 'tests/test_it.py::test_hangs'", said)
    assert "1 failed, 1 passed" in said
