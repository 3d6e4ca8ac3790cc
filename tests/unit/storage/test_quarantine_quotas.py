"""What is refused cannot fill the disk: quotas by device, user and in all; the oldest goes first and is counted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.port import EventLog, LogReader, Quarantined
from healthsync_mqtt.storage.quotas import ROW_COST, Quotas
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.move import SqliteMovingLog
from healthsync_mqtt.storage.sqlite.quarantine import Quarantine
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_items import NOW_US, rejected
from tests.unit.storage.sealed import sealed_writer

KIB = 1024
QUOTAS = Quotas(device_bytes=8 * KIB, user_bytes=12 * KIB, total_bytes=20 * KIB, row_bytes=2 * KIB)


class Opened(NamedTuple):
    log: EventLog
    reader: LogReader


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    if request.param == "memory":
        memory = MemoryEventLog(QUOTAS)
        yield Opened(memory, memory.reader())
        return
    path = tmp_path / "events.db"
    with SqliteEventLog.open(path, quotas=QUOTAS) as log, SqliteLogReader.open(path) as reader:
        yield Opened(log, reader)


def refused(n: int, user: str = "alice", device: str = "watch", size: int = KIB) -> Quarantined:
    one = rejected(user, f"e{n}", b"x" * size)
    return one._replace(origin=one.origin._replace(device=device))


def held(reader: LogReader, **of: str) -> int:
    rows = [row for row in reader.rejected(0, 9999) if all(getattr(row, key) == value for key, value in of.items())]
    return sum(len(row.raw) + ROW_COST for row in rows)


def flood(store: Opened, make: Callable[[int], Quarantined], count: int, a_commit: int = 7) -> None:
    for n in range(0, count, a_commit):
        store.log.stage([], [make(each) for each in range(n, min(n + a_commit, count))], NOW_US)
        store.log.commit()


def test_a_device_pushes_out_its_own_and_nobody_elses(store: Opened) -> None:
    flood(store, lambda n: refused(n, "bob"), 3)
    flood(store, lambda n: refused(n, "alice", "phone"), 2)
    flood(store, refused, 100)
    assert held(store.reader, user="alice", device="watch") <= QUOTAS.device_bytes
    assert [row.event_id for row in store.reader.rejected(user="bob")] == ["e0", "e1", "e2"]
    assert [row.event_id for row in store.reader.rejected(0, 99) if row.device == "phone"] == ["e0", "e1"]
    kept = [row.event_id for row in store.reader.rejected(0, 99) if (row.user, row.device) == ("alice", "watch")]
    assert kept == [f"e{n}" for n in range(100 - len(kept), 100)], "the oldest went"


def test_many_devices_of_a_user_share_the_users_quota(store: Opened) -> None:
    flood(store, lambda n: refused(n, "alice", f"d{n % 20}"), 100)
    flood(store, lambda n: refused(n, "bob"), 2)
    assert QUOTAS.user_bytes - 2 * KIB < held(store.reader, user="alice") <= QUOTAS.user_bytes
    assert len(store.reader.rejected(user="bob")) == 2


def test_all_users_share_the_whole(store: Opened) -> None:
    flood(store, lambda n: refused(n, f"u{n}"), 100)
    assert QUOTAS.total_bytes - 2 * KIB < held(store.reader) <= QUOTAS.total_bytes


def test_refusals_of_which_nothing_is_kept_are_bounded_too(store: Opened) -> None:
    flood(store, lambda n: refused(n, size=0), 100)
    assert len(store.reader.rejected(0, 999)) == QUOTAS.device_bytes // ROW_COST


def test_a_refusal_larger_than_a_quota_is_kept_alone(store: Opened) -> None:
    flood(store, lambda n: refused(n, size=64 * KIB), 30)
    assert all(len(row.raw) == QUOTAS.row_bytes for row in store.reader.rejected(0, 99))
    assert held(store.reader) <= QUOTAS.device_bytes


def test_what_went_is_counted_when_it_is_durable(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with SqliteEventLog.open(path, quotas=QUOTAS) as log:
        store = Opened(log, SqliteLogReader.open(path))
        flood(store, refused, 10)
        before = log.health().quarantine_evicted
        assert before == 10 - len(store.reader.rejected(0, 99))
        log.stage([], [refused(n) for n in range(10, 13)], NOW_US)
        log.rollback()
        assert log.health().quarantine_evicted == before
        store.reader.close()


def test_neither_the_log_nor_its_write_ahead_log_grows_with_what_was_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with SqliteEventLog.open(path, quotas=QUOTAS) as log:
        for n in range(60):
            log.stage([], [refused(n * 10 + i, size=64 * KIB) for i in range(10)], NOW_US)
            log.commit()
        assert log.health().wal_bytes < 6 * 1024 * KIB
        assert path.stat().st_size + log.health().wal_bytes < 8 * 1024 * KIB


def test_an_older_quarantine_is_brought_within_its_quota(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with SqliteEventLog.open(path) as log:
        log.stage([], [refused(n) for n in range(50)], NOW_US)
        log.commit()
    with SqliteEventLog.open(path, quotas=QUOTAS) as log, SqliteLogReader.open(path) as reader:
        log.stage([], [refused(99)], NOW_US)
        log.commit()
        assert held(reader) <= QUOTAS.device_bytes


def test_what_senders_hold_is_not_counted_anew_after_each_look_for_old_refusals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is a look at all rows, 91 ms of the event loop with 300,000, and came with the next refusal."""
    counted: list[None] = []
    load = Quarantine.load
    monkeypatch.setattr(Quarantine, "load", lambda self: (counted.append(None), load(self)))
    path = tmp_path / "events.db"
    with SqliteEventLog.open(path, quotas=QUOTAS) as log, SqliteLogReader.open(path) as reader:
        store = Opened(log, reader)
        for hour in range(6):
            flood(store, lambda n, hour=hour: refused(10 * hour + n)._replace(received_us=NOW_US + hour), 3)  # type: ignore[misc]
            flood(store, lambda n, hour=hour: refused(10 * hour + n, "bob"), 2)  # type: ignore[misc]
            before_us, user = NOW_US + max(0, hour - 2), None if hour % 2 else "alice"
            log.purge_rejected(reader.rejected_old(0, 99, before_us, user=user), before_us)
            log.commit()
            log.stage([], [refused(99, "carl")], NOW_US + 9)
            log.commit()
        found = log._quarantine._held
        assert counted == [None]
        assert set(found) == {(row.user, row.device) for row in reader.rejected(0, 999)}
        for (user, device), cost in found.items():
            assert cost == sum(
                len(r.raw) + ROW_COST for r in reader.rejected(0, 999) if (r.user, r.device) == (user, device)
            )
        assert sum(found.values()) == log._quarantine._total == sum(log._quarantine._users.values())


@contextmanager
def steps_of(log: SqliteEventLog) -> Iterator[list[int]]:
    """What the statements of this log cost, in steps of SQLite's machine: a row that is read is several."""
    steps: list[int] = []
    trace = partial(log._connection.trace_v2, apsw.SQLITE_TRACE_PROFILE)
    trace(lambda told: steps.append(told["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"]))
    try:
        yield steps
    finally:
        log._connection.trace_v2(0, None)


@pytest.mark.parametrize("after", ["opening", "a rollback", "a failed commit", "an erasure"])
def test_staging_a_refusal_costs_the_same_however_many_there_are(tmp_path: Path, after: str) -> None:
    """It is done where the event loop is; the whole quarantine was read with the first refusal after each of these."""
    path = tmp_path / "events.db"
    with SqliteEventLog.open(path) as log:
        for sender in range(40):
            log.stage([], [refused(n, f"u{sender}", size=1) for n in range(50)], NOW_US)
        log.commit()
    with SqliteEventLog.open(path) as log:
        if after == "a rollback":
            log.stage([], [refused(1_000)], NOW_US)
            log.rollback()
        elif after == "a failed commit":
            log.stage([], [refused(1_000)], NOW_US)
            log.purge("heart_rate", NOW_US, [2**70])
            with pytest.raises(OverflowError):
                log.commit()
            log._purges.clear()
        elif after == "an erasure":
            log.forget_user("u7", (), log.head())
            log.commit()
        with steps_of(log) as steps:
            log.stage([], [refused(1_001)], NOW_US)
        assert 0 < sum(steps) < 1_000
        log.commit()


def assert_sums_are_those_of_the_file(log: SqliteEventLog) -> None:
    anew, told = Quarantine(log._connection, QUOTAS), log._quarantine
    anew.load()
    assert (told._held, told._users, told._total) == (anew._held, anew._users, anew._total)


def test_what_is_sealed_later_and_what_another_log_had_counts_with_its_size(tmp_path: Path) -> None:
    (tmp_path / "of").mkdir()
    with SqliteEventLog.open(tmp_path / "of" / "events.db") as log:
        log.stage([], [refused(1), refused(2, "bob", size=10)], NOW_US)
        log.commit()
        with SqliteLogReader.open(tmp_path / "of" / "events.db") as reader:
            rows = reader.rejected(0, 9)
    with SqliteMovingLog.open(tmp_path / "events.db") as log:
        log.adopt_refusals(rows)
        log.commit()
        assert_sums_are_those_of_the_file(log)
    with sealed_writer(tmp_path) as log:
        before = log._quarantine._total
        while log.seal_older(50):
            log.commit()
        log.commit()
        assert log._quarantine._total > before
        assert_sums_are_those_of_the_file(log)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_what_senders_hold_is_what_is_in_the_file_whatever_was_done(data: st.DataObject) -> None:
    one = st.builds(
        refused,
        st.integers(0, 9),
        st.sampled_from(["alice", "bob"]),
        st.sampled_from(["watch", "phone"]),
        st.sampled_from([0, KIB, 9 * KIB]),
    )
    with TemporaryDirectory() as folder, SqliteEventLog.open(Path(folder) / "events.db", quotas=QUOTAS) as log:
        for _ in range(data.draw(st.integers(1, 8))):
            if some := data.draw(st.lists(one, max_size=8)):
                log.stage([], some, NOW_US)
            deed = data.draw(st.sampled_from(["commit", "rollback", "discard", "purge", "forget", "fail"]))
            if deed == "rollback":
                log.rollback()
            elif deed == "discard":
                log.discard_rejected(data.draw(st.integers(1, 20)))
            elif deed == "purge":
                log.purge_rejected(data.draw(st.lists(st.integers(1, 30), max_size=9)), NOW_US + 1)
            elif deed == "forget":
                log.forget_user("alice", (), log.head())
            elif deed == "fail":
                log.purge_rejected([1, 2, 3], NOW_US + 1)
                log.purge("heart_rate", NOW_US, [2**70])
                with pytest.raises(OverflowError):
                    log.commit()
                log._purges.clear()
            if deed != "rollback":
                log.commit()
            assert_sums_are_those_of_the_file(log)


def test_a_commit_of_refusals_writes_few_pages_however_many_there_are(tmp_path: Path) -> None:
    """A flood of new ones beside a full quarantine wrote the index of marks with each commit, all over the place."""
    path = tmp_path / "events.db"
    quotas = Quotas(device_bytes=200 * (ROW_COST + 100), user_bytes=10**9, total_bytes=10**9, row_bytes=KIB)
    with SqliteEventLog.open(path, quotas=quotas) as log, SqliteLogReader.open(path) as reader:
        store = Opened(log, reader)
        for sender in range(60):
            flood(store, lambda n, sender=sender: refused(n, device=f"d{sender}", size=100), 200, 200)  # type: ignore[misc]
        wal = path.with_name("events.db-wal")
        log._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        flood(store, lambda n: refused(1_000 + n, device="d7", size=100), 100, 100)
        pages = wal.stat().st_size // 4096
    assert pages < 40


def test_marks_of_before_are_found_in_the_new_index(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with SqliteEventLog.open(path) as log:
        log.stage([], [refused(1)], NOW_US)
        log.commit()
        log._connection.execute("DROP INDEX quarantine_fingerprint").fetchall()
        old = "CREATE INDEX quarantine_fingerprint ON quarantine (fingerprint) WHERE fingerprint IS NOT NULL"
        log._connection.execute(old).fetchall()
        log._connection.execute("PRAGMA user_version=12").fetchall()
    with SqliteEventLog.open(path) as log, SqliteLogReader.open(path) as reader:
        log.stage([], [refused(1), refused(1, device="phone")], NOW_US)
        log.commit()
        assert [(row.device, row.times) for row in reader.rejected()] == [("watch", 2), ("phone", 1)]
