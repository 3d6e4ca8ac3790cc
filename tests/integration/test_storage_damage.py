"""Flipped bits and torn files: opening says so or gives true rows; it never crashes and never invents one."""

import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_items import NOW_US, item

SENT = [f"e{n}" for n in range(60)]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory as a power cut leaves it: the newest commits are in the WAL only."""
    living, left = tmp_path / "living", tmp_path / "left"
    living.mkdir()
    left.mkdir()
    with SqliteEventLog.open(living / "events.db") as log:
        for n in range(0, 60, 3):
            if n == 30:
                log._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            log.stage([item(event_id) for event_id in SENT[n : n + 3]], [], NOW_US)
            log.commit()
        for name in ("events.db", "events.db-wal"):
            shutil.copy(living / name, left / name)
            (left / name).chmod(0o600)
    return left


def read_all(path: Path) -> list[str]:
    with SqliteEventLog.open(path) as log, SqliteLogReader.open(path) as reader:
        records = reader.read(0, 999)
        for record in records:
            assert record.body == item(record.id).event.body
        log.stage([item("after")], [], NOW_US)
        log.commit()
        return [record.id for record in records]


def test_undamaged_files_give_everything(files: Path) -> None:
    assert read_all(files / "events.db") == SENT


@pytest.mark.parametrize("seed", range(60))
def test_a_flipped_bit_in_the_wal_gives_a_prefix(files: Path, seed: int) -> None:
    wal = files / "events.db-wal"
    image = bytearray(wal.read_bytes())
    chance = random.Random(seed)
    image[chance.randrange(len(image))] ^= 1 << chance.randrange(8)
    wal.write_bytes(image)
    found = read_all(files / "events.db")
    assert found == SENT[: len(found)]
    assert len(found) >= 30, "what was checkpointed is still there"


@pytest.mark.parametrize("seed", range(40))
def test_a_torn_wal_gives_a_prefix(files: Path, seed: int) -> None:
    wal = files / "events.db-wal"
    image = wal.read_bytes()
    wal.write_bytes(image[: random.Random(seed).randrange(len(image))])
    found = read_all(files / "events.db")
    assert found == SENT[: len(found)]
    assert len(found) >= 30
    assert len(found) % 3 == 0


def test_a_deleted_wal_gives_what_was_checkpointed(files: Path) -> None:
    (files / "events.db-wal").unlink()
    assert read_all(files / "events.db") == SENT[:30]


@pytest.mark.parametrize("seed", range(80))
def test_a_damaged_database_is_an_error_or_gives_no_more_rows_than_were_sent(files: Path, seed: int) -> None:
    """SQLite cannot see a flipped byte inside a row; a damaged page must not end the process or hide the cause."""
    database = files / "events.db"
    image = bytearray(database.read_bytes())
    chance = random.Random(seed)
    start = chance.randrange(0, len(image) - 512)
    image[start : start + 512] = chance.randbytes(512)
    database.write_bytes(image)
    found: list[str] = []
    with suppress(StoreError), SqliteEventLog.open(database), SqliteLogReader.open(database) as reader:
        found = [record.id for record in reader.read(0, 999)]
    assert len(found) <= len(SENT)
