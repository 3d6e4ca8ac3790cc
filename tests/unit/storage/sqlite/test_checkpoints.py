"""What is in the write-ahead log comes into the database, and who or what is in the way is named."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from healthsync_mqtt.storage.sqlite import checkpoints, connection
from healthsync_mqtt.storage.sqlite.faults import BusyError, DefectError, store_error
from healthsync_mqtt.storage.sqlite.holders import readers_of
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.crash_vfs import CrashVfs, Trouble
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture(autouse=True)
def checkpoint_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CHECKPOINT_PAGES", 20)


def fill(log: SqliteEventLog, first: int, commits: int) -> None:
    for n in range(first, first + commits):
        log.stage([item(f"e{n}-{i}") for i in range(50)], [], NOW_US)
        log.commit()


def test_the_write_ahead_log_stays_small(path: Path) -> None:
    with SqliteEventLog.open(path) as log:
        fill(log, 0, 60)
        assert log.health().wal_bytes < 100 * 4096
        assert (log.health().pages_behind, log.health().checkpoint_failing) == (0, "")


def test_a_reader_that_holds_the_log_is_named(path: Path) -> None:
    with SqliteEventLog.open(path) as log, SqliteLogReader.open(path) as reader:
        fill(log, 0, 2)
        reader._connection.execute("BEGIN; SELECT count(*) FROM log").fetchall()
        fill(log, 2, 30)
        health = log.health()
        assert health.pages_behind > 20
        assert health.wal_bytes > 20 * 4096
        assert health.readers == (os.getpid(),)
        reader._connection.execute("COMMIT").fetchall()
        fill(log, 32, 1)
        assert log.health().pages_behind == 0
        assert log.health().readers == ()


class Watched:
    """A connection that notes which checkpoints are asked for."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.modes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def wal_checkpoint(self, *, mode: int) -> tuple[int, int]:
        self.modes.append(mode)
        return self._connection.wal_checkpoint(mode=mode)


def refuse(log: SqliteEventLog, first: int) -> None:
    log.stage([], [rejected(event_id=f"r{number}") for number in range(first, first + 50)], NOW_US)
    log.commit()


@pytest.mark.parametrize("write", [lambda log, n: fill(log, n, 1), lambda log, n: refuse(log, n * 50)])
def test_what_has_gathered_is_moved_by_a_commit_of_nothing(
    path: Path, write: Callable[[SqliteEventLog, int], None]
) -> None:
    """Moving 1,000 pages takes 3 to 14 ms: whoever is acknowledged with a commit does not wait for them, too."""
    with SqliteEventLog.open(path) as log:
        watched = Watched(log._connection)
        log._checkpoints._connection = watched  # type: ignore[assignment]
        for number in range(60):
            write(log, number)
            assert not watched.modes
            if log.owes:
                log.put_off()
                log.stage([item(f"bystander-{number}")], [], NOW_US)
                log.commit()
                assert log.owes
                assert not watched.modes
                log.stage([], [], NOW_US)
                log.commit()
                assert watched.modes == [apsw.SQLITE_CHECKPOINT_PASSIVE]
                assert not log.owes
                watched.modes.clear()
        assert log.health().wal_bytes < 100 * 4096


def test_where_nobody_commits_nothing_what_has_gathered_is_moved_all_the_same(path: Path) -> None:
    with SqliteEventLog.open(path) as log:
        watched = Watched(log._connection)
        log._checkpoints._connection = watched  # type: ignore[assignment]
        owed = 0
        for number in range(60):
            fill(log, number, 1)
            owed += log.owes
        assert owed > 2
        assert abs(watched.modes.count(apsw.SQLITE_CHECKPOINT_PASSIVE) - owed) <= 1


def test_a_reader_that_stays_is_waited_for_ever_more_seldom(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits wait with it: a backup of a large log may read for a while."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(checkpoints, "_RESTART_WAIT_MS", 1)
    with SqliteEventLog.open(path) as log, SqliteLogReader.open(path) as reader:
        watched = Watched(log._connection)
        log._checkpoints._connection = watched  # type: ignore[assignment]
        fill(log, 0, 1)
        reader._connection.execute("BEGIN; SELECT count(*) FROM log").fetchall()
        while log.health().wal_bytes < 17 * 20 * 4096:
            fill(log, log.head(), 1)
        watched.modes.clear()
        for _ in range(60):
            now += 1
            fill(log, log.head(), 1)
        assert 2 < watched.modes.count(apsw.SQLITE_CHECKPOINT_RESTART) < 8
        reader._connection.execute("COMMIT").fetchall()
        now += 60
        fill(log, log.head(), 1)
        watched.modes.clear()
        for _ in range(3):
            now += 1
            log._checkpoints._restart()
        assert watched.modes == [apsw.SQLITE_CHECKPOINT_RESTART] * 3


def test_a_reader_of_an_older_state_keeps_the_log_from_opening_and_is_named(path: Path) -> None:
    with SqliteEventLog.open(path) as log:
        fill(log, 0, 1)
    holder = apsw.Connection(str(path))
    holder.execute("BEGIN; SELECT count(*) FROM log").fetchall()
    other = apsw.Connection(str(path))
    other.execute("UPDATE meta SET value = value + 1 WHERE name = 'writer'").fetchall()
    with pytest.raises(BusyError) as caught:
        SqliteEventLog.open(path)
    assert re.search(rf"\b{os.getpid()}\b", caught.value.hint)
    holder.execute("COMMIT").fetchall()
    SqliteEventLog.open(path).close()
    holder.close()
    other.close()


def test_a_checkpoint_that_fails_is_told_and_fails_no_commit(path: Path) -> None:
    vfs = CrashVfs("checkpoint-fails", Trouble.FULL, None)
    with SqliteEventLog.open(path, vfs="checkpoint-fails", exclusive=True) as log:
        fill(log, 0, 1)
        checkpoints = log._checkpoints
        whole = checkpoints.after_commit

        def full_meanwhile() -> None:
            vfs._at = 1
            whole()
            vfs.heal()

        checkpoints.after_commit = full_meanwhile  # type: ignore[method-assign]
        fill(log, 1, 20)
        assert log.head() == 21 * 50
        assert log.health().checkpoint_failures > 1
        assert log.health().checkpoint_failing == "disk_full"
        checkpoints.after_commit = whole  # type: ignore[method-assign]
        fill(log, 21, 1)
        assert (log.health().checkpoint_failures, log.health().checkpoint_failing) == (0, "")


LOCKS = """\
1: POSIX  ADVISORY  READ 4242 fe:00:%(inode)d 123 123
2: POSIX  ADVISORY  WRITE 17 fe:00:%(inode)d 120 120
3: POSIX  ADVISORY  READ 18 fe:00:%(inode)d 128 128
4: FLOCK  ADVISORY  WRITE 19 fe:00:%(inode)d 0 EOF
5: POSIX  ADVISORY  READ 20 fe:00:1 124 124
6: POSIX  ADVISORY  READ 7 fe:00:%(inode)d 126 126
6: -> POSIX  ADVISORY  WRITE 8 fe:00:%(inode)d 126 126
"""


def test_only_read_marks_of_this_log_count(path: Path, tmp_path: Path) -> None:
    shm = path.with_name("events.db-shm")
    shm.touch()
    locks = tmp_path / "locks"
    locks.write_text(LOCKS % {"inode": shm.stat().st_ino})
    assert readers_of(path, locks) == (7, 4242)
    assert readers_of(path, tmp_path / "none") == ()


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (apsw.ConstraintError("x"), False),
        (apsw.MismatchError("x"), False),
        (apsw.SQLError("no such table"), False),
        (apsw.RangeError("x"), False),
        (apsw.TooBigError("x"), False),
        (apsw.BindingsError("x"), False),
        (apsw.FullError("x"), True),
        (apsw.BusyError("x"), True),
        (apsw.NoMemError("x"), True),
    ],
)
def test_a_defect_of_ours_is_not_tried_again(error: apsw.Error, retryable: bool) -> None:
    found = store_error(error, "committing")
    assert found.retryable is retryable
    assert isinstance(found, DefectError) is not retryable
    assert found.hint


def test_rows_that_break_a_constraint_end_as_a_defect(path: Path) -> None:
    with SqliteEventLog.open(path) as log:
        log.stage([item("a")], [], NOW_US)
        log.commit()
        log._connection.execute("DELETE FROM superseded; INSERT INTO superseded VALUES (1, 9)").fetchall()
        with pytest.raises(DefectError) as caught:
            log.stage([item("a", version=1)], [], NOW_US)
        assert "ConstraintError" in str(caught.value)
        assert log.stage([item("b")], [], NOW_US) == [2], "the log can still be used"
