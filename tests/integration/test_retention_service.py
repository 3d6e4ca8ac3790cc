"""Retention on a running service, and what a sink is told of purged events."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from healthsync_mqtt.storage.opening import open_reader
from tests.integration.test_sink_reconcile import Installation
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.servers import Influxd
from tests.support.service import Service, run_cli
from tests.support.shifted import WallClock
from tests.support.sink import NOW_US, pulses

DAY_US = 86_400_000_000


def publish(service: Service, who: dict[str, str], *events: dict[str, object]) -> None:
    host, port = service.mqtt
    command = ["mosquitto_pub", "-h", host, "-p", str(port), "-q", "1", "-t", "users/alice/devices/watch/events"]
    login = ["-i", who["client_id"], "-u", who["username"], "-P", who["token"]]
    subprocess.run([*command, *login, "-m", json.dumps(events)], check=True, timeout=PATIENCE_S)


@pytest.mark.real_server
def test_old_events_go_their_ids_stay_and_the_service_goes_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    who: dict[str, str] = run_cli(data, "device", "add", "alice", "watch")[0]
    old = [
        {"id": f"old{n}", "type": "heart_rate", "start_time": "2020-01-01T00:00:00Z", "value": {"bpm": 60}}
        for n in range(100)
    ]
    kept = {"id": "kept", "type": "weight", "start_time": "2020-01-01T00:00:00Z", "value": {"kg": 70.5}}
    with Service(data) as service:
        publish(service, who, *old, kept)
    assert len(run_cli(data, "events", "list")) > 1
    (data / "healthsync.toml").write_text("[retention]\ndays = { heart_rate = 30 }\n")
    (data / "healthsync.toml").chmod(0o600)
    with Service(data) as service, open_reader(data) as reader:
        wait_until(lambda: len(reader.read(0, 999)) == 1)
        publish(service, who, *old, kept)
        publish(service, who, kept | {"id": "next"})
        wait_until(lambda: reader.head() == 102)  # the repeats got no seq
        assert [event["id"] for event in run_cli(data, "events", "list")] == ["kept", "next"]


@pytest.mark.real_server
def test_a_clock_that_is_a_year_ahead_at_the_start_purges_nothing_of_this_year(tmp_path: Path) -> None:
    data = tmp_path / "data"
    clock = WallClock(tmp_path / "clock")
    run_cli(data, "user", "add", "alice", "--consent", "all")
    who: dict[str, str] = run_cli(data, "device", "add", "alice", "watch")[0]
    events = [
        {"id": name, "type": "heart_rate", "start_time": start, "value": {"bpm": 60}}
        for name, start in (("ancient", "2020-01-01T00:00:00Z"), ("young", datetime.now(UTC).isoformat()))
    ]
    with Service(data) as service:
        publish(service, who, *events)
    (data / "healthsync.toml").write_text("[retention]\ndays = { heart_rate = 30 }\n")
    (data / "healthsync.toml").chmod(0o600)
    clock.shift(365 * 86_400)
    with Service(data, env=clock.env) as service, open_reader(data) as reader:
        wait_until(lambda: len(reader.read(0, 9)) < 2)  # one sweep looks at both
        assert [row.id for row in reader.read(0, 9)] == ["young"]
        (status,) = run_cli(data, "status")
        assert round(status["clock_ahead_s"] / 86_400) == 365


@pytest.mark.real_server
def test_reconcile_erases_nothing_of_what_the_log_has_purged(tmp_path: Path) -> None:
    home = Installation(tmp_path / "data")
    with Influxd(tmp_path / "influxd") as server:
        home.add(server.url, "--dialect", "v1")
        home.store(*pulses(50), *pulses(10, stem="late", step_us=DAY_US))
        home.ship()
        home.log.purge("heart_rate", NOW_US + DAY_US, range(1, 41))
        home.log.commit()
        count = "SELECT count(bpm) FROM heart_rate"
        assert server.rows(count)[0][1] == 60
        server._post(f"DELETE FROM heart_rate WHERE time > {(NOW_US + 8 * DAY_US) * 1000 - 1}", db="healthsync")
        assert home.differing() == [("heart_rate", 1, 0, 0, True), ("heart_rate", 1, 0, 0, True)]
        assert server.rows(count)[0][1] == 60
    home.close()
