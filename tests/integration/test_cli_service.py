"""Commands beside a running service."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support import child
from tests.support.patience import PATIENCE_S
from tests.support.service import HEALTHSYNC, Service, run_cli

OUTCOMES = ("stored", "duplicate", "rejected", "failed", "in_flight")


def balanced(service: Service) -> dict:
    (status,) = service.cli("status")
    assert status["running"] is True
    counters: dict = status["counters"]
    assert counters["received"] == sum(counters[name] for name in OUTCOMES)
    return counters


@pytest.mark.shared_data
def test_fit_activity_replayed_twice_is_stored_once(service: Service, shared_data: Path) -> None:
    service.cli("user", "add", "ride", "--consent", "all")
    file = str(shared_data / "fit" / "activity-small-fenix2-run.fit")
    (once,) = service.cli("replay", file, "--user", "ride", "--device", "garmin-1")
    (twice,) = service.cli("replay", file, "--user", "ride", "--device", "garmin-1")
    assert (once["stored"], once["duplicate"], once["rejected"]) == (5617, 0, 0)
    assert (twice["stored"], twice["duplicate"], twice["rejected"]) == (0, 5617, 0)
    assert len(service.cli("events", "list", "--user", "ride")) == 5617
    balanced(service)


@pytest.mark.shared_data
def test_printed_events_are_the_ones_that_are_published(service: Service, shared_data: Path) -> None:
    service.cli("user", "add", "printed", "--consent", "all")
    words = (str(shared_data / "fit" / "garmin-fenix-5-walk.fit"), "--user", "printed", "--device", "garmin-1")
    printed = service.cli("replay", *words, "--print")
    service.cli("replay", *words)
    stored = service.cli("events", "list", "--user", "printed")
    assert [event["id"] for event in printed] == [event["id"] for event in stored]


@pytest.mark.shared_data
def test_replay_needs_a_user_and_a_whole_file(service: Service, shared_data: Path) -> None:
    good, bad = (str(shared_data / "fit" / name) for name in ("Activity.fit", "activity-unexpected-eof.fit"))
    with pytest.raises(AssertionError, match="there is no user nobody"):
        service.cli("replay", good, "--user", "nobody", "--device", "x")
    service.cli("user", "add", "walk", "--consent", "all")
    with pytest.raises(AssertionError, match="damaged"):
        service.cli("replay", bad, "--user", "walk", "--device", "x")
    assert service.cli("device", "list", "--user", "walk") == []
    (salvaged,) = service.cli("replay", bad, "--user", "walk", "--device", "x", "--salvage")
    assert salvaged["stored"] == 14


def test_simulate_is_deterministic_for_a_seed(service: Service) -> None:
    words = ("simulate", "--devices", "3", "--rate", "500", "--seed", "7", "--count", "100", "--day", "2026-11-01")
    (first,) = service.cli(*words)
    assert (first["stored"], first["duplicate"], first["rejected"]) == (300, 0, 0)
    (second,) = service.cli(*words)
    assert (second["stored"], second["duplicate"]) == (0, 300)
    balanced(service)


def test_tail_follows_what_is_stored(service: Service) -> None:
    service.cli("simulate", "--count", "1", "--seed", "90", "--day", "2026-11-01")
    tail = child.start(
        [*HEALTHSYNC, "events", "tail", "-n", "0", "--count", "5", "--data", str(service.data), "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        seed = 91
        while tail.poll() is None:
            service.cli("simulate", "--count", "5", "--seed", str(seed), "--day", "2026-11-01")
            seed += 1
            assert seed < 100
        assert tail.stdout
        events = [json.loads(line) for line in tail.stdout]
        assert len(events) == 5
        assert [event["seq"] for event in events] == sorted(event["seq"] for event in events)
    finally:
        child.end(tail)


def test_doctor_finds_the_service(service: Service) -> None:
    checks = {found["check"]: found["grade"] for found in service.cli("doctor")}
    assert checks["service"] == "good"
    assert "bad" not in checks.values()


def test_ready_line_has_the_promised_keys_and_stop_is_clean(tmp_path: Path) -> None:
    service = Service(tmp_path / "data").start()
    assert set(service.ready) == {"event", "mqtt", "mqtts", "wss", "ca_file", "pid", "bound"}
    assert service.ready["pid"] == service.pid
    assert (tmp_path / "data" / "service.json").exists()
    assert service.stop() == 0
    assert not (tmp_path / "data" / "service.json").exists()
    assert not (tmp_path / "data" / "service.sock").exists()
    (status,) = run_cli(tmp_path / "data", "status")
    assert status["running"] is False


def test_killed_service_is_not_taken_for_running(tmp_path: Path) -> None:
    service = Service(tmp_path / "data").start()
    service.kill()
    (status,) = run_cli(tmp_path / "data", "status")
    assert status["running"] is False
    with Service(tmp_path / "data") as again:
        (status,) = again.cli("status")
        assert status["running"] is True


def test_demo_prints_json_lines_and_stores_a_day(tmp_path: Path) -> None:
    with Service(tmp_path / "data", "--demo") as service:
        events: list = []
        while len(events) < 20:
            events = service.cli("events", "list", "--user", "demo")
        balanced(service)
    assert {event["device_id"] for event in events} == {"simulator"}


@pytest.mark.parametrize(
    "topics", ["", "channels: {}\n", "channels: [\n", "prefix: 'a/+'\nchannels: {x: {topic: '#'}}\n", None]
)
def test_t17_no_service_without_access_rules(tmp_path: Path, topics: str | None) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    rules = data / "topics.yaml"
    if topics is None:
        rules.mkdir()
    else:
        rules.write_text(topics)
    (data / "healthsync.toml").write_text('topics_file = "topics.yaml"\n')
    ports = ("--mqtt-port", "0", "--mqtts-port", "0", "--wss-port", "0")
    done = subprocess.run(
        [*HEALTHSYNC, "up", "--data", str(data), *ports, "--json"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 78
    assert done.stdout == ""
    assert "topics.yaml" in done.stderr
    assert json.loads(done.stderr.splitlines()[-1])["error"]["fix"]
