"""Every kind of sink that takes users' days keeps the promises of its port; the suite fails for one that does not."""

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.sinks.config import FileConfig, InfluxConfig
from healthsync_mqtt.sinks.file.days import FileDays
from healthsync_mqtt.sinks.file.sink import FileSink
from healthsync_mqtt.sinks.influx.days import MEASUREMENT, InfluxDays
from healthsync_mqtt.sinks.influx.line import Line, ServerAnswer
from healthsync_mqtt.sinks.influx.mapping import Mapper
from healthsync_mqtt.sinks.influx.packer import Packer
from healthsync_mqtt.sinks.influx.sink import InfluxSink
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.port import DaySink, Next, UserDay
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.summaries.day import day_number
from healthsync_mqtt.testing.day_contract import DaySinkContract, DayTarget, steps
from healthsync_mqtt.testing.log_items import NOW_US
from tests.support.deaf import fails
from tests.support.line_protocol import parse

_DAY_NS = 86_400 * 10**9


class DayFolder:
    """A folder, read as its users do: of each user, type and day the last line counts."""

    def __init__(self, path: Path, file_bytes: int = 1_000) -> None:
        self.config = FileConfig(name="main", path=path / "out", file_bytes=file_bytes)
        self.ledger = SinkLedger.open(path / "main.db")

    def open(self) -> FileDays:
        return FileDays(self.config, ledger=self.ledger)

    def lines(self) -> list[dict[str, Any]]:
        files = sorted(self.config.path.glob("days-*.ndjson"))
        return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]

    def there(self) -> dict[tuple[str, int], float]:
        days: dict[tuple[str, int], float | None] = {}
        for line in self.lines():
            steps_of_day = line["figures"]["steps"] if line["op"] == "upsert" else None
            days[line["user_id"], day_number(line["day"])] = steps_of_day
        return {key: value for key, value in days.items() if value is not None}

    def named(self, user: str) -> str:
        return user

    def away(self, *, away: bool) -> None:
        if away:
            self.config.path.write_text("in the way")
        else:
            self.config.path.unlink()

    def erase(self, user: str) -> None:
        self.ledger.ask_erasure(user)
        sink = FileSink(self.config, epoch="e1", ledger=self.ledger)
        assert sink.mend(NOW_US).next is Next.GO_ON
        assert self.ledger.erasing() == {}
        sink.close()


class Bucket:
    """An InfluxDB in memory, without HTTP."""

    def __init__(self, deletes: Any) -> None:
        self.points: dict[tuple[str, int], dict[str, Any]] = {}
        self.connections = 1
        self.gone = False
        self.deletes = deletes

    def write(self, lines: list[str]) -> ServerAnswer:
        if self.gone:
            return ServerAnswer(0, fault="unreachable")
        for point in parse("\n".join(lines)):
            assert point.measurement == MEASUREMENT
            self.points.setdefault((point.tags["user"], point.time_ns), {}).update(point.fields)
        return ServerAnswer(204)

    def delete(self, line: Line) -> ServerAnswer:
        (point,) = parse(f"{line.series} x=1 {line.time_ns}")
        self.points.pop((point.tags["user"], point.time_ns), None)
        return ServerAnswer(204)

    def delete_person(self, subject: str) -> ServerAnswer:
        self.points = {key: fields for key, fields in self.points.items() if key[0] != subject}
        return ServerAnswer(204)

    def probe(self) -> ServerAnswer:
        return ServerAnswer(200)


class DayBucket:
    def __init__(self, path: Path, deletes: Any) -> None:
        self.bucket = Bucket(deletes)
        self.config = InfluxConfig(name="main", url="http://127.0.0.1:9", deletes=deletes)
        self.ledger = SinkLedger.open(path / "main.db")

    def open(self) -> InfluxDays:
        return InfluxDays(self.config, ledger=self.ledger, pseudonym=self.named, connect=lambda: self.bucket)

    def there(self) -> dict[tuple[str, int], float]:
        found = {key: fields for key, fields in self.bucket.points.items() if not fields.get("deleted")}
        return {(user, at_ns // _DAY_NS): fields["steps"] for (user, at_ns), fields in found.items()}

    def named(self, user: str) -> str:
        return f"s-{user}"

    def away(self, *, away: bool) -> None:
        self.bucket.gone = away

    def erase(self, user: str) -> None:
        self.ledger.ask_erasure(self.named(user))
        packer = Packer(MemoryEventLog().reader(), Mapper(self.named, self.ledger), self.ledger, self.config.deletes)
        sink = InfluxSink(self.config, packer=packer, ledger=self.ledger, connect=lambda: self.bucket)
        while sink.mend(NOW_US).next is Next.GO_ON:
            pass
        assert self.ledger.erasing() == {}
        sink.close()


class TestFileDays(DaySinkContract):
    @pytest.fixture
    def target(self, tmp_path: Path) -> Iterator[DayTarget]:
        folder = DayFolder(tmp_path)
        yield folder
        folder.ledger.close()


class TestInfluxDaysDeleted(DaySinkContract):
    @pytest.fixture
    def target(self, tmp_path: Path) -> Iterator[DayTarget]:
        bucket = DayBucket(tmp_path, "delete")
        yield bucket
        bucket.ledger.close()


class TestInfluxDaysMarked(DaySinkContract):
    @pytest.fixture
    def target(self, tmp_path: Path) -> Iterator[DayTarget]:
        bucket = DayBucket(tmp_path, "mark")
        yield bucket
        bucket.ledger.close()


class _Broken:
    """A folder of days that does all but one thing."""

    def __init__(self, folder: DayFolder, fault: str) -> None:
        self._folder, self._fault = folder, fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._folder, name)

    def open(self) -> DaySink:
        whole = self._folder.open()
        fault = self._fault

        class Sink:
            generation = 0

            def send(self, days: list[UserDay]) -> Any:
                if fault == "drops one":
                    return whole.send(days[1:])
                if fault == "keeps what is gone":
                    return whole.send([day for day in days if day.figures is not None])
                said = whole.send(days)
                return said._replace(next=Next.DONE) if fault == "never waits" else said

            def disconnect(self) -> None:
                whole.disconnect()

        return Sink()

    def there(self) -> dict[tuple[str, int], float]:
        found = self._folder.there()
        if self._fault == "adds up":
            doubled = [line for line in self._folder.lines() if line["op"] == "upsert"]
            return {key: value * len(doubled) for key, value in found.items()}
        return found

    def erase(self, user: str) -> None:
        if self._fault != "never erases":
            self._folder.erase(user)


@pytest.mark.parametrize(
    ("fault", "clause"),
    [
        ("drops one", "test_a_day_is_there_and_one_that_changes_is_another"),
        ("adds up", "test_twice_is_once"),
        ("keeps what is gone", "test_a_day_that_comes_to_nothing_is_there_no_more"),
        ("never waits", "test_a_server_that_is_away_is_waited_for"),
        ("never erases", "test_who_is_erased_has_no_days_and_others_keep_theirs"),
    ],
)
def test_each_clause_fails_for_something(fault: str, clause: str, tmp_path: Path) -> None:
    assert clause in dict(inspect.getmembers(DaySinkContract))
    folder = DayFolder(tmp_path)
    assert fails(lambda: getattr(DaySinkContract(), clause)(_Broken(folder, fault)))
    folder.ledger.close()


def test_a_line_of_a_day_says_all_of_it(tmp_path: Path) -> None:
    folder = DayFolder(tmp_path)
    sink = folder.open()
    assert sink.send([steps(0, 100), steps(3, None)]).next is Next.DONE
    assert sink.send([steps(0, None)]).next is Next.DONE
    assert folder.lines() == [
        {"user_id": "alice", "type": "steps", "day": "2026-09-21", "op": "upsert", "utc_offset": 3600,
         "figures": {"steps": 100, "sources": ["watch"]}},
        {"user_id": "alice", "type": "steps", "day": "2026-09-21", "op": "delete"},
    ], "and of a day that never was there nothing is said"  # fmt: skip
    before = (folder.config.path / "days-place.json").stat().st_mtime_ns
    assert sink.send([steps(9, None)._replace(again=True), steps(9, None, "nobody")]).next is Next.DONE
    assert len(folder.lines()) == 2
    assert (folder.config.path / "days-place.json").stat().st_mtime_ns == before, "and nothing is written for it"
    folder.ledger.close()


def test_what_a_crash_left_of_a_line_is_cut_off(tmp_path: Path) -> None:
    folder = DayFolder(tmp_path)
    folder.open().send([steps(0, 100)])
    with (folder.config.path / "days-000001.ndjson").open("ab") as file:
        file.write(b'{"user_id":"ali')
    assert folder.open().send([steps(1, 5)]).next is Next.DONE
    assert len(folder.lines()) == 2
    folder.ledger.close()
