"""What purging does to the file, and to a log of an older version."""

import shutil
from pathlib import Path

import apsw

from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.unit.storage.test_opening import FIXTURE


def value(connection: apsw.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchall()[0][0])


def test_purging_gives_pages_back_while_events_come_in(tmp_path: Path) -> None:
    with SqliteEventLog.open(tmp_path / "events.db") as log:
        big = [item(f"e{n}") for n in range(2000)]
        log.stage(
            [one._replace(event=one.event._replace(body=b'{"value":"%s"}' % (b"x" * 2000))) for one in big], [], 0
        )
        log.commit()
        before = value(log._connection, "page_count")
        for first in range(1, 2001, 200):
            log.purge("heart_rate", NOW_US + 1, range(first, first + 200))
            log.stage([item(f"new{first}")], [], NOW_US)
            log.commit()
        assert value(log._connection, "page_count") < before / 4
        assert log.stage([big[0], big[-1]], [], NOW_US) == [0, 0]
        log.commit()
        assert log._connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with SqliteLogReader.open(tmp_path / "events.db") as reader:
            assert len(reader.read(0, 9999)) == 10


def test_a_log_of_schema_1_is_purged_and_one_vacuum_lets_it_shrink(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    shutil.copy(FIXTURE, path)
    path.chmod(0o600)
    with SqliteEventLog.open(path) as log:
        assert value(log._connection, "auto_vacuum") == 0
        log.purge("heart_rate", NOW_US + 1, [1, 2])
        log.commit()
        assert log.stage([item("b")], [], NOW_US) == [0]
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL").fetchall()
    connection.execute("VACUUM").fetchall()
    connection.close()
    with SqliteEventLog.open(path) as log, SqliteLogReader.open(path) as reader:
        assert value(log._connection, "auto_vacuum") == 2
        assert [record.id for record in reader.read(0, 9)] == ["a", "a", "b"]


def test_what_a_range_supersedes_is_found_without_a_scan(tmp_path: Path) -> None:
    with SqliteEventLog.open(tmp_path / "events.db") as log:
        plan = log._connection.execute(
            "EXPLAIN QUERY PLAN SELECT by_seq, seq FROM superseded WHERE by_seq BETWEEN 1 AND 2"
        ).fetchall()
        assert "USING COVERING INDEX superseded_by_seq" in plan[0][3]
