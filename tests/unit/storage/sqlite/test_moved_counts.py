"""A log that was moved counts what it has, and goes on counting."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from healthsync_mqtt.storage.codec import BodyCodec
from healthsync_mqtt.storage.move import MovePart, move
from healthsync_mqtt.storage.sqlite.move import SqliteMovingLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_contract import Store, counted_as_read, some_deed
from tests.unit.storage.sealed import codec
from tests.unit.storage.sqlite.test_counts import SMALL


@pytest.fixture(params=["plain", "sealed"])
def how(request: pytest.FixtureRequest, tmp_path: Path) -> BodyCodec | None:
    return codec(tmp_path) if request.param == "sealed" else None


@pytest.fixture(params=[3, 50])
def rows_a_commit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("healthsync_mqtt.storage.move._A_COMMIT", request.param)


@pytest.mark.usefixtures("rows_a_commit")
def test_counts_of_a_log_that_is_moved_are_those_of_its_rows(tmp_path: Path, how: BodyCodec | None) -> None:
    random = Random(14)
    first, second = (tmp_path / name / "events.db" for name in ("first", "second"))
    for path in (first, second):
        path.parent.mkdir()
    with (
        SqliteMovingLog.open(first, tuning=SMALL, codec=how) as log,
        SqliteLogReader.open(first, codec=how) as reader,
        SqliteMovingLog.open(second, tuning=SMALL, codec=how, part=MovePart.TARGET) as target,
        SqliteLogReader.open(second, codec=how) as there,
    ):
        for number in range(50):
            some_deed(Store(log, reader), random, number)
        move(log, reader, target, lambda _: None)
        assert there.counts() == reader.counts()
        counted_as_read(there)
        for number in range(30):
            some_deed(Store(target, there), random, number)
        counted_as_read(there)
