"""Who reads a command's output may leave when it has seen enough, as `grep -q` and `head` do: nobody hears of it."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE_S
from tests.support.service import HEALTHSYNC


@pytest.mark.parametrize(("line", "code"), [("version", 0), ("status", 0), ("type list --json", None)])
def test_a_reader_that_has_left_is_no_traceback(tmp_path: Path, line: str, code: int | None) -> None:
    """What fits the buffer is written at the very end: the interpreter told of it, and ended with 120."""
    reading, writing = os.pipe()
    os.close(reading)
    environment = os.environ | {"HEALTHSYNC_DATA": str(tmp_path / "data"), "PYTHONUNBUFFERED": ""}
    done = subprocess.run(
        [*HEALTHSYNC, *line.split()],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environment,
        timeout=PATIENCE_S,
        check=False,
    )
    os.close(writing)
    assert "BrokenPipe" not in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    if code is None:
        assert done.returncode in {0, 1}, "what is longer ends where nobody reads it"
    else:
        assert done.returncode == code
