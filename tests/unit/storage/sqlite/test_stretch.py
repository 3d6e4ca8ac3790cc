"""What one reading of a follower costs SQLite has a bound, however much is purged: its instructions are counted."""

from pathlib import Path

import pytest

from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.unit.storage.conftest import SMALL


def purged(path: Path, rows: int) -> Path:
    """A log of two users whose first ``rows`` rows have no bodies any more, with ten behind them."""
    with SqliteEventLog.open(path, tuning=SMALL) as log:
        for start in range(0, rows + 10, 1_000):
            names = range(start, min(start + 1_000, rows + 10))
            log.stage([item(f"e{number}", ("alice", "bob")[number % 2]) for number in names], [], NOW_US)
            log.commit()
        log.purge("heart_rate", NOW_US + 1, range(1, rows + 1))
        log.commit()
    return path


def instructions(reader: SqliteLogReader, after: int, look: int, user: str | None) -> int:
    """Instructions of SQLite's machine, in hundreds."""
    counted = 0

    def count() -> bool:
        nonlocal counted
        counted += 1
        return False

    reader._connection.set_progress_handler(count, 100)
    try:
        reader.stretch(after, 500, look=look, user=user)
    finally:
        reader._connection.set_progress_handler(None)
    return counted


@pytest.mark.parametrize("user", [None, "alice"])
def test_a_long_purged_part_costs_no_more_at_once_than_a_short_one(tmp_path: Path, user: str | None) -> None:
    costs = []
    for rows in (4_000, 16_000):
        with SqliteLogReader.open(purged(tmp_path / f"{rows}.db", rows)) as reader:
            costs.append(max(instructions(reader, after, 200, user) for after in (0, 1_000, 2_500)))
    assert costs[1] <= costs[0] * 1.5 + 20, costs
    with SqliteLogReader.open(tmp_path / "16000.db") as reader:
        assert instructions(reader, 0, 16_000, user) > 10 * costs[1], "what is not bounded costs its length"


@pytest.mark.parametrize("user", [None, "alice"])
def test_stretch_by_stretch_everything_is_found(tmp_path: Path, user: str | None) -> None:
    with SqliteLogReader.open(purged(tmp_path / "events.db", 3_000)) as reader:
        port: LogReader = reader
        ids: list[str] = []
        after, more, steps = 0, True, 0
        while more:
            rows, after, more = port.stretch(after, 3, look=700, user=user)
            ids += [row.id for row in rows]
            steps += 1
        assert ids == [row.id for row in reader.read(0, 99, user=user, history=True)]
        assert len(ids) == (10 if user is None else 5)
        assert after == 3_010
        assert steps >= 3
