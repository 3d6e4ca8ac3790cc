"""What the storage commands say, and that accepting a restored log gives it a new epoch."""

import shutil
from pathlib import Path

import pytest

from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.storage import accept_restored
from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected


@pytest.fixture
def log(data: Path) -> Path:
    data.mkdir(mode=0o700)
    with open_log(data) as log:
        log.stage([item("a"), item("a", "bob")], [rejected()], NOW_US)
        log.commit()
    return data


def restore(data: Path) -> None:
    backup = data / "backup.db"
    shutil.copy(data / "events.db", backup)
    with open_log(data) as log:
        log.stage([item("lost")], [], NOW_US)
        log.commit()
    backup.replace(data / "events.db")


def test_status(log: Path, lines) -> None:
    [shown] = lines("storage", "status")
    assert (shown["encryption"], shown["provider"], shown["users"], shown["events"]) == ("none", None, 2, 2)
    assert (shown["head"], shown["anchor"], shown["rejected"], shown["readers"]) == (2, "whole", 1, [])
    assert "service" not in shown, "none runs"


def test_status_of_nothing(data: Path, lines) -> None:
    [shown] = lines("storage", "status")
    assert (shown["users"], shown["head"], shown["anchor"]) == (0, 0, "unanchored")


def test_restore_check_and_acceptance(log: Path, run, lines) -> None:
    [whole] = lines("storage", "restore-check")
    assert (whole["verdict"], whole["sound"]) == ("whole", True)
    restore(log)
    result = run("storage", "restore-check")
    assert result.exit_code == 1
    assert "shorter" in result.output
    accept_restored(DataDirectory(log))
    [taken] = lines("storage", "restore-check")
    assert taken["sound"]
    assert taken["epoch"] == taken["anchored_epoch"] != whole["epoch"]
    assert any(entry["action"] == "storage.restored" for entry in lines("audit", "list"))


def test_purge_of_the_quarantine(log: Path, run, lines) -> None:
    with open_log(log) as writer:
        writer.stage([], [rejected("bob"), rejected("bob")], NOW_US)
        writer.commit()
    assert [(row["user_id"], row["count"], row["truncated"]) for row in lines("rejected", "list")] == [
        ("alice", 1, False),
        ("bob", 2, False),
    ]
    assert run("rejected", "purge").exit_code, "it asks first"
    assert lines("rejected", "purge", "--user", "bob", "--older-than", "2027-01-01", "--yes") == [{"removed": 1}]
    assert [row["user_id"] for row in lines("rejected", "list")] == ["alice"]
    assert lines("rejected", "purge", "--older-than", "2020-01-01", "--yes") == [{"removed": 0}]
