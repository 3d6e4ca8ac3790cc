"""What many rows cost the index at once is spread over commits, and is right in every state between them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from healthsync_mqtt.storage.sqlite.index import Filter, Tuning
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.unit.storage.conftest import SMALL

Opener = Callable[[], SqliteEventLog]


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many identities each addition to a filter had."""
    sizes: list[int] = []
    add_all = Filter.add_all

    def counted(self: Filter, identities: Iterator[int]) -> None:
        found = list(identities)
        sizes.append(len(found))
        add_all(self, found)

    monkeypatch.setattr(Filter, "add_all", counted)
    return sizes


def rows(log: SqliteEventLog) -> tuple[int, int]:
    """Rows of blocks, and the newest row that a run has."""
    query = log._connection.execute
    (blocks,) = query("SELECT count(*) FROM block_user").fetchone()
    (runs,) = query("SELECT coalesce(max(last_seq), 0) FROM identity_run").fetchone()
    return blocks, runs


def test_no_commit_makes_a_run_and_a_block_and_each_adds_its_own_rows_to_the_filter(
    open_log: Opener, added: list[int]
) -> None:
    log = open_log()
    before, made = (0, 0), [0, 0]
    for n in range(200):
        log.stage([item(f"e{n}")], [], NOW_US)
        log.commit()
        after = rows(log)
        grown = [new > old for old, new in zip(before, after, strict=True)]
        assert not all(grown), "one commit made both"
        made = [count + one for count, one in zip(made, grown, strict=True)]
        before = after
    assert min(made) > 30
    assert max(added) <= SMALL.rows_per_block, "all of a dictionary only where a filter is begun"
    assert added.count(1) > 190


@pytest.mark.parametrize("seed", range(8))
def test_whatever_ends_it_between_two_commits_no_id_is_taken_twice(open_log: Opener, seed: int) -> None:
    random, log, known = Random(seed), open_log(), 0
    for _ in range(120):
        events = [item(f"e{n}") for n in range(known, known + random.randint(1, 6))]
        log.stage(events, [], NOW_US)
        match random.randrange(6):
            case 0:
                log.rollback()
                continue
            case 1:
                log._upkeep.run(len(events), log._staged_head)
                log.rollback()
                continue
            case 2:
                log.commit()
                log.close()
                log = open_log()
            case _:
                log.commit()
        known += len(events)
        older = [item(f"e{random.randrange(known)}") for _ in range(5)]
        assert log.stage(older, [], NOW_US) == [0] * 5
    assert log.stage([item(f"e{n}") for n in range(known)], [], NOW_US) == [0] * known
    query = log._connection.execute
    assert query("SELECT count(DISTINCT identity) FROM log").fetchall() == [(known,)]
    (through,) = query("SELECT max(last_seq) FROM block").fetchone()
    assert query("SELECT seq FROM block_user ORDER BY seq").fetchall() == [(seq,) for seq in range(1, through + 1)]


def test_after_an_end_between_run_and_block_commits_without_a_new_row_make_no_empty_run(open_log: Opener) -> None:
    log, known = open_log(), 0
    while rows(log)[1] <= log._index.indexed_through:
        log.stage([item(f"e{known}")], [], NOW_US)
        log.commit()
        known += 1
    log.close()
    log = open_log()
    for _ in range(3):
        assert log.stage([item(f"e{n}") for n in range(known)], [], NOW_US) == [0] * known
        assert log.commit() == known
    assert log._connection.execute("SELECT count(*) FROM identity_run WHERE last_seq < first_seq").fetchall() == [(0,)]
    assert log.stage([item(f"e{n}") for n in range(known + 9)], [], NOW_US)[-1] == known + 9
    assert log.commit() == known + 9


@pytest.mark.parametrize(
    ("tuning", "most"),
    [
        pytest.param(Tuning(), 260_000, id="runs and blocks"),
        pytest.param(Tuning(rows_per_block=256, runs_per_level=2), 90_000, id="merges"),
    ],
)
def test_no_commit_of_a_hundred_rows_is_much_work_for_what_thousands_before_it_owe(
    tmp_path: Path, tuning: Tuning, most: int
) -> None:
    with SqliteEventLog.open(tmp_path / "events.db", tuning=tuning) as log:
        steps = 0

        def counted() -> bool:
            nonlocal steps
            steps += 100
            return False

        log._connection.set_progress_handler(counted, 100)
        work = []
        for commit in range(90):
            log.stage([item(f"e{commit}.{n}") for n in range(100)], [], NOW_US)
            steps = 0
            log.commit()
            work.append(steps)
        (merged,) = log._connection.execute("SELECT max(level) FROM identity_run").fetchone()
    assert sum(work) > 400_000, "steps of SQLite are counted"
    assert max(work) < most
    assert bool(merged) == (tuning.runs_per_level == 2)


def test_a_block_comes_some_rows_after_its_run_so_that_nobody_waits_for_both(tmp_path: Path) -> None:
    made: list[tuple[int, int]] = []
    with SqliteEventLog.open(tmp_path / "events.db", tuning=Tuning(rows_per_block=8, rows_per_step=4)) as log:
        before = rows(log)
        for n in range(1, 60):
            log.stage([item(f"e{n}")], [], NOW_US)
            log.commit()
            after = rows(log)
            made += [(n, kind) for kind in (0, 1) if after[kind] > before[kind]]
            before = after
    blocks, runs = ([n for n, kind in made if kind == which] for which in (0, 1))
    assert len(blocks) > 5
    assert [block - run for run, block in zip(runs, blocks, strict=False)] == [4] * len(blocks)


def test_a_commit_of_one_event_leaves_what_a_flood_owes_to_the_flood(tmp_path: Path) -> None:
    """A bystander's commit made the run of five thousand rows of others: ten milliseconds of work."""
    with SqliteEventLog.open(tmp_path / "events.db") as log:
        known = 0

        def store(count: int) -> tuple[int, int]:
            nonlocal known
            log.stage([item(f"e{n}") for n in range(known, known + count)], [], NOW_US)
            known += count
            log.commit()
            return rows(log)

        many, left = log._index.tuning.rows_per_block + 1, log._index.tuning.commits_left
        assert (store(many), store(many)) == ((0, many), (many, many))
        assert store(1) == (many, many), "the run is made by who has more"
        assert store(many) == (many, known)
        run = known
        assert [store(1) for _ in range(left)] == [(many, run)] * left
        assert store(many) == (run, run)
        assert [store(1) for _ in range(left)] == [(run, run)] * left
        assert store(1) == (run, known), "where nobody comes with more, it is not left for ever"
