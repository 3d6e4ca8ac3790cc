"""An older log is sealed under its readers and writers, and a kill anywhere loses and doubles nothing."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.keys.faults import KeyUnavailableError, TamperedError
from healthsync_mqtt.keys.opening import ring_made_if_missing
from healthsync_mqtt.storage.opening import Encryption, encryption
from healthsync_mqtt.storage.port import FormatMemory
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected
from tests.unit.storage.sealed import sealed_reader, sealed_writer
from tests.unit.storage.test_sealed import changing, found_in

ROWS = 20
STEP = 7


def plain(data: Path) -> list[str]:
    """A log of before with something of everything; the markers that lie in it."""
    markers = [f"marker-{number:04}-x" for number in range(ROWS)]
    with SqliteEventLog.open(data / "events.db") as log:
        for number, marker in enumerate(markers):
            refused = [rejected(raw=f"raw of {marker}".encode(), event_id=marker)]
            log.stage([item(marker, "alice" if number % 2 else "bob", start_us=NOW_US + number)], refused, NOW_US)
            log.remember(FormatMemory("alice", "watch", "fhir", f"state {marker}".encode(), [(f"n-{marker}", marker)]))
        log.commit()
        log.purge("heart_rate", NOW_US + 100, [3, 4])
        log.commit()
    with changing(data) as file:  # a row from before there were positions
        file.execute("UPDATE log SET position = NULL WHERE seq = 2")
    return markers


def seen(reader: SqliteLogReader, through: int = ROWS) -> list[Any]:
    """Everything of before that a reader is told."""
    rows: list[Any] = [reader.get(seq) for seq in range(1, through + 1)]
    return [*rows, reader.rejected(0, ROWS), reader.format_memories()]


def test_it_ends_sealed_and_nothing_of_before_is_in_the_files(tmp_path: Path) -> None:
    markers = plain(tmp_path)
    with sealed_writer(tmp_path) as log, sealed_reader(tmp_path) as reader:
        before = seen(reader)
        lefts = [log.seal_older(STEP)]
        log.commit()
        assert encryption(tmp_path) == Encryption("rows", "file", 2, ROWS - STEP)
        number = 0
        while lefts[-1]:
            number += 1
            log.stage([item(f"new{number}")], [], NOW_US)
            lefts.append(log.seal_older(STEP))
            log.commit()
            assert seen(reader) == before
        assert lefts == sorted(lefts, reverse=True)
        assert encryption(tmp_path) == Encryption("rows", "file", 2, 0)
        assert log.stage([item(markers[0], "bob"), item(markers[3])], [], NOW_US) == [0, 0]
        log.commit()
    assert found_in(tmp_path, markers) == []
    with sealed_reader(tmp_path) as reader:
        assert seen(reader) == before
        assert [row.id for row in reader.read(ROWS, 99)] == [f"new{each + 1}" for each in range(number)]
    with changing(tmp_path) as file:
        file.execute("UPDATE log SET sealed = NULL, id = 'x', body = CAST('{}' AS BLOB) WHERE seq = 1")
    with sealed_reader(tmp_path) as reader, pytest.raises(TamperedError):
        reader.get(1)


@pytest.mark.parametrize("steps", range(1, 14, 2))
@pytest.mark.parametrize("committed", [True, False])
def test_killed_anywhere_it_goes_on(tmp_path: Path, steps: int, committed: bool) -> None:
    """The files as a kill leaves them: after a step's commit, or in the middle of one."""
    living, killed = tmp_path / "living", tmp_path / "killed"
    living.mkdir(mode=0o700)
    plain(living)
    with sealed_writer(living) as log:
        with sealed_reader(living) as reader:
            before = seen(reader)
        for step in range(steps):
            log.stage([item(f"s{step}")], [], NOW_US)
            log.seal_older(STEP)
            if committed or step < steps - 1:
                log.commit()
        shutil.copytree(living, killed, ignore=shutil.ignore_patterns("writer.lock", "*-shm"))
    with sealed_writer(killed) as log, sealed_reader(killed) as reader:
        assert seen(reader) == before
        assert log.head() == ROWS + steps - (not committed)
        while log.seal_older(STEP):
            log.commit()
        log.commit()
        assert seen(reader) == before
        first = steps == 1 and not committed
        assert log.stage([item("s0")], [], NOW_US) == [ROWS + 1 if first else 0]
    assert encryption(killed).plain_rows == 0


def test_what_is_rolled_back_is_not_converted(tmp_path: Path) -> None:
    plain(tmp_path)
    with sealed_writer(tmp_path) as log:
        log.seal_older(STEP)
        log.rollback()
        assert encryption(tmp_path) == Encryption()
        log.stage([item("a")], [], NOW_US)
        log.commit()
    with changing(tmp_path) as file:
        assert file.execute("SELECT count(*) FROM log WHERE sealed IS NOT NULL").fetchall() == [(0,)]


def test_without_the_outer_key_a_step_does_nothing_and_what_is_staged_stays(tmp_path: Path) -> None:
    plain(tmp_path)
    ring_made_if_missing(tmp_path)
    (tmp_path / "keys" / "outer.json").rename(tmp_path / "away")
    with sealed_writer(tmp_path) as log:
        assert log.stage([item("a")], [], NOW_US) == [ROWS + 1]
        with pytest.raises(KeyUnavailableError):
            log.seal_older(STEP)
        assert log.commit() == ROWS + 1
        (tmp_path / "away").rename(tmp_path / "keys" / "outer.json")
        assert log.seal_older(STEP)
        log.commit()
    with sealed_reader(tmp_path) as reader:
        assert [row.id for row in reader.read(ROWS, 9)] == ["a"]


def test_a_log_without_rows_is_sealed_at_once(tmp_path: Path) -> None:
    with sealed_writer(tmp_path, seal_new=False) as log:
        log.stage([], [rejected()], NOW_US)
        log.commit()
        while log.seal_older(STEP):
            log.commit()
        log.commit()
        log.stage([item("a")], [], NOW_US)
        log.commit()
    with changing(tmp_path) as file:
        assert file.execute("SELECT sealed FROM log UNION ALL SELECT sealed FROM quarantine").fetchall() == [(1,), (1,)]
