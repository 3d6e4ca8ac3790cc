"""A restored log is never taken without a row in the audit log, wherever a kill comes."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.storage.opening import compare_with_anchor, open_log
from healthsync_mqtt.testing.log_items import NOW_US, item

#: Kills itself as soon as a named function of ours is entered, or left; then runs what follows.
KILLED = """
import os, signal, sys
where, event = sys.argv[1].split()
def look(frame, what, argument):
    if what == event and frame.f_code.co_qualname == where:
        os.kill(os.getpid(), signal.SIGKILL)
sys.argv[1:] = sys.argv[2:]
"""
COMMAND = """
from pathlib import Path
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.storage import accept_restored
sys.setprofile(look)
accept_restored(DataDirectory(Path(sys.argv[1])))
"""
MODULE = """
from bridge.__main__ import main
sys.argv[1:] = ["--data", sys.argv[1], "--accept-restored"]
sys.setprofile(look)
main()
"""


@pytest.fixture
def put_back(tmp_path: Path) -> Path:
    """A directory whose log is an older copy."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    for name in ("a", "b"):
        with open_log(data) as log:
            log.stage([item(name)], [], NOW_US)
            log.commit()
        if name == "a":
            shutil.copy(data / "events.db", tmp_path / "copy.db")
    shutil.copy(tmp_path / "copy.db", data / "events.db")
    return data


def told(data: Path) -> list[str]:
    """The epochs of which the audit log says that they began with a restored log, after what waits is carried over."""
    audit = AuditLog.open(data / "audit.db", data / "keys" / "audit.key")
    return [str(row.detail["epoch"]) for row in audit.rows() if row.action == "storage.restored"]


@pytest.mark.parametrize("program", [COMMAND, MODULE], ids=["healthsync", "python -m bridge"])
@pytest.mark.parametrize(
    "where",
    [
        "AuditLog._write call", "AuditLog._write return", "migrate return", "translated call",
        "SqliteEventLog.__init__ call", "SqliteEventLog.__init__ return", "AnchorFile.write call",
        "AnchorFile.write return", "SqliteEventLog.close call", "WriterLock.release return",
    ],
)  # fmt: skip
def test_a_kill_leaves_no_epoch_that_nobody_wrote_down(put_back: Path, where: str, program: str) -> None:
    before = compare_with_anchor(put_back).epoch
    command = [sys.executable, "-c", KILLED + program, where, str(put_back)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=os.environ | {"NO_COLOR": "1"}
    )
    assert done.returncode == -signal.SIGKILL, f"it does not come to {where}: {done.stderr[-500:]}"
    now = compare_with_anchor(put_back).epoch
    assert now == before or now in told(put_back)
