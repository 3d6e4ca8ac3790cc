"""A user's rows are found by the shelves that have some: reading costs the user's own rows, and not everybody's."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.port import EventLog, LogReader
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.unit.storage.conftest import SMALL

Reading = Callable[[SqliteLogReader], object]
KINDS = ("heart_rate", "weight", "steps")


def fill(log: EventLog, rows: int, *, seed: int, users: int = 6) -> None:
    """Rows of users of whom some come often and some hardly ever, in commits of several sizes."""
    rng = random.Random(seed)
    number = 0
    while number < rows:
        several = []
        for _ in range(min(rng.choice((1, 3, 20)), rows - number)):
            user = f"u{min(int(rng.expovariate(1.0)), users - 1)}"
            several.append(item(f"e{number}", user, event_type=rng.choice(KINDS), start_us=NOW_US + number))
            number += 1
        log.stage(several, [], NOW_US)
        log.commit()


def beside(path: Path, others: int) -> Path:
    """A log in which alice has a row now and then at the beginning and at the end, and others have all the rest."""
    with SqliteEventLog.open(path, tuning=SMALL) as log:
        for number in range(0, others + 120, 4):
            mine = not 60 <= number < 60 + others
            names = range(number, number + 4)
            log.stage([item(f"e{n}", "alice" if mine and n % 6 == 0 else f"o{n % 9}") for n in names], [], NOW_US)
            log.commit()
    return path


def instructions(path: Path, read: Reading) -> int:
    """Instructions of SQLite's machine for one reading, in tens."""
    counted = 0

    def count() -> bool:
        nonlocal counted
        counted += 1
        return False

    with SqliteLogReader.open(path) as reader:
        reader._connection.set_progress_handler(count, 10)
        read(reader)
        reader._connection.set_progress_handler(None)
    return counted


READINGS: dict[str, Reading] = {
    "forward": lambda reader: reader.read(0, 1_000, user="alice", history=True),
    "newest": lambda reader: reader.read(0, 1_000, user="alice", history=True, newest=True),
    "next": lambda reader: reader.next_row(70, reader.head(), user="alice"),
    "stretch": lambda reader: reader.stretch(0, 500, look=500, user="alice"),
    "types": lambda reader: reader.types("alice"),
}


def test_rows_of_others_between_ones_own_cost_a_look_a_shelf(tmp_path: Path) -> None:
    """Each block was looked into: history and `from` took the longer the more others had stored."""
    few, many = 320, 3_200
    paths = [beside(tmp_path / f"{others}.db", others) for others in (few, many)]
    more_shelves = (many - few) // 32
    for name, read in READINGS.items():
        costs = [instructions(path, read) for path in paths]
        assert costs[1] - costs[0] <= 6 * more_shelves, (name, costs)


def same(reader: LogReader, truth: LogReader) -> None:
    """Every way to read a user says what the log in memory says."""
    for user in (*(f"u{number}" for number in range(6)), "nobody"):
        assert reader.types(user) == truth.types(user)
        for kind in (None, *KINDS):
            for newest in (False, True):
                for after, limit in ((0, 1_000), (0, 3), (100, 7), (truth.head(), 5)):
                    wanted = {"user": user, "type": kind, "newest": newest}
                    found = reader.read(after, limit, **wanted)  # type: ignore[arg-type]
                    assert [row.id for row in found] == [
                        row.id
                        for row in truth.read(after, limit, **wanted)  # type: ignore[arg-type]
                    ], (user, kind, newest, after, limit)
        for after in range(0, truth.head(), 37):
            for through in (after + 1, after + 40, truth.head()):
                got, right = reader.next_row(after, through, user=user), truth.next_row(after, through, user=user)
                assert (got and got.id) == (right and right.id), (user, after, through)
        after, more, ids = 0, True, []
        while more:
            rows, after, more = reader.stretch(after, 4, look=9, user=user)
            ids += [row.id for row in rows]
        assert ids == [row.id for row in truth.read(0, 10_000, user=user, history=True)]


@pytest.mark.parametrize("seed", range(2))
def test_whatever_is_on_which_shelf_every_reading_is_the_same(tmp_path: Path, seed: int) -> None:
    memory = MemoryEventLog()
    fill(memory, 300, seed=seed)
    with SqliteEventLog.open(tmp_path / "events.db", tuning=SMALL) as log:
        fill(log, 300, seed=seed)
        with SqliteLogReader.open(tmp_path / "events.db") as reader:
            same(reader, memory.reader())


def test_a_log_of_before_is_read_as_it_was_and_put_on_shelves_by_and_by(tmp_path: Path) -> None:
    memory, path = MemoryEventLog(), tmp_path / "events.db"
    fill(memory, 240, seed=9)
    with SqliteEventLog.open(path, tuning=SMALL) as log:
        fill(log, 240, seed=9)
        for table in (
            "shelf_user",
            "shelf_count",
            "block_version",
            "block_sketch",
            "block_sketched",
            "block_unsketched",
        ):
            log._connection.execute(f"DROP TABLE {table}").fetchall()
        log._connection.execute("DELETE FROM meta WHERE name IN ('unshelved', 'overwritten', 'uncounted')").fetchall()
        for table in ("log", "quarantine", "format_state"):
            log._connection.execute(f"ALTER TABLE {table} DROP COLUMN sealed").fetchall()
        log._connection.execute("DROP TABLE format_record_sealed").fetchall()
        log._connection.execute("PRAGMA user_version=7").fetchall()
    left: list[int] = []
    often = replace(SMALL, commits_per_old_block=2)
    with SqliteEventLog.open(path, tuning=often) as log, SqliteLogReader.open(path) as reader:
        for number in range(200):
            if number % 50 == 0:
                same(reader, memory.reader())
            left.append(reader._shelves.unshelved())
            each = item(f"later{number}", f"u{number % 4}", start_us=NOW_US + 240 + number)
            for one in (log, memory):
                one.stage([each], [], NOW_US)  # type: ignore[attr-defined]
                one.commit()  # type: ignore[attr-defined]
        assert left[0] > 150
        assert left == sorted(left, reverse=True)
        assert left[-1] == 0
        same(reader, memory.reader())
        (on_shelves,) = log._connection.execute(
            "SELECT count(*) FROM (SELECT DISTINCT (SELECT min(last_seq) FROM block WHERE last_seq >= seq) >> 5, user,"
            " type FROM log WHERE seq <= (SELECT max(last_seq) FROM block))"
        ).fetchall()
        kept = "SELECT shelf, user, type FROM shelf_user UNION SELECT shelf, user, type FROM shelf_count"
        assert log._connection.execute(f"SELECT count(*) FROM ({kept})").fetchall() == [on_shelves]
