"""What removes much says first what it would remove, and asks; what does not exist is no success."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.sinks.config import Sinks
from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.testing.log_items import NOW_US, rejected

Lines = Callable[..., list[dict[str, Any]]]
Run = Callable[..., Any]


@pytest.fixture
def household(lines: Lines, tmp_path: Path) -> None:
    lines("user", "add", "alice", "--consent", "all")
    lines("device", "add", "alice", "watch")
    lines("subscriber", "add", "app", "--users", "*")
    lines("admin", "add", "root")
    lines("sink", "add", "file", str(tmp_path / "out"))


REMOVALS = [
    ("user remove alice", "user list", "user_id"),
    ("device remove alice watch", "device list", "device_id"),
    ("subscriber remove app", "subscriber list", "name"),
    ("admin remove root", "admin list", "name"),
    ("sink remove file", "sink list", "sink"),
]


@pytest.mark.usefixtures("household")
@pytest.mark.parametrize(("removal", "listing", "key"), REMOVALS)
def test_a_removal_can_be_tried_and_has_to_be_said_without_a_terminal(
    lines: Lines, run: Run, removal: str, listing: str, key: str
) -> None:
    name = removal.rsplit(maxsplit=1)[-1]
    (would,) = lines(*removal.split(), "--dry-run")
    assert would["removed"] is False
    assert "would" in run(*removal.split(), "--dry-run").stderr
    assert run(*removal.split()).exit_code == 2
    assert name in {row[key] for row in lines(*listing.split())}
    (done,) = lines(*removal.split(), "--yes")
    assert done["removed"] is True
    assert name not in {row[key] for row in lines(*listing.split())}
    assert run(*removal.split(), "--dry-run").exit_code == 1, "there is nothing to remove"
    assert run(*removal.split(), "--yes").exit_code == 1


def test_a_purge_can_be_tried(lines: Lines, run: Run, data: Path) -> None:
    lines("user", "add", "alice", "--consent", "all")
    with open_log(data) as log:
        log.stage([], [rejected(raw=f"no {number}".encode()) for number in range(3)], NOW_US)
        log.commit()
    assert lines("rejected", "purge", "--dry-run") == [{"removed": 0, "would_remove": 3}]
    assert run("rejected", "purge").exit_code == 2
    assert len(lines("rejected", "list")) == 3
    assert lines("rejected", "purge", "--yes") == [{"removed": 3}]
    assert lines("rejected", "purge", "--dry-run") == [{"removed": 0, "would_remove": 0}]


def test_a_filter_that_nothing_can_have_is_an_error(run: Run) -> None:
    for words in (("rejected", "list", "--reason", "silly"), ("client", "list", "--role", "king")):
        result = run(*words)
        assert (result.exit_code, "one of" in result.stderr or "device" in result.stderr) == (2, True), result.stderr


def test_a_backfill_can_be_tried(lines: Lines, data: Path) -> None:
    lines("sink", "add", "influxdb", "http://127.0.0.1:9", "--no-test")
    open_log(data).close()
    assert lines("sink", "backfill", "influxdb", "--dry-run") == [{"sink": "influxdb", "events": 0}]
    assert Sinks(data).names() == ["influxdb"]


@pytest.mark.parametrize("words", ["events list", "events tail --count 1 --lines 0", "rejected list"])
def test_a_user_that_nobody_added_is_no_success(lines: Lines, run: Run, data: Path, words: str) -> None:
    lines("user", "add", "alice", "--consent", "all")
    open_log(data).close()
    result = run(*words.split(), "--user", "alcie")
    assert (result.exit_code, "no user alcie" in result.stderr) == (1, True), result.output
    assert [row["action"] for row in lines("audit", "list")] == ["user.added", "consent.granted"]


def test_a_user_who_was_removed_still_has_events_to_list(lines: Lines, data: Path) -> None:
    lines("user", "add", "alice", "--consent", "all")
    with open_log(data) as log:
        log.stage([], [rejected(raw=b"no")], NOW_US)
        log.commit()
    (row,) = lines("rejected", "list")
    lines("user", "add", "bob", "--consent", "all")
    assert lines("rejected", "list", "--user", row["user_id"]) == [row]
