"""Names of records are found by their beginning, however many others there are."""

from pathlib import Path
from typing import Any

from healthsync_mqtt.storage.port import FormatMemory
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader


def test_a_beginning_that_no_name_has_is_looked_up_and_not_searched_for(tmp_path: Path) -> None:
    names = [(f"{number:05}", "id") for number in range(20_000)]
    with SqliteEventLog.open(tmp_path / "events.db") as log, SqliteLogReader.open(tmp_path / "events.db") as reader:
        log.remember(FormatMemory("alice", "phone", "scale", None, names))
        log.commit()
        steps = 0

        def step() -> bool:
            nonlocal steps
            steps += 1
            return False

        connection: Any = reader._connection
        connection.set_progress_handler(step, 100)
        assert reader.format_records("alice", "phone", "scale", "00000-", 9) == []
        assert steps < 5
