"""What is each outbox's own; what all of them promise: test_outbox_contract.py."""

import sqlite3
from pathlib import Path

import pytest

from healthsync_mqtt.client import Credentials, MemoryOutbox, SqliteOutbox
from healthsync_mqtt.client.outbox import Position
from healthsync_mqtt.errors import InputError, StoreError

ROWS = [("a", b"1"), ("b", b"2"), ("c", b"3")]
HERE = Position("e", 5)


def test_memory_keeps_a_bounded_number_of_acknowledged_rows() -> None:
    outbox = MemoryOutbox(keep=2)
    outbox.acknowledge(outbox.put(ROWS), HERE, 0.0)
    assert outbox.rewind() == 2


def test_file_survives_and_is_private_and_exclusive(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = SqliteOutbox(path)
    keys = outbox.put(ROWS)
    outbox.acknowledge(keys[:1], HERE, 0.0)
    assert path.stat().st_mode & 0o777 == 0o600
    outbox.close()
    again = SqliteOutbox(path)
    assert [entry.id for entry in again.pending(0, 10)] == ["b", "c"]
    assert (again.waiting(), again.position()) == (2, HERE)
    again.close()


def test_file_keeps_rows_through_a_clock_that_is_wrong_at_each_start(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = SqliteOutbox(path)
    outbox.acknowledge(outbox.put(ROWS), HERE, 1_795_694_400.0)
    for start in range(1, 10):
        outbox.close()
        outbox = SqliteOutbox(path)
        outbox.acknowledge([], HERE, 4_102_444_800.0 if start % 2 else 1_795_694_400.0 + start * 3600.0)
    assert outbox.rewind() == 3
    outbox.close()


def test_rows_of_a_file_from_before_are_counted_from_where_they_were(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    SqliteOutbox(path).close()
    at = 1_795_694_400.0
    with sqlite3.connect(path) as db:
        db.executescript("DROP TABLE kept_time; PRAGMA user_version = 1;")
        db.execute("INSERT INTO outbox (id, payload, acknowledged_at) VALUES ('a', '1', ?)", (at - 71 * 3600.0,))
        db.execute("INSERT INTO outbox (id, payload, acknowledged_at) VALUES ('b', '2', ?)", (at,))
    outbox = SqliteOutbox(path)
    outbox.acknowledge([], HERE, at + 7200.0)
    assert outbox.rewind() == 1, "one of them was acknowledged 73 hours ago"
    outbox.close()


def test_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        SqliteOutbox(tmp_path / "missing" / "outbox.db")


def test_credentials_come_from_what_device_add_printed(tmp_path: Path) -> None:
    file = tmp_path / "login.json"
    file.write_text(
        '{"user_id":"u","device_id":"d","client_id":"u-d","username":"u-d","token":"secret","expires_at":""}'
    )
    credentials = Credentials.from_file(file)
    assert credentials.token == "secret"
    assert "secret" not in repr(credentials)
    for bad in ("{}", "[]", "no json"):
        file.write_text(bad)
        with pytest.raises(InputError):
            Credentials.from_file(file)
