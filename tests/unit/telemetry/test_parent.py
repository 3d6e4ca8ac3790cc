"""A process of the service's ends with it: when it is gone, and where it matters when it is silent."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support import child
from tests.support.patience import PATIENCE_S

SCRIPT = """import threading
from healthsync_mqtt.telemetry.parent import end_with_parent
end_with_parent({how})
print("works", flush=True)
threading.Event().wait()
"""


@contextmanager
def working(how: str) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-c", SCRIPT.format(how=how)]
    with child.started(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"works\n"
        yield process


@pytest.mark.parametrize("how", ["", "silence_s=600"])
def test_it_ends_when_the_service_is_gone(how: str) -> None:
    with working(how) as process:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0


def test_it_ends_when_a_service_that_was_there_is_silent() -> None:
    """As one that is stopped: its end of the pipe stays open."""
    with working("silence_s=0.2") as process:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.wait(PATIENCE_S) == 0


def test_one_that_is_never_told_that_it_is_there_is_not_missed() -> None:
    with working("silence_s=0") as process, pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
