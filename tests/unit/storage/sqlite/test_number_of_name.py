"""A number stands for one name for ever: readers keep what they have read of names."""

from pathlib import Path

from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_items import item


def test_who_comes_after_an_erasure_is_not_read_as_who_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with SqliteEventLog.open(path) as log:
        log.stage([item("a"), item("b", "bob")], [], 1)
        log.commit()
        reader = SqliteLogReader.open(path)
        assert [each.user for each in reader.read(0, 10)] == ["alice", "bob"]
        log.erase("bob", [2])
        log.forget_user("bob", ["bob-watch"], 2)
        log.commit()
        log.stage([item("c", "carol")], [], 2)
        log.commit()
        assert [(each.id, each.user) for each in reader.read(2, 10)] == [("c", "carol")]
        reader.close()
