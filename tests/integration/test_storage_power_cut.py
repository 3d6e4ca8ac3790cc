"""Power cuts and failing disks at every operation: what was acknowledged survives, what was not is not invented."""

import random
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import apsw
import pytest

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.storage.anchor import RestoredError
from healthsync_mqtt.storage.sqlite import connection
from healthsync_mqtt.storage.sqlite.connection import abandon
from healthsync_mqtt.storage.sqlite.faults import DiskFaultError, DiskFullError
from healthsync_mqtt.storage.sqlite.index import Tuning
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.crash_vfs import CrashVfs, Trouble
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected

#: Blocks, merges and filter snapshots all happen within the few commits of a run.
SMALL = Tuning(
    rows_per_block=6,
    runs_per_level=2,
    rows_per_step=3,
    moves_per_step=8,
    first_filter_log2=10,
    rows_per_snapshot=9,
    part_bytes=64,
)

GROUPS = [[f"e{group}-{n}" for n in range(4)] for group in range(8)]

_names = (f"crash-{n}" for n in count())


class Run:
    """One life of a log on a disk that makes trouble: what it acknowledged, and what it was asked to store."""

    def __init__(self, directory: Path, trouble: Trouble, at: int | None) -> None:
        directory.mkdir()
        self.path = directory / "events.db"
        self.name = next(_names)
        self.vfs = CrashVfs(self.name, trouble, at)
        self.acknowledged: list[str] = []
        self.errors: list[StoreError] = []
        self.log: SqliteEventLog | None = None

    def open(self) -> None:
        self.log = SqliteEventLog.open(self.path, tuning=SMALL, vfs=self.name, exclusive=True)

    def deliver(self, ids: list[str]) -> None:
        assert self.log is not None
        try:
            self.log.stage([item(event_id) for event_id in ids], [rejected(event_id=ids[0])], NOW_US)
            self.log.commit()
        except StoreError as error:
            self.errors.append(error)
        else:
            self.acknowledged += ids

    def live(self) -> None:
        try:
            self.open()
        except StoreError as error:
            self.errors.append(error)
            return
        for ids in GROUPS:
            self.deliver(ids)

    def cut_power(self, seed: int) -> None:
        self.vfs.cut_power(random.Random(seed))
        if self.log is not None:
            with suppress(StoreError):
                self.log.close()

    def kill(self) -> None:
        """As kill -9: nothing is brought in order on the way out."""
        self.vfs.kill()
        if self.log is not None:
            abandon(self.log._connection)
            self.log._lock.release()
            self.log = None

    def close(self) -> None:
        if self.log is not None:
            self.log.close()


def survivors(path: Path) -> list[str]:
    """Open as after a restart: every survivor must be whole, found by its id, and known as a duplicate."""
    with SqliteEventLog.open(path, tuning=SMALL) as log, SqliteLogReader.open(path) as reader:
        assert log._connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        records = reader.read(0, 999)
        for record in records:
            assert record.body == item(record.id).event.body
            assert reader.find("alice", record.id) == record
        ids = [record.id for record in records]
        assert log.stage([item(event_id) for event_id in ids], [], NOW_US) == [0] * len(ids)
        assert log.stage([item("after")], [], NOW_US) == [len(ids) + 1]
        log.commit()
        return ids


@pytest.fixture(autouse=True)
def checkpoint_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CHECKPOINT_PAGES", 30)


def operations_of_a_whole_run(directory: Path) -> int:
    run = Run(directory, Trouble.POWER_CUT, None)
    run.live()
    assert len(run.acknowledged) == 32
    total = run.vfs.operations
    run.close()
    return total


def crashes(tmp_path: Path) -> Iterator[tuple[Run, list[str]]]:
    for at in range(1, operations_of_a_whole_run(tmp_path / "whole") + 1):
        run = Run(tmp_path / f"cut-{at}", Trouble.POWER_CUT, at)
        run.live()
        run.cut_power(at)
        yield run, survivors(run.path)


def test_a_power_cut_at_any_operation_loses_nothing_acknowledged(tmp_path: Path) -> None:
    sent = [event_id for ids in GROUPS for event_id in ids]
    points = 0
    for run, found in crashes(tmp_path):
        points += 1
        assert found == sent[: len(found)], "survivors are a prefix of what was sent: nothing torn, nothing invented"
        assert len(found) >= len(run.acknowledged)
        assert len(found) % 4 == 0, "a commit survives whole or not at all"
    assert points > 100


def purging(run: Run) -> None:
    """Store two groups, purge the first in the commit that stores a third, store a fourth."""
    run.open()
    run.deliver(GROUPS[0])
    run.deliver(GROUPS[1])
    assert run.log is not None
    run.log.purge("heart_rate", NOW_US + 1, [1, 2, 3, 4])
    run.deliver(GROUPS[2])
    run.deliver(GROUPS[3])


def test_a_power_cut_while_rows_are_purged_leaves_them_whole_or_purged_and_their_ids_known(tmp_path: Path) -> None:
    whole = Run(tmp_path / "whole", Trouble.POWER_CUT, None)
    purging(whole)
    total = whole.vfs.operations
    whole.close()
    seen = set()
    for at in range(1, total + 1):
        run = Run(tmp_path / f"cut-{at}", Trouble.POWER_CUT, at)
        with suppress(StoreError):
            purging(run)
        run.cut_power(at)
        with SqliteEventLog.open(run.path, tuning=SMALL) as log, SqliteLogReader.open(run.path) as reader:
            assert log._connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            known = [event_id for ids in GROUPS for event_id in ids][: log.head()]
            assert len(known) >= len(run.acknowledged)
            left = [record.id for record in reader.read(0, 999)]
            assert left == (known if len(known) < 12 else known[4:]), "purged with the third group or not at all"
            assert log.stage([item(event_id) for event_id in known], [], NOW_US) == [0] * len(known)
            seen.add(len(known))
    assert seen >= {0, 4, 8, 12}


def test_without_a_sync_per_commit_the_same_test_sees_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with synchronous=NORMAL the disk of these tests does lose acknowledged events."""
    monkeypatch.setattr(connection, "SYNCHRONOUS", ("NORMAL", 1))
    lossy = 0
    for at in range(1, operations_of_a_whole_run(tmp_path / "whole") + 1):
        run = Run(tmp_path / f"cut-{at}", Trouble.POWER_CUT, at)
        run.live()
        run.cut_power(at)
        run.path.with_suffix(".anchor").unlink(missing_ok=True)
        lossy += not set(run.acknowledged) <= set(survivors(run.path))
    assert lossy > 10


def test_the_anchor_finds_the_losses_of_such_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SYNCHRONOUS", ("NORMAL", 1))
    found = 0
    for at in range(1, operations_of_a_whole_run(tmp_path / "whole") + 1, 3):
        run = Run(tmp_path / f"cut-{at}", Trouble.POWER_CUT, at)
        run.live()
        if run.log is not None:
            run.log.anchor()
        run.cut_power(at)
        refused = False
        try:
            SqliteEventLog.open(run.path, tuning=SMALL).close()
        except RestoredError:
            refused = True
            SqliteEventLog.open(run.path, tuning=SMALL, accept_restored=lambda _seen, _epoch: None).close()
        assert refused != (set(run.acknowledged) <= set(survivors(run.path))), "refused where something is lost, only"
        found += refused
    assert found > 3


def test_what_only_the_cache_held_after_a_failed_sync_is_not_taken_for_durable(tmp_path: Path) -> None:
    """The sync of a commit fails, the process dies, the next one finds the commit whole, and then the power goes."""
    assert failed_syncs(tmp_path, every=2) > 10


def failed_syncs(tmp_path: Path, *, every: int) -> int:
    """At how many of every so many operations a sync failed; what was acknowledged survives each."""
    failed = 0
    for at in range(1, operations_of_a_whole_run(tmp_path / "whole") + 1, every):
        run = Run(tmp_path / f"sync-{at}", Trouble.SYNC_FAULT, at)
        with suppress(StoreError):
            run.open()
        for ids in GROUPS if run.log is not None else []:
            run.deliver(ids)
            if run.errors:
                break
        run.kill()
        failed += bool(run.errors)
        asked = GROUPS[: len(run.acknowledged) // 4 + 1]
        run.errors.clear()
        run.open()
        for ids in asked:
            run.deliver(ids)  # a duplicate is acknowledged as what it is: stored
        assert run.errors == []
        run.kill()
        run.vfs.cut_power(random.Random(at))
        assert set(run.acknowledged) <= set(survivors(run.path))
    return failed


@pytest.mark.parametrize("trouble", [Trouble.FULL_ONCE, Trouble.FAULT_ONCE])
def test_one_failure_at_any_operation_acknowledges_nothing_false_and_passes(tmp_path: Path, trouble: Trouble) -> None:
    assert single_failures(tmp_path, trouble, every=1) > 20


def single_failures(tmp_path: Path, trouble: Trouble, *, every: int) -> int:
    """How many of every so many operations failed once; each was said, and the same again went through."""
    failures = 0
    for at in range(1, operations_of_a_whole_run(tmp_path / "whole") + 1, every):
        run = Run(tmp_path / f"fail-{at}", trouble, at)
        try:
            run.open()
        except StoreError as error:
            run.errors.append(error)
            run.open()
        for ids in GROUPS:
            before = len(run.errors)
            run.deliver(ids)
            if len(run.errors) > before:
                run.deliver(ids)
        assert len(run.errors) <= 1
        assert run.acknowledged == [event_id for ids in GROUPS for event_id in ids], "the resent group went through"
        for error in run.errors:
            assert isinstance(error, DiskFullError if trouble is Trouble.FULL_ONCE else DiskFaultError)
            assert error.hint
        failures += len(run.errors)
        run.close()
        assert survivors(run.path) == run.acknowledged
    return failures


def test_a_disk_that_stays_full_takes_nothing_until_there_is_room(tmp_path: Path) -> None:
    run = Run(tmp_path / "full", Trouble.FULL, operations_of_a_whole_run(tmp_path / "whole") * 3 // 4)
    run.live()
    assert run.errors
    assert all(isinstance(error, DiskFullError) and error.reason == "disk_full" for error in run.errors)
    acknowledged = len(run.acknowledged)
    assert 0 < acknowledged < 32
    assert run.log is not None
    assert run.log.head() == acknowledged
    run.vfs.heal()
    for ids in GROUPS[acknowledged // 4 :]:
        run.deliver(ids)
    run.close()
    assert survivors(run.path) == [event_id for ids in GROUPS for event_id in ids]


def test_a_failed_commit_keeps_cursors_for_the_next(tmp_path: Path) -> None:
    run = Run(tmp_path / "cursor", Trouble.FULL, None)
    run.open()
    assert run.log is not None
    run.log.set_cursor("publish", 7)
    run.vfs._at = 1
    with pytest.raises(DiskFullError):
        run.log.commit()
    run.vfs.heal()
    run.log.commit()
    run.close()
    with SqliteLogReader.open(run.path) as reader:
        assert reader.cursor("publish") == 7


def test_the_file_layer_itself_loses_what_is_not_synced(tmp_path: Path) -> None:
    name = next(_names)
    vfs = CrashVfs(name)
    path = tmp_path / "plain.db"
    database = apsw.Connection(str(path), vfs=name)
    database.execute("PRAGMA synchronous=OFF; CREATE TABLE t (x)").fetchall()
    assert path.stat().st_size == 0
    vfs.cut_power(random.Random(1))
    abandon(database)
