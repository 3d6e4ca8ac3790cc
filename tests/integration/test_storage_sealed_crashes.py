"""Power cuts, full disks, torn and damaged files of a sealed log: what a plain one promises, and one thing more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.keys.book import KeyBook
from healthsync_mqtt.keys.ring import KeyRing
from healthsync_mqtt.storage.codec import KeyCodec
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.crash_vfs import Trouble
from healthsync_mqtt.testing.log_items import item
from healthsync_mqtt.testing.memory_provider import MemoryProvider
from tests.integration import test_storage_damage as damage
from tests.integration import test_storage_power_cut as power

files = damage.files
checkpoint_often = power.checkpoint_often


@pytest.fixture(autouse=True)
def sealed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every log and reader of this module has the keys of one ring, each its own copy of it."""
    book, provider = tmp_path_factory.mktemp("keys") / "keys.db", MemoryProvider()

    def ring() -> KeyRing:
        return KeyRing(KeyBook(book), {"memory": provider}, "memory")

    for kind in (SqliteEventLog, SqliteLogReader):
        opened = kind.open

        def with_keys(path: Any, *, opened: Any = opened, **options: Any) -> Any:
            return opened(path, codec=KeyCodec(ring, ring), **options)

        monkeypatch.setattr(kind, "open", with_keys)
    yield
    assert KeyBook(book).count(), "something was sealed"


@pytest.mark.parametrize("part", range(2))
def test_a_power_cut_loses_nothing_acknowledged(tmp_path: Path, part: int) -> None:
    """At every eighth operation: a plain log is tried at each."""
    sent = [event_id for ids in power.GROUPS for event_id in ids]
    points = 0
    for at in range(1 + 4 * part, power.operations_of_a_whole_run(tmp_path / "whole") + 1, 8):
        run = power.Run(tmp_path / f"cut-{at}", Trouble.POWER_CUT, at)
        run.live()
        run.cut_power(at)
        found = power.survivors(run.path)
        assert found == sent[: len(found)]
        assert len(found) >= len(run.acknowledged)
        assert len(found) % 4 == 0
        points += 1
    assert points > 15


def test_a_power_cut_while_rows_are_purged(tmp_path: Path) -> None:
    power.test_a_power_cut_while_rows_are_purged_leaves_them_whole_or_purged_and_their_ids_known(tmp_path)


def test_a_disk_that_stays_full(tmp_path: Path) -> None:
    power.test_a_disk_that_stays_full_takes_nothing_until_there_is_room(tmp_path)


def test_what_only_the_cache_held_after_a_failed_sync_is_not_taken_for_durable(tmp_path: Path) -> None:
    """At every eighth operation, as a power cut."""
    assert power.failed_syncs(tmp_path, every=8) > 3


@pytest.mark.parametrize("trouble", [Trouble.FULL_ONCE, Trouble.FAULT_ONCE])
def test_one_failure_acknowledges_nothing_false_and_passes(tmp_path: Path, trouble: Trouble) -> None:
    """At every fifth."""
    assert power.single_failures(tmp_path, trouble, every=5) > 5


def test_undamaged_files(files: Path) -> None:
    damage.test_undamaged_files_give_everything(files)


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_in_the_wal(files: Path, seed: int) -> None:
    damage.test_a_flipped_bit_in_the_wal_gives_a_prefix(files, seed)


@pytest.mark.parametrize("seed", range(12))
def test_a_torn_wal(files: Path, seed: int) -> None:
    damage.test_a_torn_wal_gives_a_prefix(files, seed)


def test_a_deleted_wal(files: Path) -> None:
    damage.test_a_deleted_wal_gives_what_was_checkpointed(files)


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_database_shows_no_row_that_was_not_sent(files: Path, seed: int) -> None:
    """A plain log cannot see a flipped byte inside a row."""
    database = files / "events.db"
    image, chance = bytearray(database.read_bytes()), damage.random.Random(seed)
    start = chance.randrange(0, len(image) - 64)
    image[start : start + 64] = chance.randbytes(64)
    database.write_bytes(image)
    try:
        with SqliteEventLog.open(database), SqliteLogReader.open(database) as reader:
            for seq in range(1, reader.head() + 1):
                row = reader.get(seq)
                if row is not None and row.seq == seq and row.body:
                    assert (row.id, row.body) == (f"e{seq - 1}", item(f"e{seq - 1}").event.body)
    except StoreError:
        pass
