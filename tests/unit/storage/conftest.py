"""Both event logs behind one fixture, so that one contract suite runs on both."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from healthsync_mqtt.storage import EventLog, LogReader, MemoryEventLog, SqliteEventLog, SqliteLogReader
from healthsync_mqtt.storage.sqlite.index import Tuning

#: Small enough that a few dozen rows reach runs, merges over three levels, several filters and their snapshots.
SMALL = Tuning(
    rows_per_block=4,
    runs_per_level=3,
    rows_per_step=2,
    moves_per_step=5,
    first_filter_log2=8,
    rows_per_snapshot=8,
    part_bytes=16,
)


@dataclass
class Store:
    log: EventLog
    reader: LogReader


@pytest.fixture(params=["memory", "sqlite", "sqlite-small"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        memory = MemoryEventLog()
        yield Store(memory, memory.reader())
        return
    log = SqliteEventLog.open(tmp_path / "events.db", tuning=SMALL if request.param == "sqlite-small" else None)
    with log, SqliteLogReader.open(tmp_path / "events.db") as reader:
        yield Store(log, reader)


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[Callable[[], SqliteEventLog]]:
    """Open the log of this test's directory, as often as wanted; the last is closed at the end."""
    opened: list[SqliteEventLog] = []

    def opener() -> SqliteEventLog:
        opened.append(SqliteEventLog.open(tmp_path / "events.db", tuning=SMALL))
        return opened[-1]

    yield opener
    for log in opened:
        log.close()
