"""The event log on a real PostgreSQL: the contract of every log, and what only a log of several writers promises."""

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from bridge.stages.journal import Journal
from healthsync_mqtt.errors import StoreError, UnavailableError
from healthsync_mqtt.keys.faults import KeyUnavailableError
from healthsync_mqtt.keys.opening import ring_made_if_missing
from healthsync_mqtt.postgres.connection import ServerPlace
from healthsync_mqtt.storage.anchor import AnchorFile, RestoredError
from healthsync_mqtt.storage.postgres import counts, reader, sketches
from healthsync_mqtt.storage.postgres import log as writer
from healthsync_mqtt.storage.postgres.connection import _SCHEMA_LOCK, ALONE_LOCK
from healthsync_mqtt.storage.postgres.faults import (
    AloneError,
    LogTakenError,
    OtherLogError,
    ServerBusyError,
    ServerGoneError,
    ServerUnsafeError,
)
from healthsync_mqtt.storage.postgres.log import PostgresEventLog
from healthsync_mqtt.storage.postgres.reader import PostgresLogReader
from healthsync_mqtt.storage.quotas import Quotas
from healthsync_mqtt.testing.log_contract import EventLogContract, Store
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected
from tests.support.patience import PATIENCE_S, until, wait_until
from tests.support.postgres import NEEDED, PASSWORD, Postgres, server_of_a_module
from tests.unit.storage.sealed import codec

pytestmark = NEEDED
server = server_of_a_module


@pytest.fixture(autouse=True)
def few_rows_are_counted_and_sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "ROWS_AT_ONCE", 4)
    monkeypatch.setattr(reader, "ROWS_AT_ONCE", 0)
    monkeypatch.setattr(sketches, "BLOCK_LOG2", 2)
    monkeypatch.setattr(sketches, "_LEAST_ROWS", 1)
    monkeypatch.setattr(sketches, "_ROWS_PER_STEP", 3)


class TestPostgres(EventLogContract):
    @pytest.fixture
    def store(self, server: Postgres) -> Iterator[Store]:
        place = server.place()
        with PostgresEventLog.open(place) as log, PostgresLogReader.open(place) as reader:
            yield Store(log, reader)

    def test_sealing_what_is_there_changes_nothing_that_is_read(self, store: Store) -> None:
        """There are no keys."""
        with pytest.raises(KeyUnavailableError):
            store.log.seal_older(1)


class TestPostgresSealed(EventLogContract):
    seal_new = True

    @pytest.fixture
    def store(self, server: Postgres, tmp_path: Path) -> Iterator[Store]:
        """A plain one has keys at hand, and its reader is from before it is sealed."""
        place = server.place()
        ring_made_if_missing(tmp_path)
        writer = PostgresEventLog.open(place, codec=codec(tmp_path), seal_new=self.seal_new)
        with writer as log, PostgresLogReader.open(place, codec=codec(tmp_path)) as reader:
            yield Store(log, reader)


class TestPostgresThatMayBeSealed(TestPostgresSealed):
    seal_new = False


def test_two_writers_share_one_order_and_store_each_event_once(server: Postgres) -> None:
    """Groups of both interleave; each event comes to both, in another order."""
    place = server.place()
    events = [item(f"e{n}", f"user{n % 7}", version=n % 3) for n in range(120)]
    told: dict[int, list[int]] = {}

    def write(number: int) -> None:
        mine = random.Random(number).sample(events, len(events))
        told[number] = []
        with PostgresEventLog.open(place) as log:
            for first in range(0, len(mine), 8):
                told[number] += log.stage(mine[first : first + 8], [], NOW_US)
                log.commit()

    with PostgresEventLog.open(place):
        writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
        for each in writers:
            each.start()
        for each in writers:
            each.join()
    with PostgresLogReader.open(place) as reader:
        rows = reader.read(0, 999, history=True)
    assert sorted(seq for seqs in told.values() for seq in seqs if seq) == [row.seq for row in rows]
    assert [row.seq for row in rows] == list(range(1, 121)), "no gaps, and none twice"
    assert len({(row.user, row.id) for row in rows}) == 120
    for user in {row.user for row in rows}:
        own = [row.position for row in rows if row.user == user]
        assert own == list(range(1, len(own) + 1)), "a user's events have one order"


def test_who_follows_two_writers_never_sees_a_row_before_the_one_that_is_before_it(server: Postgres) -> None:
    """The order of commits is the order of seq: a follower that has gone past a place would miss what came there."""
    place, each_writes = server.place(), 400
    gaps: list[tuple[int, list[int]]] = []
    both_write = threading.Barrier(3)

    def write(number: int) -> None:
        with PostgresEventLog.open(place) as log:
            both_write.wait(PATIENCE_S)
            for first in range(0, each_writes, 4):
                log.stage([item(f"w{number}-{n}", f"user{n % 7}") for n in range(first, first + 4)], [], NOW_US)
                log.commit()

    def follow() -> None:
        at, until = 0, time.monotonic() + PATIENCE_S
        with PostgresLogReader.open(place) as reader:
            both_write.wait(PATIENCE_S)
            while at < 2 * each_writes and time.monotonic() < until:
                if seqs := [row.seq for row in reader.read(at, 50, history=True)]:
                    if seqs != list(range(at + 1, at + 1 + len(seqs))):
                        gaps.append((at, seqs))
                    at = seqs[-1]
        assert at == 2 * each_writes, gaps

    with PostgresEventLog.open(place), ThreadPoolExecutor(3) as threads:
        for each in [threads.submit(write, 0), threads.submit(write, 1), threads.submit(follow)]:
            each.result(PATIENCE_S)
    assert gaps == []


def test_bridges_that_start_together_make_the_schema_once(server: Postgres) -> None:
    """All have looked, and found none, before the first may make it; the second called what it found a defect."""
    place = server.place()
    opened: list[str] = []

    def start() -> None:
        with PostgresEventLog.open(place) as log:
            opened.append(log.epoch)

    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    bridges = [threading.Thread(target=start) for _ in range(3)]
    with psycopg.connect(server.url, autocommit=True) as first:
        first.execute("SELECT pg_advisory_lock(%s)", (_SCHEMA_LOCK,))
        for each in bridges:
            each.start()
        wait_until(lambda: first.execute(waiting).fetchall() == [(3,)], "the bridges at the lock")
    for each in bridges:
        each.join()
    assert len(opened) == 3
    assert len(set(opened)) == 1


def test_a_position_counts_what_another_bridge_wrote(server: Postgres) -> None:
    place = server.place()
    with PostgresEventLog.open(place) as one, PostgresEventLog.open(place) as other:
        one.stage([item("a")], [], NOW_US)
        one.commit()
        other.stage([item("b"), item("c")], [], NOW_US)
        other.commit()
        assert one.stage([item("b")], [], NOW_US) == [0]
        assert one.commit() == 3
        assert (one.position("alice"), other.position("alice")) == (3, 3)


@pytest.mark.parametrize("groups", range(8))
def test_what_failed_in_a_pipeline_is_written_when_it_is_tried_again(server: Postgres, groups: int) -> None:
    """However often its statements ran before: after some times psycopg has the server prepare them."""
    place = server.place()

    def fail(log: PostgresEventLog) -> None:
        with psycopg.connect(place.url) as other:
            log._begun().execute("SET LOCAL lock_timeout = 1")
            other.execute(f"LOCK TABLE {place.schema}.person IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(ServerBusyError):
                log.stage([item("late")], [], NOW_US)

    with PostgresEventLog.open(place) as log:
        fail(log)
        for number in range(groups):
            log.stage([item(f"e{number}")], [rejected()], NOW_US)
            log.commit()
        fail(log)
        assert log.stage([item("late")], [], NOW_US) == [groups + 1]
        assert log.commit() == groups + 1


def test_who_was_erased_by_one_bridge_begins_anew_at_another(server: Postgres) -> None:
    place = server.place()
    with PostgresEventLog.open(place) as one, PostgresEventLog.open(place) as other:
        one.stage([item("a")], [], NOW_US)
        one.commit()
        other.stage([item("a")], [], NOW_US)
        other.erase("alice", [1])
        other.forget_user("alice", [], 1)
        other.commit()
        assert one.stage([item("a")], [], NOW_US) == [2]
        one.commit()
        assert one.position("alice") == 1
        with PostgresLogReader.open(place) as reader:
            assert (reader.types("alice"), reader.users()) == (["heart_rate"], ["alice"])


def test_a_connection_that_was_cut_between_groups_is_not_noticed(server: Postgres) -> None:
    place = server.place()
    with PostgresEventLog.open(place) as log, PostgresLogReader.open(place) as reader:
        log.stage([item("a")], [], NOW_US)
        log.commit()
        assert reader.head() == 1
        server.cut()
        assert log.stage([item("b")], [], NOW_US) == [2]
        assert log.commit() == 2
        assert (reader.head(), log.position("nobody")) == (2, 0)
        server.cut()
        with reader.snapshot():
            assert [row.id for row in reader.read(0, 9)] == ["a", "b"]


def test_a_group_whose_connection_is_cut_is_not_stored_and_can_be_tried_again(server: Postgres) -> None:
    place = server.place()
    with PostgresEventLog.open(place) as log:
        log.stage([item("a")], [rejected()], NOW_US)
        log.set_cursor("ship", 1)
        server.cut()
        with pytest.raises(ServerGoneError):
            log.commit()
        assert log.stage([item("a")], [rejected()], NOW_US) == [1]
        assert log.commit() == 1
        with PostgresLogReader.open(place) as reader:
            assert (reader.head(), reader.cursors(), [row.times for row in reader.rejected()]) == (1, {"ship": 1}, [1])


def test_a_killed_server_loses_nothing_that_was_committed(server: Postgres) -> None:
    place = server.place()
    with PostgresEventLog.open(place) as log, PostgresLogReader.open(place) as reader:
        for number in range(5):
            log.stage([item(f"e{number}")], [], NOW_US)
            log.commit()
            log.stage([item("lost")], [], NOW_US)
            server.kill()
            with pytest.raises(ServerGoneError):
                log.commit()
            with pytest.raises(ServerGoneError):
                log.stage([item("still down")], [], NOW_US)
            server.start()
            assert [row.id for row in reader.read(0, 99)] == [f"e{each}" for each in range(number + 1)]


def test_a_writer_that_stops_in_the_middle_of_a_group_does_not_hold_up_others_for_ever(server: Postgres) -> None:
    place = server.place()
    with PostgresEventLog.open(place) as stuck, PostgresEventLog.open(place) as other:
        assert stuck._connection is not None
        stuck._connection.execute(b"SET idle_in_transaction_session_timeout = 50")
        stuck.stage([item("a")], [], NOW_US)
        assert other.stage([item("b")], [], NOW_US) == [1]
        other.commit()
        with pytest.raises(ServerGoneError):
            stuck.commit()
        assert stuck.stage([item("a")], [], NOW_US) == [2]
        stuck.commit()


def test_a_server_that_does_not_sync_is_refused() -> None:
    with Postgres(fsync="off") as unsafe, pytest.raises(ServerUnsafeError, match="fsync = off"):
        PostgresEventLog.open(unsafe.place())


def test_without_synchronous_commit_the_writer_has_its_own(server: Postgres) -> None:
    server.execute("ALTER ROLE healthsync SET synchronous_commit = off")
    try:
        with PostgresEventLog.open(server.place()) as log:
            assert log._connection is not None
            assert log._connection.execute(b"SHOW synchronous_commit").fetchone() == ("on",)
    finally:
        server.execute("ALTER ROLE healthsync RESET synchronous_commit")


def test_another_log_behind_the_same_address_is_not_written(server: Postgres) -> None:
    place = server.place()
    with PostgresEventLog.open(place) as log:
        server.execute(f"UPDATE {place.schema}.epoch SET epoch = 'another-epoch-00'")
        server.cut()
        with pytest.raises(OtherLogError):
            log.stage([item("a")], [], NOW_US)


def test_a_bridge_that_runs_hears_with_its_next_group_that_another_accepted_what_is_left(server: Postgres) -> None:
    place = server.place()
    with PostgresEventLog.open(place) as one, PostgresEventLog.open(place) as other:
        one.stage([item("a")], [], NOW_US)
        one.commit()
        PostgresEventLog.open(place, accept_restored=lambda *_: None).close()
        with pytest.raises(OtherLogError) as told:
            one.stage([item("b")], [], NOW_US)
        assert not told.value.retryable
        other.set_cursor("ship", 1)
        with pytest.raises(OtherLogError):
            other.commit()
    with PostgresEventLog.open(place) as again:
        assert again.stage([item("b")], [], NOW_US) == [2], "nothing was written under the epoch of before"


@pytest.mark.parametrize("grown", [False, True], ids=["shorter", "other-rows"])
@pytest.mark.parametrize("cut", [False, True], ids=["connected", "cut"])
def test_a_bridge_misses_a_row_that_another_wrote_although_its_own_are_there(
    server: Postgres, tmp_path: Path, *, grown: bool, cut: bool
) -> None:
    """The one that wrote it is gone, so nobody else would."""
    place, anchor = server.place(), AnchorFile(tmp_path / "postgres.anchor")
    with PostgresEventLog.open(place, anchor=anchor) as log:
        log.stage([item("own")], [], NOW_US)
        log.commit()
        with PostgresEventLog.open(place) as gone:
            gone.stage([item("another's")], [], NOW_US)
            gone.commit()
        log.set_cursor("ship", 1)
        log.commit()
        log.anchor()
        server.lose(place, 1)
        if grown:
            with PostgresEventLog.open(place) as new:
                new.stage([item("new")], [], NOW_US)
                new.commit()
        if cut:
            server.cut()
        with pytest.raises(OtherLogError):
            log.stage([item("next")], [], NOW_US)
    with pytest.raises(RestoredError):
        PostgresEventLog.open(place, anchor=anchor)
    with PostgresEventLog.open(place, anchor=anchor, accept_restored=lambda *_: None) as log:
        assert log.epoch != "", "devices send again what they keep"
        assert log.stage([item("another's")], [], NOW_US) == [3 if grown else 2]


@pytest.mark.parametrize("grown", [False, True], ids=["shorter", "other-rows"])
def test_a_reader_does_not_go_on_in_a_log_that_has_lost_what_it_gave(server: Postgres, *, grown: bool) -> None:
    """Whoever follows the log stands at a row that is not there, and would leave out what gets its number."""
    place = server.place()
    with PostgresEventLog.open(place) as log, PostgresLogReader.open(place) as reader:
        log.stage([item("a"), item("lost")], [], NOW_US)
        log.commit()
        assert [row.id for row in reader.read(0, 9)] == ["a", "lost"]
        server.cut()
        assert reader.head() == 2, "a connection that is cut alone is nothing"
        server.lose(place, 1)
        if grown:
            with PostgresEventLog.open(place) as new:
                new.stage([item("b")], [], NOW_US)
                new.commit()
        server.cut()
        with pytest.raises(OtherLogError):
            reader.read(2, 9)


def holder(server: Postgres, place: ServerPlace) -> int:
    """The process of the server whose session has the log alone; 0: none has."""
    found = server.execute(
        f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = {ALONE_LOCK} "
        f"AND objid = (hashtext('{place.schema}')::bigint & 4294967295)::oid AND mode = 'ExclusiveLock'"
    )
    return int(found[0][0]) if found else 0


@pytest.mark.parametrize("restart", [False, True])
async def test_a_service_to_which_nothing_comes_takes_its_lock_again(server: Postgres, *, restart: bool) -> None:
    """Before the spare one is started, which is every two seconds."""
    place = server.place()
    with PostgresEventLog.open(place, alone=True) as log:
        told = list[Exception]()
        journal = Journal(log, apart=True, failed=told.append)
        first = holder(server, place)
        assert first
        if restart:
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        else:
            await asyncio.to_thread(server.cut)
        await until(lambda: holder(server, place) not in {0, first})
        with pytest.raises(AloneError):
            PostgresEventLog.open(place, alone=True)
        journal.close()
        assert told == []
    wait_until(lambda: holder(server, place) == 0)


def test_a_service_whose_log_another_one_has_for_long_is_told_so(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(writer, "time", SimpleNamespace(monotonic=lambda: now))
    place = server.place()
    with PostgresEventLog.open(place, alone=True) as log:
        first = holder(server, place)
        for _ in range(2):  # counted anew each time
            wait_until(lambda: holder(server, place) in {0, first})
            log.keep_lock()
            server.cut()
            with PostgresEventLog.open(place, alone=True):
                for passes in (0, 29):
                    now += passes
                    with pytest.raises(AloneError) as early:
                        log.keep_lock()
                    assert early.value.retryable
        server.cut()
        with PostgresEventLog.open(place, alone=True) as spare:
            with pytest.raises(AloneError):
                log.keep_lock()
            with pytest.raises(AloneError):
                log.stage([item("a")], [], NOW_US)
            now += 31
            with pytest.raises(LogTakenError, match="for 30 s") as late:
                log.keep_lock()
            assert not late.value.retryable
            assert spare.stage([item("b")], [], NOW_US) == [1]
            spare.commit()


def test_the_lock_of_a_machine_that_is_gone_is_given_back_soon(server: Postgres) -> None:
    """By the server, which asks the machine; its own default is two hours."""
    with PostgresEventLog.open(server.place(), alone=True) as log:
        assert log._connection is not None
        found = [
            log._connection.execute(f"SHOW tcp_keepalives_{name}".encode()).fetchone()
            for name in ("idle", "interval", "count")
        ]
        assert found == [("5",), ("2",), ("3",)]


def test_no_error_tells_the_password(server: Postgres) -> None:
    wrong = [
        ServerPlace(server.url.replace(PASSWORD, "not-this-secret")),
        ServerPlace(server.url.replace("/postgres", "/no-such-database")),
        ServerPlace(server.url.replace(str(server.port), "1")),
        ServerPlace("postgresql://healthsync:not-this-secret@[::1"),
    ]
    reasons = ["not_allowed", "not_allowed", "unreachable", "store_failed"]
    for place, reason in zip(wrong, reasons, strict=True):
        with pytest.raises(StoreError) as failed:
            PostgresEventLog.open(place)
        told = f"{failed.value} {failed.value.hint} {place!r}"
        assert "secret" not in told
        assert failed.value.hint
        assert failed.value.reason == reason


def test_a_log_of_a_newer_program_is_left_alone(server: Postgres) -> None:
    place = server.place()
    PostgresEventLog.open(place).close()
    server.execute(f"UPDATE {place.schema}.schema_version SET version = 999")
    with pytest.raises(UnavailableError, match="schema 999"):
        PostgresEventLog.open(place)


def test_a_log_of_before_is_counted_by_and_by_and_not_read_before_it_is_migrated(server: Postgres) -> None:
    place = server.place()
    schema = place.schema
    with PostgresEventLog.open(place) as log:
        for number in range(40):
            log.stage([item(f"e{number}"), item("often", version=number)], [], NOW_US)
            log.commit()
    server.execute(
        f"DROP TABLE {schema}.counted, {schema}.process, {schema}.sketch, {schema}.unsketched;"
        f"ALTER TABLE {schema}.head DROP COLUMN counted; DROP INDEX {schema}.log_version;"
        f"UPDATE {schema}.schema_version SET version = 2"
    )
    with pytest.raises(UnavailableError, match="older schema"):
        PostgresLogReader.open(place)
    with PostgresEventLog.open(place) as log, PostgresLogReader.open(place) as reader:
        left = [80]
        while left[-1] > 4:
            assert sum(reader.counts().values()) == 41
            log.set_cursor("some", 1)
            log.commit()
            left.append(log.head() - server.execute(f"SELECT counted FROM {schema}.head")[0][0])
        assert left == sorted(left, reverse=True)
        assert len(left) > 5
        assert sum(reader.counts().values()) == 41


def test_what_is_not_there_is_not_read(server: Postgres) -> None:
    with pytest.raises(UnavailableError, match="no event log"):
        PostgresLogReader.open(server.place())


def test_a_refusal_is_kept_whatever_its_texts_are(server: Postgres) -> None:
    """NUL and halves of characters are no text for the server."""
    place = server.place()
    with PostgresEventLog.open(place) as log, PostgresLogReader.open(place) as reader:
        odd = rejected(event_id="a\x00b\ud800")
        log.stage([], [odd, odd], NOW_US)
        log.commit()
        assert [(row.event_id, row.times) for row in reader.rejected()] == [("a\x00b\ud800", 2)]


def test_quotas_count_what_other_bridges_refused(server: Postgres) -> None:
    place, quotas = server.place(), Quotas(device_bytes=3 * (512 + 12), user_bytes=10**6, total_bytes=10**6)
    with PostgresEventLog.open(place, quotas=quotas) as one, PostgresEventLog.open(place, quotas=quotas) as other:
        for number in range(6):
            log = (one, other)[number % 2]
            log.stage([], [rejected(event_id=f"e{number}")], NOW_US)
            log.commit()
        assert one.health().quarantine_evicted + other.health().quarantine_evicted == 3
        with PostgresLogReader.open(place) as reader:
            assert [row.event_id for row in reader.rejected()] == ["e3", "e4", "e5"]
