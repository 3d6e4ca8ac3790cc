"""Reconcile and backfill on servers that lost, dropped or changed points, through the commands."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from healthsync_mqtt.cli.sink import app
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.event import Event, Op
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.sinks.config import Sinks
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.shipper import Shipper
from healthsync_mqtt.sinks.worker import assemble
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from tests.support import influx_double as canned
from tests.support.influx_double import InfluxDouble
from tests.support.servers import Influxd, VictoriaMetrics
from tests.support.sink import NOW_US, event, pulses


class Installation:
    """A data directory with a log that is written here, a sink, and the commands on both."""

    def __init__(self, data: Path) -> None:
        self.data = data
        data.mkdir(mode=0o700)
        self.log = SqliteEventLog.open(data / "events.db")
        self._closing: list[Any] = []

    def add(self, url: str, *options: str) -> None:
        self.run("add", "influxdb", url, "--name", "main", *options)

    def store(self, *events: Event, user: str = "alice") -> None:
        origin = Origin(user, "watch", None, f"users/{user}/events")
        self.log.stage([Item(origin, one) for one in events], [], NOW_US)
        self.log.commit()

    def ship(self) -> Shipper:
        sinks = Sinks(self.data)
        sink = sinks.get("main").model_copy(update={"flush_s": 0.0, "settle_s": 0.0})
        reader = open_reader(self.data)
        ledger = SinkLedger.open(sinks.ledger("main"))
        self._closing += [reader, ledger]

        def keep(seq: int) -> None:
            self.log.set_cursor("sink:main", seq)

        shipper = assemble(sinks, sink, reader=reader, ledger=ledger, cursor=reader.cursor("sink:main") or 0, keep=keep)
        while not shipper.step():
            pass
        self.log.commit()
        return shipper

    def run(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        result = CliRunner().invoke(app, [*arguments, "--data", str(self.data), "--json"], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    def differing(self, *options: str, code: int = 0) -> list[tuple[Any, ...]]:
        rows = self.run("reconcile", "main", *options, code=code)
        return [
            (row["measurement"], row["missing"], row["wrong"], row["surplus"], row["repaired"])
            for row in rows
            if not row["equal"]
        ]

    def close(self) -> None:
        for one in self._closing:
            one.close()
        self.log.close()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path / "data")
    yield installation
    installation.close()


def fill(home: Installation) -> None:
    home.store(*pulses(200))
    home.store(event("w", {"kg": 71.5}, "weight"), event("p", {"systolic": 120, "diastolic": 80}, "blood_pressure"))
    stage = {"stage": "deep", "start_time": "2026-09-21T14:13:20Z", "end_time": "2026-09-21T15:13:20Z"}
    home.store(event("s", {"stages": [stage]}, "sleep", end_us=NOW_US + 7_200_000_000), user="bob")


@pytest.mark.real_server
def test_influxdb_what_is_gone_changed_or_too_much_is_found_and_repaired(home: Installation, tmp_path: Path) -> None:
    with Influxd(tmp_path / "influxd") as server:
        home.add(server.url, "--dialect", "v1")
        fill(home)
        home.ship()
        assert home.differing() == []
        alice = pseudonym(home, "alice")
        server._post(f"DELETE FROM heart_rate WHERE time < {NOW_US * 1000 + 50_000_000_000}", db="healthsync")
        weight = f"weight,device=watch,user={alice}"
        at = server.rows("SELECT kg FROM weight")[0][0]
        server.write(f"{weight} kg=99.0 {at}\n{weight} kg=1.0 {at + 1_000_000}")
        found = home.differing("--dry-run", code=1)
        assert found == [("heart_rate", 50, 0, 0, False), ("weight", 0, 1, 1, False)]
        assert home.differing() == [("heart_rate", 50, 0, 0, True), ("weight", 0, 1, 1, True)]
        assert home.differing() == []
        assert server.rows("SELECT kg FROM weight") == [[at, 71.5]]


def pseudonym(home: Installation, user: str) -> str:
    with Registry.open(home.data / "registry.db") as registry:
        registry.add_user(user, "all", NOW_US)
    shown: str = home.run("user", user)[0]["pseudonym"]
    return shown


@pytest.mark.real_server
def test_victoria_metrics_what_it_dropped_is_found_and_repaired(home: Installation, tmp_path: Path) -> None:
    with VictoriaMetrics(tmp_path / "victoria") as real, InfluxDouble() as double:
        double.always = lambda _request: canned.DROPPED
        home.add(double.url, "--dialect", "victoria")
        fill(home)
        home.ship()
        home.add(real.url, "--dialect", "victoria", "--replace")
        found = home.differing("--dry-run", code=1)
        assert ("heart_rate", 200, 0, 0, False) in found
        assert {row[0] for row in found} == {"heart_rate", "weight", "blood_pressure", "sleep", "sleep_stage"}
        assert all(row[-1] for row in home.differing())
        assert home.differing() == []
        assert len(real.samples("heart_rate_bpm")) == 200
        home.store(event("w", op=Op.DELETE), event("e3", {"bpm": 61}, start_us=NOW_US + 999_000_000, version=1))
        home.ship()
        assert home.differing() == []


def test_a_server_that_says_204_and_drops_is_found_and_repaired(home: Installation) -> None:
    with InfluxDouble("1.6.7") as double:
        home.add(double.url, "--dialect", "v1")
        double.script = [canned.DROPPED]
        fill(home)
        home.ship()
        assert double.points == {}
        assert len(home.differing("--dry-run", code=1)) == 5
        assert all(row[-1] for row in home.differing())
        assert len(double.points) == 204
        assert home.differing() == []


def test_a_server_that_goes_on_dropping_is_said(home: Installation) -> None:
    with InfluxDouble("1.6.7") as double:
        home.add(double.url, "--dialect", "v1")
        home.store(*pulses(3))
        double.always = lambda request: double.real(request) if request.method == "GET" else canned.DROPPED
        home.ship()
        assert home.differing(code=1) == [("heart_rate", 3, 0, 0, False)]


def test_backfill_writes_the_same_points_again(home: Installation) -> None:
    with InfluxDouble() as double:
        home.add(double.url)
        fill(home)
        home.ship()
        points = dict(double.points)
        double.points.clear()
        assert home.run("backfill", "main", "--type", "hr")[0] == {
            "sink": "main", "events": 200, "points": 200, "refused": 0,
        }  # fmt: skip
        assert {key[0] for key in double.points} == {"heart_rate"}
        assert home.run("backfill", "main")[0]["points"] == 204
        assert double.points == points


def test_status_pause_and_resume(home: Installation) -> None:
    with InfluxDouble() as double:
        home.add(double.url)
        home.store(*pulses(7))
        (status,) = home.run("status")
        assert (status["state"], status["lag"], status["cursor"]) == ("not started", 7, 0)
        home.run("pause", "main")
        assert home.run("status", "main")[0]["reason"] == "paused_by_operator"
        assert home.run("list")[0]["paused"] is True
        home.run("resume", "main")
        home.ship()
        assert home.run("status", "main")[0]["lag"] == 0


def test_a_token_is_never_written_down(home: Installation, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cr3t-t0ken\n")
    token.chmod(0o600)
    home.add("https://influx.example", "--token-file", str(token), "--no-test")
    shown = home.run("list")[0]
    assert shown["token_from"] == {"file": str(token)}
    assert "s3cr3t" not in Sinks(home.data).file("main").read_text()
    assert Sinks(home.data).get("main").token.read() == "s3cr3t-t0ken"
