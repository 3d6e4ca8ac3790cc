"""Events that are there already cost no more than new ones: the log is asked for all of them at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.unit.storage.conftest import SMALL
from tests.unit.storage.sealed import sealed_writer

MANY = 200


@contextmanager
def statements(log: SqliteEventLog) -> Iterator[list[str]]:
    """What the writer asks and changes meanwhile, a statement each time that it runs."""
    seen: list[str] = []

    def trace(_: Any, sql: str, __: Any) -> bool:
        seen.append(sql)
        return True

    log._connection.exec_trace = trace
    try:
        yield seen
    finally:
        log._connection.exec_trace = None


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
@pytest.mark.parametrize("version", [0, 1], ids=["duplicates", "newer versions"])
def test_what_is_there_is_looked_up_with_few_statements(tmp_path: Path, *, sealed: bool, version: int) -> None:
    with sealed_writer(tmp_path, tuning=SMALL, seal_new=sealed) as log:
        for first in range(0, MANY, 10):
            log.stage([item(f"e{n}") for n in range(first, first + 10)], [], NOW_US)
            log.commit()
        assert len(log._index.recent) < MANY // 10, "nearly all are in runs"
        log.stage([item("x")], [], NOW_US)  # the transaction is open
        with statements(log) as seen:
            seqs = log.stage([item(f"e{n}", version=version) for n in range(MANY)], [], NOW_US)
        assert bool(any(seqs)) == bool(version)
        # One for all of each step, and one for each row that is written.
        assert len(seen) <= 5 + 2 * sum(map(bool, seqs)), seen[:20]
        log.rollback()


def test_an_event_whose_source_says_no_version_is_compared_with_what_was_read_at_once(
    open_log: Callable[[], SqliteEventLog],
) -> None:
    log = open_log()
    log.stage([item(f"e{n}", version=-1) for n in range(MANY)], [], NOW_US)
    log.commit()
    log.stage([item("x")], [], NOW_US)
    with statements(log) as seen:
        assert log.stage([item(f"e{n}", version=-1) for n in range(MANY)], [], NOW_US) == [0] * MANY
    assert len(seen) <= 5, seen[:20]
