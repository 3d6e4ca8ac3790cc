"""Groups whose COMMIT has no clear answer, on a real PostgreSQL: rows are believed, and what a standby has, too."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from itertools import count
from pathlib import Path

import psycopg
import pytest

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.storage.anchor import AnchorFile
from healthsync_mqtt.storage.postgres.faults import ServerGoneError
from healthsync_mqtt.storage.postgres.log import PostgresEventLog
from healthsync_mqtt.storage.postgres.reader import PostgresLogReader
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.postgres import NEEDED, CutAtCommit, EndsAfterCommit, Postgres, server_of_a_module

pytestmark = NEEDED
server = server_of_a_module


LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"


def test_a_group_is_there_when_its_row_is_and_its_answer_was_lost(server: Postgres) -> None:
    """The connection ends between the commit and its answer: it is durable, and is told so."""
    place = server.place()
    with PostgresEventLog.open(place) as log:
        log.stage([item("a")], [], NOW_US)
        _cut_at_commit(log, lambda connection: connection.execute(b"COMMIT"))
        assert log.commit() == 1
        assert log.stage([item("a"), item("b")], [], NOW_US) == [0, 2]
        log.commit()


def test_a_group_without_rows_is_tried_again_when_its_answer_was_lost(server: Postgres) -> None:
    place = server.place()
    with PostgresEventLog.open(place) as log, PostgresLogReader.open(place) as reader:
        log.stage([], [rejected()], NOW_US)
        log.set_cursor("ship", 0)
        _cut_at_commit(log, lambda connection: connection.execute(b"COMMIT"))
        with pytest.raises(ServerGoneError):
            log.commit()
        log.stage([], [rejected()], NOW_US)
        log.commit()
        assert (reader.cursors(), [row.times for row in reader.rejected()]) == ({"ship": 0}, [2])


def test_what_another_bridge_did_under_the_number_of_a_lost_group_is_no_answer(server: Postgres) -> None:
    """A crash takes the group before its COMMIT is read, and another bridge gets the number of its transaction."""
    place = server.place()
    numbers, given_again = count(1), False
    with PostgresEventLog.open(place) as one, PostgresEventLog.open(place) as other:

        def write(log: PostgresEventLog, who: str) -> None:
            log.stage([item(f"e{next(numbers)}", who)], [], NOW_US)
            log.commit()

        def crash(connection: psycopg.Connection) -> None:
            nonlocal given_again
            number = connection.execute("SELECT pg_current_xact_id()::text").fetchall()[0][0]
            given_again = server.crash_under(int(number), lambda: write(other, "bob"))

        for _ in range(9):  # the server may have written some of the group: then its number is its own for ever
            lost = item(f"e{next(numbers)}", "alice")
            one.stage([lost], [], NOW_US)
            _cut_at_commit(one, crash)
            with pytest.raises(ServerGoneError):
                one.commit()
            one.stage([lost], [], NOW_US)
            one.commit()
            if given_again:
                break
        assert given_again
        with PostgresLogReader.open(place) as reader:
            assert {row.id for row in reader.read(0, 999)} == {f"e{each}" for each in range(1, next(numbers))}


@pytest.mark.parametrize("end", ["terminate", "cancel"])
def test_a_group_that_no_standby_waited_for_is_not_acknowledged(server: Postgres, end: str) -> None:
    """Its COMMIT is broken off while it waits: it is durable here, and a standby that takes over would not have it."""
    place = server.place()
    with PostgresEventLog.open(place) as log, ThreadPoolExecutor(1) as pool:
        log.stage([item("a")], [], NOW_US)
        log.commit()
        with server.no_standby():
            log.stage([item("b")], [], NOW_US)
            committed = pool.submit(log.commit)
            wait_until(server.waiting, "the group waits for the standby")
            [(pid, statement, _)] = server.waiting()
            assert statement == "COMMIT"
            server.execute(f"SELECT pg_{end}_backend({pid})")
            wait_until(
                lambda: committed.done() or [what[:11] for _, what, _ in server.waiting()] == ["UPDATE head"],
                "something waits that the standby has only after it",
            )
            assert not committed.done()
        assert committed.result(PATIENCE_S) == 2
        assert log.stage([item("b")], [], NOW_US) == [0]
        log.commit()


@pytest.mark.parametrize("opened", [False, True], ids=["runs", "starts"])
def test_a_row_that_no_standby_had_is_not_missed_after_a_failover(
    server: Postgres, tmp_path: Path, *, opened: bool
) -> None:
    """After a crash the server shows what it was committing, told to nobody: a standby need not have it."""
    place, anchor = server.place(), AnchorFile(tmp_path / "postgres.anchor")
    with PostgresEventLog.open(place, anchor=anchor) as log:
        log.stage([item("a")], [], NOW_US)
        log.commit()
        with PostgresEventLog.open(place) as other, ThreadPoolExecutor(1) as pool, server.no_standby():
            other.stage([item("b")], [], NOW_US)
            committed = pool.submit(other.commit)
            wait_until(server.waiting, "the group waits for the standby")
            server.kill()
            server.start()
            with pytest.raises(StoreError):
                committed.result(PATIENCE_S)
        if opened:
            log.close()
        with PostgresEventLog.open(place, anchor=anchor) if opened else nullcontext(log) as seeing:
            assert seeing.stage([item("b")], [], NOW_US) == [0], "it is there to be seen"
            seeing.rollback()
            seeing.anchor()
            server.lose(place, 1)
            server.cut()
            assert seeing.stage([item("b")], [], NOW_US) == [2]
            seeing.commit()
    PostgresEventLog.open(place, anchor=anchor).close()


def test_a_commit_is_told_although_what_comes_after_it_fails(server: Postgres) -> None:
    """Its session ends after the answer, and another service has the log when dead rows are to be taken out."""
    place = server.place()
    with PostgresEventLog.open(place, alone=True) as log, ExitStack() as spare:
        log.stage([item("a")], [], NOW_US)
        log.scrub()

        def taken_over() -> None:
            log._connection.close()  # type: ignore[union-attr]
            wait_until(lambda: server.execute(LOCKS) == [(0,)], "the server has seen it")
            spare.enter_context(PostgresEventLog.open(place, alone=True))

        log._connection = EndsAfterCommit(log._connection, taken_over)  # type: ignore[assignment]
        assert log.commit() == 1
        assert log.health().scrubbing, "that is owed"


def _cut_at_commit(log: PostgresEventLog, instead: Callable[[psycopg.Connection], object]) -> None:
    log._connection = CutAtCommit(log._connection, instead)  # type: ignore[assignment]
