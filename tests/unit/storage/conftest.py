"""Logs in SQLite with an index so small that few rows reach each of its states."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.storage.sqlite import index
from healthsync_mqtt.storage.sqlite.index import Tuning
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog

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


@pytest.fixture(autouse=True, scope="module")
def small_shelves() -> Iterator[None]:
    """So that few rows fill many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "SHELF_LOG2", 5)
        yield


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
