"""One contract for every outbox."""

from pathlib import Path

import pytest

from healthsync_mqtt.client import Credentials, MemoryOutbox, SqliteOutbox
from healthsync_mqtt.client.outbox import KEEP_ACKNOWLEDGED_S, Position
from healthsync_mqtt.errors import InputError, StoreError

ROWS = [("a", b"1"), ("b", b"2"), ("c", b"3")]
HERE = Position("e", 5)


def test_rows_wait_in_order_until_they_are_acknowledged(outbox) -> None:
    keys = outbox.put(ROWS)
    assert [entry[1:] for entry in outbox.pending(0, 10)] == ROWS
    assert [entry.id for entry in outbox.pending(keys[0], 1)] == ["b"]
    outbox.acknowledge([keys[1]], HERE, 0.0)
    outbox.acknowledge([keys[1]], HERE, 0.0)
    assert [entry.id for entry in outbox.pending(0, 10)] == ["a", "c"]
    assert outbox.waiting() == 2
    assert outbox.position() == HERE


def test_rejected_rows_are_gone(outbox) -> None:
    keys = outbox.put(ROWS)
    outbox.discard(keys[:2])
    assert [entry.id for entry in outbox.pending(0, 10)] == ["c"]
    assert outbox.waiting() == 1
    assert outbox.rewind(0.0) == 0


def test_rewind_brings_back_72_hours(outbox) -> None:
    keys = outbox.put(ROWS)
    outbox.acknowledge(keys[:1], HERE, 0.0)
    outbox.acknowledge(keys[1:2], HERE, 100.0)
    assert outbox.rewind(KEEP_ACKNOWLEDGED_S + 50.0) == 1
    assert [entry.id for entry in outbox.pending(0, 10)] == ["b", "c"]
    assert outbox.waiting() == 2


def test_keys_never_repeat(outbox) -> None:
    first = outbox.put(ROWS)
    outbox.discard(first)
    assert min(outbox.put(ROWS)) > max(first)
    outbox.close()


def test_memory_keeps_a_bounded_number_of_acknowledged_rows() -> None:
    outbox = MemoryOutbox(keep=2)
    outbox.acknowledge(outbox.put(ROWS), HERE, 0.0)
    assert outbox.rewind(0.0) == 2


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
