"""The contract of EventLog and LogReader, on every implementation."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.keys.faults import KeyUnavailableError
from healthsync_mqtt.keys.opening import ring_made_if_missing
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.sqlite.index import Tuning
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_contract import EventLogContract, Store
from tests.unit.storage.conftest import SMALL
from tests.unit.storage.sealed import sealed_reader, sealed_writer


class TestMemory(EventLogContract):
    @pytest.fixture
    def store(self) -> Store:
        memory = MemoryEventLog()
        return Store(memory, memory.reader())


class TestSqlite(EventLogContract):
    tuning: Tuning | None = None

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        path = tmp_path / "events.db"
        with SqliteEventLog.open(path, tuning=self.tuning) as log, SqliteLogReader.open(path) as reader:
            yield Store(log, reader)

    def test_sealing_what_is_there_changes_nothing_that_is_read(self, store: Store) -> None:
        """There are no keys."""
        with pytest.raises(KeyUnavailableError):
            store.log.seal_older(1)


class TestSqliteSealed(EventLogContract):
    tuning: Tuning | None = None

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        with sealed_writer(tmp_path, tuning=self.tuning) as log, sealed_reader(tmp_path) as reader:
            yield Store(log, reader)


class TestSqliteSealedWithASmallIndex(TestSqliteSealed):
    tuning = SMALL


class TestSqliteThatMayBeSealed(TestSqliteSealed):
    """A plain log with keys at hand, and its reader from before it is sealed."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        ring_made_if_missing(tmp_path)
        writer = sealed_writer(tmp_path, tuning=self.tuning, seal_new=False)
        with writer as log, sealed_reader(tmp_path) as reader:
            yield Store(log, reader)


class TestSqliteWithASmallIndex(TestSqlite):
    tuning = SMALL
