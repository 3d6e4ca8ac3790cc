"""A log of before, whose free pages hold what was deleted then, is written anew at the first erasure, and once."""

from contextlib import closing
from pathlib import Path

import apsw

from healthsync_mqtt.storage.opening import open_log, open_reader
from healthsync_mqtt.testing.log_items import NOW_US, item


def test_free_pages_of_an_old_log_are_gone_after_the_first_erasure(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        log.stage([item("a1", "alice"), item("b1", "bob")], [], NOW_US)
        log.commit()
    file = tmp_path / "events.db"
    with closing(apsw.Connection(str(file))) as connection:  # as it was when nothing that goes was overwritten
        connection.execute("PRAGMA secure_delete=OFF").fetchall()
        connection.execute("CREATE TABLE old (body TEXT)").fetchall()
        connection.executemany("INSERT INTO old VALUES (?)", [(f"marker-{no}" * 300,) for no in range(50)]).fetchall()
        connection.execute("DROP TABLE old").fetchall()
        connection.execute("UPDATE meta SET value = 0 WHERE name = 'overwritten'").fetchall()
    assert b"marker" in file.read_bytes()
    with open_log(tmp_path) as log:
        log.erase("alice", [1])
        log.forget_user("alice", ["alice-watch"], 2)
        log.scrub()
        log.commit()
        assert not log.health().scrubbing
        assert not any(b"marker" in each.read_bytes() or b"alice" in each.read_bytes() for each in files(tmp_path))
        pages = file.stat().st_size
        with closing(apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            assert connection.execute("SELECT value FROM meta WHERE name = 'overwritten'").fetchall() == [(1,)]
        log.scrub()
        log.commit()
        assert file.stat().st_size == pages
    with open_reader(tmp_path) as reader:
        assert [row.id for row in reader.read(0, 9)] == ["b1"]
        assert reader.head() == 2


def files(folder: Path) -> list[Path]:
    return [each for each in folder.iterdir() if each.is_file()]
