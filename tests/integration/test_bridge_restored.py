"""``python -m bridge`` on a log that was put back: refused, and taken with a word that is written down."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.storage.opening import compare_with_anchor, open_log
from healthsync_mqtt.testing.log_items import item

NOW_US = 1_795_413_600_000_000


def bridge(data: Path, *words: str, **env: str) -> str:
    """What it says at its end; without a broker in its settings it ends after it took the log."""
    command = [sys.executable, "-m", "bridge", "--data", str(data), *words]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=os.environ | {"NO_COLOR": "1"} | env
    )
    assert done.returncode
    return done.stderr


@pytest.fixture
def put_back(tmp_path: Path) -> Path:
    """A directory whose log is an older copy."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    with open_log(data) as log:
        log.stage([item("a")], [], NOW_US)
        log.commit()
    shutil.copy(data / "events.db", tmp_path / "copy.db")
    with open_log(data) as log:
        log.stage([item("b")], [], NOW_US)
        log.commit()
    shutil.copy(tmp_path / "copy.db", data / "events.db")
    return data


def restored(data: Path) -> list[dict]:
    audit = AuditLog.open(data / "audit.db", data / "audit.key")
    return [dict(row.detail) for row in audit.rows() if row.action == "storage.restored"]


def test_without_the_word_nothing_changes(put_back: Path) -> None:
    before = compare_with_anchor(put_back)
    said = bridge(put_back, HEALTHSYNC_EXTERNAL__HOST="127.0.0.1", HEALTHSYNC_EXTERNAL__TLS="false")
    assert "the event log has lost rows at its end (it has 1 of 2 rows)" in said
    assert "bridge run --accept-restored" in said
    assert compare_with_anchor(put_back) == before
    assert not before.sound
    assert not (put_back / "audit.db").exists()


def test_with_it_the_log_has_a_new_epoch_and_the_audit_log_a_row(put_back: Path) -> None:
    before = compare_with_anchor(put_back)
    bridge(put_back, "--accept-restored")
    after = compare_with_anchor(put_back)
    assert after.sound
    assert after.epoch not in {"", before.epoch}
    assert restored(put_back) == [{"verdict": "shorter", "epoch": after.epoch, "rows": 1}]
