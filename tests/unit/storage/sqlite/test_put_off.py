"""A commit may leave what the index costs to a commit of nothing; in every state between them the log is right."""

from collections.abc import Callable
from random import Random

import pytest

from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.unit.storage.conftest import SMALL
from tests.unit.storage.sqlite.test_spread import rows

Opener = Callable[[], SqliteEventLog]


def test_what_was_put_off_is_done_by_a_commit_of_nothing(open_log: Opener) -> None:
    log = open_log()
    many = SMALL.rows_per_block + 1
    log.stage([item(f"e{n}") for n in range(many)], [], NOW_US)
    log.put_off()
    assert log.commit() == many
    assert log.owes
    assert rows(log) == (0, 0)
    log.stage([], [], NOW_US)
    assert log.commit() == many
    assert not log.owes
    assert rows(log) == (0, many)


def test_it_is_put_off_once_for_each_time_that_it_is_asked(open_log: Opener) -> None:
    log = open_log()
    log.put_off()
    log.stage([item("a")], [], NOW_US)
    log.commit()
    assert log.owes
    log.stage([item("b")], [], NOW_US)
    log.commit()
    assert not log.owes


@pytest.mark.parametrize("seed", range(12))
def test_no_id_is_taken_twice_whatever_was_put_off_and_whatever_ends_it(open_log: Opener, seed: int) -> None:
    random, log, known = Random(seed), open_log(), 0
    for _ in range(60):
        deed = random.choice(("put off", "put off", "put off", "commit", "nothing", "roll back", "open anew"))
        if deed == "open anew":
            log.close()
            log = open_log()
            continue
        if deed == "put off":
            log.put_off()
        count = 0 if deed == "nothing" else random.randrange(1, 3 * SMALL.rows_per_block)
        again = [item(f"e{n}") for n in random.sample(range(known), min(known, 5))]
        fresh = [item(f"e{n}") for n in range(known, known + count)]
        seqs = log.stage([*again, *fresh], [], NOW_US)
        assert seqs[: len(again)] == [0] * len(again)
        assert all(seqs[len(again) :])
        if deed == "roll back":
            log.rollback()
            continue
        assert log.commit() == known + count
        known += count
        assert log.owes <= (deed == "put off")
