"""Opening a log: modes, permissions, versions, migrations, one writer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from healthsync_mqtt.errors import StoreError, UnavailableError
from healthsync_mqtt.storage.sqlite import connection
from healthsync_mqtt.storage.sqlite.connection import migrate, refuse_old_sqlite
from healthsync_mqtt.storage.sqlite.faults import DamagedError, FencedError
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.storage.sqlite.statements import migrations
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected
from healthsync_mqtt.testing.masking_codec import MaskingCodec

FIXTURE = Path(__file__).parents[2] / "fixtures" / "events_v1.db"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


def test_each_commit_is_synced(path: Path) -> None:
    with SqliteEventLog.open(path) as log:
        query = log._connection.execute
        assert query("PRAGMA synchronous").fetchall() == [(2,)]
        assert query("PRAGMA journal_mode").fetchall() == [("wal",)]
        assert query("PRAGMA foreign_keys").fetchall() == [(1,)]


def test_a_log_that_would_not_sync_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SYNCHRONOUS", ("NORMAL", 2))
    with pytest.raises(StoreError, match="does not sync"):
        SqliteEventLog.open(path)


@pytest.mark.parametrize("version", ["3.40.1", "3.51.2", "3.7.0"])
def test_a_sqlite_that_loses_rows_is_refused(version: str) -> None:
    with pytest.raises(StoreError, match="can lose committed rows") as caught:
        refuse_old_sqlite(version)
    assert "apsw" in caught.value.hint


@pytest.mark.parametrize("version", ["3.51.3", "3.54.1", "4.0.0"])
def test_a_safe_sqlite_is_accepted(version: str) -> None:
    refuse_old_sqlite(version)


def test_only_the_owner_can_read_the_files(path: Path) -> None:
    with SqliteEventLog.open(path) as log:
        log.stage([item("a")], [], NOW_US)
        log.commit()
        for name in ("events.db", "events.db-wal", "events.db-shm", "writer.lock"):
            assert (path.parent / name).stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_can_read_is_refused(path: Path) -> None:
    SqliteEventLog.open(path).close()
    path.chmod(0o640)
    with pytest.raises(StoreError, match="other users") as caught:
        SqliteEventLog.open(path)
    assert caught.value.hint == f"chmod 600 {path}"


def test_no_log_is_created_unasked(path: Path) -> None:
    with pytest.raises(UnavailableError, match="no event log"):
        SqliteEventLog.open(path, create=False)
    with pytest.raises(UnavailableError, match="no event log"):
        SqliteLogReader.open(path)
    assert not path.exists()


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="nowhere") as caught:
        SqliteEventLog.open(tmp_path / "nowhere" / "events.db")
    assert "mkdir" in caught.value.hint


def test_a_database_of_another_program_is_refused(path: Path) -> None:
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE t (x)").fetchall()
    other.close()
    path.chmod(0o600)
    for opener in (SqliteEventLog.open, SqliteLogReader.open):
        with pytest.raises(DamagedError, match="another program"):
            opener(path)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database " * 100)
    path.chmod(0o600)
    with pytest.raises(DamagedError):
        SqliteEventLog.open(path)


def test_migrating_is_idempotent(path: Path) -> None:
    with SqliteEventLog.open(path) as log:
        epoch = log.epoch
        migrate(log._connection)
    with SqliteEventLog.open(path) as log:
        assert log.epoch == epoch
        assert log._connection.execute("PRAGMA user_version").fetchall() == [(migrations()[-1][0],)]


def test_a_newer_schema_is_refused(path: Path) -> None:
    with SqliteEventLog.open(path) as log:
        log._connection.execute("PRAGMA user_version=999").fetchall()
    for opener in (SqliteEventLog.open, SqliteLogReader.open):
        with pytest.raises(StoreError, match="newer version"):
            opener(path)


def test_a_migration_that_is_interrupted_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = migrations()[0][1]
    statements = whole.split(";\n")
    for cut in range(1, len(statements), 3):
        broken = ";\n".join(statements[:cut]) + ";\nSELECT no_such_function();"
        with monkeypatch.context() as patched:
            patched.setattr(connection, "migrations", lambda broken=broken: ((1, broken),))
            with pytest.raises(StoreError):
                SqliteEventLog.open(path)
    with SqliteEventLog.open(path) as log:
        assert log.stage([item("a")], [], NOW_US) == [1]
        assert log.commit() == 1


def test_a_log_of_schema_1_opens_and_reads(path: Path) -> None:
    shutil.copy(FIXTURE, path)
    path.chmod(0o600)
    with SqliteEventLog.open(path, create=False) as log, SqliteLogReader.open(path) as reader:
        assert log.epoch == reader.epoch
        assert reader.totals() == {"events": 6, "superseded": 2, "rejected": 1, "users": 2}
        assert [(record.id, record.version, record.op) for record in reader.read(0, 9)] == [
            ("b", 0, 0),
            ("a", 0, 0),
            ("a", 1, 0),
            ("b", 0, 1),
        ]
        assert reader.cursor("publish") == 4
        assert log.stage([item("a", version=1), item("a", "bob"), item("new")], [], NOW_US) == [0, 0, 7]


def test_users_of_a_log_of_schema_2_go_on_after_what_they_were_told(path: Path) -> None:
    """Their receipts named the head, 7: a smaller number would look like an older log to every device."""
    shutil.copy(FIXTURE.with_name("events_v2.db"), path)
    path.chmod(0o600)
    with SqliteEventLog.open(path, create=False) as log, SqliteLogReader.open(path) as reader:
        assert [(row.seq, row.position) for row in reader.read(0, 9, history=True)] == [(n, n) for n in range(1, 8)]
        assert [log.position(user) for user in ("alice", "bob", "carol", "dave", "new")] == [7, 7, 7, 7, 0]
        assert reader.cursor("subscriber:app") == 3
        log.stage([item("z"), item("z", "dave"), item("z", "new"), item("z", "new", version=1)], [], NOW_US)
        log.commit()
        assert [row.position for row in reader.read(7, 9, history=True)] == [8, 8, 1, 2]
    with SqliteEventLog.open(path) as log:
        assert [log.position(user) for user in ("alice", "bob", "carol", "dave", "new")] == [8, 7, 7, 8, 2]


def test_a_second_writer_is_refused_and_told_who_has_it(path: Path) -> None:
    with SqliteEventLog.open(path):
        with pytest.raises(UnavailableError) as caught:
            SqliteEventLog.open(path)
        assert str(os.getpid()) in caught.value.hint
        other = subprocess.run(
            [
                sys.executable,
                "-c",
                f"from healthsync_mqtt.storage.sqlite.log import SqliteEventLog as L; L.open({str(path)!r})",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert other.returncode == 1
        assert "UnavailableError" in other.stderr
    SqliteEventLog.open(path).close()


def test_a_writer_that_was_taken_over_can_commit_no_more(path: Path) -> None:
    stale = SqliteEventLog.open(path)
    (path.parent / "writer.lock").unlink()  # a lock that does not hold, as on some network file systems
    with SqliteEventLog.open(path) as log:
        with pytest.raises(FencedError):
            stale.stage([item("a")], [], NOW_US)
        stale.set_cursor("publish", 9)
        with pytest.raises(FencedError):
            stale.commit()
        assert log.stage([item("a")], [], NOW_US) == [1]
        assert log.commit() == 1
    stale.close()


def test_closing_twice_is_fine(path: Path) -> None:
    log = SqliteEventLog.open(path)
    log.stage([item("a")], [], NOW_US)
    log.close()
    log.close()
    reader = SqliteLogReader.open(path)
    assert reader.head() == 0, "what was not committed is gone"
    reader.close()
    reader.close()


def test_a_row_without_its_name_is_damage(path: Path) -> None:
    with SqliteEventLog.open(path) as log, SqliteLogReader.open(path) as reader:
        log.stage([item("a")], [], NOW_US)
        log.commit()
        log._connection.execute("DELETE FROM names").fetchall()
        with pytest.raises(DamagedError, match="missing name"):
            reader.read(0, 9)


def test_text_that_is_not_utf8_is_damage(path: Path) -> None:
    with SqliteEventLog.open(path) as log, SqliteLogReader.open(path) as reader:
        log.stage([item("a")], [], NOW_US)
        log.commit()
        log._connection.execute("UPDATE log SET id = CAST(x'ff' AS TEXT)").fetchall()
        with pytest.raises(DamagedError):
            reader.read(0, 9)


def test_bodies_pass_through_the_codec(path: Path) -> None:
    with SqliteEventLog.open(path, codec=MaskingCodec()) as log:
        log.stage([item("a"), item("a", "bob")], [], NOW_US)
        log.commit()
        stored = log._connection.execute("SELECT id, body FROM log ORDER BY seq").fetchall()
        assert [(name, body[:7]) for name, body in stored] == [("", b"masked:")] * 2
        assert stored[0] != stored[1]
    with SqliteLogReader.open(path, codec=MaskingCodec()) as reader:
        assert [record.body for record in reader.read(0, 9)] == [item("a").event.body] * 2


def test_refused_bytes_pass_through_the_codec(path: Path) -> None:
    with SqliteEventLog.open(path, codec=MaskingCodec()) as log:
        log.stage([], [rejected("bob", raw=b"marker"), rejected(raw=b"")], NOW_US)
        log.commit()
        stored = log._connection.execute("SELECT raw, message, event_id FROM quarantine ORDER BY no").fetchall()
        assert [(raw[:7], *rest) for raw, *rest in stored] == [(b"masked:", "", None)] * 2
    with SqliteLogReader.open(path, codec=MaskingCodec()) as reader:
        assert [row.raw for row in reader.rejected()] == [b"marker", b""]
        assert reader.rejected_get(1) == reader.rejected()[0]
    assert b"marker" not in path.read_bytes()
