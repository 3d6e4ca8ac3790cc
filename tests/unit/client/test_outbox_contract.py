"""The contract of outboxes, by the two that ship, and the schema of the one in a file."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.client import MemoryOutbox, SqliteOutbox
from healthsync_mqtt.client.outbox import Outbox
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.testing.outbox_contract import OutboxContract, waiting


class TestMemoryOutbox(OutboxContract):
    @pytest.fixture
    def outbox(self) -> Iterator[Outbox]:
        outbox = MemoryOutbox()
        yield outbox
        outbox.close()


class TestSqliteOutbox(OutboxContract):
    @pytest.fixture
    def outbox(self, tmp_path: Path) -> Iterator[Outbox]:
        outbox = SqliteOutbox(tmp_path / "outbox.db")
        yield outbox
        outbox.close()


def version(path: Path) -> int:
    with sqlite3.connect(path) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def test_a_file_of_the_first_release_opens_and_has_a_version_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with sqlite3.connect(path) as db:
        db.executescript(
            """CREATE TABLE outbox (key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, payload BLOB NOT NULL,
                acknowledged_at REAL);
            CREATE INDEX outbox_waiting ON outbox (key) WHERE acknowledged_at IS NULL;
            CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT NOT NULL, seq INTEGER NOT NULL);
            INSERT INTO outbox (id, payload) VALUES ('a', '1');"""
        )
    assert version(path) == 0
    outbox = SqliteOutbox(path)
    assert (waiting(outbox), outbox.waiting()) == (["a"], 1)
    outbox.close()
    assert version(path) == 2


def test_a_file_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    SqliteOutbox(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="99"):
        SqliteOutbox(path)
    assert version(path) == 99
