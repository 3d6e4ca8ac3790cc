"""Every kind of sink keeps the promises of the port."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.sinks.config import FileConfig, InfluxConfig
from healthsync_mqtt.sinks.file.sink import FileSink
from healthsync_mqtt.sinks.influx.line import Line, ServerAnswer
from healthsync_mqtt.sinks.influx.mapping import Mapper
from healthsync_mqtt.sinks.influx.packer import Packer
from healthsync_mqtt.sinks.influx.sink import InfluxSink
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.port import Next, Rows, Sink
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.testing.sink_contract import SinkContract, SinkTarget, row, ship
from tests.support.line_protocol import parse


class Server:
    """An InfluxDB in memory, without HTTP."""

    def __init__(self) -> None:
        self.points: dict[Any, dict[str, Any]] = {}
        self.connections = 1
        self.away = False

    def write(self, lines: list[str]) -> ServerAnswer:
        if self.away:
            return ServerAnswer(0, fault="unreachable")
        for point in parse("\n".join(lines)):
            key = (point.measurement, tuple(sorted(point.tags.items())), point.time_ns)
            self.points.setdefault(key, {}).update(point.fields)
        return ServerAnswer(204)

    def delete(self, line: Line) -> ServerAnswer:
        (wanted,) = parse(f"{line.series} x=1 {line.time_ns}")
        for key in list(self.points):
            same = key[0] == wanted.measurement and key[2] == wanted.time_ns
            if same and wanted.tags.items() <= dict(key[1]).items():
                del self.points[key]
        return ServerAnswer(204)

    def probe(self) -> ServerAnswer:
        return ServerAnswer(0, fault="unreachable") if self.away else ServerAnswer(200)


class InfluxTarget:
    def __init__(self, path: Path, deletes: Any) -> None:
        self.server = Server()
        self._config = InfluxConfig(name="main", url="http://127.0.0.1:9", deletes=deletes)
        self._ledger = SinkLedger.open(path / "main.db")

    def open(self) -> Sink[Any]:
        reader = MemoryEventLog().reader()
        mapper = Mapper(lambda user: f"s-{user}", self._ledger, marks=self._config.deletes == "mark")
        packer = Packer(reader, mapper, self._ledger, self._config.deletes)
        return InfluxSink(self._config, packer=packer, ledger=self._ledger, connect=lambda: self.server)

    def there(self) -> list[tuple[str, float]]:
        found = sorted((key[2], fields) for key, fields in self.server.points.items() if not fields.get("deleted"))
        return [(str(at), fields["bpm"]) for at, fields in found]

    def away(self, *, away: bool) -> None:
        self.server.away = away

    def close(self) -> None:
        self._ledger.close()


class FileTarget:
    """Read as its users do: a later line of an id replaces the earlier, a delete takes it away."""

    def __init__(self, path: Path) -> None:
        self.folder = path / "events"

    def open(self, **values: Any) -> FileSink:
        return FileSink(FileConfig(name="main", path=self.folder, **values), epoch="e1")

    def lines(self) -> list[dict[str, Any]]:
        files = sorted(self.folder.glob("*.ndjson"))
        return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]

    def there(self) -> list[tuple[str, float]]:
        events: dict[str, dict[str, Any]] = {}
        for line in self.lines():
            events.pop(line["id"], None)
            if line["op"] != "delete":
                events[line["id"]] = line
        ordered = sorted(events.values(), key=lambda line: line["start_time"])
        return [(line["start_time"], line["value"]["bpm"]) for line in ordered]

    def away(self, *, away: bool) -> None:
        if away:
            self.folder.write_text("in the way")
        else:
            self.folder.unlink()


class TestInfluxDeletes(SinkContract):
    @pytest.fixture
    def target(self, tmp_path: Path) -> Iterator[SinkTarget]:
        target = InfluxTarget(tmp_path, "delete")
        yield target
        target.close()


class TestInfluxMarks(SinkContract):
    @pytest.fixture
    def target(self, tmp_path: Path) -> Iterator[SinkTarget]:
        target = InfluxTarget(tmp_path, "mark")
        yield target
        target.close()


class TestFile(SinkContract):
    @pytest.fixture
    def target(self, tmp_path: Path) -> SinkTarget:
        return FileTarget(tmp_path)


def rows(first: int, last: int) -> Rows:
    return Rows([row(n, f"e{n}", at_s=n) for n in range(first, last + 1)], {}, last)


def test_a_file_that_was_torn_by_a_crash_has_each_line_once(tmp_path: Path) -> None:
    target = FileTarget(tmp_path)
    first = target.open()
    ship(first, rows(1, 5))
    first.close()
    with (target.folder / "events-000001.ndjson").open("ab") as file:
        file.write(b'{"seq":6,"id":"e6","us')
    again = target.open()
    assert ship(again, rows(4, 9)) is Next.DONE
    again.close()
    assert [line["id"] for line in target.lines()] == [f"e{n}" for n in range(1, 10)]


def test_a_file_has_its_size_and_another_log_its_own_count(tmp_path: Path) -> None:
    target = FileTarget(tmp_path)
    sink = target.open(file_bytes=1000)
    for n in range(1, 21):
        ship(sink, rows(n, n))
    sink.close()
    sizes = [file.stat().st_size for file in sorted(target.folder.glob("*.ndjson"))]
    assert len(sizes) > 2
    assert max(sizes) <= 1000
    assert [line["id"] for line in target.lines()] == [f"e{n}" for n in range(1, 21)]
    restored = FileSink(FileConfig(name="main", path=target.folder), epoch="e2")
    assert ship(restored, rows(3, 3)) is Next.DONE
    restored.close()
    assert [line["id"] for line in target.lines()].count("e3") == 2
