"""Processes that tests start: each is ended and its pipes are closed, and one left behind is found."""

import ast
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import child
from tests.support.patience import PATIENCE_S

TESTS = Path(__file__).parents[1]
WAITS = [sys.executable, "-c", "print('here', flush=True); input()"]
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}


def test_what_runs_or_holds_a_pipe_is_left_until_it_is_ended() -> None:
    since = child.count()
    process = child.start(WAITS, **PIPES)
    assert process.stdout
    assert process.stdout.readline()
    assert child.left(since) == [process]
    process.kill()
    process.wait(PATIENCE_S)
    assert child.left(since) == [process]
    child.end(process)
    assert child.left(since) == []
    assert child.end(None) is None


def test_one_that_does_not_end_in_time_is_killed_and_closed() -> None:
    since = child.count()
    with child.started([sys.executable, "-c", DEAF], **PIPES) as process:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            child.end(process, signal.SIGTERM, within=0.05)
        assert process.poll() is not None
        assert child.left(since) == []


def test_all_tests_start_their_processes_where_they_are_remembered() -> None:
    elsewhere = [
        f"{file.relative_to(TESTS)}:{node.lineno}"
        for file in sorted(TESTS.rglob("*.py"))
        if file.name not in {"child.py", "make_release_v0_1.py"}
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"subprocess.Popen", "Popen"}
    ]
    assert elsewhere == []
