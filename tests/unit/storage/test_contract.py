"""The contract of EventLog and LogReader, on every implementation."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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


class TestSqliteSealed(EventLogContract):
    tuning: Tuning | None = None

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        with sealed_writer(tmp_path, tuning=self.tuning) as log, sealed_reader(tmp_path) as reader:
            yield Store(log, reader)


class TestSqliteSealedWithASmallIndex(TestSqliteSealed):
    tuning = SMALL


class TestSqliteWithASmallIndex(TestSqlite):
    tuning = SMALL
