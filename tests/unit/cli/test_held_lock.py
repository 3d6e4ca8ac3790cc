"""A process that hangs with the lock of the data directory keeps nobody from revoking, and nobody from verifying."""

import json
from pathlib import Path

import pytest

from healthsync_mqtt.config.private_files import directory_lock
from tests.unit.cli.conftest import Run


def test_a_device_is_removed_and_the_log_verified_while_somebody_hangs_on_the_lock(
    data: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("user", "add", "alice", "--consent", "all").exit_code == 0
    assert run("device", "add", "alice", "watch").exit_code == 0
    monkeypatch.setattr("healthsync_mqtt.config.private_files.directory_lock.__kwdefaults__", {"within_s": 0.05})
    with directory_lock(data):
        removed = run("device", "remove", "alice", "watch", "--yes")
        verified = run("audit", "verify", "--json")
    assert removed.exit_code == 0, removed.stderr
    assert "its row in the audit log comes with the next one" in removed.stderr
    assert verified.exit_code == 0, verified.stderr
    assert not run("device", "list", "--json").stdout
    assert run("user", "suspend", "alice").exit_code == 0
    rows = [json.loads(line)["action"] for line in run("audit", "list", "--json").stdout.splitlines()]
    assert rows[-2:] == ["device.removed", "user.suspended"]
